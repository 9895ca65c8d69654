"""Processes: one run of a worker's steps, from its start to its end, and to its removal."""

from collections.abc import Sequence
from datetime import datetime

from monitor.acts import summary_of_end
from monitor.entities import MICROSECOND, Liveness, Process, ProcessStatus, Task, Worker, evolve
from monitor.errors import Conflict, InvalidInput
from monitor.limits import check_details
from monitor.silence import NOTHING_RUNS
from monitor.starts import open_process, process_meant
from monitor.writing.loading import Needs
from monitor.writing.operation import Call, operation
from monitor.writing.transaction import Transaction


def _take_back(answer: tuple[Process, Sequence[Task]]) -> Call:
    process, _ = answer
    return take_back_process, {"process_id": process.id}


@operation(needs=lambda worker_id: Needs(workers=(worker_id,)), undo=_take_back)
def start_process(tx: Transaction, *, worker_id: str) -> tuple[Process, Sequence[Task]]:
    """A new process with one PENDING task per definition, in their order. Raises WorkerNotFound."""
    tx.worker(worker_id)
    tx.see(worker_id)
    process, tasks = open_process(tx, tx.worker(worker_id))
    tx.audit.note("startProcess", (process.id, worker_id))
    return process, tasks


@operation(needs=lambda process_ids, **_: Needs(tasks_of=tuple(process_ids)))
def remove_processes(
    tx: Transaction, *, process_ids: Sequence[str], abandoned_before: datetime | None
) -> Sequence[Process]:
    """Those of the processes that ended are removed with their tasks, and are answered.

    So are those that nobody goes on with: stalled, and not reported on since `abandoned_before`.
    Looked at again under the lock. Each worker changes once, however many of its processes go.
    """
    found = [tx.find_process(process_id) for process_id in dict.fromkeys(process_ids)]
    over = [process for process in found if process and _is_over(process, abandoned_before)]
    _remove(tx, over)
    return over


@operation(needs=lambda process_id: Needs(tasks_of=(process_id,)))
def take_back_process(tx: Transaction, *, process_id: str) -> None:
    """Removes a process that nobody knows of; one that was reported on is known, and stays."""
    process = tx.find_process(process_id)
    if process is not None and not process.reported:
        _remove(tx, [process])


def _remove(tx: Transaction, processes: Sequence[Process]) -> None:
    workers: dict[str, Worker] = {}
    for process in processes:
        worker = workers.get(process.worker_id) or tx.worker(process.worker_id)
        workers[worker.id] = _without(worker, process)
        tx.remove(process)
        tx.note_removal(process)
        tx.count(
            process.pipeline_id,
            running=-(process.status is ProcessStatus.RUNNING),
            succeeded=-(process.status is ProcessStatus.SUCCESS),
            failed=-(process.status is ProcessStatus.ERROR),
            stalled=-process.stalled,
        )
    for worker in workers.values():
        _update_worker(tx, worker)


def _is_over(process: Process, abandoned_before: datetime | None) -> bool:
    if process.ended_at is not None:
        return True
    return (
        process.stalled and abandoned_before is not None and process.updated_at < abandoned_before
    )


def _without(worker: Worker, process: Process) -> Worker:
    runtime = 0
    if process.ended_at is not None:
        runtime = process.runtime(process.ended_at) // MICROSECOND
    return evolve(
        worker,
        running=worker.running - (process.status is ProcessStatus.RUNNING),
        succeeded=worker.succeeded - (process.status is ProcessStatus.SUCCESS),
        failed=worker.failed - (process.status is ProcessStatus.ERROR),
        runtime_microseconds=worker.runtime_microseconds - runtime,
    )


def _needs_of_end(process_id: str, status: ProcessStatus, **_: object) -> Needs:
    failing = (process_id,) if status is ProcessStatus.ERROR else ()
    return Needs(processes=(process_id,), failing=failing)


@operation(needs=_needs_of_end)
def end_process(
    tx: Transaction, *, process_id: str, status: ProcessStatus, details: str | None
) -> Process:
    """Ends a process; its tasks stay as they were reported, an ended one stays as it is.

    Under the id of an ended one its successor is ended, while that runs (`monitor.starts`).

    Raises ProcessNotFound, InvalidInput for RUNNING or details over 1 MiB.
    """
    _check_end(status, details)
    tx.process(process_id)
    tx.see(tx.process(process_id).worker_id)
    process = process_meant(tx, tx.process(process_id))
    return process if process.ended_at is not None else _end(tx, process, status, details)


@operation(needs=_needs_of_end)
def end_stalled_process(
    tx: Transaction, *, process_id: str, status: ProcessStatus, details: str | None
) -> Process:
    """Ends a process that nobody goes on with, and never its successor: who asks has seen it stall.

    It is no sign of life of its worker. One that is not held to heartbeats is FINISHED when that
    was the last of what it had running.

    Raises ProcessNotFound, Conflict when it is not stalled by now, InvalidInput as `end_process`.
    """
    _check_end(status, details)
    process = tx.process(process_id)
    if process.ended_at is not None:
        raise Conflict(f"The process is not stalled: it has ended, as {process.status}")
    if not process.stalled:
        raise Conflict("The process is not stalled: its worker is alive")
    return _end(tx, process, status, details)


@operation(
    needs=lambda process_ids: Needs(processes=tuple(process_ids), failing=tuple(process_ids))
)
def group_failed(tx: Transaction, *, process_ids: Sequence[str]) -> int:
    """Those of the processes that failed are counted in their group and found by what was said,
    unless they are; how many of them failed.
    """
    found = [tx.find_process(process_id) for process_id in dict.fromkeys(process_ids)]
    failed = [process for process in found if process and process.status is ProcessStatus.ERROR]
    for process in failed:
        assert process.ended_at is not None
        details = process.details if isinstance(process.details, str) else None
        if process.failure_id is not None:
            tx.failures.note_text(process, details, process.ended_at)
            continue
        failure_id = tx.failures.note(process, details, process.ended_at)
        tx.keep(evolve(process, failure_id=failure_id))
    return len(failed)


def _check_end(status: ProcessStatus, details: str | None) -> None:
    if status is ProcessStatus.RUNNING:
        raise InvalidInput("status", "RUNNING is no end, use SUCCESS or ERROR")
    check_details("details", details)


def _end(tx: Transaction, process: Process, status: ProcessStatus, details: str | None) -> Process:
    ended_at = max(tx.now, process.updated_at)
    failed, stalled = status is ProcessStatus.ERROR, process.stalled
    process = tx.update(
        evolve(
            process,
            status=status,
            stalled=False,
            overtime=False,
            overtime_due_at=None,
            updated_at=ended_at,
            ended_at=ended_at,
            details=details,
            failure_id=tx.failures.note(process, details, ended_at) if failed else None,
        )
    )
    worker = tx.worker(process.worker_id)
    runtime = process.runtime(ended_at) // MICROSECOND
    _update_worker(
        tx,
        evolve(
            worker,
            running=worker.running - 1,
            succeeded=worker.succeeded + (not failed),
            failed=worker.failed + failed,
            runtime_microseconds=worker.runtime_microseconds + runtime,
        ),
    )
    tx.count(process.pipeline_id, running=-1, succeeded=not failed, failed=failed, stalled=-stalled)
    tx.note_end(process)
    subjects = (process.id, process.worker_id, process.pipeline_id)
    tx.audit.note("endProcess", subjects, summary_of_end(status, details))
    return process


def _update_worker(tx: Transaction, worker: Worker) -> None:
    """One that was LOST, and is not held to heartbeats, is FINISHED once nothing of it runs."""
    lost = worker.liveness is Liveness.LOST and not worker.sends_heartbeats
    if lost and not worker.running:
        tx.mark_finished(worker, NOTHING_RUNS)
    else:
        tx.update(worker)
