"""The limit for writes: the same FastAPI routes with the same models, answering from memory."""

import sys

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from app.server import SharedPort
from compat_rest.schemas import (
    Ended,
    Matricula,
    ProcessEnd,
    Registered,
    Reported,
    Son,
    Started,
    TaskReport,
    WorkerReference,
)
from monitor.ids import new_id

app = FastAPI()
steps: dict[str, list[str]] = {}


@app.post("/matricula")
async def matricula(body: Matricula) -> Registered:
    worker_id = new_id("worker")
    steps[worker_id] = [task.name for task in body.tasks]
    return Registered(id=worker_id)


@app.post("/newprocess")
async def newprocess(body: WorkerReference) -> Started:
    # Two server processes share no memory: a worker of the other one has the same steps.
    names = steps.get(body.id) or ["step 0", "step 1", "step 2"]
    sons = [Son(name=name, id=new_id("task")) for name in names]
    return Started(father=new_id("process"), sons=sons)


@app.post("/actualizar_task")
async def actualizar_task(body: TaskReport) -> Reported:
    return Reported(status="ok" if body.task_id else "")


@app.post("/endprocess")
async def endprocess(body: ProcessEnd) -> Ended:
    return Ended(status=bool(body.id))


if __name__ == "__main__":
    port = int(sys.argv[1])
    workers = int(sys.argv[2])
    config = uvicorn.Config(
        "bench.peers.memory:app", port=port, workers=workers, log_level="error", access_log=False
    )
    # As our own processes do. Of one socket, which uvicorn's would share, the first process to wake
    # takes what waits there: nearly all connections or a half, by chance.
    Multiprocess(config, sockets=[SharedPort("127.0.0.1", port)]).run()
