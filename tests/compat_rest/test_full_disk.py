"""A full disk under SQLite: refused in time, nothing half-written, and all goes on afterwards."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import event, func, select, text

from app.factory import create_app
from app.settings import Settings
from db import models
from db.session import Database
from tests.compat_rest.rows import worker_row
from tests.conftest import serving
from tests.factories import register, start
from tests.monitor.reports import in_time

pytestmark = pytest.mark.in_time

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
PLENTY = 1_000_000


class Disk:
    """Says how many pages the file may have; SQLite fails then as on a disk that is full."""

    def __init__(self, database: Database) -> None:
        self.pages = PLENTY
        for engine in (database.read_engine, database.write_engine):
            event.listen(engine.sync_engine, "checkout", self._limit)

    def _limit(self, connection: Any, *_: object) -> None:
        connection.cursor().execute(f"PRAGMA max_page_count={self.pages}")

    async def fill(self, database: Database) -> None:
        async with database.reading() as connection:
            self.pages = (await connection.execute(text("PRAGMA page_count"))).scalar_one()


@ON_SQLITE
async def test_a_full_disk_refuses_reports_in_time_and_takes_them_when_there_is_room(
    settings: Settings,
) -> None:
    app = create_app(settings)
    database = app.state.monitor.database
    disk = Disk(database)
    async with serving(app) as client:
        worker_id = await register(client, "a", "b")
        await start(client, worker_id)
        await disk.fill(database)
        stored, refused = 1, 0
        while refused < 3:
            async with in_time():
                response = await client.post("/newprocess", {"id": worker_id})
            if response.status_code == 200:  # there was room left in pages
                stored += 1
            else:
                assert response.status_code == 503
                refused += 1
        assert (await client.get("/health")).json()["status"] == "down"
        disk.pages = PLENTY
        async with asyncio.timeout(20):
            while (await client.get("/health")).json()["status"] != "ok":  # noqa: ASYNC110 — of SQLite
                await asyncio.sleep(0.1)
        await start(client, worker_id)
        assert (await worker_row(client, worker_id))["active"] == stored + 1
        async with database.reading() as connection:
            tasks = await connection.execute(
                select(func.count()).select_from(models.tasks).group_by(models.tasks.c.process_id)
            )
            assert list(tasks.scalars()) == [2] * (stored + 1)
