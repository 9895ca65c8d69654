"""Overtime over a socket: told once, within a second of its beginning."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, update

from app.factory import create_app
from app.settings import Settings
from db import models
from db.session import Database
from monitor.entities import OVERTIME_AT_LEAST, Worker
from monitor.reading.reads import WORKERS, find_by_id
from tests.client import Client
from tests.factories import end, register, report, start
from tests.graph.live import LiveServer, Socket, serving_live
from tests.monitor.reports import SCHEDULING_SECONDS
from tests.monitor.silence import ran_before

PROCESSES = """
subscription { processes {
  kind process { id overtime revision usualRuntime { count } expectedEndAt }
} }
"""
TASKS = "subscription { tasks { kind task { id overtime usualRuntime { count } } } }"
ENOUGH = 5
SECOND = timedelta(seconds=1)


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[LiveServer]:
    async with serving_live(create_app(settings)) as server:
        yield server


@pytest.fixture
async def client(server: LiveServer) -> AsyncIterator[Client]:
    async with server.client() as client:
        yield client


async def worker_of(database: Database, client: Client) -> Worker:
    """A worker whose steps and processes take no time, usually."""
    found = await find_by_id(database, WORKERS, await register(client, "a", "b"))
    assert found is not None
    for step in (None, "a", "b"):
        await ran_before(database, found, step, *[0.001] * ENOUGH)
    return found


async def begin_earlier(database: Database, id_: str, by: timedelta) -> None:
    """The process or task started so much earlier, and was looked at as if it had."""
    table = models.processes if id_.startswith("process") else models.tasks
    at = datetime.now(UTC) - by
    values = {"started_at": at, "overtime_due_at": at + OVERTIME_AT_LEAST}
    async with database.writing() as connection:
        await connection.execute(update(table).where(table.c.id == id_).values(**values))


async def test_overtime_of_a_process_is_told_once_within_a_second_and_is_over_with_its_end(
    server: LiveServer, client: Client, database: Database
) -> None:
    worker = await worker_of(database, client)
    async with Socket.open(server) as socket:
        await socket.subscribe(PROCESSES)
        await socket.settle(server, 1)
        run = await start(client, worker.id)
        assert (await socket.next_event())["processes"]["kind"] == "CREATED"
        # Due in a second, and a millisecond, which is what it usually takes.
        due = time.monotonic() + 1.001
        await begin_earlier(database, run.process, OVERTIME_AT_LEAST - SECOND)
        told = (await socket.next_event())["processes"]
        assert 0 < time.monotonic() - due < 1 + SCHEDULING_SECONDS
        assert (told["kind"], told["process"]["overtime"]) == ("UPDATED", True)
        assert told["process"]["revision"] == 2
        assert told["process"]["usualRuntime"] == {"count": ENOUGH}
        expected = datetime.fromisoformat(told["process"]["expectedEndAt"])
        assert abs(expected - datetime.now(UTC)) < SECOND
        await end(client, run.process)
        told = (await socket.next_event())["processes"]["process"]
        assert (told["overtime"], told["expectedEndAt"], told["revision"]) == (False, None, 3)


async def test_overtime_of_a_step_is_told_to_who_follows_tasks(
    server: LiveServer, client: Client, database: Database
) -> None:
    worker = await worker_of(database, client)
    async with Socket.open(server) as socket:
        await socket.subscribe(TASKS)
        await socket.settle(server, 1)
        run = await start(client, worker.id)
        await report(client, run.tasks[0], "start")
        told = [(await socket.next_event())["tasks"]["task"]["overtime"] for _ in range(3)]
        assert told == [False] * 3
        await begin_earlier(database, run.tasks[0], 2 * OVERTIME_AT_LEAST)
        told = (await socket.next_event())["tasks"]
        assert (told["kind"], told["task"]["overtime"]) == ("UPDATED", True)
        await report(client, run.tasks[0], "success")
        assert (await socket.next_event())["tasks"]["task"]["overtime"] is False


async def test_what_is_usual_is_not_asked_for_with_each_event(
    server: LiveServer, client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.reading.usual.FRESH_SECONDS", 600.0)
    worker = await worker_of(database, client)
    asked: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        if "SELECT" in statement and "durations" in statement:
            asked.append(statement)

    engine = server.monitor.database.read_engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    async with Socket.open(server) as socket:
        # Two that share nothing but what is known.
        for id_, alias in (("1", "usualRuntime"), ("2", "u: usualRuntime")):
            query = f"subscription {{ processes {{ process {{ {alias} {{ count }} }} }} }}"
            await socket.subscribe(query, id_)
        await socket.settle(server, 2)
        await start(client, worker.id)
        for _ in range(2):
            await socket.next_event()
        known_after = len(asked)
        assert 1 <= known_after <= 2
        for _ in range(10):
            await start(client, worker.id)
        for _ in range(20):
            await socket.next_event()
    # A look for overtime may ask by itself, on a slow machine.
    assert len(asked) <= known_after + 1
