"""Figures beside their limits: ratios, since machines differ and are noisy."""

import json
import platform
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path("bench-results")


@dataclass(frozen=True)
class Figure:
    """One measured number. `target`: what `ours / peer` is meant to reach at least (or, with
    `lower_is_better`, at most); without a peer, what `ours` is meant to reach. None: no aim.
    """

    name: str
    unit: str
    ours: float
    target: float | None
    peer: str = ""
    peer_value: float | None = None
    lower_is_better: bool = False

    @property
    def compared(self) -> float:
        return self.ours / self.peer_value if self.peer_value else self.ours

    @property
    def reached(self) -> bool:
        if self.target is None:
            return True
        if self.lower_is_better:
            return self.compared <= self.target
        return self.compared >= self.target


def say(text: str) -> None:
    """Progress, on stderr: what runs long shows what it is at."""
    sys.stderr.write(f"==> {text}\n")
    sys.stderr.flush()


def print_table(figures: list[Figure]) -> None:
    """The table of a run on stdout."""
    rows = [("figure", "ours", "beside", "ratio", "aim", "")]
    for figure in figures:
        with_peer = figure.peer_value is not None
        rows.append(
            (
                figure.name,
                f"{figure.ours:,.4g} {figure.unit}",
                f"{figure.peer}: {figure.peer_value:,.4g}" if with_peer else "",
                f"{figure.compared:.2f}" if with_peer else "",
                _aim(figure),
                "" if figure.reached else "missed",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write(line.rstrip() + "\n")


def _aim(figure: Figure) -> str:
    if figure.target is None:
        return ""
    sign = "≤" if figure.lower_is_better else "≥"
    unit = "" if figure.peer_value is not None else f" {figure.unit}"
    return f"{sign} {figure.target:g}{unit}"


def write_json(figures: list[Figure]) -> Path:
    """The same for machines, under bench-results/."""
    RESULTS.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    path = RESULTS / f"{now:%Y%m%dT%H%M%SZ}.json"
    content = {
        "at": now.isoformat(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "figures": [
            {**asdict(figure), "compared": figure.compared, "reached": figure.reached}
            for figure in figures
        ],
    }
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path
