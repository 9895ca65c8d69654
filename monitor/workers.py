"""Workers: registering, signs of life, falling silent, being archived."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.entities import Liveness, TaskDefinition, Worker, evolve
from monitor.ids import new_id, pipeline_id
from monitor.limits import NAME_LENGTH, VERSION_LENGTH, check_task_definitions, check_text
from monitor.writing.loading import Needs
from monitor.writing.operation import operation
from monitor.writing.transaction import Transaction


def _opened(name: str, **_: object) -> Needs:
    try:
        return Needs(pipelines=(pipeline_id(name),))
    except UnicodeEncodeError:  # half of a surrogate pair, which is refused
        return Needs()


@operation(needs=_opened)
def register_worker(
    tx: Transaction, *, name: str, version: str, task_definitions: Sequence[TaskDefinition]
) -> Worker:
    """A new worker each time, also under a name that is there already. Raises InvalidInput."""
    check_text("name", name, NAME_LENGTH)
    check_text("version", version, VERSION_LENGTH)
    check_task_definitions("tasks", task_definitions)
    worker = tx.create(
        Worker(
            id=new_id("worker"),
            name=name,
            version=version,
            pipeline_id=pipeline_id(name),
            liveness=Liveness.ALIVE,
            liveness_reason=None,
            sends_heartbeats=False,
            task_definitions=tuple(task_definitions),
            registered_at=tx.now,
            last_seen_at=tx.now,
            quiet_since=tx.now,
            running=0,
            succeeded=0,
            failed=0,
            runtime_microseconds=0,
            revision=1,
        )
    )
    tx.add_to_pipeline(worker)
    tx.audit.note("registerWorker", (worker.id, worker.pipeline_id), f"{name} {version}")
    return worker


@operation(needs=lambda worker_id: Needs(workers=(worker_id,)))
def record_heartbeat(tx: Transaction, *, worker_id: str) -> Worker:
    """A sign of life; from the first one on the worker is held to them. Raises WorkerNotFound."""
    tx.worker(worker_id)
    tx.see(worker_id)
    worker = tx.worker(worker_id)
    if not worker.sends_heartbeats:
        tx.keep(evolve(worker, sends_heartbeats=True))
    return tx.worker(worker_id)


@operation(needs=lambda worker_ids, **_: Needs(workers=tuple(worker_ids)))
def archive_workers(
    tx: Transaction, *, worker_ids: Sequence[str], silent_since: datetime
) -> Sequence[Worker]:
    """Those of the workers that run nothing and were last seen before `silent_since` leave lists
    and figures, until they report again; their processes stay.
    """
    archived = []
    for worker_id in worker_ids:
        worker = tx.worker(worker_id)
        silent = worker.liveness is not Liveness.ALIVE and worker.last_seen_at < silent_since
        if silent and not worker.running and not worker.archived:
            archived.append(tx.archive(worker))
    return archived


@dataclass(frozen=True, slots=True)
class Silence:
    """What was found out about a worker last seen at `seen_at`: for how long it may be silent from
    `since` on, and why that is too long or not.
    """

    worker_id: str
    seen_at: datetime
    since: datetime
    allowed: timedelta
    reason: str

    def is_too_long(self, now: datetime) -> bool:
        """Whether it is longer than allowed, if nothing was heard since."""
        return now - self.since > self.allowed


def _judged(silences: Sequence[Silence], now: datetime, **_: object) -> Needs:
    return Needs(
        workers=tuple(silence.worker_id for silence in silences),
        # Of the others nothing will change.
        running_of=tuple(s.worker_id for s in silences if s.is_too_long(now)),
    )


@operation(needs=_judged)
def judge_silence(
    tx: Transaction, *, silences: Sequence[Silence], now: datetime, limit: timedelta
) -> Sequence[Worker]:
    """Those of the ALIVE workers whose silence is too long become FINISHED or LOST; the others are
    looked at again when it will be, by the limit that is allowed to all. All of them are answered.

    Looked at again under the lock, so one replica of several does it, and a worker that reported
    meanwhile stays ALIVE.
    """
    judged = []
    for silence in silences:
        worker = tx.worker(silence.worker_id)
        if worker.liveness is not Liveness.ALIVE or worker.last_seen_at != silence.seen_at:
            continue
        if not silence.is_too_long(now):
            quiet_since = silence.since + silence.allowed - limit
            worker = evolve(worker, quiet_since=quiet_since, liveness_reason=silence.reason)
            tx.keep(worker)
            judged.append(worker)
        elif worker.sends_heartbeats or worker.running:
            judged.append(tx.mark_silent(worker, Liveness.LOST, silence.reason))
        else:
            judged.append(tx.mark_silent(worker, Liveness.FINISHED, silence.reason))
    return judged
