"""What is newest of a pipeline is found by its index, however unlike pipelines are."""

from datetime import UTC, datetime
from random import Random

from sqlalchemy import select, text

from app.seeding import seed_history
from db import models
from db.migrate import migrate
from db.session import Database
from monitor.entities import TaskDefinition
from monitor.processes import start_process
from monitor.reading.pipelines import read_pipelines
from monitor.workers import register_worker
from monitor.writing.loading import Memory
from monitor.writing.transaction import Transaction
from tests.servers import MariaDb

SMALL = 300
LARGE = 2_000


async def test_one_of_many_runs_among_small_ones_costs_as_much(mariadb: MariaDb) -> None:
    database = Database(mariadb.create_database())
    await migrate(database)
    await seed_history(database, processes=LARGE, workers=1, random=Random(8))
    async with database.writing() as connection:
        tx = Transaction(connection, memory=Memory(), shard=0, now=datetime.now(UTC))
        for number in range(SMALL):
            worker = register_worker.body(
                tx, name=f"{number}", version="v1", task_definitions=[TaskDefinition("a", "v1")]
            )
            start_process.body(tx, worker_id=worker.id)
        await tx.store(silently=True)
    async with database.reading() as connection:
        await connection.execute(text("ANALYZE TABLE processes, workers"))
        counts = models.pipeline_figures.c
        largest = select(counts.pipeline_id).order_by(counts.succeeded.desc()).limit(1)
        ids = [await connection.scalar(largest)]
        await connection.execute(text("FLUSH STATUS"))
        (found,) = (await read_pipelines(connection, ids)).values()
        read = await connection.execute(text("SHOW SESSION STATUS LIKE 'Handler_read%'"))
        assert sum(int(count) for _, count in read) < 100
    assert found.succeeded + found.failed > LARGE - 100
    await database.close()
