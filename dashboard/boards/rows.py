"""Nodes of the API as rows of the tables; the browser formats times and durations."""

from collections.abc import Iterable
from typing import Any

Node = dict[str, Any]
Row = dict[str, Any]


def by_id(nodes: Iterable[Node]) -> dict[str, Node]:
    """Nodes as boards hold them, in the order that the API gave them."""
    return {node["id"]: node for node in nodes}


def worker_row(node: Node) -> Row:
    """A row of the workers' table."""
    counts = node["counts"]
    ended = counts["succeeded"] + counts["failed"]
    return {
        "id": node["id"],
        "name": node["name"],
        "version": node["version"],
        "status": node["liveness"],
        "reason": _reason(node),
        "seen": node["lastSeenAt"],
        "total": counts["total"],
        "running": counts["running"],
        "succeeded": counts["succeeded"],
        "failed": counts["failed"],
        "share": counts["failed"] / ended if ended else None,
        "mean": node["averageRuntimeSeconds"],
    }


def _reason(worker: Node) -> str:
    """Why its silence is judged so, without how long it had been silent by then."""
    if worker["liveness"] == "ALIVE":
        return ""
    return str(worker["livenessReason"]).partition("; ")[2]


def process_row(node: Node, rank: str) -> Row:
    """A row of the processes' table; `rank` sorts as the list is ordered."""
    step = node["currentTask"]
    return {
        "id": node["id"],
        "status": state(node),
        "progress": node["progress"],
        "step": f"{step['position']} {step['name']}" if step else "",
        "started": node["startedAt"],
        # None: it runs, and the browser counts on.
        "runtime": node["runtimeSeconds"] if node["endedAt"] else None,
        "rank": rank,
    }


def task_row(node: Node) -> Row:
    """A row of the tasks' table."""
    runs = node["status"] == "RUNNING"
    return {
        "id": node["id"],
        "position": node["position"],
        "name": node["name"],
        "version": node["version"],
        "status": node["status"],
        "started": node["startedAt"],
        "ended": node["endedAt"],
        "runtime": None if runs else node["runtimeSeconds"],
    }


def state(process: Node) -> str:
    """Its status, or STALLED while it runs at a worker that is lost."""
    return "STALLED" if process["stalled"] else str(process["status"])
