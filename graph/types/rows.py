"""Lists of processes: what is asked of all rows is loaded with them, at once."""

from collections.abc import Sequence

from graph.context import GraphInfo
from graph.execution.details import show_details
from graph.execution.selection import details_asked, selected_fields
from graph.types.connections import Connection
from graph.types.nodes import Process, Task, Worker
from graph.types.usual import load_usual
from monitor import entities
from monitor.reading.pages import Page


async def load_with_rows(
    page: Page[entities.Process], info: GraphInfo, path: Sequence[str] = ("edges", "node")
) -> Connection[Process]:
    """The page as a connection; what is asked of its rows, under `path`, is loaded all at once."""
    show_details(info, page.items, details_asked(info, *path))
    loaders = info.context.loaders
    connection = Connection.of(page, Process.of)
    rows = [edge.node for edge in connection.edges]
    selected = selected_fields(info, *path)
    if "worker" in selected:
        workers = await loaders.workers_of.load([row.entity for row in rows])
        for row in rows:
            if (worker := workers.get(row.entity.worker_id)) is not None:
                row.loaded_worker = Worker.of(worker)
    await load_usual(info, rows, selected)
    if "currentTask" in selected:
        asked = details_asked(info, *path, "currentTask")
        reading = loaders.runs(details=asked > 0).current_tasks_of
        tasks = await reading.load([row.entity for row in rows])
        current = {row.id: task for row in rows if (task := tasks.get(row.id)) is not None}
        show_details(info, current.values(), asked)
        for row in rows:
            if (task := current.get(row.id)) is not None:
                row.loaded_current_task = Task.of(task)
    return connection
