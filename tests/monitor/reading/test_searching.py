"""Failures and failed processes are found by the words of their errors, on both databases alike."""

# ruff: noqa: RUF001 — words of other scripts

import json
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest
from sqlalchemy import update

from db.deadlines import TooSlow
from db.searched import process_texts
from db.session import Database
from monitor.entities import Process, ProcessStatus, TaskStatus, Worker
from monitor.errors import InvalidInput
from monitor.ids import new_id
from monitor.processes import end_process, remove_processes, start_process
from monitor.reading import searching
from monitor.reading.pages import Page, PageRequest, encode_cursor
from monitor.reading.searching import NEWEST_FIRST, RECENT, Hit, line_found, search
from monitor.tasks import update_task
from monitor.writing.texts import text_row
from monitor.writing.transactions import Transactions
from tests.monitor.reports import register, replica
from tests.statements import statements_to
from tests.stored import THEN

ALL = PageRequest(100)


@pytest.fixture
async def transactions(database: Database) -> AsyncIterator[Transactions]:
    transactions = replica(database)
    yield transactions
    await transactions.close()


@pytest.fixture
async def worker(transactions: Transactions) -> Worker:
    return await register(transactions)


async def fail(
    transactions: Transactions, worker: Worker, error: str, details: str | None = "Task failed"
) -> Process:
    """A process whose first step fails with this error."""
    process, tasks = await transactions.run(start_process, worker_id=worker.id)
    await transactions.run(update_task, task_id=tasks[0].id, status=TaskStatus.ERROR, details=error)
    return await transactions.run(
        end_process, process_id=process.id, status=ProcessStatus.ERROR, details=details
    )


async def found(database: Database, text: str) -> list[str]:
    return [hit.id for hit in (await search(database, text, ALL)).items]


async def fill(database: Database, errors: Sequence[str]) -> list[str]:
    """Texts of so many processes, the newest last, without the processes; their ids."""
    rows = [
        text_row(new_id("process"), THEN + timedelta(seconds=number), error)
        for number, error in enumerate(errors)
    ]
    async with database.writing() as connection:
        await connection.execute(process_texts.insert(), rows)
    return [row["subject_id"] for row in rows]


async def test_failures_come_first_and_then_processes_the_newest_first(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    ended = [await fail(transactions, worker, f"no rows in batch {n}") for n in (17, 18)]
    other = await fail(transactions, worker, "no answer", "host Müller is gone")
    await transactions.run(start_process, worker_id=worker.id)
    failure, newest, oldest = await found(database, "rows no")
    assert (failure, newest, oldest) == (ended[0].failure_id, ended[1].id, ended[0].id)
    assert await found(database, "BATCH 18") == [ended[1].id]
    assert await found(database, "müller") == [other.id]
    assert await found(database, "extract no") == [other.failure_id, failure]
    assert await found(database, "rows answer") == []


async def test_what_was_said_of_an_error_is_found_however_it_was_said(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    told = {
        "error_message": "нет строк: 数据库",
        "error_traceback": [{"file": "/srv/etl/load.py", "line": 17, "method": "read_rows"}],
    }
    process = await fail(transactions, worker, json.dumps(told), json.dumps({"message": "Größe"}))
    for text in (
        "нет СТРОК",
        "数据",
        "库",
        "etl/load.py",
        "read_ro",
        "GRÖSSE",
        "17",
    ):
        hits = (await search(database, text, ALL)).items
        assert process.id in [hit.id for hit in hits], text
    (hit,) = (await search(database, "read_rows", ALL)).items
    assert line_found(hit, "read_rows") == "/srv/etl/load.py, 17, read_rows"


@pytest.mark.parametrize("text", ["", " ", "\0", "%", "'\"`;--", '+-<>()~*"@', "\N{PILE OF POO}"])
async def test_a_text_without_words_finds_nothing_without_asking(
    database: Database, transactions: Transactions, worker: Worker, text: str
) -> None:
    await fail(transactions, worker, "100 % of 'rows' -- \0 failed", None)
    with statements_to(database) as statements:
        assert await found(database, text) == []
    assert statements == []


@pytest.mark.parametrize("text", ['rows* "failed"', "-rows +failed", "failed) OR (x", "~<rows @4"])
async def test_signs_of_a_search_are_signs(database: Database, text: str) -> None:
    ids = await fill(database, ["4 rows failed or x", "columns failed"])
    assert await found(database, text) == ids[:1]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x" * 257, "text: is 257 characters long"),
        ("half \ud800", "text: has half"),
        (" ".join(f"{a}{b}" for a in "abcdefgh" for b in "klmnopqrs"), "text: has 72 words"),
    ],
)
async def test_what_cannot_be_looked_for_is_refused(
    database: Database, text: str, reason: str
) -> None:
    with pytest.raises(InvalidInput, match=reason):
        await search(database, text, ALL)


@pytest.mark.parametrize(
    "after",
    [
        "nonsense",
        encode_cursor(NEWEST_FIRST, THEN, "worker_1"),
        encode_cursor(NEWEST_FIRST, 7, "process_1"),
    ],
)
async def test_a_cursor_of_something_else_is_refused(database: Database, after: str) -> None:
    with pytest.raises(InvalidInput, match="after: "):
        await search(database, "rows", PageRequest(5, after))


async def test_what_is_not_found_in_time_is_refused(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fetch_nothing(*_: object) -> None:
        raise TooSlow

    monkeypatch.setattr(searching, "fetch_within", fetch_nothing)
    with pytest.raises(InvalidInput, match="text: is in too much"):
        await search(database, "rows", ALL)


async def pages(database: Database, text: str, size: int) -> AsyncIterator[Page[Hit]]:
    after = None
    while True:
        page = await search(database, text, PageRequest(size, after))
        yield page
        if not page.has_next:
            return
        after = page.cursors[-1]


async def test_pages_have_everything_once_whatever_comes_meanwhile(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    failed = []
    for name in "abc":  # of three failures, beyond one page
        failed += [await fail(transactions, worker, f"rows {name}") for _ in range(3)]
    seen: list[str] = []
    async for page in pages(database, "rows", 2):
        assert len(page.items) <= 2
        assert page.has_previous == bool(seen)
        seen += [hit.id for hit in page.items]
        await fail(transactions, worker, "rows of later")
    failures = list(dict.fromkeys(process.failure_id for process in reversed(failed)))
    known = [*failures, *(process.id for process in reversed(failed))]
    assert [id_ for id_ in seen if id_ in known] == known
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("size", [0, 1, 40])
async def test_rare_and_common_words_are_paged_alike(database: Database, size: int) -> None:
    """Beyond what is looked through in the order of time, by the index."""
    number = RECENT[1] + 500
    ids = await fill(
        database,
        [
            f"every{' tenth' if n % 10 == 0 else ''}{' rare' if n % 900 == 0 else ''} {n}"
            for n in range(number)
        ],
    )
    newest_first = ids[::-1]
    page = await search(database, "every", PageRequest(size))
    assert [hit.id for hit in page.items] == newest_first[:size]
    assert page.has_next
    after = encode_cursor(NEWEST_FIRST, THEN + timedelta(seconds=3_000), ids[3_000])
    for text, step in (("tenth", 10), ("rare", 900), ("rare every tenth", 900), ("ra", 900)):
        page = await search(database, text, PageRequest(size, after))
        expected = [ids[n] for n in range(2_999, -1, -1) if n % step == 0]
        assert [hit.id for hit in page.items] == expected[:size], text
        assert page.has_next == (len(expected) > size)
    assert (
        await found(database, "every 7")
        == [i for n, i in reversed([*enumerate(ids)]) if str(n)[0] == "7"][:100]
    )


async def test_texts_of_one_moment_are_told_apart(database: Database) -> None:
    ids = await fill(database, ["rows"] * 5)
    async with database.writing() as connection:
        await connection.execute(update(process_texts).values(at=THEN))
    seen = [hit.id async for page in pages(database, "rows", 2) for hit in page.items]
    assert seen == sorted(ids, reverse=True)


async def test_what_is_removed_is_not_found(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    process, kept = [await fail(transactions, worker, "no rows") for _ in range(2)]
    await transactions.run(remove_processes, process_ids=[process.id], abandoned_before=None)
    assert await found(database, "rows") == [kept.failure_id, kept.id]


async def test_an_end_that_is_repeated_changes_nothing(
    database: Database, transactions: Transactions, worker: Worker
) -> None:
    process = await fail(transactions, worker, "no rows")
    await transactions.run(
        end_process, process_id=process.id, status=ProcessStatus.ERROR, details="other words"
    )
    assert await found(database, "rows") == [process.failure_id, process.id]
    assert await found(database, "words") == []
