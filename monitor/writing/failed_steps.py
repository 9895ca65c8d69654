"""Which step of a process failed: read when it ends with an error, in one statement for a batch."""

from collections.abc import Collection, Iterator

from sqlalchemy import BindParameter, bindparam, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.lookups import fetch_rows
from db.sizes import byte_length
from monitor.entities import ProcessStatus, TaskStatus
from monitor.errors import InvalidInput
from monitor.writing.statements import FailedStep, Loaded

# Larger details are read by themselves, and of so many bytes at most: a batch that has more is run
# one by one.
INLINE_BYTES = 16 * 1024
READ_BYTES = 32 * 1024 * 1024

_IDS: BindParameter[str] = bindparam("ids", expanding=True)
_task = models.tasks.c
_SIZE = byte_length(_task.details)
_place = func.row_number().over(
    partition_by=_task.process_id, order_by=(_task.updated_at.desc(), _task.position.desc())
)
_ranked = (
    select(_task.id, _place.label("place"))
    .where(_task.process_id.in_(_IDS), _task.status == "ERROR")
    .subquery()
)
# Of each process the failed task that was reported last.
_FAILED = (
    select(
        *(_task.process_id, _task.id, _task.name, _task.updated_at, _SIZE.label("size")),
        case((_SIZE <= INLINE_BYTES, _task.details)).label("details"),
    )
    .join(_ranked, _ranked.c.id == _task.id)
    .where(_ranked.c.place == 1)
)
_DETAILS = select(_task.id, _task.details).where(_task.id.in_(_IDS))


async def load_failed_steps(
    connection: AsyncConnection, loaded: Loaded, ids: Collection[str]
) -> None:
    """Adds the failed steps of the processes that the ends of these are about.

    Raises InvalidInput, before they are read, for more than READ_BYTES of details.
    """
    large: dict[str, str] = {}
    total = 0
    for row in await fetch_rows(connection, _FAILED, set(_meant(loaded, ids))):
        process_id, id_, name, updated_at, size, details = row
        loaded.failed[process_id] = FailedStep(id_, name, updated_at, details)
        if size is not None and size > INLINE_BYTES:
            large[id_] = process_id
            total += size
    if total > READ_BYTES:
        raise InvalidInput("details", f"of failed steps are more than {READ_BYTES >> 20} MiB")
    for id_, details in await fetch_rows(connection, _DETAILS, large):
        step = loaded.failed[large[id_]]
        loaded.failed[large[id_]] = FailedStep(id_, step.name, step.reported_at, details)


def _meant(loaded: Loaded, ids: Collection[str]) -> Iterator[str]:
    """Each of them that is ended, or has failed, or its successor (`monitor.starts`)."""
    for id_ in ids:
        process = loaded.processes.get(id_)
        if process is None:
            continue
        if process.status is not ProcessStatus.SUCCESS:
            yield id_
        if process.successor_id is not None:
            yield process.successor_id


def find_failed_step(loaded: Loaded, process_id: str) -> FailedStep | None:
    """The failed step that was reported last, also in this very transaction."""
    step = loaded.failed.get(process_id)
    if step is not None:
        task = loaded.tasks.get(step.id)
        if task is not None and task.status is not TaskStatus.ERROR:
            step = None  # it was begun anew
    failed = [
        task
        for task in loaded.tasks.values()
        if task.process_id == process_id and task.status is TaskStatus.ERROR
    ]
    if not failed:
        return step
    last = max(failed, key=lambda task: (task.updated_at, task.position))
    if step is not None and step.reported_at > last.updated_at:
        return step
    details = last.details if isinstance(last.details, str) else None
    return FailedStep(last.id, last.name, last.updated_at, details)
