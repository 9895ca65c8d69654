"""What a tab shows, as its URL says it: the query string has every filter and selection."""

import base64
import binascii
from collections.abc import Container
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

MAX_ID_CHARACTERS = 128
# Length of the chart, and of its slots, by the word in the URL.
RANGES = {
    "1h": (timedelta(hours=1), timedelta(minutes=1)),
    "6h": (timedelta(hours=6), timedelta(minutes=5)),
    "24h": (timedelta(hours=24), timedelta(minutes=20)),
    "7d": (timedelta(days=7), timedelta(hours=2)),
}
PERIODS = {
    "any": None,
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
}
STATUSES = {"all": None, "running": "RUNNING", "failed": "ERROR", "succeeded": "SUCCESS"}
ORDERS = ("newest", "errors")


@dataclass(frozen=True)
class ProcessList:
    """Which processes of a worker, in which order, and from where on."""

    worker: str
    status: str = "all"
    period: str = "any"
    order: str = "newest"
    start: str = ""

    @property
    def after(self) -> tuple[bool, str | None]:
        """Whether it starts behind the errors, which come first; the cursor it starts after.

        A start that cannot be read is the beginning.
        """
        try:
            text = base64.urlsafe_b64decode(self.start + "==").decode()
        except (binascii.Error, ValueError):
            return False, None
        part, _, cursor = text.partition(":")
        if part not in ("first", "rest") or not cursor:
            return False, None
        return part == "rest", cursor

    @staticmethod
    def start_after(part: str, cursor: str) -> str:
        """The word for a start after a cursor of `first` or `rest`."""
        return base64.urlsafe_b64encode(f"{part}:{cursor}".encode()).decode().rstrip("=")


@dataclass(frozen=True)
class Address:
    """The view of a tab."""

    worker: str | None = None
    process: str | None = None
    range: str = "1h"
    processes: ProcessList | None = None
    # As it was written, for the browser to know it again.
    search: str = field(default="", compare=False)

    @classmethod
    def parse(cls, search: str) -> "Address":
        """Reads a query string; what is not known in it counts as not given."""
        given = {key: values[-1] for key, values in parse_qs(search.lstrip("?")).items()}

        def word(name: str, known: Container[str], default: str) -> str:
            value = given.get(name, default)
            return value if value in known else default

        worker = given.get("worker", "")[:MAX_ID_CHARACTERS] or None
        return cls(
            worker,
            given.get("process", "")[:MAX_ID_CHARACTERS] or None,
            word("range", RANGES, "1h"),
            ProcessList(
                worker,
                word("status", STATUSES, "all"),
                word("period", PERIODS, "any"),
                word("order", ORDERS, "newest"),
                given.get("start", "")[:1024],
            )
            if worker
            else None,
            search,
        )


def instant(at: datetime) -> str:
    """As GraphQL takes it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
