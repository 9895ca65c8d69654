"""Histories to read in: a thousand processes that ran, and copies of them."""

from datetime import datetime, timedelta
from itertools import cycle, islice

from sqlalchemy import Table

from bench.report import say
from bench.search import error_of
from db import models
from db.migrate import migrate
from db.session import Database
from monitor.entities import ProcessStatus, TaskDefinition, TaskStatus
from monitor.processes import end_process, start_process
from monitor.tasks import update_task
from monitor.workers import register_worker
from monitor.writing.loading import Memory, Needs
from monitor.writing.transaction import Transaction
from tests.servers import MariaDb

FEW = 1_000
WORKERS = 5
NAME = "bench"
VERSIONS = ("v1", "v2")


async def fill(
    url: str, now: datetime, *, processes: int = FEW, workers: int = WORKERS
) -> list[str]:
    """So many processes with one task each in the hour before `now`; the ids of their workers."""
    database = Database(url)
    await migrate(database)
    memory = Memory()
    start = now - timedelta(hours=1)
    async with database.writing() as connection:
        tx = Transaction(connection, memory=memory, shard=0, now=start)
        steps = [TaskDefinition("step", "v1")]
        ids = [
            register_worker.body(tx, name=NAME, version=version, task_definitions=steps).id
            for version in islice(cycle(VERSIONS), workers)
        ]
        await tx.store(silently=True)
    async with database.writing() as connection:
        tx = Transaction(connection, memory=memory, shard=0, now=start)
        await tx.load([Needs(workers=ids)])
        for number in range(processes):
            failed = number % 10 == 3
            tx.now = start + timedelta(minutes=59) * (number / processes)
            process, tasks = start_process.body(tx, worker_id=ids[number % workers])
            end = TaskStatus.ERROR if failed else TaskStatus.SUCCESS
            tx.now += timedelta(seconds=2)
            said = error_of(number) if failed else None
            update_task.body(tx, task_id=tasks[0].id, status=end, details=said)
            outcome = ProcessStatus.ERROR if failed else ProcessStatus.SUCCESS
            end_process.body(tx, process_id=process.id, status=outcome, details=None)
        await tx.store(silently=True)
    await database.close()
    return ids


def multiply(server: MariaDb, database: str, times: int) -> None:
    """Copies all processes into each of so many hours before; what is counted of them, too."""
    copies = f"seq_1_to_{times - 1}"

    def new_id(column: str, kept: int) -> str:
        # The last group of the UUID becomes the number of the copy.
        return f"CONCAT(LEFT({column}, {kept}), LPAD(LOWER(HEX(seq)), 12, '0'))"

    def copied(table: Table, order: str, **changed: str) -> str:
        earlier = {c.name: f"{c.name} - INTERVAL seq HOUR" for c in table.c if c.name[-3:] == "_at"}
        columns = {c.name: c.name for c in table.c} | earlier | changed
        return (
            f"INSERT INTO {table.name} ({', '.join(columns)}) SELECT {', '.join(columns.values())} "
            f"FROM {table.name} JOIN {copies} ORDER BY seq DESC, {order};"
        )

    def multiplied(table: Table, *names: str) -> str:
        sums = ", ".join(f"{name} = {name} * {times}" for name in names)
        return f"UPDATE {table.name} SET {sums};"

    ended, runtime = ("succeeded", "failed"), "runtime_microseconds"
    process_id, current_task_id = new_id("id", 32), new_id("current_task_id", 29)
    task_id, of_process = new_id("id", 29), new_id("process_id", 32)
    statements = (
        copied(models.processes, "started_at", id=process_id, current_task_id=current_task_id),
        copied(models.tasks, "created_at", id=task_id, process_id=of_process),
        copied(models.activity, "slot_at"),
        copied(models.durations, "slot_at"),
        multiplied(models.workers, *ended, runtime),
        multiplied(models.pipeline_figures, *ended, runtime),
        multiplied(models.totals, *ended),
    )
    say(f"writing {FEW * times:,} processes and as many tasks")
    server.execute(
        f"USE {database}; SET unique_checks = 0, foreign_key_checks = 0; {' '.join(statements)} "
        "ANALYZE TABLE processes, tasks, activity, durations;"
    )


def multiply_workers(server: MariaDb, database: str, times: int) -> None:
    """Copies all workers, without their processes: scripts that registered and ended."""
    columns = {column.name: column.name for column in models.workers.c}
    columns |= dict.fromkeys(("running", "succeeded", "failed", "runtime_microseconds"), "0")
    columns["id"] = "CONCAT(LEFT(id, 31), LPAD(LOWER(HEX(seq)), 12, '0'))"
    columns["liveness"] = "'FINISHED'"
    columns["registered_at"] = "registered_at - INTERVAL seq MINUTE"
    say(f"writing {WORKERS * times:,} workers of one name")
    server.execute(
        f"USE {database}; INSERT INTO workers ({', '.join(columns)}) "
        f"SELECT {', '.join(columns.values())} FROM workers JOIN seq_1_to_{times - 1}; "
        f"UPDATE pipeline_figures SET workers_finished = {WORKERS * (times - 1)}; "
        f"UPDATE totals SET workers_finished = {WORKERS * (times - 1)}; ANALYZE TABLE workers;"
    )
