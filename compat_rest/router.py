"""The legacy routes: each converts, calls one operation or read, converts back."""

from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.routing import BaseRoute

from compat_rest.errors import misfit_response, refusal_response
from compat_rest.reports import Guard, ReportRoute
from compat_rest.schemas import (
    TASK_STATUS,
    Ended,
    Health,
    Limit,
    Matricula,
    Offset,
    ProcessEnd,
    ProcessRow,
    Registered,
    Reported,
    Son,
    Started,
    TaskReport,
    TaskRow,
    Version,
    WorkerReference,
    WorkerRow,
)
from monitor import processes, tasks, workers
from monitor.auth import Authenticator, Principal, bearer_token
from monitor.entities import TaskDefinition
from monitor.errors import InvalidInput, MonitorError, ProcessNotFound, WorkerNotFound
from monitor.monitor import Monitor
from monitor.reading import reads
from monitor.reading.details import Budget
from monitor.reading.figures import get_totals
from monitor.reading.filters import ProcessFilter, TaskFilter, WorkerFilter
from monitor.reading.pages import Direction, Order

API_VERSION = "v1.1"
TOTAL_COUNT = "X-Total-Count"


def create_legacy_router(admit: Guard) -> APIRouter:
    """For routes that `admit` guards before a body is read, with refusals in the legacy way.

    Not a dependency: FastAPI reads and parses the whole body before it asks any.
    """

    class LegacyRoute(ReportRoute):
        guard = staticmethod(admit)

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def handle_guarded(request: Request) -> Response:
                address = request.client.host if request.client else ""
                try:
                    admit(request.headers.get("authorization"), address)
                    return await handle(request)
                except RequestValidationError as error:
                    return misfit_response(error.errors())
                except MonitorError as error:
                    return refusal_response(error)

            return handle_guarded

    # The predecessor took a body without Content-Type for JSON.
    return APIRouter(route_class=LegacyRoute, tags=["workers"], strict_content_type=False)


def create_routes(monitor: Monitor, authenticator: Authenticator) -> Sequence[BaseRoute]:
    """The routes of `rest.md`, bound to this monitor."""
    write = monitor.transactions

    def authenticate(authorization: str | None, address: str) -> Principal:
        return authenticator.principal(bearer_token(authorization), address)

    anyone = create_legacy_router(lambda *_: None)
    readers = create_legacy_router(authenticate)
    writers = create_legacy_router(lambda *of: authenticate(*of).require_write())

    @anyone.get("/version")
    async def version() -> Version:
        return Version(version=API_VERSION)

    @writers.post("/matricula")
    async def matricula(body: Matricula) -> Registered:
        worker = await write.run(
            workers.register_worker,
            name=body.name,
            version=body.version,
            task_definitions=[TaskDefinition(task.name, task.version) for task in body.tasks],
        )
        return Registered(id=worker.id)

    @writers.post("/healthchecker")
    async def healthchecker(body: WorkerReference) -> Health:
        await write.run(workers.record_heartbeat, worker_id=body.id)
        return Health(health=1)

    @writers.post("/newprocess")
    async def newprocess(body: WorkerReference) -> Started:
        process, started = await write.run(processes.start_process, worker_id=body.id)
        return Started(
            father=process.id, sons=[Son(name=task.name, id=task.id) for task in started]
        )

    @writers.post("/actualizar_task")
    async def actualizar_task(body: TaskReport) -> Reported:
        status = TASK_STATUS.get(body.status)
        if status is None:
            raise InvalidInput("status", f"must be one of {', '.join(TASK_STATUS)}")
        await write.run(
            tasks.update_task, task_id=body.task_id, status=status, details=body.details
        )
        return Reported(status="ok")

    @writers.post("/endprocess")
    async def endprocess(body: ProcessEnd) -> Ended:
        status, details = body.outcome
        await write.run(processes.end_process, process_id=body.id, status=status, details=details)
        return Ended(status=True)

    @anyone.get("/dashboard_workers")
    async def dashboard_workers(
        response: Response,
        limit: Annotated[Limit, Query()] = 1_000,
        offset: Annotated[Offset, Query()] = 0,
    ) -> list[WorkerRow]:
        totals = await get_totals(monitor.database)
        response.headers[TOTAL_COUNT] = str(totals.workers_online + totals.workers_offline)
        newest_first = await reads.list_slice(
            monitor.database,
            reads.WORKERS,
            WorkerFilter(),
            Order("REGISTERED_AT", Direction.DESC),
            limit=limit,
            offset=offset,
        )
        return [WorkerRow.of(worker) for worker in reversed(newest_first)]

    @readers.get("/dashboard_process/{worker_id}")
    async def dashboard_process(
        worker_id: str,
        response: Response,
        limit: Annotated[Limit, Query()] = 1_000,
        offset: Annotated[Offset, Query()] = 0,
    ) -> list[ProcessRow]:
        worker = await reads.find_by_id(monitor.database, reads.WORKERS, worker_id)
        if worker is None:
            raise WorkerNotFound
        response.headers[TOTAL_COUNT] = str(worker.process_count)
        listed = await reads.list_slice(
            monitor.database,
            reads.PROCESSES,
            ProcessFilter(worker_ids=(worker_id,)),
            Order("STARTED_AT", Direction.DESC),
            limit=limit,
            offset=offset,
        )
        current = {process.current_task_id for process in listed if process.current_task_id}
        steps = await reads.find_task_names(monitor.database, current)
        first = worker.task_definitions[0].name if worker.task_definitions else None
        return [
            ProcessRow.of(
                process,
                worker,
                # One that was removed meanwhile has no tasks any more.
                steps.get(process.current_task_id) if process.current_task_id else first,
            )
            for process in listed
        ]

    @readers.get("/dashboard_tasks/{process_id}")
    async def dashboard_tasks(
        process_id: str,
        response: Response,
        limit: Annotated[Limit, Query()] = 1_000,
        offset: Annotated[Offset, Query()] = 0,
    ) -> list[TaskRow]:
        process = await reads.find_by_id(monitor.database, reads.PROCESSES, process_id)
        if process is None:
            raise ProcessNotFound
        response.headers[TOTAL_COUNT] = str(process.task_count)
        listed = await reads.list_slice(
            monitor.database,
            reads.TASKS,
            TaskFilter(process_ids=(process_id,)),
            Order("POSITION", Direction.ASC),
            limit=limit,
            offset=offset,
            details=Budget(),
        )
        now = datetime.now(UTC)
        return [TaskRow.of(task, process.task_count, now) for task in listed]

    # Not included in a router of their own, which would build each route once more and wrap it.
    return [*anyone.routes, *writers.routes, *readers.routes]
