"""Failures of programs that fail in several ways, and what people make of them."""

from typing import Any

import httpx

from dashboard.address import FailureList
from dashboard.boards.failures import FailuresBoard
from dashboard.boards.mirror import Mirror
from tests.conftest import TOKEN
from tests.dashboard.reporter import Reporter, Run
from tests.servers import MonitorServer


def fail_with(reporter: Reporter, worker: str, message: str) -> Run:
    """A run whose first step says this, which alone tells its failure from others."""
    run = reporter.start(worker)
    reporter.report(run, 1, "start")
    reporter.report(run, 1, "error", message)
    reporter.end(run, "Task failed")
    return run


async def failures_of(mirror: Mirror, **wanted: Any) -> dict[str, str]:
    """The ids of failures by their titles."""
    board = FailuresBoard(FailureList(**wanted))
    await board.load(mirror.api)
    return {node["title"]: id_ for id_, node in board.nodes.items()}


def make_of(api: MonitorServer, mutation: str, failure: str) -> None:
    """Has a mutation of failures done."""
    query = f"mutation ($id: ID!) {{ {mutation}(id: $id) {{ id }} }}"
    answer = httpx.post(
        f"{api.url}/graphql",
        json={"query": query, "variables": {"id": failure}},
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=10,
    )
    assert "errors" not in answer.json()
