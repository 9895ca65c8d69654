"""Pages as clients see them: connections of edges, as Relay has them."""

from collections.abc import Callable
from typing import Generic, Self, TypeVar

import strawberry

from monitor.reading.pages import Page

E = TypeVar("E")
N = TypeVar("N")


@strawberry.type
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None

    @classmethod
    def of(cls, page: Page[E]) -> Self:
        return cls(
            has_next_page=page.has_next,
            has_previous_page=page.has_previous,
            start_cursor=page.cursors[0] if page.cursors else None,
            end_cursor=page.cursors[-1] if page.cursors else None,
        )


@strawberry.type
class Edge(Generic[N]):
    cursor: str
    node: N


@strawberry.type
class Connection(Generic[N]):
    """In the schema each has the name of its nodes: `Connection[Worker]` is WorkerConnection."""

    edges: list[Edge[N]]
    page_info: PageInfo

    @classmethod
    def of(cls, page: Page[E], make_node: Callable[[E], N]) -> Self:
        return cls(
            edges=[
                # Not Edge[N]: noting the type on each takes twice as long as making it.
                Edge(cursor=cursor, node=make_node(item))
                for cursor, item in zip(page.cursors, page.items, strict=True)
            ],
            page_info=PageInfo.of(page),
        )
