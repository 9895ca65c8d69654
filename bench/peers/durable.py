"""The least that a durable store costs: the routes of `memory`, and a row for what each says.

Rows of processes and tasks with nothing but a primary key, looked up and locked by nobody; what
comes while a commit is under way shares the next one, as one message. No feed, no figures, no
history, no presence.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncmy
import uvicorn
from asyncmy.constants import CLIENT
from fastapi import FastAPI
from sqlalchemy import make_url
from uvicorn.supervisors import Multiprocess

from app.server import SharedPort
from bench.peers import memory
from compat_rest.schemas import Ended, ProcessEnd, Reported, Started, TaskReport, WorkerReference

TABLE = (
    "CREATE TABLE IF NOT EXISTS {} (id VARCHAR(64) CHARACTER SET ascii PRIMARY KEY, "
    "status VARCHAR(16) NOT NULL, details TEXT NOT NULL)"
)
ADD = "INSERT INTO {} VALUES (%s, %s, %s)"
CHANGE = "UPDATE {} SET status = %s, details = %s WHERE id = %s"


class Store:
    """Statements that wait for the next commit, each with who waits for it."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def write(self, *statements: tuple[str, tuple[str, str, str]]) -> None:
        """Returns when all of them are stored durably."""
        stored = asyncio.get_running_loop().create_future()
        literal = self._connection.literal
        texts = [text % tuple(map(literal, values)) for text, values in statements]
        self._waiting.append((";".join(texts), stored))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        await stored

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            cursor = self._connection.cursor()
            await cursor.execute(";".join(statement for statement, _ in batch))
            while await cursor.nextset():
                pass
            await self._connection.commit()
            for _, stored in batch:
                stored.set_result(None)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    url = make_url(sys.argv[3])
    connection = await asyncmy.connect(
        host=url.host,
        port=url.port,
        user=url.username,
        database=url.database,
        client_flag=CLIENT.MULTI_STATEMENTS,
    )
    app.state.store = Store(connection)
    cursor = connection.cursor()
    for name in ("processes", "tasks"):
        await cursor.execute(TABLE.format(name))
    yield
    connection.close()


app = FastAPI(lifespan=lifespan)
app.post("/matricula")(memory.matricula)


@app.post("/newprocess")
async def newprocess(body: WorkerReference) -> Started:
    started = await memory.newprocess(body)
    rows = [("processes", started.father), *(("tasks", son.id) for son in started.sons)]
    await app.state.store.write(*((ADD.format(name), (id_, "", "")) for name, id_ in rows))
    return started


@app.post("/actualizar_task")
async def actualizar_task(body: TaskReport) -> Reported:
    await _change("tasks", body.task_id, body.status, body.details or "")
    return Reported(status="ok")


@app.post("/endprocess")
async def endprocess(body: ProcessEnd) -> Ended:
    await _change("processes", body.id, "ended", body.details or "")
    return Ended(status=True)


async def _change(name: str, id_: str, status: str, details: str) -> None:
    await app.state.store.write((CHANGE.format(name), (status, details, id_)))


if __name__ == "__main__":
    port = int(sys.argv[1])
    workers = int(sys.argv[2])
    config = uvicorn.Config(
        "bench.peers.durable:app", port=port, workers=workers, log_level="error", access_log=False
    )
    Multiprocess(config, sockets=[SharedPort("127.0.0.1", port)]).run()
