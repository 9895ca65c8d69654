"""The real `wpipe` package, unchanged, against a real server."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import TOKEN
from tests.e2e.lossy import Loss, losing
from tests.servers import MonitorServer

QUERY = """
query ($worker: ID!) { worker(id: $worker) {
  name version status counts { total running succeeded failed }
  taskDefinitions { name version position }
  processes(first: 50) { edges { node {
    status progress details endedAt recovered failure { step title status count }
    tasks { name version position status details startedAt endedAt }
  } } }
} }
"""


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[MonitorServer]:
    """`process-monitor serve` on SQLite and on MariaDB."""
    server = MonitorServer(tmp_path / "monitor", {"DATABASE_URL": database_url, "TOKEN": TOKEN})
    server.start()
    yield server
    server.stop()


def run_pipelines(
    server: MonitorServer, kind: str, folder: Path, url: str | None = None
) -> list[dict[str, Any]]:
    """The workers as GraphQL tells of them after the pipelines ran, against `url` if given."""
    script = Path(__file__).parent / "pipelines.py"
    command = [sys.executable, str(script), url or server.url, TOKEN, kind]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [read(server, worker) for worker in json.loads(done.stdout.splitlines()[-1])]


def read(server: MonitorServer, worker: str) -> dict[str, Any]:
    body = {"query": QUERY, "variables": {"worker": worker}}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = httpx.post(f"{server.url}/graphql", json=body, headers=headers).json()
    assert "errors" not in answer, answer
    found: dict[str, Any] = answer["data"]["worker"]
    return found


def test_a_good_run_is_read_over_graphql_as_it_was(server: MonitorServer, tmp_path: Path) -> None:
    (worker,) = run_pipelines(server, "good", tmp_path)

    assert (worker["name"], worker["version"], worker["status"]) == ("nightly", "v3.0", "ONLINE")
    assert worker["counts"] == {"total": 1, "running": 0, "succeeded": 1, "failed": 0}
    process = worker["processes"]["edges"][0]["node"]
    assert (process["status"], process["progress"], process["details"]) == ("SUCCESS", 1, None)
    steps = [(t["position"], t["name"], t["version"], t["status"]) for t in process["tasks"]]
    assert steps == [
        (1, "extract", "v1.0", "SUCCESS"),
        (2, "transform", "v1.1", "SUCCESS"),
        (3, "load", "v2", "SUCCESS"),
    ]


def test_a_step_that_raises_keeps_its_error_and_leaves_the_next_pending(
    server: MonitorServer, tmp_path: Path
) -> None:
    (worker,) = run_pipelines(server, "failing", tmp_path)

    assert worker["counts"] == {"total": 1, "running": 0, "succeeded": 0, "failed": 1}
    process = worker["processes"]["edges"][0]["node"]
    assert process["status"] == "ERROR"
    assert [task["status"] for task in process["tasks"]] == ["SUCCESS", "ERROR", "PENDING"]
    message = "no table for 3 rows: 'ñandú' 🚀"
    reported = json.loads(process["tasks"][1]["details"])
    assert reported["error_message"] == message
    assert reported["error_traceback"][-1]["method"] == "fail"
    assert message in json.loads(process["details"])["message"]
    assert process["tasks"][2]["startedAt"] is None
    assert process["failure"] == {
        "step": "transform",
        "title": "no table for <n> rows: <str> 🚀",
        "status": "OPEN",
        "count": 1,
    }


def test_eight_threads_of_five_runs_each_lose_nothing(
    server: MonitorServer, tmp_path: Path
) -> None:
    workers = run_pipelines(server, "threads", tmp_path)

    assert len(workers) == 8
    for worker in workers:
        assert worker["counts"] == {"total": 5, "running": 0, "succeeded": 5, "failed": 0}
        for edge in worker["processes"]["edges"]:
            tasks = edge["node"]["tasks"]
            assert [task["status"] for task in tasks] == ["SUCCESS"] * 3
            assert all(task["startedAt"] <= task["endedAt"] for task in tasks)


@pytest.mark.parametrize("loss", ["request", "answer"])
def test_a_run_whose_start_was_lost_is_there_and_the_one_before_untouched(
    server: MonitorServer, tmp_path: Path, loss: Loss
) -> None:
    with losing(server.url, {2: loss}) as proxy:
        (worker,) = run_pipelines(server, "three", tmp_path, proxy.url)

    assert worker["counts"] == {"total": 3, "running": 0, "succeeded": 3, "failed": 0}
    runs = [edge["node"] for edge in worker["processes"]["edges"]]
    assert [run["recovered"] for run in runs] == [False, True, False]  # the newest first
    for run in runs:
        assert (run["status"], run["progress"]) == ("SUCCESS", 1)
        assert [task["status"] for task in run["tasks"]] == ["SUCCESS"] * 3
    newest, lost, first = runs
    assert first["endedAt"] <= lost["tasks"][0]["startedAt"]
    assert lost["endedAt"] <= newest["tasks"][0]["startedAt"]


def test_workers_go_on_when_every_start_is_lost(server: MonitorServer, tmp_path: Path) -> None:
    """Without any ids a run cannot be reported; the script must end well all the same."""
    with losing(server.url, {1: "request", 2: "answer", 3: "request"}) as proxy:
        (worker,) = run_pipelines(server, "three", tmp_path, proxy.url)
    # Nobody can tell that the one that was stored is over: it stays, and will be called silent.
    assert worker["counts"] == {"total": 1, "running": 1, "succeeded": 0, "failed": 0}
