"""A script as users of `wpipe` have it: `python script.py URL TOKEN NAME VERSION SECONDS STARTS`.

Registers, runs one step that takes so many seconds, and is done. Of several starts each registers
anew, as it does from cron; eight at a time, since a program for each would take its time. Says when
a step begins.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from wpipe import Pipeline


def start(url: str, token: str, name: str, version: str, seconds: float) -> None:
    def work(data: dict[str, Any]) -> dict[str, Any]:
        sys.stdout.write("begun\n")
        sys.stdout.flush()
        time.sleep(seconds)  # this is the work
        return data

    pipeline = Pipeline(
        api_config={"base_url": url, "token": token}, worker_name=name, show_progress=False
    )
    pipeline.set_steps([(work, "work", version)])
    assert pipeline.worker_register(name, version) is not None
    pipeline.run({})


def main() -> None:
    url, token, name, version, seconds, starts = sys.argv[1:]
    with ThreadPoolExecutor(8) as threads:
        running = [
            threads.submit(start, url, token, name, version, float(seconds))
            for _ in range(int(starts))
        ]
    for each in running:
        each.result()


if __name__ == "__main__":
    main()
