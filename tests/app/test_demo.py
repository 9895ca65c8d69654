"""The demo's workers are believable, and report as real ones do."""

import json
import subprocess
import sys
from pathlib import Path
from random import Random

import httpx
import pytest

from app.demo_pipelines import PIPELINES, draw_run
from app.demo_workers import Silences
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


def test_silences_last_longer_than_the_monitor_waits_and_come_again() -> None:
    for seed in range(50):
        silences = Silences(Random(seed))
        assert silences.begin(19) == 0
        first = silences.begin(40)
        assert first >= 120
        assert silences.begin(40 + first + 59) == 0
        assert silences.begin(40 + first + 120) >= 120


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


def test_its_workers_report_over_rest_and_some_runs_fail(tmp_path: Path) -> None:
    server = MonitorServer(tmp_path, {"TOKEN": TOKEN})
    server.start()
    done = demo(tmp_path, "--url", server.url, "--workers", "8", "--speed", "200", "--seconds", "3")
    assert done.returncode == 0, done.stderr
    assert "8 workers" in done.stderr
    query = """{ workers { edges { node { name counts { succeeded failed } } } }
        tasks(filter: {status: [ERROR]}) { edges { node { details } } } }"""
    told = httpx.post(
        f"{server.url}/graphql",
        json={"query": query},
        headers={"Authorization": f"Bearer {TOKEN}"},
    ).json()["data"]
    server.stop()
    workers = [edge["node"] for edge in told["workers"]["edges"]]
    assert {worker["name"] for worker in workers} == {pipeline.name for pipeline in PIPELINES}
    assert all(worker["counts"]["succeeded"] for worker in workers)
    assert sum(worker["counts"]["failed"] for worker in workers) > 0
    failures = [json.loads(edge["node"]["details"]) for edge in told["tasks"]["edges"]]
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
