"""docker-compose.yaml and Dockerfile do what they promise, also where no container engine is.

What the file says is run: each command and health check, with its environment, against real
servers. Only addresses are replaced, since here all services share one host.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from functools import reduce
from pathlib import Path
from typing import Any

import httpx
import pytest
from ruamel.yaml import YAML

from tests.servers import (
    MariaDb,
    RedisServer,
    find_program,
    free_port,
    running,
    wait_until,
)

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yaml"
GIVEN = {"TOKEN": "compose-token", "MYSQL_PASSWORD": "compose: p@ss/word"}
BIN = Path(sys.executable).parent
OURS = ("api", "dashboard")


def interpolate(value: Any, given: Mapping[str, str]) -> Any:
    """As `docker compose` does it. Raises KeyError with the message of a missing `${NAME:?…}`."""

    def replace(match: re.Match[str]) -> str:
        name, operator, rest = match.groups()
        if found := given.get(name):
            return found
        if operator == ":-":
            return str(rest)
        raise KeyError(rest)

    match value:
        case str():
            return re.sub(r"\$\{(\w+)(:-|:\?)([^}]*)\}", replace, value)
        case list():
            return [interpolate(item, given) for item in value]
        case dict():
            return {key: interpolate(item, given) for key, item in value.items()}
    return value


def compose(given: Mapping[str, str] = GIVEN) -> dict[str, Any]:
    read = interpolate(YAML(typ="safe").load(COMPOSE), given)
    assert isinstance(read, dict)
    return read


def dockerfile(instruction: str) -> list[str]:
    """The arguments of every such instruction, in order."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    return re.findall(rf"^{instruction} +(.*)$", text, re.MULTILINE)


class Here:
    """The services' addresses on this host in the place of those inside the containers."""

    def __init__(self, replaced: Mapping[str, str]) -> None:
        self._replaced = replaced
        self._services = compose()["services"]

    def words(self, words: list[str]) -> list[str]:
        return [reduce(lambda s, r: s.replace(*r), self._replaced.items(), word) for word in words]

    def command(self, service: str) -> list[str]:
        entrypoint = json.loads(dockerfile("ENTRYPOINT")[-1]) if service in OURS else []
        program, *options = entrypoint + self._services[service]["command"]
        found = BIN / program if service in OURS else find_program(program)
        return [str(found), *self.words(options)]

    def env(self, service: str) -> dict[str, str]:
        environment = self._services[service].get("environment", {})
        values = self.words(list(environment.values()))
        path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
        return {**dict(zip(environment, values, strict=True)), "PATH": path}

    def is_healthy(self, service: str) -> bool:
        kind, *words = self.words(self._services[service]["healthcheck"]["test"])
        assert kind in ("CMD", "CMD-SHELL")
        command = words if kind == "CMD" else ["sh", "-c", *words]
        done = subprocess.run(
            command, env=self.env(service), capture_output=True, timeout=10, check=False
        )
        return done.returncode == 0


def test_the_file_fits_the_schema_of_compose() -> None:
    checker = str(BIN / "check-jsonschema")
    command = [checker, "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("missing", sorted(GIVEN))
def test_nothing_starts_without_the_secrets(missing: str) -> None:
    with pytest.raises(KeyError, match=f"set {missing}"):
        compose({name: value for name, value in GIVEN.items() if name != missing})


def test_services_wait_for_health_come_back_and_keep_their_data() -> None:
    read = compose()
    services = read["services"]
    assert set(services) == {"database", "redis", *OURS}
    for service in services.values():
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"]
    waits = {
        name: {of: wait["condition"] for of, wait in service.get("depends_on", {}).items()}
        for name, service in services.items()
    }
    healthy = "service_healthy"
    assert waits["api"] == {"database": healthy, "redis": healthy}
    assert waits["dashboard"] == {"api": healthy}
    mounts = dict(
        mount.split(":") for service in services.values() for mount in service.get("volumes", [])
    )
    assert set(mounts) == set(read["volumes"])
    assert set(mounts.values()) == {"/var/lib/mysql", "/data"}


def test_ports_are_published_as_promised() -> None:
    def ports(given: Mapping[str, str]) -> dict[str, list[str]]:
        services = compose(given)["services"]
        return {name: service.get("ports", []) for name, service in services.items()}

    assert ports(GIVEN) == {
        "database": ["127.0.0.1:3306:3306"],
        "redis": [],
        "api": ["8418:8000"],
        "dashboard": ["127.0.0.1:8050:8050"],
    }
    opened = ports({**GIVEN, "DASHBOARD_ADDRESS": "0.0.0.0"})
    assert opened["dashboard"] == ["0.0.0.0:8050:8050"]


def test_the_database_is_made_with_what_the_api_signs_in_with() -> None:
    given = {**GIVEN, "MYSQL_USER": "somebody", "MYSQL_DATABASE": "elsewhere"}
    for chosen in (GIVEN, given):
        services = compose(chosen)["services"]
        made, used = services["database"]["environment"], services["api"]["environment"]
        for name in ("USER", "PASSWORD", "DATABASE"):
            assert (
                made[f"MARIADB_{name}"]
                == used[f"MYSQL_{name}"]
                == chosen.get(f"MYSQL_{name}", "process_monitor")
            )
        assert used["SERVER"] == "database:3306"


def test_api_and_dashboard_become_healthy_on_their_own_commands(
    tmp_path: Path, mariadb: MariaDb, redis_server: RedisServer
) -> None:
    api, dashboard = free_port(), free_port()
    here = Here(
        {
            "database:3306": f"127.0.0.1:{mariadb.port}",
            "redis:6379": f"127.0.0.1:{redis_server.port}",
            "api:8000": f"127.0.0.1:{api}",
            "8000": str(api),
            "8050": str(dashboard),
        }
    )
    made = compose()["services"]["database"]["environment"]
    database, user = made["MARIADB_DATABASE"], made["MARIADB_USER"]
    mariadb.execute(
        f"CREATE DATABASE {database};"
        f"CREATE USER {user}@'%' IDENTIFIED BY '{made['MARIADB_PASSWORD']}';"
        f"GRANT ALL ON {database}.* TO {user}@'%'"
    )
    with ExitStack() as stack:
        for service in OURS:
            assert not here.is_healthy(service)
            log = tmp_path / f"{service}.log"
            env = here.env(service) | {"MONITOR_DATA_DIR": str(tmp_path / service)}
            process = stack.enter_context(running(here.command(service), log=log, env=env))
            wait_until(lambda of=service: here.is_healthy(of), service, log, process)
        # Both found what they need behind the names in their environment.
        for port in (api, dashboard):
            health = httpx.get(f"http://127.0.0.1:{port}/health").json()
            assert health["status"] == "ok"
        asked = httpx.get(
            f"http://127.0.0.1:{api}/graphql",
            params={"query": "{ summary { workersOnline } }"},
            headers={"Authorization": f"Bearer {GIVEN['TOKEN']}"},
        )
        assert asked.json() == {"data": {"summary": {"workersOnline": 0}}}


def test_redis_becomes_healthy_and_keeps_what_it_was_told(tmp_path: Path) -> None:
    port = free_port()
    here = Here({"redis-cli": f"{find_program('redis-cli')} -p {port}"})
    assert not here.is_healthy("redis")
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path)]
    log = tmp_path / "redis.log"
    with running([*here.command("redis"), *options], log=log) as process:
        wait_until(lambda: here.is_healthy("redis"), "Redis", log, process)
        command = [find_program("redis-cli"), "-p", str(port), "CONFIG", "GET", "appendonly"]
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["appendonly", "yes"]


def test_the_image_has_no_root_and_is_made_of_what_is_there() -> None:
    (user,) = dockerfile("USER")
    assert user.partition(":")[0] not in ("root", "0")
    let_in = (ROOT / ".dockerignore").read_text().splitlines()
    for copied in dockerfile("COPY"):
        *sources, _ = copied.split()
        if sources[0].startswith("--from="):
            continue
        for source in sources:
            assert (ROOT / source).exists()
            assert f"!{source.rstrip('/')}" in let_in
    installed = re.findall(r"^packages = (\[.*\])", (ROOT / "pyproject.toml").read_text(), re.M)
    assert {f"{name}/ {name}/" for name in json.loads(installed[0])} <= set(dockerfile("COPY"))
