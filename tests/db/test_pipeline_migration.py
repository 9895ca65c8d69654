"""What the release before pipelines left behind has them after the migration, whatever happens."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from db import models, pipeline_filling
from db.migrate import migrate
from db.session import Database
from monitor.entities import Pipeline
from monitor.events import ChangeKind
from monitor.ids import pipeline_id
from monitor.reading.pipelines import find_pipelines
from monitor.upkeep.counters import check_counters
from monitor.upkeep.telling import Telling
from tests.db.released_0005 import left_by_0005
from tests.monitor.reports import events_of

NAMES = ["nightly", "Nightly", "nightly ", "all archived", "📈" * 255, "back in time"]


class Killed(Exception):
    """As if the process had been."""


async def test_what_was_there_has_right_figures(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await left_by_0005(empty_database, monkeypatch)
    await migrate(empty_database)
    assert await check_counters(empty_database, repair=False) == []
    found = await find_pipelines(empty_database, [pipeline_id(name) for name in NAMES])
    pipelines = {pipeline.name: pipeline for pipeline in found.values()}
    assert sorted(pipelines) == sorted(NAMES)
    nightly = pipelines["nightly"]
    assert (nightly.version, nightly.failing) == ("v0", False)
    assert (nightly.workers_alive, nightly.workers_finished, nightly.workers_lost) == (1, 1, 1)
    assert (nightly.running, nightly.succeeded, nightly.failed, nightly.stalled) == (2, 4, 2, 1)
    assert (
        nightly.runtime_microseconds
        == 3_500_000 + 70_000_000 + 3_661_000_001 + 1_250_000 + 12_000_000
    )
    assert (pipelines["all archived"].failed, pipelines["all archived"].workers_finished) == (1, 0)
    assert pipelines["back in time"].runtime_microseconds == 0


async def test_who_fell_silent_is_lost_if_it_ran_something_else_finished(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await left_by_0005(empty_database, monkeypatch)
    await migrate(empty_database)
    worker = models.workers.c
    async with empty_database.reading() as connection:
        found = await connection.execute(
            select(worker.id, worker.liveness, worker.quiet_since, worker.last_seen_at)
        )
        workers = {row.id: row for row in found}
    assert {id_: row.liveness for id_, row in workers.items()} == {
        "worker_0000": "FINISHED",
        "worker_0001": "LOST",
        "worker_0002": "ALIVE",
        "worker_0003": "FINISHED",
        "worker_0004": "ALIVE",
        "worker_0005": "FINISHED",
        "worker_0006": "FINISHED",
        "worker_0007": "FINISHED",
        "worker_0008": "ALIVE",
    }
    assert all(row.quiet_since == row.last_seen_at for row in workers.values())


async def test_each_pipeline_is_told_once_afterwards(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await left_by_0005(empty_database, monkeypatch)
    await migrate(empty_database)
    telling, now = Telling(empty_database, on_told=lambda: None), datetime.now(UTC)
    assert await telling.tell(now) == len(NAMES)
    assert await telling.tell(now + timedelta(seconds=2)) == 0
    events = await events_of(empty_database)
    assert {event.kind for event in events} == {ChangeKind.CREATED}
    assert sorted(e.entity.name for e in events if isinstance(e.entity, Pipeline)) == sorted(NAMES)


@pytest.mark.parametrize(
    "step",
    [
        "fill_rows",
        "fill_figures",
        "_fill_pipelines",
        "_fill_pipeline_figures",
        "_fill_totals",
        "_fill_activity",
        "_fill_durations",
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_killed_at_any_step_it_makes_the_same_when_it_runs_again(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    await left_by_0005(empty_database, monkeypatch)
    whole = getattr(pipeline_filling, step)

    def killed(*arguments: Any, **options: Any) -> None:
        if when == "after":
            whole(*arguments, **options)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(pipeline_filling, step, killed)
        with pytest.raises(Killed):
            await migrate(empty_database)
    await migrate(empty_database)
    await assert_complete(empty_database)


async def test_killed_before_it_was_noted_it_makes_the_same_when_it_runs_again(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await left_by_0005(empty_database, monkeypatch)
    await migrate(empty_database)
    async with empty_database.writing() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '0005'"))
    await migrate(empty_database)
    await assert_complete(empty_database)


@pytest.mark.parametrize("pages", [1, 4, 9])
async def test_more_rows_than_a_page_are_filled_page_by_page(
    empty_database: Database,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    pages: int,
) -> None:
    caplog.set_level(logging.INFO)
    await left_by_0005(empty_database, monkeypatch)
    monkeypatch.setattr(pipeline_filling, "_PAGE_ROWS", 2)
    monkeypatch.setattr(pipeline_filling, "_SAID_SECONDS", 0)
    seen = 0

    def count(page: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == pages:
            raise Killed
        return page

    unfilled = pipeline_filling._unfilled

    with monkeypatch.context() as patch:
        patch.setattr(pipeline_filling, "_unfilled", lambda *args: map(count, unfilled(*args)))
        with pytest.raises(Killed):
            await migrate(empty_database)
    caplog.clear()
    await migrate(empty_database)
    await assert_complete(empty_database)
    assert "rows of tasks have their pipeline" in caplog.text
    assert "migrating: counting durations" in caplog.text


async def assert_complete(database: Database) -> None:
    """As it is made without being killed."""
    assert await check_counters(database, repair=False) == []
    async with database.reading() as connection:
        for table in ("workers", "processes", "tasks"):
            unfilled = text(f"SELECT count(*) FROM {table} WHERE pipeline_id = ''")
            assert await connection.scalar(unfilled) == 0
        shown = text("SELECT liveness, count(*) FROM workers GROUP BY liveness ORDER BY liveness")
        assert [tuple(row) for row in await connection.execute(shown)] == [
            ("ALIVE", 3),
            ("FINISHED", 5),
            ("LOST", 1),
        ]
        untold = text("SELECT count(DISTINCT pipeline_id) FROM pipeline_figures WHERE untold")
        assert await connection.scalar(untold) == len(NAMES)


async def test_what_runs_is_due_to_be_looked_at_whether_it_is_in_overtime(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await left_by_0005(empty_database, monkeypatch)
    await migrate(empty_database)
    for table in (models.processes.c, models.tasks.c):
        statement = select(table.status, table.started_at, table.overtime_due_at, table.overtime)
        async with empty_database.reading() as connection:
            found = (await connection.execute(statement)).all()
        assert {row.status for row in found} > {"RUNNING"}
        for row in found:
            assert row.overtime_due_at == (row.started_at if row.status == "RUNNING" else None)
            assert not row.overtime
