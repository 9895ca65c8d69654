"""Runs real `wpipe` pipelines in the current folder: `python pipelines.py URL TOKEN KIND`.

A program of its own, since wpipe writes files where it runs and prints progress.
"""

import json
import sys
import threading
from typing import Any

from wpipe import Pipeline


def extract(data: dict[str, Any]) -> dict[str, Any]:
    del data
    return {"rows": 3}


def transform(data: dict[str, Any]) -> dict[str, Any]:
    return {"total": data["rows"] * 2}


def fail(data: dict[str, Any]) -> dict[str, Any]:
    raise ValueError(f"no table for {data['rows']} rows: 'ñandú' 🚀")


def run(url: str, token: str, *, second: Any = transform, runs: int = 1) -> str:
    """The id of the worker that ran the pipeline so many times."""
    pipeline = Pipeline(
        api_config={"base_url": url, "token": token}, worker_name="nightly", show_progress=False
    )
    steps = [(extract, "extract", "v1.0"), (second, "transform", "v1.1"), (extract, "load", "v2")]
    pipeline.set_steps(steps)
    registered = pipeline.worker_register("nightly", "v3.0")
    assert registered is not None
    for _ in range(runs):
        try:
            pipeline.run({})
        except ValueError:
            assert second is fail
    return str(registered["id"])


def main() -> None:
    url, token, kind = sys.argv[1:]
    workers: list[str] = []
    match kind:
        case "good":
            workers.append(run(url, token))
        case "failing":
            workers.append(run(url, token, second=fail))
        case "three":
            workers.append(run(url, token, runs=3))
        case "threads":
            threads = [
                threading.Thread(target=lambda: workers.append(run(url, token, runs=5)))
                for _ in range(8)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    sys.stdout.write("\n" + json.dumps(workers))


if __name__ == "__main__":
    main()
