"""Reports as workers send them over REST."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

STEPS = ("extract", "transform", "load")


@dataclass
class Run:
    """A started process and its tasks."""

    id: str
    tasks: list[str]


class Reporter:
    """One program that runs pipelines of three steps."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def register(self, name: str, steps: Sequence[str] = STEPS, version: str = "v1") -> str:
        tasks = [{"name": step, "version": version} for step in steps]
        return str(self._post("matricula", name=name, version=version, tasks=tasks)["id"])

    def start(self, worker: str) -> Run:
        told = self._post("newprocess", id=worker)
        return Run(told["father"], [son["id"] for son in told["sons"]])

    def report(self, run: Run, position: int, status: str, details: str | None = None) -> None:
        said = {} if details is None else {"details": details}
        self._post("actualizar_task", task_id=run.tasks[position - 1], status=status, **said)

    def end(self, run: Run, details: str = "") -> None:
        self._post("endprocess", id=run.id, details=details)

    def succeed(self, worker: str) -> Run:
        """A whole run without a fault."""
        run = self.start(worker)
        for position in range(1, len(STEPS) + 1):
            self.report(run, position, "start")
            self.report(run, position, "success")
        self.end(run)
        return run

    def fail(self, worker: str, message: str) -> Run:
        """A run whose second step fails as `wpipe` says it."""
        run = self.start(worker)
        self.report(run, 1, "start")
        self.report(run, 1, "success")
        self.report(run, 2, "start")
        frames = [{"file": "/srv/etl/transform.py", "line": 112, "method": "normalise"}]
        told = {"task_name": "transform", "error_traceback": frames, "error_message": message}
        self.report(run, 2, "error", json.dumps(told))
        self.end(run, json.dumps({"message": message, "error_code": 5}))
        return run

    def _post(self, route: str, **body: object) -> dict[str, Any]:
        response = self._http.post(f"/{route}", json=body)
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer
