"""The README's examples work as printed, in order."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.servers import MonitorServer

ROOT = Path(__file__).parents[2]


def blocks(language: str) -> list[str]:
    """The README's code in this language."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def test_the_examples_work_as_printed(tmp_path: Path) -> None:
    # A token made at the first start, as for a newcomer; the data folder is the only help.
    server = MonitorServer(tmp_path, {})
    server.start()
    env = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "MONITOR_DATA_DIR": str(tmp_path / "data"),
    }

    def run(*shell: str) -> str:
        script = "\n".join(("set -e", *shell)).replace("127.0.0.1:8418", f"127.0.0.1:{server.port}")
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    _, first_steps, read_over_graphql = blocks("sh")
    (worker,) = blocks("python")
    (tmp_path / "worker.py").write_text(
        worker.replace("127.0.0.1:8418", f"127.0.0.1:{server.port}")
    )
    version, summary = run(first_steps.replace("\ncurl", "\necho; curl")).split("\n")[1:]
    assert json.loads(version) == {"version": "v1.1"}
    assert json.loads(summary)["data"]["summary"]["workersOnline"] == 0
    token = first_steps.splitlines()[0]
    run(token, "python worker.py")
    (edge,) = json.loads(run(token, read_over_graphql))["data"]["workers"]["edges"]
    (process,) = edge["node"]["processes"]["edges"]
    assert edge["node"]["name"] == "nightly"
    assert process["node"]["status"] == "SUCCESS"
    assert [task["status"] for task in process["node"]["tasks"]] == ["SUCCESS", "SUCCESS"]
    server.stop()
