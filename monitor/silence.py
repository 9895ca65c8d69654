"""The verdict about a worker's silence, said to people with its evidence."""

from datetime import datetime

from monitor.entities import Worker
from monitor.words import in_words

# What is said of one that is FINISHED.
NOTHING_RUNS = "nothing of it runs"


def explain(worker: Worker, now: datetime) -> str:
    """One sentence: `silent for 41 s; step train usually takes up to 75 s`."""
    silent = in_words(max(now, worker.last_seen_at) - worker.last_seen_at)
    if worker.liveness_reason is None:
        return f"heard from {silent} ago"
    return f"silent for {silent}; {worker.liveness_reason}"
