"""What tabs show, each held once and kept fresh: a query, then the changes behind its cursor.

A board is shared by all tabs that show it. Whoever shows it listens; while nobody does, nothing
is asked of the API.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dashboard.api import Api
from dashboard.boards.rows import Node

Event = dict[str, Any]


@dataclass(frozen=True)
class Subscription:
    """An operation, and who takes in the changes that it tells."""

    name: str
    variables: dict[str, Any]
    apply: Callable[[Event], None]


class Board(ABC):
    """Something shown; listeners are woken by every change of it."""

    # However often it is stale, it is asked for again at most this often.
    pause_seconds = 1.0
    # Whether the clock alone takes something out of it.
    ages = False
    # What it says of the last hour, or day, is asked for again after so long, also when nothing was
    # told; None: it says nothing of the kind.
    lasts_seconds: float | None = None

    def __init__(self) -> None:
        self.is_loaded = False
        self.problem: str | None = None
        # Whether its changes are told; else it is asked for again now and then.
        self.is_followed = False
        # It shows what was true then, or later; seconds since 1970.
        self.known_at: float | None = None
        # Set when changes cannot keep it right: it has to be asked for again.
        self.stale = asyncio.Event()
        # Set when parts of it were told too briefly: `complete` asks for these.
        self.incomplete = asyncio.Event()
        self.version = 0
        # What was drawn of this version, for all tabs.
        self.drawings: dict[str, Any] = {}
        self.listeners: set[asyncio.Event] = set()
        self.cursor: str | None = None
        self.used_at = 0.0

    @property
    def subscriptions(self) -> list[Subscription]:
        """What tells its changes; none: it is asked for again now and then."""
        return []

    @property
    def is_live(self) -> bool:
        """Whether its changes are told as they happen, as far as the API tells them."""
        return self.is_followed

    @property
    def freshness(self) -> dict[str, Any]:
        """How far it can be trusted, for the browser; times in milliseconds since 1970."""
        if self.problem:
            state = "stale"
        elif not self.is_loaded:
            state = "loading"
        else:
            state = "live" if self.is_live else "refreshed"
        known_at = self.known_at if self.is_loaded else None
        return {
            "state": state,
            "problem": self.problem,
            "asOf": known_at and known_at * 1000,
        }

    @abstractmethod
    async def load(self, api: Api) -> None:
        """Asks for everything anew. Raises ApiGone."""

    async def complete(self, api: Api) -> None:
        """Asks for the parts that were told too briefly; else for everything. Raises ApiGone."""
        await self.load(api)

    def age(self) -> bool:
        """Lets go of what the clock took out of it; whether there was anything."""
        return False

    def touch(self) -> None:
        """Says that it changed."""
        self.version += 1
        for listener in self.listeners:
            listener.set()


def newer(known: Node | None, node: Node) -> bool:
    """Whether the node is a later state than the known one."""
    return known is None or node["revision"] > known["revision"]
