"""Workers that fall silent are shown `ofline`, and come back with whatever they report next."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from app.factory import create_app
from app.settings import Settings
from db.session import Database
from tests.client import Client
from tests.compat_rest.rows import process_row, worker_row
from tests.conftest import serving
from tests.factories import Run, end, register, report, start
from tests.monitor.silence import make_silent, watcher


async def fall_silent(database: Database, worker_id: str, *, ago: timedelta) -> None:
    """The worker was heard that long ago, and the monitor looks."""
    now = await make_silent(database, worker_id, ago=ago)
    await watcher(database).look(now)


async def heartbeat(client: Client, run: Run) -> None:
    assert (await client.post("/healthchecker", {"id": run.worker})).json() == {"health": 1}


async def start_another(client: Client, run: Run) -> None:
    await start(client, run.worker)


async def report_on_a_task(client: Client, run: Run) -> None:
    await report(client, run.tasks[0], "start")


async def end_the_process(client: Client, run: Run) -> None:
    await end(client, run.process)


@pytest.mark.parametrize(
    "speak", [heartbeat, start_another, report_on_a_task, end_the_process], ids=lambda f: f.__name__
)
async def test_a_silent_worker_is_ofline_until_it_reports_anything(
    settings: Settings, database: Database, speak: Callable[[Client, Run], Awaitable[None]]
) -> None:
    async with serving(create_app(settings)) as client:
        run = await start(client, await register(client, "a"))
    # Longer than a step of which nothing is known may take.
    await fall_silent(database, run.worker, ago=timedelta(seconds=901))
    async with serving(create_app(settings)) as client:
        assert (await worker_row(client, run.worker))["status"] == "ofline"
        # What its processes say is theirs: nobody knows that they ended.
        assert (await process_row(client, run.worker, run.process))["status"] == "pending"
        assert (await worker_row(client, run.worker))["active"] == 1
        await speak(client, run)
        assert (await worker_row(client, run.worker))["status"] == "online"


@pytest.mark.parametrize(
    "ago", [timedelta(days=1, seconds=3), timedelta(days=2), timedelta(days=1, seconds=31)]
)
async def test_silence_of_days_is_silence(
    settings: Settings, database: Database, ago: timedelta
) -> None:
    async with serving(create_app(settings)) as client:
        worker_id = await register(client)
        await fall_silent(database, worker_id, ago=ago)
        assert (await worker_row(client, worker_id))["status"] == "ofline"


async def test_a_worker_heard_within_the_limit_is_online(
    settings: Settings, database: Database
) -> None:
    async with serving(create_app(settings)) as client:
        worker_id = await register(client)
        await fall_silent(database, worker_id, ago=timedelta(seconds=29))
        assert (await worker_row(client, worker_id))["status"] == "online"


async def test_the_running_monitor_notices_silence_by_itself(settings: Settings) -> None:
    settings = settings.model_copy(update={"offline_after_seconds": 1.0})
    async with serving(create_app(settings)) as client:
        worker_id = await register(client)
        async with asyncio.timeout(10):
            # The legacy routes have no event for it.
            while (await worker_row(client, worker_id))["status"] == "online":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert (await client.post("/healthchecker", {"id": worker_id})).status_code == 200
        assert (await worker_row(client, worker_id))["status"] == "online"
