"""What is found by its words: failures by their titles, then processes by what was said of them.

Newest first, which no index of words knows. So what was said lately is looked through, in the order
of time: a word that is everywhere fills the page from there. One that does not is rare, and the
index of words finds it. What neither does in time is refused.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, and_, case, func, literal, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from db.deadlines import TooSlow, fetch_within
from db.searched import failure_texts, has_words, process_texts
from db.session import Database
from monitor.errors import InvalidInput
from monitor.ids import kind_of
from monitor.limits import check_text
from monitor.reading.asking import reading
from monitor.reading.conditions import Condition
from monitor.reading.pages import (
    Direction,
    Listing,
    Order,
    Page,
    PageRequest,
    decode_cursor,
    encode_cursor,
)
from monitor.searchable.words import MAX_TERMS, Term, line_of, terms_of

TEXT_LENGTH = 256
LINE_LENGTH = 200
# Texts that are looked through, the newest first; more of them when there was one among the first.
RECENT = (250, 4_000)
SECONDS = 1.5
# At a time and server process: each keeps a connection to read with.
_SEARCHES = asyncio.Semaphore(4)
NEWEST_FIRST = Order("FAILED_AT", Direction.DESC)


@dataclass(frozen=True, slots=True)
class Hit:
    """A failure or a process, and what was said of it."""

    id: str
    at: datetime
    said: str


def _listing(texts: Any) -> Listing[Hit]:
    return Listing(
        (texts.c.subject_id, texts.c.at, texts.c.said),
        lambda row: Hit(row.subject_id, row.at, row.said),
        texts.c.subject_id,
        {"FAILED_AT": (texts.c.at, lambda hit: hit.at)},
        {"FAILED_AT": ((),)},
    )


FAILURES, PROCESSES = _listing(failure_texts), _listing(process_texts)


async def search(database: Database, text: str, request: PageRequest) -> Page[Hit]:
    """One page of what has all words of the text, of which the last may go on.

    Raises InvalidInput for a text that is too long, that has too many words, or words that are in
    so many texts that what has them all is not found in time; for a size or cursor that cannot be.
    """
    check_text("text", text, TEXT_LENGTH)
    terms = terms_of(text)
    if len(terms) > MAX_TERMS:
        raise InvalidInput("text", f"has {len(terms)} words, at most {MAX_TERMS}")
    size, within = request.size, _kind_of_cursor(request.after)
    found: list[Hit] = []
    async with _SEARCHES, reading(database) as connection:
        for kind, listing in (("failure", FAILURES), ("process", PROCESSES)):
            if not terms or len(found) > size or (kind, within) == ("failure", "process"):
                continue
            after = request.after if kind == within else None
            found += await _find(connection, listing, terms, PageRequest(size - len(found), after))
    shown = found[:size]
    return Page(
        shown,
        [encode_cursor(NEWEST_FIRST, hit.at, hit.id) for hit in shown],
        has_next=len(found) > size,
        has_previous=request.after is not None,
    )


def line_found(hit: Hit, text: str) -> str:
    """The line of what was said in which the text was found."""
    return line_of(hit.said, text, LINE_LENGTH)


def _kind_of_cursor(after: str | None) -> str | None:
    if after is None:
        return None
    _, id_ = decode_cursor("after", after, NEWEST_FIRST)
    kind = kind_of(id_)
    if kind not in ("failure", "process"):
        raise InvalidInput("after", "is not a cursor that a search has given out")
    return kind


async def _find(
    connection: AsyncConnection, listing: Listing[Hit], terms: Sequence[Term], request: PageRequest
) -> list[Hit]:
    """The first that have the terms, and one more."""
    found: Sequence[Any] = ()
    for window in RECENT:
        oldest = await connection.scalar(oldest_statement(listing, request, window))
        statement = recent_statement(listing, terms, request, oldest)
        try:
            found = await fetch_within(connection, statement, SECONDS)
        except TooSlow:
            break  # many and long words; the index is the shorter way
        if not found or len(found) > request.size:
            break
    if len(found) <= request.size:
        found = await _find_by_index(connection, listing, terms, request)
    return [listing.convert(row) for row in found]


async def _find_by_index(
    connection: AsyncConnection, listing: Listing[Hit], terms: Sequence[Term], request: PageRequest
) -> Sequence[Any]:
    sqlite = connection.dialect.name == "sqlite"
    if not sqlite and len(terms) > 1:
        # MariaDB takes one word after the other, all texts that have the first one at first.
        counts = (await connection.execute(counting_statement(listing, terms))).one()
        terms = [term for _, term in sorted(zip(map(int, counts), terms, strict=True))]
    statement = index_statement(listing, terms, request, sqlite=sqlite)
    try:
        return await fetch_within(connection, statement, SECONDS)
    except TooSlow as error:
        raise InvalidInput(
            "text", "is in too much to be found in time: add a rarer word"
        ) from error


def oldest_statement(listing: Listing[Hit], request: PageRequest, window: int) -> Select[Any]:
    """From when the last of so many texts is; no row when there are fewer."""
    column, _ = listing.orders[NEWEST_FIRST.field]
    index = listing.index((), NEWEST_FIRST)
    statement = listing.select(true(), NEWEST_FIRST, request, index)
    return statement.with_only_columns(column).limit(1).offset(window)


def recent_statement(
    listing: Listing[Hit], terms: Sequence[Term], request: PageRequest, oldest: datetime | None
) -> Select[Any]:
    """The first that have the terms, of those from then on.

    MariaDB would not begin there by the index if it had to look up when that is.
    """
    column, _ = listing.orders[NEWEST_FIRST.field]
    conditions = [_has(listing, term) for term in terms]
    if oldest is not None:
        conditions.append(column >= oldest)
    return listing.select(and_(*conditions), NEWEST_FIRST, request, listing.index((), NEWEST_FIRST))


def index_statement(
    listing: Listing[Hit], terms: Sequence[Term], request: PageRequest, *, sqlite: bool
) -> Select[Any]:
    """The first that have the terms, of all."""
    texts: Any = listing.id.table
    statement = listing.select(has_words(texts, terms, sqlite=sqlite), NEWEST_FIRST, request)
    # Else SQLite might look through all of them in their order.
    return statement.with_hint(texts, "NOT INDEXED", "sqlite")


def counting_statement(listing: Listing[Hit], terms: Sequence[Term]) -> Select[Any]:
    """How many of the newest texts have each of the terms."""
    texts: Any = listing.id.table
    index = listing.index((), NEWEST_FIRST)
    newest = listing.select(true(), NEWEST_FIRST, PageRequest(0), index)
    words = newest.with_only_columns(texts.c.words).limit(RECENT[0]).subquery()
    return select(
        *(func.coalesce(func.sum(case((_is_in(words.c.words, t), 1), else_=0)), 0) for t in terms)
    )


def _has(listing: Listing[Hit], term: Term) -> Condition:
    texts: Any = listing.id.table
    return _is_in(texts.c.words, term)


def _is_in(words: ColumnElement[str], term: Term) -> Condition:
    part = f" {term.word}" if term.prefix else f" {term.word} "
    return func.instr(words, literal(part), type_=Integer()) > 0
