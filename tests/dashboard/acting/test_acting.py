"""Acting on the dashboard: what it does to the API's world, for whom, and who may not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.factory import create_app
from app.settings import Settings
from dashboard.app import create_dashboard
from db.session import Database
from monitor.archiving import STEP_WORKERS, archive_finished
from monitor.entities import Liveness, ProcessStatus
from monitor.ids import new_id, pipeline_id
from monitor.processes import end_process, start_process
from monitor.workers import record_heartbeat
from tests.client import Client
from tests.conftest import READ_TOKEN, TOKEN
from tests.dashboard.door.doorway import client_of, sign_in
from tests.graph.live import serving_live
from tests.monitor.reports import register, replica
from tests.monitor.silence import judge_silent
from tests.servers import free_port
from tests.stored import a_worker, store

PASSWORD, ADMIN_PASSWORD = "to look with", "to look and act with"
OPERATOR = "10.0.0.7"
SHOWN = """
query ($id: ID!) {
  process(id: $id) { status details audit { role address action summary } }
}
"""


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[Client]:
    """The API on a port of its own, on both databases."""
    async with serving_live(create_app(settings)) as server, server.client() as client:
        yield client


@asynccontextmanager
async def visitor(
    url: str, given: str | None, *, token: str = TOKEN, is_open: bool = False
) -> AsyncIterator[httpx.AsyncClient]:
    """Who came to a dashboard of the API at `url`, and signed in with what is given."""
    app = create_dashboard(
        url.rstrip("/"),
        READ_TOKEN,
        password=None if is_open else PASSWORD,
        admin_password=None if is_open else ADMIN_PASSWORD,
        acting_token=token,
    )
    async with client_of(app, "http://dashboard:8050", OPERATOR) as client:
        if given is not None:
            assert (await sign_in(client, given)).status_code == 303
        yield client


@pytest.fixture
async def admin(api: Client) -> AsyncIterator[httpx.AsyncClient]:
    async with visitor(str(api.http.base_url), ADMIN_PASSWORD) as client:
        yield client


@pytest.fixture(scope="module")
async def without_api() -> AsyncIterator[httpx.AsyncClient]:
    """An administrator on the dashboard of an API that is gone."""
    async with visitor(f"http://127.0.0.1:{free_port()}", ADMIN_PASSWORD) as client:
        yield client


async def act(
    client: httpx.AsyncClient, action: str, id_: str, *, headers: Any = None, **more: Any
) -> tuple[int, str]:
    """The status, and what people are told."""
    sent = {"Origin": "http://dashboard:8050"} if headers is None else headers
    answer = await client.post("/act", json={"action": action, "id": id_, **more}, headers=sent)
    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    return answer.status_code, told.get("message") or told["detail"]


async def stalled_process(database: Database) -> tuple[str, str]:
    """The ids of a process that stalls, and of its worker."""
    transactions = replica(database)
    worker = await register(transactions)
    process, _ = await transactions.run(start_process, worker_id=worker.id)
    await judge_silent(database, transactions, worker.id)
    return process.id, worker.id


async def shown(api: Client, process_id: str) -> Any:
    return (await api.graphql(SHOWN, id=process_id))["process"]


async def test_a_stalled_process_is_ended_and_shows_by_whom_from_where_and_why(
    api: Client, admin: httpx.AsyncClient, database: Database
) -> None:
    process_id, _ = await stalled_process(database)
    told = await act(admin, "endProcess", process_id, reason="the machine\nis gone")
    assert told == (200, "The process was ended as ERROR.")
    reason = "Ended by an operator: the machine is gone"
    assert await shown(api, process_id) == {
        "status": "ERROR",
        "details": reason,
        "audit": [
            {
                "role": "dashboard admin",
                "address": OPERATOR,
                "action": "endProcess",
                "summary": f"ERROR: {reason}",
            }
        ],
    }


async def test_the_same_dialogue_again_is_the_same_act(
    api: Client, admin: httpx.AsyncClient, database: Database
) -> None:
    process_id, _ = await stalled_process(database)
    clicks = [act(admin, "endProcess", process_id, reason="gone", key="one") for _ in range(3)]
    for told in await asyncio.gather(*clicks):
        assert told == (200, "The process was ended as ERROR.")
    assert len((await shown(api, process_id))["audit"]) == 1
    said = "The process is not stalled: it has ended, as ERROR."
    assert await act(admin, "endProcess", process_id, reason="gone", key="two") == (409, said)
    status, said = await act(admin, "endProcess", process_id, reason="other", key="one")
    assert (status, said) == (409, "IdempotencyKey: was used before with another input.")
    assert len((await shown(api, process_id))["audit"]) == 1


async def test_a_process_that_is_not_stalled_any_more_is_left_alone(
    api: Client, admin: httpx.AsyncClient, database: Database
) -> None:
    process_id, worker_id = await stalled_process(database)
    transactions = replica(database)
    await transactions.run(record_heartbeat, worker_id=worker_id)
    said = "The process is not stalled: its worker is alive."
    assert await act(admin, "endProcess", process_id, reason="gone") == (409, said)
    await transactions.run(
        end_process, process_id=process_id, status=ProcessStatus.SUCCESS, details=None
    )
    said = "The process is not stalled: it has ended, as SUCCESS."
    assert await act(admin, "endProcess", process_id, reason="gone") == (409, said)
    assert (await shown(api, process_id))["audit"] == []
    told = await act(admin, "endProcess", new_id("process"), reason="gone")
    assert told == (404, "Process not found.")


async def test_a_worker_is_archived_unless_it_is_alive(
    admin: httpx.AsyncClient, database: Database
) -> None:
    gone, alive = a_worker(liveness=Liveness.LOST), a_worker()
    await store(database, gone, alive)
    assert await act(admin, "archiveWorker", gone.id) == (200, "1 worker was archived.")
    nothing = (409, "The worker is alive again, or was archived already.")
    assert await act(admin, "archiveWorker", gone.id) == nothing
    assert await act(admin, "archiveWorker", alive.id) == nothing
    assert await act(admin, "archiveWorker", new_id("worker")) == (404, "Worker not found.")


async def test_all_finished_workers_of_a_pipeline_are_archived(
    api: Client, admin: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The API answers after each step, so the dashboard has to ask again.
    monkeypatch.setitem(archive_defaults(), "seconds", 0)
    number = 2 * STEP_WORKERS + 1
    finished = [a_worker(name="job", liveness=Liveness.FINISHED) for _ in range(number)]
    await store(database, *finished, a_worker(name="job", liveness=Liveness.LOST))
    told = await act(admin, "archiveFinished", pipeline_id("job"))
    assert told == (200, f"{number} workers were archived.")
    told = await act(admin, "archiveFinished", pipeline_id("job"))
    assert told == (200, "There was nothing to archive.")
    unknown = await act(admin, "archiveFinished", pipeline_id("nobody"))
    assert unknown == (404, "Pipeline not found.")
    found = await api.graphql("{ audit { edges { node { role address action summary } } } }")
    assert [edge["node"]["summary"] for edge in found["audit"]["edges"]] == [
        *("1 worker", "250 workers", "250 workers")
    ]


FAILURE = "query ($id: ID!) { failure(id: $id) { status mutedUntil audit { role action } } }"


async def failed(database: Database) -> str:
    """The id of a failure that was seen once."""
    transactions = replica(database)
    worker = await register(transactions)
    process, _ = await transactions.run(start_process, worker_id=worker.id)
    ended = await transactions.run(
        end_process, process_id=process.id, status=ProcessStatus.ERROR, details="boom"
    )
    assert ended.failure_id is not None
    return ended.failure_id


async def test_a_failure_is_resolved_muted_and_reopened(
    api: Client, admin: httpx.AsyncClient, database: Database
) -> None:
    id_ = await failed(database)

    async def known() -> tuple[str, str | None]:
        found = (await api.graphql(FAILURE, id=id_))["failure"]
        return found["status"], found["mutedUntil"]

    said = "The failure is resolved. If it is seen again, it has regressed."
    assert await act(admin, "resolveFailure", id_) == (200, said)
    assert await known() == ("RESOLVED", None)
    assert await act(admin, "reopenFailure", id_) == (200, "The failure is open.")
    said = "The failure is muted: it is counted, and nobody is alerted."
    before = datetime.now(UTC)
    assert await act(admin, "muteFailure", id_, period="1d") == (200, said)
    status, until = await known()
    assert status == "MUTED"
    # Instants are told in milliseconds.
    day, slack = timedelta(days=1), timedelta(milliseconds=1)
    assert before + day - slack <= datetime.fromisoformat(until or "") <= datetime.now(UTC) + day
    assert await act(admin, "muteFailure", id_, period="ever") == (200, said)
    assert await known() == ("MUTED", None)
    audit = (await api.graphql(FAILURE, id=id_))["failure"]["audit"]
    acts = ["muteFailure", "muteFailure", "reopenFailure", "resolveFailure"]
    assert [entry["action"] for entry in audit] == acts
    assert {entry["role"] for entry in audit} == {"dashboard admin"}


async def test_a_failure_that_there_is_none_of_cannot_be_acted_on(
    admin: httpx.AsyncClient,
) -> None:
    for action, more in (
        ("resolveFailure", {}),
        ("muteFailure", {"period": "1h"}),
        ("reopenFailure", {}),
    ):
        told = await act(admin, action, "failure_1", **more)
        assert told == (404, "Failure not found.")


def archive_defaults() -> dict[str, Any]:
    defaults = archive_finished.__kwdefaults__
    assert defaults is not None
    return defaults


async def test_a_viewer_may_not_act(api: Client, database: Database) -> None:
    process_id, _ = await stalled_process(database)
    async with visitor(str(api.http.base_url), PASSWORD) as viewer:
        said = "Only who signed in with the administrator's password may do this."
        assert await act(viewer, "endProcess", process_id, reason="gone") == (403, said)
        assert (await viewer.get("/session")).json() == {"role": "viewer"}
    assert (await shown(api, process_id))["status"] == "RUNNING"


async def test_without_a_session_nobody_may_act(api: Client, database: Database) -> None:
    process_id, _ = await stalled_process(database)
    async with visitor(str(api.http.base_url), None) as stranger:
        told = await act(stranger, "endProcess", process_id, reason="gone")
        assert told == (401, "Sign in first.")
    async with visitor(str(api.http.base_url), None, is_open=True) as anybody:
        assert (await act(anybody, "endProcess", process_id, reason="gone"))[0] == 403
    assert (await shown(api, process_id))["status"] == "RUNNING"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "http://dashboard"},
        {"Origin": "http://dashboard:8051"},
        {"Origin": "http://evil.dashboard:8050"},
        {"Origin": "file://dashboard:8050"},
        {"Origin": "http://dashboard:8050", "Sec-Fetch-Site": "same-site"},
        {"Origin": "http://dashboard:8050", "Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_a_page_of_another_origin_may_not_act_with_the_session(
    without_api: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    worker = new_id("worker")
    said = "Only a page of this dashboard may ask for this."
    assert await act(without_api, "archiveWorker", worker, headers=headers) == (403, said)


async def test_a_browser_that_names_the_site_and_a_proxy_with_tls_are_taken(
    without_api: httpx.AsyncClient,
) -> None:
    headers = {"Origin": "https://dashboard:8050", "Sec-Fetch-Site": "same-origin"}
    told = await act(without_api, "archiveWorker", new_id("worker"), headers=headers)
    assert told == (503, "The API cannot be reached.")


async def test_what_cannot_be_asked_for_is_answered_by_field(
    without_api: httpx.AsyncClient,
) -> None:
    admin = without_api
    headers = {"Origin": "http://dashboard:8050", "Content-Type": "application/json"}
    answer = await admin.post("/act", content=b'{"action": "endProcess"}', headers=headers)
    assert (answer.status_code, answer.json()["field"]) == (400, "id")
    large = await admin.post("/act", content=b" " * 20_000, headers=headers)
    assert large.status_code == 413
    form = headers | {"Content-Type": "text/plain"}
    assert (await admin.post("/act", content=b"{}", headers=form)).status_code == 415
    for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS"):
        answer = await admin.request(method, "/act", headers=headers)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_a_token_that_may_only_read_is_said_to_be_the_fault(
    api: Client, database: Database
) -> None:
    process_id, _ = await stalled_process(database)
    url = str(api.http.base_url)
    for token in (READ_TOKEN, "a token that nobody knows"):
        async with visitor(url, ADMIN_PASSWORD, token=token) as admin:
            status, said = await act(admin, "endProcess", process_id, reason="gone")
            assert (status, "TOKEN" in said) == (503, True)
