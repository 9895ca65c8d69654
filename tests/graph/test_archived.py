"""A worker that was silent for too long is out of the way, and there again when it reports."""

from datetime import UTC, datetime, timedelta

from db.session import Database
from monitor.entities import Liveness
from tests.client import Client
from tests.graph.test_filters import ids_of
from tests.stored import a_process, a_worker, store

ARCHIVED = "query ($id: ID!) { worker(id: $id) { archived status } }"


async def listed(client: Client) -> list[str]:
    rows = (await client.get("/dashboard_workers")).json()
    assert [row["id"] for row in rows] == await ids_of(client, "workers", {})
    return [row["id"] for row in rows]


async def test_an_archived_worker_is_in_no_list_until_it_reports(
    client: Client, database: Database
) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=40)
    worker = a_worker(
        liveness=Liveness.LOST, archived=True, registered_at=long_ago, last_seen_at=long_ago
    )
    process = a_process(worker, started_at=long_ago, stalled=True)
    await store(database, worker, process)

    assert await listed(client) == []
    assert await ids_of(client, "workers", {"ids": [worker.id]}) == []
    found = (await client.graphql(ARCHIVED, id=worker.id))["worker"]
    assert found == {"archived": True, "status": "OFFLINE"}
    assert await ids_of(client, "processes", {"workerIds": [worker.id]}) == [process.id]

    assert (await client.post("/healthchecker", {"id": worker.id})).status_code == 200
    assert await listed(client) == [worker.id]
    found = (await client.graphql(ARCHIVED, id=worker.id))["worker"]
    assert found == {"archived": False, "status": "ONLINE"}
