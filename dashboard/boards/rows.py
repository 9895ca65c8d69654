"""Nodes of the API as rows of the tables; the browser formats times and durations."""

from collections.abc import Iterable
from datetime import datetime
from operator import itemgetter
from typing import Any

Node = dict[str, Any]
Row = dict[str, Any]


def by_id(nodes: Iterable[Node]) -> dict[str, Node]:
    """Nodes as boards hold them, in the order that the API gave them."""
    return {node["id"]: node for node in nodes}


def pipeline_row(node: Node) -> Row:
    """A row of the pipelines' table."""
    runs = node["recentProcesses"]
    outcomes, runtime, counts = node["outcomes"], node["runtime"], node["workerCounts"]
    return {
        "id": node["id"],
        "name": node["name"],
        "status": pipeline_state(node),
        "running": node["counts"]["running"],
        "lost": counts["lost"],
        "stalled": node["stalledProcesses"],
        "ended": _latest_end(runs, failing=node["failing"]),
        "ticks": [tick(run) for run in reversed(runs)],
        "share": outcomes["successRate"],
        "ends": outcomes["succeeded"] + outcomes["failed"],
        "p50": runtime["p50Seconds"],
        "p95": runtime["p95Seconds"],
        "alive": counts["alive"],
        "started": runs[0]["startedAt"] if runs else None,
    }


def pipeline_state(node: Node) -> str:
    """What is the matter with it, the worst first; IDLE while it has run nothing yet."""
    if node["workerCounts"]["lost"]:
        return "LOST"
    if node["failing"]:
        return "ERROR"
    if node["counts"]["running"]:
        return "RUNNING"
    return "SUCCESS" if node["counts"]["succeeded"] else "IDLE"


def tick(run: Node) -> Row:
    """A run as a mark of its outcome."""
    return {
        "id": run["id"],
        "status": state(run),
        "started": run["startedAt"],
        "runtime": run["runtimeSeconds"] if run["endedAt"] else None,
    }


def _latest_end(runs: list[Node], *, failing: bool) -> Row | None:
    """Of what ended last; None where none of the latest did, or others started before these."""
    last = max((run for run in runs if run["endedAt"]), key=itemgetter("endedAt"), default=None)
    if last is None or failing is not (last["status"] == "ERROR"):
        return None
    return {"status": last["status"], "at": last["endedAt"]}


def failure_row(node: Node, *, is_new: bool) -> Row:
    """A row of the failures' table; what events do not tell is known a moment later."""
    pipeline, hours = node.get("pipeline"), node.get("hours", [])
    return {
        "id": node["id"],
        "title": node["title"],
        "status": node["status"],
        "new": is_new,
        "mutedUntil": node["mutedUntil"],
        "pipeline": pipeline["name"] if pipeline else "",
        "pipelineId": pipeline["id"] if pipeline else None,
        "step": node["step"] or "",
        "count": node["count"],
        "hours": [slot["count"] for slot in hours],
        "hoursSince": hours[0]["at"] if hours else None,
        "first": node["firstSeenAt"],
        "last": node["lastSeenAt"],
        "firstVersion": node["firstVersion"],
        "lastVersion": node["lastVersion"],
    }


def worker_row(node: Node) -> Row:
    """A row of the workers' table."""
    counts = node["counts"]
    return {
        "id": node["id"],
        "name": node["name"],
        "version": node["version"],
        "status": node["liveness"],
        "reason": reason(node),
        "registered": node["registeredAt"],
        "seen": node["lastSeenAt"],
        "total": counts["total"],
        "running": counts["running"],
        "failed": counts["failed"],
        "mean": node["averageRuntimeSeconds"],
    }


def reason(worker: Node) -> str:
    """Why its silence is judged so, without how long it had been silent by then."""
    if worker["liveness"] == "ALIVE":
        return ""
    return str(worker["livenessReason"]).partition("; ")[2]


def process_row(node: Node) -> Row:
    """A row of the processes' table."""
    step = node["currentTask"]
    return {
        "id": node["id"],
        # Known a moment after it was told.
        "pipeline": node["pipeline"]["name"] if node.get("pipeline") else "",
        "status": state(node),
        "progress": node["progress"],
        "step": f"{step['position']} {step['name']}" if step else "",
        "version": node["version"],
        "started": node["startedAt"],
        # None: it runs, and the browser counts on.
        "runtime": node["runtimeSeconds"] if node["endedAt"] else None,
    }


def task_row(node: Node, process_ended_at: str | None) -> Row:
    """A row of the tasks' table; what ran when the process ended took until then, as is known."""
    took, status, usual = node["runtimeSeconds"], node["status"], node["usualRuntime"]
    if status == "RUNNING":
        took = _seconds(node["startedAt"], process_ended_at) if process_ended_at else None
        status = "OVERTIME" if node["overtime"] and took is None else status
    if status == "PENDING" and process_ended_at:  # it will not run any more
        usual = None
    return {
        "id": node["id"],
        "position": node["position"],
        "name": node["name"],
        "version": node["version"],
        "status": status,
        "started": node["startedAt"],
        "ended": node["endedAt"],
        "runtime": took,
        # Seconds.
        "usual": usual and {"p50": usual["p50Seconds"], "p95": usual["p95Seconds"]},
    }


def _seconds(since: str, until: str) -> float:
    length = datetime.fromisoformat(until) - datetime.fromisoformat(since)
    return max(0.0, length.total_seconds())


def state(process: Node) -> str:
    """Its status; of what runs STALLED at a worker that is lost, else OVERTIME where it is."""
    if process["stalled"]:
        return "STALLED"
    return "OVERTIME" if process["overtime"] else str(process["status"])
