"""A database of the predecessor is carried over, its tables are kept under another name."""

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import TableClause, column, insert, inspect, select, table, text

from db import models
from db.migrate import migrate
from db.session import Database
from monitor.entities import Process, ProcessStatus, TaskDefinition, TaskStatus, WorkerStatus
from monitor.reading.details import Budget
from monitor.reading.figures import get_totals, list_activity
from monitor.reading.nested import list_tasks_by_process
from monitor.reading.reads import PROCESSES, WORKERS, find_by_ids
from monitor.upkeep.counters import check_counters

TABLES = (
    """CREATE TABLE workers (
        id VARCHAR(50) NOT NULL, nombre VARCHAR(50), version VARCHAR(50),
        last_healthcheker DATETIME, `datetime` DATETIME, tasks JSON, PRIMARY KEY (id))""",
    """CREATE TABLE processes (
        father VARCHAR(50) NOT NULL, process VARCHAR(50), created DATETIME, finished DATETIME,
        status VARCHAR(10), error TEXT, PRIMARY KEY (father),
        FOREIGN KEY (process) REFERENCES workers (id))""",
    """CREATE TABLE history_tasks (
        uuid VARCHAR(50) NOT NULL, name VARCHAR(50), status VARCHAR(20), `order` INTEGER,
        version VARCHAR(50), `create` DATETIME, started DATETIME, `update` DATETIME, details TEXT,
        father VARCHAR(50), PRIMARY KEY (uuid),
        FOREIGN KEY (father) REFERENCES processes (father))""",
)
WORKER = "worker_5bb5b262-e772-11f1-93ba-02fc00000001"
FIRST, SECOND, THIRD = (f"process_678760e0-cd9a-4665-bdde-3af7529315c{n}" for n in "123")
STEPS = [f"task_e0306c36-d6a5-4c50-925f-b9960488c57{n}" for n in range(9)]


def at(minute: int, second: int = 0) -> str:
    return f"2024-09-13 12:{minute:02}:{second:02}"


def aware(minute: int, second: int = 0) -> datetime:
    return datetime(2024, 9, 13, 12, minute, second, tzinfo=UTC)


def worker(**changed: Any) -> dict[str, Any]:
    return {
        "id": WORKER,
        "nombre": "Straße 日本 🚚",
        "version": "v1.0",
        "last_healthcheker": at(50),
        "datetime": at(1),
        # In no order: `order` says it.
        "tasks": json.dumps(
            [
                {"name": "load", "version": "v3", "order": 3},
                {"name": "extract", "version": "v1", "order": 1},
                {"name": "transform", "version": "v2", "order": 2},
            ]
        ),
        **changed,
    }


def process(father: str, status: str | None, **changed: Any) -> dict[str, Any]:
    return {
        "father": father,
        "process": WORKER,
        "created": at(10),
        "finished": None,
        "status": status,
        "error": None,
        **changed,
    }


def task(
    uuid: str, father: str | None, order: int | None, status: str | None, **changed: Any
) -> Any:
    return {
        "uuid": uuid,
        "name": f"step {order}",
        "status": status,
        "order": order,
        "version": "v1",
        "create": at(10),
        "started": None,
        "update": None,
        "details": None,
        "father": father,
        **changed,
    }


async def create_predecessor(
    database: Database,
    *,
    workers: Sequence[Mapping[str, Any]],
    processes: Sequence[Mapping[str, Any]] = (),
    tasks: Sequence[Mapping[str, Any]] = (),
) -> None:
    await create_tables(database)
    async with database.writing() as connection:
        for name, rows in (
            ("workers", workers),
            ("processes", processes),
            ("history_tasks", tasks),
        ):
            if rows:
                await connection.execute(insert(old_table(name, rows)), list(rows))


def old_table(name: str, rows: Sequence[Mapping[str, Any]]) -> TableClause:
    return table(name, *(column(key) for key in rows[0]))


async def create_tables(database: Database) -> None:
    async with database.writing() as connection:
        for statement in TABLES:
            # The suite's server has latin1 for a default.
            options = "" if database.is_sqlite else " CHARACTER SET utf8mb4"
            await connection.execute(text(statement + options))


async def find_process(database: Database, process_id: str) -> Process:
    return (await find_by_ids(database, PROCESSES, [process_id], Budget()))[process_id]


async def test_workers_are_carried_over_as_offline(empty_database: Database) -> None:
    await create_predecessor(empty_database, workers=[worker()])
    await migrate(empty_database)
    found = (await find_by_ids(empty_database, WORKERS, [WORKER]))[WORKER]
    assert found.name == "Straße 日本 🚚"
    assert found.version == "v1.0"
    assert found.status is WorkerStatus.OFFLINE
    assert found.task_definitions == (
        TaskDefinition("extract", "v1"),
        TaskDefinition("transform", "v2"),
        TaskDefinition("load", "v3"),
    )
    assert found.registered_at == aware(1)
    assert found.last_seen_at == aware(50)
    assert found.revision == 1
    async with empty_database.reading() as connection:
        folded = await connection.scalar(select(models.workers.c.name_folded))
    assert folded == "strasse 日本 🚚"


async def test_processes_and_tasks_are_carried_over_with_their_state(
    empty_database: Database,
) -> None:
    await create_predecessor(
        empty_database,
        workers=[worker()],
        processes=[
            process(FIRST, "success", finished=at(12, 30), error=""),
            process(SECOND, "error", finished=at(11), error='{"message": "boom"}'),
            process(THIRD, "running", created=at(40)),
        ],
        tasks=[
            task(STEPS[0], FIRST, 2, "success", started=at(11), update=at(12)),
            task(STEPS[1], FIRST, 1, "success", started=at(10, 5), update=at(11)),
            task(STEPS[2], SECOND, 1, "error", started=at(10), update=at(11), details="boom"),
            task(STEPS[3], SECOND, 2, "pending"),
            task(STEPS[4], THIRD, 1, "success", started=at(40), update=at(41)),
            task(STEPS[5], THIRD, 2, "start", started=at(41), update=at(41)),
            task(STEPS[6], THIRD, 3, "pending"),
        ],
    )
    await migrate(empty_database)

    first, second, third = [await find_process(empty_database, i) for i in (FIRST, SECOND, THIRD)]
    assert (first.status, first.stalled, first.progress) == (ProcessStatus.SUCCESS, False, 1.0)
    assert (first.started_at, first.ended_at) == (aware(10), aware(12, 30))
    assert (second.status, second.ended_task_count) == (ProcessStatus.ERROR, 1)
    assert (second.details, second.current_task_id) == ('{"message": "boom"}', STEPS[2])
    assert (third.status, third.stalled, third.ended_at) == (ProcessStatus.RUNNING, True, None)
    # Both were reported in the same second: the later step was the later report.
    assert third.current_task_id == STEPS[5]
    assert (third.updated_at, third.revision) == (aware(41), 1)

    tasks = await list_tasks_by_process(empty_database, [FIRST, SECOND, THIRD], Budget())
    assert [t.id for t in tasks[FIRST]] == [STEPS[1], STEPS[0]]
    assert [t.position for t in tasks[FIRST]] == [1, 2]
    assert [t.ended_at for t in tasks[FIRST]] == [aware(11), aware(12)]
    assert [t.status for t in tasks[SECOND]] == [TaskStatus.ERROR, TaskStatus.PENDING]
    assert tasks[SECOND][0].details == "boom"
    assert [t.status for t in tasks[THIRD]] == [
        TaskStatus.SUCCESS,
        TaskStatus.RUNNING,
        TaskStatus.PENDING,
    ]
    assert [t.started_at for t in tasks[THIRD]] == [aware(40), aware(41), None]
    assert {t.worker_id for t in tasks[THIRD]} == {WORKER}


async def test_the_figures_are_those_of_what_was_carried_over(empty_database: Database) -> None:
    await create_predecessor(
        empty_database,
        workers=[worker(), worker(id="worker_2")],
        processes=[
            process(FIRST, "success", finished=at(12, 30)),
            process(SECOND, "error", finished=at(11)),
            process(THIRD, "running", process="worker_2"),
        ],
    )
    await migrate(empty_database)
    totals = await get_totals(empty_database)
    assert (totals.workers_online, totals.workers_offline) == (0, 2)
    assert (totals.running, totals.succeeded, totals.failed, totals.stalled) == (1, 1, 1, 1)
    slots = await list_activity(
        empty_database, since=aware(10), until=aware(13), slot_seconds=60, worker_id=None
    )
    assert [(s.started, s.succeeded, s.failed) for s in slots] == [(3, 0, 0), (0, 0, 1), (0, 1, 0)]
    assert slots[2].average_runtime_seconds == 150.0
    assert await check_counters(empty_database, repair=False) == []


async def test_the_old_tables_are_kept_with_their_rows_and_keys(empty_database: Database) -> None:
    await create_predecessor(
        empty_database,
        workers=[worker()],
        processes=[process(FIRST, "running")],
        tasks=[task(STEPS[0], FIRST, 1, "pending")],
    )
    await migrate(empty_database)
    async with empty_database.reading() as connection:
        for name in ("workers", "processes", "history_tasks"):
            count = text(f"SELECT COUNT(*) FROM predecessor_{name}")
            assert await connection.scalar(count) == 1
        keys = await connection.run_sync(
            lambda sync: inspect(sync).get_foreign_keys("predecessor_history_tasks")
        )
    assert [key["referred_table"] for key in keys] == ["predecessor_processes"]


async def test_dirty_rows_are_repaired_or_left_but_never_stop_the_start(
    empty_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    bare = dict.fromkeys(worker(), None)
    await create_tables(empty_database)
    switch = "PRAGMA foreign_keys" if empty_database.is_sqlite else "SET foreign_key_checks"
    rows = {
        "workers": [
            worker(),
            bare | {"id": "worker_bare"},
            worker(id="worker_odd", tasks='[1, {"name": null}, {"name": "\\ud83d", "order": "x"}]'),
            worker(id="no prefix"),
        ],
        "processes": [
            process(FIRST, None, created=None, finished=at(9)),
            process(SECOND, "dancing", created=None),
            # Ended before it began.
            process(THIRD, "success", process="worker_bare", finished=at(9)),
            process("process_orphan", "running", process="worker_gone"),
            process("process_nobody", "running", process=None),
            process("task_wrong-kind", "running"),
        ],
        "history_tasks": [
            task(STEPS[0], FIRST, None, None, create=None, name=None, version=None),
            task(STEPS[1], FIRST, 1, "dancing", started=at(11)),
            task(STEPS[2], FIRST, 1, "success", started=at(12), update=at(11)),
            task(STEPS[3], "process_orphan", 1, "success"),
            task(STEPS[4], None, 1, "success"),
            task("step", FIRST, 1, "success"),
        ],
    }
    async with empty_database.read_engine.connect() as connection:
        await connection.exec_driver_sql(f"{switch}=0")
        if not empty_database.is_sqlite:
            await connection.exec_driver_sql("SET check_constraint_checks=0")  # JSON_VALID
        for name, values in rows.items():
            await connection.execute(insert(old_table(name, values)), values)
        if not empty_database.is_sqlite:
            await connection.exec_driver_sql("SET SESSION sql_mode=''")
            await connection.exec_driver_sql(
                f"UPDATE processes SET created='0000-00-00' WHERE father='{SECOND}'"
            )
        await connection.exec_driver_sql(f"{switch}=1")
        await connection.invalidate()
    with caplog.at_level(logging.INFO):
        await migrate(empty_database)

    assert "predecessor_workers: 3 rows carried over, 1 left" in caplog.text
    assert "predecessor_processes: 3 rows carried over, 3 left" in caplog.text
    assert "predecessor_history_tasks: 3 rows carried over, 3 left" in caplog.text
    workers = await find_by_ids(empty_database, WORKERS, ["worker_bare", "worker_odd"])
    assert workers["worker_bare"].name == ""
    assert workers["worker_bare"].task_definitions == ()
    assert [d.name for d in workers["worker_odd"].task_definitions] == ["", "?"]
    first, second, third = [await find_process(empty_database, i) for i in (FIRST, SECOND, THIRD)]
    assert (first.status, first.started_at) == (ProcessStatus.SUCCESS, aware(9))
    assert (second.status, second.started_at) == (ProcessStatus.RUNNING, aware(1))
    assert third.ended_at == third.started_at
    steps = (await list_tasks_by_process(empty_database, [FIRST]))[FIRST]
    assert [step.id for step in steps] == [STEPS[1], STEPS[2], STEPS[0]]
    assert [step.status.value for step in steps] == ["RUNNING", "SUCCESS", "PENDING"]
    assert steps[1].ended_at == steps[1].started_at == aware(12)
    assert await check_counters(empty_database, repair=False) == []


async def test_many_rows_are_carried_over_page_by_page(empty_database: Database) -> None:
    processes = [
        process(f"process_{n}", "success", finished=at(10 + n % 40, n % 60)) for n in range(450)
    ]
    tasks = [task(f"task_{n}", f"process_{n}", 1, "success", update=at(11)) for n in range(450)]
    await create_predecessor(empty_database, workers=[worker()], processes=processes, tasks=tasks)
    await migrate(empty_database)
    found = (await find_by_ids(empty_database, WORKERS, [WORKER]))[WORKER]
    assert found.succeeded == 450
    assert await check_counters(empty_database, repair=False) == []


@pytest.mark.parametrize("renamed", [["workers"], ["workers", "processes"]], ids=str)
async def test_setting_aside_that_was_killed_half_way_goes_on(
    empty_database: Database, renamed: list[str]
) -> None:
    await create_predecessor(
        empty_database, workers=[worker()], processes=[process(FIRST, "running")]
    )
    async with empty_database.writing() as connection:
        for name in renamed:
            await connection.execute(text(f"ALTER TABLE {name} RENAME TO predecessor_{name}"))
    await migrate(empty_database)
    found = (await find_by_ids(empty_database, WORKERS, [WORKER]))[WORKER]
    assert found.running == 1
    assert await check_counters(empty_database, repair=False) == []


async def test_rows_are_carried_over_only_once(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.migrate.HEAD", "0001")
    await create_predecessor(empty_database, workers=[worker()])
    await migrate(empty_database)
    async with empty_database.writing() as connection:
        await connection.execute(text("DELETE FROM alembic_version"))
    await migrate(empty_database)
    monkeypatch.undo()
    await migrate(empty_database)
    assert (await get_totals(empty_database)).workers_offline == 1


async def test_tables_of_somebody_else_are_not_touched(empty_database: Database) -> None:
    async with empty_database.writing() as connection:
        await connection.execute(text("CREATE TABLE history_tasks (father VARCHAR(50))"))
    await migrate(empty_database)
    async with empty_database.reading() as connection:
        assert await connection.scalar(text("SELECT COUNT(*) FROM history_tasks")) == 0
