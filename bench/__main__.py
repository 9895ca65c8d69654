"""`make bench`: measures, prints a table, writes JSON. Names choose: `make bench ARGS="fanout"`."""

import argparse
import subprocess
import sys

import uvloop

from bench import fanout, history, latency, memory, page, profile, purge, reads, scale, writes
from bench.parts import HERE, Parts, parts
from bench.report import Figure, print_table, say, write_json

MEASURES = {
    "fanout": fanout.measure,
    "history": history.measure,
    "latency": latency.measure,
    "memory": memory.measure,
    "page": page.measure,
    "purge": purge.measure,
    "reads": reads.measure,
    "writes": writes.measure,
}


# What is measured only when it is named: an hour's work.
LONG = {"scale": scale.measure, "check": scale.measure_check}


async def measure_all(names: list[str], servers: Parts) -> list[Figure]:
    figures: list[Figure] = []
    for name in names:
        figures += await (MEASURES | LONG)[name](servers)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        choices=[*MEASURES, *LONG, "profile", []],
        help="what to measure (all but scale and check), or profile: where a report's time goes",
    )
    names = parser.parse_args().names or list(MEASURES)
    if "profile" in names:
        with parts() as servers:
            uvloop.run(profile.profile(servers))
        return
    if "fanout" in names and not (HERE / "node" / "node_modules").exists():
        say("installing the Node.js server to compare with")
        subprocess.run(["npm", "ci", "--loglevel=error"], cwd=HERE / "node", check=True)
    with parts() as servers:
        figures = uvloop.run(measure_all(names, servers))
    print_table(figures)
    sys.stdout.write(f"\nalso in {write_json(figures)}\n")


main()
