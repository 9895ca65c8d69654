"""What is reported stays out of the log, however much of a log is asked for."""

from pathlib import Path

import httpx

from tests.client import Client
from tests.conftest import TOKEN
from tests.factories import register, report, start
from tests.servers import MonitorServer

SECRET = "the patient's name"


async def test_at_debug_level_the_log_has_nothing_of_what_is_reported(
    database_url: str, tmp_path: Path
) -> None:
    env = {"DATABASE_URL": database_url, "TOKEN": TOKEN, "MONITOR_LOG_LEVEL": "DEBUG"}
    server = MonitorServer(tmp_path, env)
    server.start()
    async with httpx.AsyncClient(base_url=server.url) as http:
        client = Client(http, TOKEN)
        run = await start(client, await register(client, SECRET))
        await report(client, run.tasks[0], "error", SECRET)
        assert SECRET in (await client.get(f"/dashboard_tasks/{run.process}")).text
    server.stop()
    assert "DEBUG" in server.log.read_text()
    assert SECRET not in server.log.read_text()
