"""GraphQL over HTTP by the letter: the audits of the specification's reference implementation."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tests
from tests.conftest import TOKEN
from tests.servers import MonitorServer, find_program

AUDIT = Path(tests.__file__).parent / "node" / "audit.mjs"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MonitorServer]:
    server = MonitorServer(tmp_path, {"TOKEN": TOKEN})
    server.start()
    yield server
    server.stop()


async def test_every_audit_of_graphql_over_http_passes(server: MonitorServer) -> None:
    node = await asyncio.create_subprocess_exec(
        find_program("node"),
        str(AUDIT),
        f"{server.url}/graphql",
        TOKEN,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await node.communicate()
    results: list[dict[str, Any]] = json.loads(output)
    assert len(results) > 60
    assert [result for result in results if result["status"] != "ok"] == []
