"""Stock Strawberry: its FastAPI router, a queue per subscriber, every event executed for each."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import strawberry
import uvicorn
from fastapi import FastAPI
from strawberry.fastapi import GraphQLRouter

queues: set[asyncio.Queue[int]] = set()


@strawberry.type
class Task:
    id: strawberry.ID
    name: str
    status: str
    revision: int
    started_at: str
    updated_at: str
    details: str | None


@strawberry.type
class TaskEvent:
    cursor: str
    kind: str
    occurred_at: str
    task: Task


@strawberry.type
class Query:
    version: str = "1"


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def tasks(self) -> AsyncGenerator[TaskEvent, None]:
        queue: asyncio.Queue[int] = asyncio.Queue()
        queues.add(queue)
        try:
            while True:
                number = await queue.get()
                now = datetime.now(UTC).isoformat()
                yield TaskEvent(
                    cursor=str(number),
                    kind="UPDATED",
                    occurred_at=now,
                    task=Task(
                        id=strawberry.ID("task_01a20a81-4634-70c0-933b-6a26ca16e7b3"),
                        name="second step",
                        status="RUNNING",
                        revision=number,
                        started_at=now,
                        updated_at=now,
                        details=None,
                    ),
                )
        finally:
            queues.discard(queue)


app = FastAPI()
app.include_router(
    GraphQLRouter(strawberry.Schema(query=Query, subscription=Subscription)), prefix="/graphql"
)


@app.post("/publish/{count}")
async def publish(count: int) -> None:
    for number in range(count):
        for queue in queues:
            queue.put_nowait(number)


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), ws_per_message_deflate=False, log_level="error")
