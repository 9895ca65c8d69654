"""Seeded history is as true as reported history."""

import subprocess
import sys
from pathlib import Path
from random import Random

from sqlalchemy import func, select

from app.seeding import RELEASED, SPAN, seed_history
from db import models
from db.session import Database
from monitor.reading.figures import get_totals
from monitor.reading.versions import find_versions
from monitor.slots import LONG_AGO
from monitor.upkeep.counters import check_counters
from tests.servers import MariaDb

PROCESSES = 600
WORKERS = 5


async def test_what_is_kept_equals_a_recount_however_often_it_is_seeded(database: Database) -> None:
    for seed in (1, 2):
        await seed_history(database, processes=PROCESSES, workers=WORKERS, random=Random(seed))
    assert await check_counters(database, repair=False) == []
    totals = await get_totals(database)
    assert totals.running + totals.succeeded + totals.failed == 2 * PROCESSES
    assert totals.workers_online == 2 * WORKERS
    assert 0 < totals.failed < PROCESSES


async def test_pipelines_have_several_workers_and_a_release_some_days_ago(
    database: Database,
) -> None:
    await seed_history(database, processes=PROCESSES, workers=7, random=Random(5))
    async with database.reading() as connection:
        ids = (await connection.scalars(select(models.pipelines.c.id))).all()
        process = models.processes.c
        begun = select(process.pipeline_id, process.version, func.min(process.started_at))
        found = await connection.execute(begun.group_by(process.pipeline_id, process.version))
        first_runs = {(pipeline_id, version): at for pipeline_id, version, at in found}
    assert len(ids) == 3
    for pipeline_id, versions in (await find_versions(database, ids, LONG_AGO)).items():
        new, old = versions
        assert new.first_seen_at - old.first_seen_at == SPAN - RELEASED
        assert first_runs[pipeline_id, new.version] >= new.first_seen_at
        assert old.succeeded > new.succeeded > 0
    workers = models.workers.c
    async with database.reading() as connection:
        of_each = select(func.count(workers.id)).group_by(workers.pipeline_id)
        assert sorted((await connection.scalars(of_each)).all()) == [2, 2, 3]


async def test_a_failed_run_tells_where_it_failed(database: Database) -> None:
    await seed_history(database, processes=PROCESSES, workers=WORKERS, random=Random(3))
    task = models.tasks.c
    async with database.reading() as connection:
        failed = select(func.count()).where(task.status == "ERROR", task.details.like("%message%"))
        assert (await connection.execute(failed)).scalar_one() == (
            await get_totals(database)
        ).failed


async def test_the_live_feed_is_told_nothing(database: Database) -> None:
    await seed_history(database, processes=10, workers=1, random=Random(4))
    async with database.reading() as connection:
        waiting = await connection.execute(select(func.count()).select_from(models.outbox))
        assert waiting.scalar_one() == 0


def test_the_command_seeds_the_configured_database(database_url: str) -> None:
    command = [sys.executable, "-m", "app", "demo", "--seed-processes"]
    environment = {"DATABASE_URL": database_url}
    done = subprocess.run(
        [*command, "50"], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert "50 of 50 processes" in done.stderr
    none = subprocess.run(
        [*command, "0"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert none.returncode == 1
    assert "--seed-processes: at least 1." in none.stderr


def test_a_database_that_goes_away_meanwhile_is_told_in_a_sentence(tmp_path: Path) -> None:
    server = MariaDb(tmp_path)
    server.install()
    server.start()
    environment = {"DATABASE_URL": server.create_database()}
    command = [sys.executable, "-m", "app", "demo", "--seed-processes", "1000000"]
    seeding = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert seeding.stderr is not None
    assert "left" in seeding.stderr.readline()
    server.kill()
    _, said = seeding.communicate(timeout=60)
    server.stop()
    assert seeding.returncode == 1
    assert "the database was lost while seeding" in said
    assert "Traceback" not in said
    assert len(said) < 1_000
