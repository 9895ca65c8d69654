"""Figures of several server processes that answer on one port, as those of one.

Each process counts for itself, in plain numbers, and publishes them now and then in a slot: a file
in a folder that they share. Prometheus' own way for this (counters in files that are mapped into
memory) costs each count several times as much, and cannot read a figure when it is asked for.
"""

import bisect
import contextlib
import fcntl
import itertools
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

# A figure's name and the values of its labels; its numbers.
Key = tuple[str, ...]
Numbers = dict[Key, list[float]]


@dataclass(slots=True)
class Figures:
    """Numbers at one moment, by how those of several processes are put together."""

    # They grow for ever, also when a process ends: counters and histograms.
    totals: Numbers = field(default_factory=dict)
    # Of processes that live: what they have together.
    levels: Numbers = field(default_factory=dict)
    # Of processes that live: the largest.
    peaks: Numbers = field(default_factory=dict)

    def add(self, other: "Figures") -> None:
        """Puts another's figures to these."""
        _merge(self.totals, other.totals, sum)
        _merge(self.levels, other.levels, sum)
        _merge(self.peaks, other.peaks, max)

    def encode(self) -> bytes:
        """For a slot."""
        parts = (self.totals, self.levels, self.peaks)
        return orjson.dumps([[[key, values] for key, values in part.items()] for part in parts])

    @classmethod
    def decode(cls, data: bytes) -> "Figures":
        """From a slot."""
        parts = orjson.loads(data)
        return cls(*({tuple(key): values for key, values in part} for part in parts))


def _merge(into: Numbers, other: Numbers, put: Callable[[Sequence[float]], float]) -> None:
    for key, values in other.items():
        known = into.get(key, [0.0] * len(values))
        into[key] = [put(pair) for pair in zip(known, values, strict=True)]


class Histogram:
    """How long things took, by labels: of each bucket how many, and the sum of all seconds."""

    def __init__(self, name: str, bounds: Sequence[float]) -> None:
        self._name = name
        self.bounds = bounds
        self._rows: defaultdict[Key, list[float]] = defaultdict(lambda: [0.0] * (len(bounds) + 2))

    def observe(self, seconds: float, *labels: str) -> None:
        """One more."""
        row = self._rows[labels]
        row[bisect.bisect_left(self.bounds, seconds)] += 1
        row[-1] += seconds

    def numbers(self) -> Numbers:
        """For the totals."""
        return {(self._name, *labels): list(row) for labels, row in self._rows.items()}


class Slot:
    """The place of one process among those that share `folder`.

    It is locked for as long as the process lives, however it ends. A process that starts takes the
    slot of one that is dead, and goes on with its totals.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for number in itertools.count():
            self._name = f"{number}"
            lock = os.open(folder / f"{number}.lock", os.O_CREAT | os.O_RDWR, 0o600)
            if _lock(lock, fcntl.LOCK_EX):
                self._lock = lock
                break
            os.close(lock)
        self._inherited = Figures(totals=self._read(self._name).totals)

    def publish(self, figures: Figures) -> Figures:
        """Tells the others; returns the figures together with those it has inherited."""
        figures.add(self._inherited)
        path = self._folder / self._name
        written = path.with_suffix(".new")
        # A folder that is full: the others go on with what they know.
        with contextlib.suppress(OSError):
            written.write_bytes(figures.encode())
            written.replace(path)
        return figures

    def others(self) -> Iterator[Figures]:
        """What the others published; only the totals of those that are dead."""
        for path in sorted(self._folder.glob("*.lock")):
            if path.stem != self._name:
                figures = self._read(path.stem)
                yield figures if _is_held(path) else Figures(totals=figures.totals)

    def close(self) -> None:
        """Leaves the totals behind."""
        os.close(self._lock)

    def _read(self, name: str) -> Figures:
        with contextlib.suppress(FileNotFoundError):
            return Figures.decode((self._folder / name).read_bytes())
        return Figures()


def _lock(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_held(path: Path) -> bool:
    file = os.open(path, os.O_RDONLY)
    try:
        return not _lock(file, fcntl.LOCK_SH)
    finally:
        os.close(file)
