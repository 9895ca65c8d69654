"""The demo's workers are believable, and report as real ones do."""

import json
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from app.demo_pipelines import PIPELINES, Pipeline, draw_hanging_run, draw_run, next_version
from app.demo_reports import Reports, Tally
from app.demo_workers import KILLED, Service, Silences
from tests.app.test_supervision import eventually
from tests.conftest import TOKEN
from tests.servers import MonitorServer, free_port


def test_the_same_seed_draws_the_same_runs() -> None:
    for pipeline in PIPELINES:
        assert draw_run(pipeline, Random(7)) == draw_run(pipeline, Random(7))


def test_a_run_ends_with_the_step_that_fails() -> None:
    random = Random(1)
    runs = [draw_run(pipeline, random) for pipeline in PIPELINES for _ in range(200)]
    failed = [run for run in runs if run[-1].error]
    assert 0 < len(failed) < len(runs) / 3
    assert all(not outcome.error for run in runs for outcome in run[:-1])
    told = json.loads(failed[0][-1].error or "")
    assert set(told) == {"task_name", "error_traceback", "error_message"}
    assert set(told["error_traceback"][0]) == {"file", "line", "method"}


def test_every_step_that_may_fail_tells_where_as_wpipe_does() -> None:
    """Its own frame first; the place is always the same, and the text has no holes left."""
    random = Random(2)
    places: dict[tuple[str, str], set[str]] = {}
    for pipeline in PIPELINES:
        for run in (draw_run(pipeline, random) for _ in range(500)):
            if run[-1].error is None:
                continue
            told = json.loads(run[-1].error)
            first, second, *_ = told["error_traceback"]
            assert first["method"] == "_task_invoke_with_report"
            assert second["file"].startswith(f"/srv/{pipeline.name}/steps/")
            assert "{" not in str(told["error_message"]) + first["file"]
            place = (pipeline.name, told["task_name"])
            places.setdefault(place, set()).add(json.dumps(told["error_traceback"]))
    failing = {(p.name, step.name) for p in PIPELINES for step in p.steps if step.failure}
    assert places.keys() == failing
    assert max(map(len, places.values())) == 2


def test_the_next_version_takes_longer_and_fails_less() -> None:
    def figures(pipeline: Pipeline) -> tuple[float, float]:
        steps = pipeline.steps
        return sum(step.seconds for step in steps), sum(step.failure for step in steps)

    def minor(pipeline: Pipeline) -> int:
        return int(pipeline.version.partition(".")[2])

    for pipeline in PIPELINES:
        after = next_version(pipeline)
        assert minor(after) == minor(pipeline) + 1
        assert [step.name for step in after.steps] == [step.name for step in pipeline.steps]
        (seconds, failures), (later, fewer) = figures(pipeline), figures(after)
        assert later > seconds
        assert fewer < failures


def test_a_step_that_hangs_takes_longer_than_usual_and_its_worker_is_not_lost() -> None:
    """Longer than 1.5 times the 99th percentile, but not three times that."""
    (pipeline,) = [pipeline for pipeline in PIPELINES if pipeline.accident == "hangs"]
    *before, hanging = draw_hanging_run(pipeline, Random(1))
    assert hanging.error is not None
    assert not any(outcome.error for outcome in before)
    for seed in range(20):
        random = Random(seed)
        # What the monitor knows after some runs; 4.4 % is what its histograms may be off.
        longest = max(
            outcome.seconds
            for _ in range(KILLED.first)
            for outcome in draw_run(pipeline, random)
            if outcome.step == hanging.step
        )
        assert 1.5 * longest * 1.044 < hanging.seconds < 3 * longest / 1.044


def test_silences_last_longer_than_the_monitor_waits_and_come_again() -> None:
    for seed in range(50):
        silences = Silences(Random(seed))
        assert silences.begin(19) == 0
        first = silences.begin(40)
        assert first >= 120
        assert silences.begin(40 + first + 59) == 0
        assert silences.begin(40 + first + 120) >= 120


class Kept(Reports):
    """Answers as the API does, and keeps what it is told."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.said: list[str] = []
        self.say = self.said.append
        self.told: list[tuple[str, dict[str, Any]]] = []

    async def send(self, path: str, **body: object) -> dict[str, Any]:
        self.told.append((path, body))
        return {"id": "worker", "father": "process", "sons": [{"id": "task"}]}


class Enough(Exception):
    """The end of a simulation."""


async def test_a_service_whose_network_was_gone_says_nothing_meanwhile_and_fails_a_step() -> None:
    reports, slept = Kept(), []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(reports.told) > 4:
            raise Enough

    always = Silences(Random(1), first=(0, 0))
    service = Service(3, reports, Random(2), silences=always, sleep=sleep)
    with pytest.raises(Enough):
        await service.run()
    assert [path for path, _ in reports.told] == [
        *("/matricula", "/newprocess"),
        *("/actualizar_task", "/actualizar_task", "/endprocess"),
    ]
    assert max(slept) >= 120
    failure = json.loads(str(reports.told[-2][1]["details"]))
    assert failure["error_message"] == "[Errno 110] Connection timed out"


def demo(folder: Path, *options: str, token: str = TOKEN) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app", "demo", *options],
        env={"PATH": "/usr/bin:/bin", "TOKEN": token, "MONITOR_DATA_DIR": str(folder)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


ASK = """{
  pipelines { edges { node {
    name counts { succeeded failed } versions { version }
    workers(first: 500) { edges { node { liveness counts { total } } } }
  } } }
  processes(first: 500, orderBy: {field: STARTED_AT, direction: ASC}) {
    edges { node { recovered } }
  }
  stalled: processes(filter: {stalled: true}) { edges { node {
    pipeline { name } progress currentTask { name }
  } } }
  tasks(first: 500, filter: {status: [ERROR]}) { edges { node { details } } }
}"""


def ask(server: MonitorServer) -> dict[str, list[Any]]:
    answer = httpx.post(
        f"{server.url}/graphql",
        json={"query": ASK},
        headers={"Authorization": f"Bearer {TOKEN}"},
    ).json()
    return {name: [edge["node"] for edge in c["edges"]] for name, c in answer["data"].items()}


def test_its_workers_do_over_rest_what_real_ones_do(tmp_path: Path) -> None:
    server = MonitorServer(tmp_path, {"TOKEN": TOKEN, "MONITOR_OFFLINE_AFTER_SECONDS": "1"})
    server.start()
    done = demo(tmp_path, "--url", server.url, "--speed", "200", "--seconds", "8")
    assert done.returncode == 0, done.stderr
    assert "12 programs" in done.stderr
    for said in (
        "price-crawler was killed in its step plan",
        "model-training hangs in its step fit",
        "got no answer to its start",
    ):
        assert said in done.stderr
    # The monitor is to notice by itself that the one that was killed is missing.
    eventually(lambda: "price-crawler" in [p["pipeline"]["name"] for p in ask(server)["stalled"]])
    told = ask(server)
    server.stop()
    pipelines = {pipeline["name"]: pipeline for pipeline in told["pipelines"]}
    assert set(pipelines) == {pipeline.name for pipeline in PIPELINES}
    assert all(pipeline["counts"]["succeeded"] for pipeline in pipelines.values())
    assert sum(pipeline["counts"]["failed"] for pipeline in pipelines.values()) > 0
    # Scripts register anew at each start, of their next version one day; loops do not.
    versions = {name: [v["version"] for v in p["versions"]] for name, p in pipelines.items()}
    assert versions["nightly-etl"] == ["v3.3", "v3.2"]
    assert versions["report-mailer"] == ["v1.0"]
    workers = {name: [e["node"] for e in p["workers"]["edges"]] for name, p in pipelines.items()}
    assert {worker["counts"]["total"] for worker in workers["nightly-etl"]} <= {0, 1}
    assert len(workers["nightly-etl"]) > 5
    assert len(workers["report-mailer"]) == 1
    (killed,) = [p for p in told["stalled"] if p["pipeline"]["name"] == "price-crawler"][-1:]
    assert (killed["progress"], killed["currentTask"]["name"]) == (0, "plan")
    assert any(process["recovered"] for process in told["processes"])
    failures = [json.loads(task["details"]) for task in told["tasks"]]
    assert all(failure["error_message"] for failure in failures)


def test_a_wrong_token_is_said_in_words(tmp_path: Path) -> None:
    server = MonitorServer(tmp_path, {"TOKEN": TOKEN})
    server.start()
    done = demo(tmp_path, "--url", server.url, token="wrong")
    server.stop()
    assert done.returncode == 1
    assert "Unauthorized" in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--url", f"http://127.0.0.1:{free_port()}"], "start `process-monitor up`"),
        (["--workers", "0"], "--workers: at least 1"),
        (["--speed", "0"], "--speed: above 0"),
    ],
)
def test_what_cannot_start_says_how_to_fix_it(
    tmp_path: Path, options: list[str], said: str
) -> None:
    done = demo(tmp_path, *options)
    assert done.returncode == 1
    assert said in done.stderr
