"""The Mutation type: each field runs one operation of the same name."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import strawberry

from graph.context import GraphInfo
from graph.execution.details import done
from graph.inputs import EndProcessInput, RegisterWorkerInput, UpdateTaskInput
from graph.types.failures import Failure
from graph.types.nodes import Process, Task, Worker
from monitor import archiving, failures, processes, tasks, workers
from monitor.errors import InvalidInput
from monitor.writing.job import on_behalf_of
from monitor.writing.transactions import Transactions

_KEY = (
    "Any mutation may carry an idempotencyKey (1 to 128 characters): the same key with the same "
    "input again answers the first answer and changes nothing; with another input it is a "
    "CONFLICT. Keys are kept for 24 hours at least."
)


@strawberry.type(description=_KEY)
class Mutation:
    @strawberry.mutation
    async def register_worker(
        self, info: GraphInfo, input: RegisterWorkerInput, idempotency_key: str | None = None
    ) -> Worker:
        with _writing(info) as writing:
            worker = await writing.run_once(
                idempotency_key,
                workers.register_worker,
                name=input.name,
                version=input.version,
                task_definitions=input.definitions(),
            )
        return Worker.of(worker)

    @strawberry.mutation
    async def heartbeat(self, info: GraphInfo, worker_id: strawberry.ID) -> Worker:
        with _writing(info) as writing:
            return Worker.of(await writing.run(workers.record_heartbeat, worker_id=worker_id))

    @strawberry.mutation
    async def start_process(
        self, info: GraphInfo, worker_id: strawberry.ID, idempotency_key: str | None = None
    ) -> Process:
        with _writing(info) as writing:
            process, _ = await writing.run_once(
                idempotency_key, processes.start_process, worker_id=worker_id
            )
        return Process.of(process)

    @strawberry.mutation
    async def update_task(
        self, info: GraphInfo, input: UpdateTaskInput, idempotency_key: str | None = None
    ) -> Task:
        with _writing(info) as writing:
            task = await writing.run_once(
                idempotency_key,
                tasks.update_task,
                task_id=input.task_id,
                status=input.status,
                details=input.details,
            )
        return Task.of(*done(info, [task]))

    @strawberry.mutation(description="All or none, in order; 1,000 at most.")
    async def update_tasks(
        self, info: GraphInfo, inputs: list[UpdateTaskInput], idempotency_key: str | None = None
    ) -> list[Task]:
        with _writing(info) as writing:
            updated = await writing.run_once(
                idempotency_key, tasks.update_tasks, updates=[update.convert() for update in inputs]
            )
        return [Task.of(task) for task in done(info, updated)]

    @strawberry.mutation(
        description="SUCCESS or ERROR; RUNNING is refused. Its tasks stay as they were reported. "
        "Ending an ended process again changes nothing."
    )
    async def end_process(
        self, info: GraphInfo, input: EndProcessInput, idempotency_key: str | None = None
    ) -> Process:
        with _writing(info) as writing:
            process = await writing.run_once(
                idempotency_key,
                processes.end_stalled_process if input.only_stalled else processes.end_process,
                process_id=input.process_id,
                status=input.status,
                details=input.details,
            )
        return Process.of(*done(info, [process]))

    @strawberry.mutation(
        description="Takes workers that are not ALIVE out of lists and counts until they report "
        "again: those of `ids`, or all FINISHED ones of a pipeline, one of the two, else "
        "BAD_USER_INPUT. Of a pipeline as many as fit into 4 s: ask again until it answers 0. "
        "Answers how many."
    )
    async def archive_workers(
        self,
        info: GraphInfo,
        ids: list[strawberry.ID] | None = None,
        pipeline_id: strawberry.ID | None = None,
    ) -> int:
        database = info.context.monitor.database
        with _writing(info) as writing:
            if ids is not None and pipeline_id is None:
                return await archiving.archive_by_ids(database, writing, ids)
            if pipeline_id is not None and ids is None:
                return await archiving.archive_finished(database, writing, pipeline_id)
        raise InvalidInput("ids", "or pipelineId is needed, one of them")

    @strawberry.mutation
    async def resolve_failure(self, info: GraphInfo, id: strawberry.ID) -> Failure:
        with _writing(info) as writing:
            return Failure.of(await writing.run(failures.resolve_failure, failure_id=id))

    @strawberry.mutation(description="until null: for ever. A time that is past is BAD_USER_INPUT.")
    async def mute_failure(
        self, info: GraphInfo, id: strawberry.ID, until: datetime | None = None
    ) -> Failure:
        with _writing(info) as writing:
            muted = await writing.run(failures.mute_failure, failure_id=id, until=until)
        return Failure.of(muted)

    @strawberry.mutation
    async def reopen_failure(self, info: GraphInfo, id: strawberry.ID) -> Failure:
        with _writing(info) as writing:
            return Failure.of(await writing.run(failures.reopen_failure, failure_id=id))


@contextmanager
def _writing(info: GraphInfo) -> Iterator[Transactions]:
    """The way to write, for those who may; what was read before it is read anew after it.

    What is done inside the block is kept in the audit, on behalf of who asks. It ends there: what
    a client sends on the same connection meanwhile is run in the context of this.
    """
    info.context.principal.require_write()
    info.context.renew_loaders()
    with on_behalf_of(info.context.actor):
        yield info.context.monitor.transactions
