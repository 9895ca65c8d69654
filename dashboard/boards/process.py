"""The board of one process with its tasks."""

import time
from typing import Any

from dashboard.api import Api, Refused
from dashboard.boards.board import Board, Event, Subscription, newer
from dashboard.boards.rows import Node, Row, by_id, task_row

# The expected end is put off while a step takes longer than it usually does, which nobody tells.
EXPECTED_SECONDS = 15.0


class ProcessBoard(Board):
    """One process with its tasks.

    The API answers 16 MiB of details at most. Where the tasks have more, it is asked for those of
    the first one that failed; the others' are known once they change (`has_all_details`).
    """

    ages = True

    def __init__(self, process: str) -> None:
        super().__init__()
        self.id = process
        self.process: Node | None = None
        self.tasks: dict[str, Node] = {}
        # Made once for all tabs; a task may be one of thousands.
        self.rows: dict[str, Row] = {}
        self.has_all_details = True
        # Who ran it; None while that is not known, or there is no such process.
        self.worker: Node | None = None
        self.pipeline: Node | None = None
        # What it failed alike with; None while it did not.
        self.failure: Node | None = None
        self._expected_at = 0.0  # when its end was asked for

    @property
    def subscriptions(self) -> list[Subscription]:
        variables = {"process": self.id}
        told = [
            Subscription("task_changes", variables, self._apply_task),
            Subscription("process_state", variables, self._apply_process),
        ]
        if self.failure:
            of_failure = {"filter": {"ids": [self.failure["id"]]}}
            told.append(Subscription("failure_changes", of_failure, self._apply_failure))
        return told

    @property
    def failed(self) -> Node | None:
        """The first task that failed."""
        failed = (task for task in self.tasks.values() if task["status"] == "ERROR")
        return min(failed, key=lambda task: int(task["position"]), default=None)

    async def load(self, api: Api) -> None:
        data, has_all_details = await self._ask(api)
        process = data["process"]
        if process is not None:
            self.worker, self.pipeline = process.pop("worker"), process.pop("pipeline")
            self.failure = process.pop("failure")
            self.tasks = by_id(process.pop("tasks"))
            self.rows = {id_: task_row(t, process["endedAt"]) for id_, t in self.tasks.items()}
            self.drawings.pop("reports", None)  # which knows tasks by their revisions
            if not has_all_details:
                await self._load_details_of_failure(api)
        self.process, self.has_all_details = process, has_all_details
        self._expected_at = time.monotonic()
        self.cursor, self.is_loaded = data["feedCursor"], True

    async def _ask(self, api: Api) -> tuple[dict[str, Any], bool]:
        """What the API knows, and whether the details of all tasks are in it. Raises ApiGone."""
        try:
            return await api.query("process", id=self.id, details=True), True
        except Refused:
            # Refused without them, too: they were not the reason.
            return await api.query("process", id=self.id, details=False), False

    async def _load_details_of_failure(self, api: Api) -> None:
        for task in self.tasks.values():
            task["details"] = None
        if failed := self.failed:
            data = await api.query("task_details", id=failed["id"])
            failed["details"] = data["task"] and data["task"]["details"]

    def age(self) -> bool:
        due_at = self._expected_at + EXPECTED_SECONDS
        if self.process and self.process["expectedEndAt"] and time.monotonic() >= due_at:
            self.incomplete.set()
        return False

    async def complete(self, api: Api) -> None:
        """Asks when it is expected to end. Raises ApiGone."""
        self._expected_at = time.monotonic()
        data = await api.query("expected_end", id=self.id)
        if data["process"] and self.process:
            self.process = self.process | data["process"]

    def _apply_task(self, event: Event) -> None:
        node = event["node"]
        if event["kind"] == "REMOVED":
            self.tasks.pop(node["id"], None)
            self.rows.pop(node["id"], None)
        elif newer(self.tasks.get(node["id"]), node):
            self.tasks[node["id"]] = node
            self.rows[node["id"]] = task_row(node, self._ended_at)

    @property
    def _ended_at(self) -> str | None:
        return self.process["endedAt"] if self.process else None

    def _apply_process(self, event: Event) -> None:
        if event["kind"] == "REMOVED":
            self.process = None
        elif self.process is None:
            self.stale.set()  # what is told is only a part of it
        elif newer(self.process, event["node"]):
            before = self.process
            self.process = before | event["node"]
            # Events are many, and each would look through the steps that are left.
            self.incomplete.set()
            if any(before.get(name) != self.process[name] for name in ("endedAt", "stalled")):
                # Who ended it, and what is made of its worker, is not told with it.
                self.stale.set()

    def _apply_failure(self, event: Event) -> None:
        if event["kind"] != "REMOVED" and newer(self.failure, event["node"]):
            self.failure = event["node"]
