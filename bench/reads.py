"""What a dashboard asks for in one document: figures, workers, processes, the tasks of one.

Each client asks for the tasks of another process, and then all of them for those of the same: who
asks the same at the same moment is answered by one execution.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from random import Random

from app.seeding import seed_history
from bench.parts import Parts
from bench.report import Figure, say
from bench.writes import Connection
from db.migrate import migrate
from db.session import Database
from monitor.reading.filters import ProcessFilter
from monitor.reading.pages import Direction, Order
from monitor.reading.reads import PROCESSES, list_slice

CLIENTS = 8
SECONDS = 6.0
ROWS = 50
QUERY = """query Board($process: ID!) {
  summary {
    workersOnline workersOffline stalledProcesses
    processes { total running succeeded failed }
  }
  workers(first: 50) {
    edges { cursor node {
      id name version status registeredAt lastSeenAt averageRuntimeSeconds revision
      counts { total running succeeded failed }
    } }
    pageInfo { hasNextPage }
  }
  processes(first: 50) {
    edges { cursor node {
      id status progress stalled startedAt updatedAt endedAt runtimeSeconds revision
      currentTask { name position }
    } }
    pageInfo { hasNextPage }
  }
  process(id: $process) {
    id status
    tasks {
      id name version position status startedAt endedAt runtimeSeconds details revision
    }
  }
}"""


async def measure(parts: Parts) -> list[Figure]:
    """The product on MariaDB, one server process, beside stock Strawberry from memory."""
    say(f"reads: the dashboard's query from {CLIENTS} clients")
    url = parts.new_database()
    others = await _seed(url)
    same = others[:1] * CLIENTS
    figures = []
    with parts.monitor(url) as server, parts.peer("stock_reads") as (stock, _):
        for whose, processes in (("each of another process", others), ("all of the same", same)):
            name = f"the dashboard's query in one document, {whose}"
            ours = await _rate(server.port, _ask_at_once, processes)
            theirs = await _rate(stock, _ask_at_once, processes)
            calls = await _rate(server.port, _ask_over_rest, processes)
            figures += [
                Figure(name, "/s", ours, 2.5, "stock Strawberry from memory", theirs),
                Figure(name, "/s", ours, 1.0, "its own three REST calls", calls),
            ]
    return figures


async def _seed(url: str) -> list[str]:
    """60 workers with 2,000 processes; the ids of as many of these as there are clients."""
    database = Database(url)
    await migrate(database)
    await seed_history(database, processes=2_000, workers=60, random=Random(1))
    order = Order("STARTED_AT", Direction.ASC)
    found = await list_slice(database, PROCESSES, ProcessFilter(), order, limit=CLIENTS, offset=0)
    await database.close()
    return [process.id for process in found]


async def _ask_at_once(process: str, connection: Connection) -> None:
    answer = await connection.post("/graphql", {"query": QUERY, "variables": {"process": process}})
    assert "errors" not in answer, answer


async def _ask_over_rest(process: str, connection: Connection) -> None:
    """What the predecessor's dashboards call for the same tables, of as many rows."""
    workers = await connection.request(f"/dashboard_workers?limit={ROWS}", None)
    await connection.request(f"/dashboard_process/{workers[0]['id']}?limit={ROWS}", None)
    assert await connection.request(f"/dashboard_tasks/{process}", None)


async def _rate(
    port: int, ask: Callable[[str, Connection], Awaitable[None]], processes: Sequence[str]
) -> float:
    """Answers per second to clients that ask one after the other, one for each of the processes."""
    answers = 0

    async def client(process: str, until: float) -> None:
        nonlocal answers
        connection = Connection(*await asyncio.open_connection("127.0.0.1", port))
        while time.perf_counter() < until:
            await ask(process, connection)
            answers += 1

    start = time.perf_counter()
    await asyncio.gather(*(client(each, start + SECONDS) for each in processes))
    return answers / (time.perf_counter() - start)
