"""API and dashboard as programs of their own: settings, tokens and addresses come through."""

import time
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import READ_TOKEN, TOKEN
from tests.servers import DashboardServer, MonitorServer

SHOWN = """
query ($id: ID!) {
  process(id: $id) { status stalled audit { role address action summary } }
}
"""
TOKENS = {"TOKEN": TOKEN, "READ_TOKEN": READ_TOKEN}


def shown(http: httpx.Client, process_id: str) -> Any:
    body = {"query": SHOWN, "variables": {"id": process_id}}
    return http.post("/graphql", json=body).json()["data"]["process"]


def stalled_process(http: httpx.Client) -> str:
    """The process of a worker that sent a heartbeat, and none any more."""
    steps = [{"name": "a", "version": "v1"}]
    registered = {"name": "gone", "version": "v1", "tasks": steps}
    worker = http.post("/matricula", json=registered).json()["id"]
    process: str = http.post("/newprocess", json={"id": worker}).json()["father"]
    http.post("/healthchecker", json={"id": worker})
    until = time.monotonic() + 30
    while not shown(http, process)["stalled"]:
        assert time.monotonic() < until, "it never stalled"
        time.sleep(0.2)  # another program, which gives no event
    return process


def test_an_administrator_ends_a_process_through_a_dashboard_that_reads_with_another_token(
    tmp_path: Path,
) -> None:
    # The reverse proxy in front of the dashboard; the API hears of it from the dashboard alone.
    proxied = {"MONITOR_TRUSTED_PROXIES": "127.0.0.1"}
    api = MonitorServer(tmp_path / "api", TOKENS | {"MONITOR_OFFLINE_AFTER_SECONDS": "1"})
    passwords = {
        "MONITOR_DASHBOARD_PASSWORD": "to look with",
        "MONITOR_DASHBOARD_ADMIN_PASSWORD": "to look and act with",
    }
    settings = TOKENS | passwords | proxied | {"BACKEND": f"127.0.0.1:{api.port}"}
    dashboard = DashboardServer(tmp_path / "dashboard", settings)
    api.start()
    dashboard.start()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    visiting = {"X-Forwarded-For": "203.0.113.9", "Origin": dashboard.url}
    with (
        httpx.Client(base_url=api.url, headers=headers, timeout=10) as reporting,
        httpx.Client(base_url=dashboard.url, headers=visiting, timeout=30) as page,
    ):
        process = stalled_process(reporting)
        password = {"password": "to look and act with"}
        assert page.post("/sign-in", data=password).status_code == 303
        assert page.get("/session").json() == {"role": "admin"}
        asked = {"action": "endProcess", "id": process, "reason": "nobody will"}
        answer = page.post("/act", json=asked)
        assert answer.json() == {"message": "The process was ended as ERROR."}
        found = shown(reporting, process)
    dashboard.stop()
    api.stop()
    assert found["status"] == "ERROR"
    assert found["audit"] == [
        {
            "role": "dashboard admin",
            "address": "203.0.113.9",
            "action": "endProcess",
            "summary": "ERROR: Ended by an operator: nobody will",
        }
    ]


def test_one_password_for_both_is_refused_at_start_in_words(tmp_path: Path) -> None:
    same = {
        "MONITOR_DASHBOARD_PASSWORD": "the same for both",
        "MONITOR_DASHBOARD_ADMIN_PASSWORD": "the same for both",
    }
    dashboard = DashboardServer(tmp_path, TOKENS | same)
    dashboard.launch()
    assert dashboard.process is not None
    assert dashboard.process.wait(30) == 1
    said = dashboard.log.read_text()
    assert "MONITOR_DASHBOARD_ADMIN_PASSWORD: is the same as" in said
    assert "the same for both" not in said
    dashboard.stop()
