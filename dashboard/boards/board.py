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

    def __init__(self) -> None:
        self.is_loaded = False
        self.problem: str | None = None
        self.listeners: set[asyncio.Event] = set()
        self.cursor: str | None = None
        self.used_at = 0.0

    @property
    def subscriptions(self) -> list[Subscription]:
        """What tells its changes; none: it is asked again after changes of workers."""
        return []

    @abstractmethod
    async def load(self, api: Api) -> None:
        """Asks for everything anew. Raises ApiGone."""

    def touch(self) -> None:
        """Says that it changed."""
        for listener in self.listeners:
            listener.set()


class Outdated(Exception):
    """A change was told that the board cannot take in by itself: it has to be asked for again."""


def newer(known: Node | None, node: Node) -> bool:
    """Whether the node is a later state than the known one."""
    return known is None or node["revision"] > known["revision"]
