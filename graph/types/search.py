"""What a search finds, as clients see it."""

from collections.abc import Sequence
from typing import Annotated, Self

import strawberry

from graph.context import GraphInfo
from graph.execution.selection import details_asked
from graph.types.connections import PageInfo
from graph.types.failures import Failure
from graph.types.nodes import Process
from graph.types.rows import load_with_rows
from monitor import entities
from monitor.reading.pages import Page, PageRequest
from monitor.reading.searching import TEXT_LENGTH, Hit, line_found, search

SEARCH = (
    "Failures that have the text in their title or the name of their step, by when they were seen "
    "first, then failed processes that have it in what was said of the error (in the details of "
    "the step that failed, or of the process), by when they ended; the newest first. All words "
    "must occur, in any case and order; the last may go on. Signs are left out; nothing is found "
    "by a text without a letter or digit. Of long details 2,000 characters of either end are "
    f"searched. A text of more than {TEXT_LENGTH} characters, or of words that are so common that "
    "what has all of them is not found within seconds, is BAD_USER_INPUT."
)

SearchResult = Annotated[Failure | Process, strawberry.union("SearchResult")]


@strawberry.type
class SearchEdge:
    cursor: str
    node: SearchResult
    line: str = strawberry.field(
        description="Of what was said, the line in which the text was found, cut to about 200 "
        "characters."
    )


@strawberry.type
class SearchConnection:
    edges: list[SearchEdge]
    page_info: PageInfo

    @classmethod
    def of(cls, page: Page[Hit], text: str, nodes: dict[str, Failure | Process]) -> Self:
        """Without what was removed since it was found."""
        return cls(
            edges=[
                SearchEdge(cursor=cursor, node=nodes[hit.id], line=line_found(hit, text))
                for cursor, hit in zip(page.cursors, page.items, strict=True)
                if hit.id in nodes
            ],
            page_info=PageInfo.of(page),
        )


async def search_all(
    info: GraphInfo, text: str, first: int | None = None, after: str | None = None
) -> SearchConnection:
    """Resolves `Query.search`."""
    page = await search(info.context.monitor.database, text, PageRequest(first, after))
    ids = [hit.id for hit in page.items]
    nodes: dict[str, Failure | Process] = {
        **{failure.id: Failure.of(failure) for failure in await _failures(info, ids)},
        **{process.id: process for process in await _processes(info, ids)},
    }
    return SearchConnection.of(page, text, nodes)


async def _failures(info: GraphInfo, ids: Sequence[str]) -> list[entities.Failure]:
    return await info.context.loaders.failures([id_ for id_ in ids if id_.startswith("failure_")])


async def _processes(info: GraphInfo, ids: Sequence[str]) -> list[Process]:
    wanted = [id_ for id_ in ids if id_.startswith("process_")]
    if not wanted:
        return []
    details = details_asked(info, "edges", "node") > 0
    loaded = await info.context.loaders.runs(details=details).processes.load_many(wanted)
    found = [process for process in loaded if process is not None]
    page = Page(found, [process.id for process in found], has_next=False, has_previous=False)
    return [edge.node for edge in (await load_with_rows(page, info)).edges]
