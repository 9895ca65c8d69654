"""What ended before, and what began long ago, put into the API's database: nobody waits for it."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import update

from db import models
from db.session import Database
from tests.dashboard.reporter import Run
from tests.monitor.silence import ran_before
from tests.stored import a_worker

VERSION = "v1"


class History:
    """The past of pipelines by their names."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ran(
        self,
        pipeline: str,
        step: str | None,
        *seconds: float,
        version: str = VERSION,
        outcome: str = "succeeded",
    ) -> None:
        """An hour ago runs of the step (None: whole processes) took so long."""
        worker = a_worker(name=pipeline, version=version)
        await ran_before(self._database, worker, step, *seconds, outcome=outcome)

    async def begin(self, run: Run, position: int, *, ago: timedelta) -> None:
        """The process, and the step that runs in it, began so long ago; they are looked at now."""
        then = datetime.now(UTC) - ago
        began = {"started_at": then, "overtime_due_at": then}
        tasks, processes = models.tasks, models.processes
        async with self._database.writing() as connection:
            await connection.execute(
                update(processes).where(processes.c.id == run.id).values(began)
            )
            await connection.execute(
                update(tasks).where(tasks.c.id == run.tasks[position - 1]).values(began)
            )
