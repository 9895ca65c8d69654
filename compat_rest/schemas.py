"""The JSON of the legacy routes, both ways, in the words of the predecessor."""

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from monitor.entities import (
    MICROSECOND,
    Process,
    ProcessStatus,
    Task,
    TaskStatus,
    Worker,
    WorkerStatus,
)

TASK_STATUS = {
    "start": TaskStatus.RUNNING,
    "in_progress": TaskStatus.RUNNING,
    "running": TaskStatus.RUNNING,
    "success": TaskStatus.SUCCESS,
    "completed": TaskStatus.SUCCESS,
    "error": TaskStatus.ERROR,
    "failed": TaskStatus.ERROR,
    "pending": TaskStatus.PENDING,
}
# Shorter details end a process as SUCCESS: that is how workers say that all went well.
ERROR_DETAILS_LENGTH = 5

_WORKER_STATUS = {WorkerStatus.ONLINE: "online", WorkerStatus.OFFLINE: "ofline"}


class Request(BaseModel):
    """Unknown keys are ignored, types are not guessed."""

    model_config = ConfigDict(extra="ignore", strict=True)


class TaskDefinitionIn(Request):
    name: str
    version: str


class Matricula(Request):
    name: str
    version: str
    tasks: list[TaskDefinitionIn]


class WorkerReference(Request):
    id: str


class TaskReport(Request):
    task_id: str
    status: str
    details: str | None = None


class ProcessEnd(Request):
    id: str
    details: str | None = None

    @property
    def outcome(self) -> tuple[ProcessStatus, str | None]:
        details = self.details or ""
        if len(details) < ERROR_DETAILS_LENGTH:
            return ProcessStatus.SUCCESS, self.details or None
        return ProcessStatus.ERROR, details


class Version(BaseModel):
    version: str


class Registered(BaseModel):
    id: str


class Health(BaseModel):
    health: int


class Son(BaseModel):
    name: str
    id: str


class Started(BaseModel):
    father: str
    sons: list[Son]


class Reported(BaseModel):
    status: str


class Ended(BaseModel):
    status: bool


class WorkerRow(BaseModel):
    id: str
    status: str
    processed: int
    active: int
    successed: int
    failed: int
    load_average: str

    @classmethod
    def of(cls, worker: Worker) -> "WorkerRow":
        average = worker.average_runtime_seconds
        return cls(
            id=worker.id,
            status=_WORKER_STATUS[worker.status],
            processed=worker.process_count,
            active=worker.running,
            successed=worker.succeeded,
            failed=worker.failed,
            load_average="NA" if average is None else str(average),
        )


class ProcessRow(BaseModel):
    id: str
    worker: str
    step: str | None
    status: str
    last_update: str | None
    progress: str

    @classmethod
    def of(cls, process: Process, worker: Worker, step: str | None) -> "ProcessRow":
        pending = process.status is ProcessStatus.RUNNING and not process.reported
        return cls(
            id=process.id,
            worker=worker.name,
            step=step,
            status="pending" if pending else process.status.lower(),
            last_update=format_instant(process.updated_at) if process.reported else None,
            progress=format_progress(process),
        )


class TaskRow(BaseModel):
    id: str
    name: str
    version: str
    state: str
    received: str
    started: str | None
    runtime: str
    father: str
    details: str | None
    step: str

    @classmethod
    def of(cls, task: Task, count: int, now: datetime) -> "TaskRow":
        return cls(
            id=task.id,
            name=task.name,
            version=task.version,
            state=task.status.lower(),
            received=format_instant(task.created_at),
            started=format_instant(task.started_at) if task.started_at else None,
            runtime=format_duration(task.runtime(now)),
            father=task.process_id,
            details=task.details,
            step=f"{task.position}/{count}",
        )


def format_instant(at: datetime) -> str:
    """UTC in whole seconds without an offset."""
    return at.strftime("%Y-%m-%dT%H:%M:%S")


def format_duration(duration: timedelta) -> str:
    """ISO 8601, e.g. `PT1.5S`, `P1DT2S`: days and seconds, as the predecessor wrote them."""
    microseconds = duration // MICROSECOND
    days, rest = divmod(microseconds, 86_400_000_000)
    seconds = f"{rest // 1_000_000}.{rest % 1_000_000:06d}".rstrip("0").rstrip(".")
    return f"P{f'{days}D' if days else ''}T{seconds}S"


def format_progress(process: Process) -> str:
    """`"33%"` of tasks that ended; `"1%"` when none has, but one has started."""
    # In whole numbers: 29 of 100 is 0.29, which times 100 is a little less than 29.
    percent = process.ended_task_count * 100 // max(process.task_count, 1)
    if percent == 0 and process.current_task_id is not None and not process.ended_task_count:
        percent = 1
    return f"{percent}%"


Limit = Annotated[int, Field(ge=0, le=10_000)]
Offset = Annotated[int, Field(ge=0, le=2**62)]
