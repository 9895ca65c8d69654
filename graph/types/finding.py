"""The pipeline, process or task with an id, with what is asked of it.

Types are made of each other: here they are imported where they are needed.
"""

from typing import TYPE_CHECKING

from graph.context import GraphInfo
from graph.execution.details import show_details
from graph.execution.selection import details_asked

if TYPE_CHECKING:
    from graph.types.nodes import Process, Task
    from graph.types.pipelines import Pipeline


async def find_pipeline(info: GraphInfo, id_: str) -> "Pipeline":
    """The pipeline of a worker or a process."""
    from graph.types.pipelines import Pipeline

    pipeline = await info.context.loaders.pipeline(id_)
    assert pipeline is not None, "every worker has a pipeline"
    return Pipeline.of(pipeline)


async def find_process(info: GraphInfo, id_: str) -> "Process | None":
    """The process, if there is one."""
    from graph.types.nodes import Process

    asked = details_asked(info)
    process = await info.context.loaders.process(id_, details=asked > 0)
    show_details(info, [process], asked)
    return None if process is None else Process.of(process)


async def find_task(info: GraphInfo, id_: str) -> "Task | None":
    """The task, if there is one."""
    from graph.types.nodes import Task

    asked = details_asked(info)
    task = await info.context.loaders.task(id_, details=asked > 0)
    show_details(info, [task], asked)
    return None if task is None else Task.of(task)
