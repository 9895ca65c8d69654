"""What the product makes of real scripts that start, take their time, end or are killed."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from db.session import Database
from monitor.ids import pipeline_id
from monitor.upkeep.counters import check_counters
from tests.conftest import TOKEN
from tests.servers import MonitorServer

LIMIT_SECONDS = 3
DEADLINE_SECONDS = 30
PIPELINES = """
query ($id: ID!) { pipelines { edges { node {
  name version failing averageRuntimeSeconds
  workerCounts { total alive finished lost } counts { total running succeeded failed }
  processes(first: 100) { edges { node { status version stalled tasks { status } } } }
} } }
workers(first: 100, filter: { pipelineIds: [$id] }) {
  edges { node { version liveness livenessReason } }
} }
"""
FOLLOW = "subscription ($a: String) { workers(after: $a) { worker { id name liveness } } }"
WORKER = """
query ($id: ID!) { worker(id: $id) {
  status liveness livenessReason processes(first: 1) { edges { node { status stalled } } }
} }
"""


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[MonitorServer]:
    settings = {
        "DATABASE_URL": database_url,
        "TOKEN": TOKEN,
        "MONITOR_OFFLINE_AFTER_SECONDS": str(LIMIT_SECONDS),
        "MONITOR_SILENT_STEP_SECONDS": str(LIMIT_SECONDS),
    }
    server = MonitorServer(tmp_path / "monitor", settings)
    server.start()
    yield server
    server.stop()


@contextmanager
def script(
    server: MonitorServer, folder: Path, name: str, version: str, seconds: float, starts: int = 1
) -> Iterator["subprocess.Popen[str]"]:
    """The script, killed at the end of the block if it runs then."""
    program = str(Path(__file__).parent / "script.py")
    arguments = [server.url, TOKEN, name, version, str(seconds), str(starts)]
    with subprocess.Popen(
        [sys.executable, program, *arguments], cwd=folder, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def run(process: "subprocess.Popen[str]") -> None:
    """Waits for its good end."""
    process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 0


def begun(process: "subprocess.Popen[str]") -> None:
    """Returns when its step has begun."""
    assert process.stdout is not None
    while (line := process.stdout.readline()) and "begun" not in line:
        pass
    assert line


def query(server: MonitorServer, text: str, **variables: Any) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    body = {"query": text, "variables": variables}
    answer = httpx.post(f"{server.url}/graphql", json=body, headers=headers).json()
    assert "errors" not in answer, answer
    data: dict[str, Any] = answer["data"]
    return data


def until_silent(server: MonitorServer, worker_id: str) -> dict[str, Any]:
    """The worker once its silence was looked at; that is no change, so nobody is told of it."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        worker: dict[str, Any] = query(server, WORKER, id=worker_id)["worker"]
        if worker["livenessReason"].startswith("silent for "):
            return worker
        assert time.monotonic() < deadline, worker
        time.sleep(0.1)


@dataclass
class Verdicts:
    """What was told of workers, in order: the verdicts of each that differ from the one before."""

    socket: ClientConnection
    of: dict[str, list[str]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def until(self, happened: Callable[[], bool]) -> None:
        """Listens until that is so."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not happened():
            message = json.loads(self.socket.recv(timeout=deadline - time.monotonic()))
            if message["type"] != "ping":
                worker = message["payload"]["data"]["workers"]["worker"]
                self.names[worker["id"]] = worker["name"]
                told = self.of.setdefault(worker["id"], [])
                if told[-1:] != [worker["liveness"]]:
                    told.append(worker["liveness"])

    def latest(self, name: str) -> list[str]:
        return [self.of[id_][-1] for id_ in self.ids(name)]

    def ids(self, name: str) -> list[str]:
        return [id_ for id_, known in self.names.items() if known == name]


@contextmanager
def following(server: MonitorServer) -> Iterator[Verdicts]:
    """What is told of workers from now on."""
    cursor = query(server, "{ feedCursor }")["feedCursor"]
    url = server.url.replace("http", "ws") + "/graphql"
    with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
        payload: dict[str, Any] = {"Authorization": f"Bearer {TOKEN}"}
        socket.send(json.dumps({"type": "connection_init", "payload": payload}))
        assert json.loads(socket.recv())["type"] == "connection_ack"
        payload = {"query": FOLLOW, "variables": {"a": cursor}}
        socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
        yield Verdicts(socket)


async def test_forty_starts_under_two_versions_are_one_pipeline(
    server: MonitorServer, database: Database, tmp_path: Path
) -> None:
    with following(server) as told:
        for version in ("v1", "v2"):
            with script(server, tmp_path, "nightly-etl", version, 0.01, starts=20) as process:
                run(process)
        told.until(lambda: told.latest("nightly-etl") == ["FINISHED"] * 40)

    found = query(server, PIPELINES, id=pipeline_id("nightly-etl"))
    (edge,) = found["pipelines"]["edges"]
    pipeline = edge["node"]
    assert (pipeline["name"], pipeline["version"]) == ("nightly-etl", "v2")
    assert pipeline["failing"] is False
    assert pipeline["workerCounts"] == {"total": 40, "alive": 0, "finished": 40, "lost": 0}
    assert pipeline["counts"] == {"total": 40, "running": 0, "succeeded": 40, "failed": 0}
    assert pipeline["averageRuntimeSeconds"] > 0.01
    workers = [edge["node"] for edge in found["workers"]["edges"]]
    assert [worker["version"] for worker in workers] == ["v1"] * 20 + ["v2"] * 20
    assert all(w["livenessReason"].endswith("; nothing of it runs") for w in workers)
    runs = [edge["node"] for edge in pipeline["processes"]["edges"]]
    assert [run["version"] for run in runs] == ["v2"] * 20 + ["v1"] * 20
    assert all(run["tasks"] == [{"status": "SUCCESS"}] for run in runs)
    assert await check_counters(database, repair=False) == []


@pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)
async def test_a_long_step_is_no_silence_a_killed_script_is_lost_and_one_that_ended_finished(
    server: MonitorServer, database: Database, tmp_path: Path
) -> None:
    with script(server, tmp_path, "train", "v1", 2, starts=5) as usual:
        run(usual)
    with (
        following(server) as told,
        script(server, tmp_path, "train", "v1", 5) as long,
        script(server, tmp_path, "victim", "v1", 600) as victim,
    ):
        begun(long)
        begun(victim)
        victim.kill()
        told.until(lambda: "ALIVE" in told.latest("train"))
        (training,) = [id_ for id_ in told.ids("train") if told.of[id_] == ["ALIVE"]]
        alive = until_silent(server, training)
        told.until(lambda: told.latest("victim") == ["LOST"])
        run(long)
        told.until(lambda: told.of[training][-1] == "FINISHED")
        assert told.of[training] == ["ALIVE", "FINISHED"]

    assert (alive["status"], alive["liveness"]) == ("ONLINE", "ALIVE")
    assert "; step work usually takes up to " in alive["livenessReason"]
    (lost,) = told.ids("victim")
    found = query(server, WORKER, id=lost)["worker"]
    assert (found["status"], found["liveness"]) == ("OFFLINE", "LOST")
    assert "how long step work usually takes is not known yet" in found["livenessReason"]
    assert found["processes"]["edges"] == [{"node": {"status": "RUNNING", "stalled": True}}]
    ended = query(server, WORKER, id=training)["worker"]
    assert ended["processes"]["edges"] == [{"node": {"status": "SUCCESS", "stalled": False}}]
    assert await check_counters(database, repair=False) == []
