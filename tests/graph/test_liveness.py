"""The verdict about a worker's silence as clients read it: with its reason, and followed."""

from datetime import UTC, datetime, timedelta

import pytest

from db.session import Database
from monitor.entities import Liveness
from tests.client import Client
from tests.stored import a_worker, store

READ = "query ($id: ID!) { worker(id: $id) { status liveness livenessReason } }"


@pytest.mark.parametrize(
    ("verdict", "ago", "reason", "said"),
    [
        ("ALIVE", 12, None, "heard from 12 s ago"),
        ("ALIVE", 41, "step train usually takes up to 75 s", None),
        ("LOST", 7500, "it used to send heartbeats", "silent for 2 h 5 min; it used to send"),
        ("FINISHED", 61, "nothing of it runs", "silent for 1 min 1 s; nothing of it runs"),
    ],
)
async def test_a_verdict_is_explained_in_a_sentence(
    client: Client, database: Database, verdict: str, ago: int, reason: str | None, said: str | None
) -> None:
    # In the middle of a second: the answer takes less than the half of one.
    seen_at = datetime.now(UTC) - timedelta(seconds=ago - 0.4)
    worker = a_worker(
        liveness=Liveness(verdict),
        liveness_reason=reason,
        last_seen_at=seen_at,
        quiet_since=datetime.now(UTC) + timedelta(hours=1),
    )
    await store(database, worker)
    found = (await client.graphql(READ, id=worker.id))["worker"]
    assert (found["status"] == "ONLINE") == (verdict == "ALIVE")
    assert found["liveness"] == verdict
    assert found["livenessReason"].startswith(said or f"silent for {ago} s; {reason}")
