"""Stock Strawberry: its FastAPI router, plain types, everything answered from memory."""

import sys
from datetime import UTC, datetime

import strawberry
import uvicorn
from fastapi import FastAPI
from strawberry.fastapi import GraphQLRouter

NOW = datetime.now(UTC)


@strawberry.type
class ProcessCounts:
    total: int = 30
    running: int = 1
    succeeded: int = 27
    failed: int = 2


@strawberry.type
class Summary:
    processes: ProcessCounts
    workers_online: int = 48
    workers_offline: int = 2
    stalled_processes: int = 0


@strawberry.type
class Worker:
    id: strawberry.ID
    counts: ProcessCounts
    name: str = "nightly import"
    version: str = "v1.0"
    status: str = "ONLINE"
    registered_at: datetime = NOW
    last_seen_at: datetime = NOW
    average_runtime_seconds: float = 12.5
    revision: int = 61


@strawberry.type
class Task:
    id: strawberry.ID
    position: int
    name: str = "second step"
    version: str = "v1.0"
    status: str = "SUCCESS"
    started_at: datetime = NOW
    ended_at: datetime = NOW
    runtime_seconds: float = 1.25
    details: str | None = None
    revision: int = 3


@strawberry.type
class Process:
    id: strawberry.ID
    current_task: Task
    tasks: list[Task]
    status: str = "SUCCESS"
    progress: float = 1.0
    stalled: bool = False
    started_at: datetime = NOW
    updated_at: datetime = NOW
    ended_at: datetime = NOW
    runtime_seconds: float = 5.0
    revision: int = 9


@strawberry.type
class PageInfo:
    has_next_page: bool = True


@strawberry.type
class WorkerEdge:
    cursor: str
    node: Worker


@strawberry.type
class WorkerConnection:
    edges: list[WorkerEdge]
    page_info: PageInfo


@strawberry.type
class ProcessEdge:
    cursor: str
    node: Process


@strawberry.type
class ProcessConnection:
    edges: list[ProcessEdge]
    page_info: PageInfo


def _process(number: int) -> Process:
    tasks = [Task(id=strawberry.ID(f"task_{number}_{step}"), position=step) for step in range(1, 5)]
    return Process(id=strawberry.ID(f"process_{number}"), current_task=tasks[-1], tasks=tasks)


PROCESSES = [_process(number) for number in range(50)]
WORKERS = [
    Worker(id=strawberry.ID(f"worker_{number}"), counts=ProcessCounts()) for number in range(50)
]


@strawberry.type
class Query:
    @strawberry.field
    async def summary(self) -> Summary:
        return Summary(processes=ProcessCounts())

    @strawberry.field
    async def workers(self, first: int) -> WorkerConnection:
        edges = [WorkerEdge(cursor=worker.id, node=worker) for worker in WORKERS[:first]]
        return WorkerConnection(edges=edges, page_info=PageInfo())

    @strawberry.field
    async def processes(self, first: int) -> ProcessConnection:
        edges = [ProcessEdge(cursor=process.id, node=process) for process in PROCESSES[:first]]
        return ProcessConnection(edges=edges, page_info=PageInfo())

    @strawberry.field
    async def process(self, id: strawberry.ID) -> Process:
        return PROCESSES[len(id) % 50]


app = FastAPI()
app.include_router(GraphQLRouter(strawberry.Schema(query=Query)), prefix="/graphql")

if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="error", access_log=False)
