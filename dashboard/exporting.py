"""The rows of a list as a file: all that its filter lets through, page after page."""

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from dashboard.address import Address
from dashboard.api import Api, ApiGone
from dashboard.boards.failures import FailuresBoard
from dashboard.boards.lists import ListBoard
from dashboard.boards.pipelines import PipelinesBoard
from dashboard.boards.processes import ProcessesBoard
from dashboard.boards.rows import Row
from dashboard.boards.workers import WorkersBoard

PAGE_SIZE = 499  # the board asks for one more, and the API has pages of 500
MAX_ROWS = 50_000
FORMATS = {"csv": "text/csv; charset=utf-8", "json": "application/json"}
TABLES = ("pipelines", "workers", "processes", "failures")
# What only the page has a use for.
LEFT_OUT = {"rank", "ticks", "hours", "hoursSince"}
# A spreadsheet would take such a text for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
CUT = f"There is more: these are the first {MAX_ROWS:,} rows."

Pages = AsyncIterator[list[Row]]


class Exporting:
    """Answers `GET /export?table=…&format=…` and the parameters of an address."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def answer(self, request: Request) -> Response:
        """A file, in pieces; 400 for a table or format that is none, 503 without the API."""
        table, format_ = (request.query_params.get(name, "") for name in ("table", "format"))
        for name, value, known in (("table", table, TABLES), ("format", format_, tuple(FORMATS))):
            if value not in known:
                return _refused(f"{name}: must be one of {', '.join(known)}", 400)
        pages = self._pages(table, Address.parse(request.url.query))
        try:
            first = await anext(pages)
        except ApiGone as gone:
            return _refused(f"Nothing can be exported: {gone}.", 503)
        write = _as_csv if format_ == "csv" else _as_json
        name = f'attachment; filename="{table}.{format_}"'
        return StreamingResponse(
            write(first, pages),
            media_type=FORMATS[format_],
            headers={"Content-Disposition": name, "Cache-Control": "no-store"},
        )

    async def _pages(self, table: str, address: Address) -> Pages:
        """The rows; a last page of one row without a name says that there are more."""
        create, start, count = _creating(table, address), "", 0
        while True:
            board = create(start)
            await board.load(self._api)
            rows = sorted(board.rows.values(), key=lambda row: str(row["rank"]))
            yield [{k: v for k, v in row.items() if k not in LEFT_OUT} for row in rows]
            count += len(rows)
            if board.next_start is None:
                return
            if count >= MAX_ROWS:
                yield [{"": CUT}]
                return
            start = board.next_start


def _creating(table: str, address: Address) -> Callable[[str], ListBoard]:
    """Makes the board of the page that begins at a start."""
    match table:
        case "pipelines":
            return lambda start: PipelinesBoard(replace(address.pipelines, start=start), PAGE_SIZE)
        case "workers":
            return lambda start: WorkersBoard(replace(address.workers, start=start), PAGE_SIZE)
        case "failures":
            return lambda start: FailuresBoard(replace(address.failures, start=start), PAGE_SIZE)
        case _:
            return lambda start: ProcessesBoard(replace(address.processes, start=start), PAGE_SIZE)


def _refused(reason: str, status: int) -> JSONResponse:
    return JSONResponse({"detail": reason}, status)


async def _as_csv(first: list[Row], pages: Pages) -> AsyncIterator[bytes]:
    """RFC 4180, with a head of the columns' names."""
    yield _lines([list(_flat(first[0]))] if first else [])
    yield _lines(_cells(row) for row in first)
    async for rows in pages:
        yield _lines(_cells(row) for row in rows)


def _cells(row: Row) -> list[Any]:
    return [_cell(value) for value in _flat(row).values()]


def _flat(row: Row) -> Row:
    """Parts of a row become columns of their own."""
    flat: Row = {}
    for name, value in row.items():
        if name == "ended":
            value = value or {"status": None, "at": None}
        parts = value.items() if isinstance(value, dict) else ()
        flat |= {f"{name} {part}": of for part, of in parts} if parts else {name: value}
    return flat


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return "" if value is None else value


def _lines(rows: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


async def _as_json(first: list[Row], pages: Pages) -> AsyncIterator[bytes]:
    """A list of objects."""
    yield b"[" + _objects(first)
    async for rows in pages:
        if rows:
            yield b",\n" + _objects(rows)
    yield b"]\n"


def _objects(rows: list[Row]) -> bytes:
    return b",\n".join(_encoded(rows))


def _encoded(rows: list[Row]) -> Iterator[bytes]:
    for row in rows:
        yield orjson.dumps({"more": CUT} if "" in row else row)
