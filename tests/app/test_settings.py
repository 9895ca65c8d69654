"""The configuration: what is read, what is made, and how faults are told."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from app.settings import (
    Settings,
    SettingsError,
    ensure_token,
    load_settings,
    warn_of_weak_admin_password,
    warn_of_weak_tokens,
)

NAMES = [
    "DATABASE_URL",
    "MYSQL_USER",
    "MYSQL_PASSWORD",
    "MYSQL_DATABASE",
    "SERVER",
    "TOKEN",
    "READ_TOKEN",
    "REDIS_URL",
]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of ours is set, and no .env lies around."""
    for name in [*NAMES, *(name for name in os.environ if name.startswith("MONITOR_"))]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MONITOR_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


def test_nothing_needs_to_be_set(tmp_path: Path) -> None:
    settings = load_settings()
    assert settings.resolved_database_url == f"sqlite:///{tmp_path / 'data' / 'monitor.db'}"
    assert settings.redis_url is None
    assert settings.offline_after_seconds == 30


def test_a_dot_env_file_is_read_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("TOKEN=from-file\nMONITOR_OFFLINE_AFTER_SECONDS=7\n")
    assert load_settings().token == ["from-file"]
    monkeypatch.setenv("TOKEN", "from-environment")
    settings = load_settings()
    assert (settings.token, settings.offline_after_seconds) == (["from-environment"], 7)


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TOKEN", "DATABASE_URL", "REDIS_URL", "MONITOR_OFFLINE_AFTER_SECONDS"):
        monkeypatch.setenv(name, "")
    settings = load_settings()
    assert (settings.token, settings.redis_url) == ([], None)
    assert settings.resolved_database_url.startswith("sqlite:///")


def test_several_tokens_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "new, old,,")
    assert ensure_token(load_settings()) == ["new", "old"]


@pytest.mark.parametrize(
    ("server", "url"),
    [
        ("db", "mariadb://me:p%40ss%2Fword@db:3306/monitor"),
        ("db:3307", "mariadb://me:p%40ss%2Fword@db:3307/monitor"),
        ("[::1]:3307", "mariadb://me:p%40ss%2Fword@[::1]:3307/monitor"),
    ],
)
def test_the_predecessors_variables_make_the_database_url(
    monkeypatch: pytest.MonkeyPatch, server: str, url: str
) -> None:
    for name, value in (
        ("MYSQL_USER", "me"),
        ("MYSQL_PASSWORD", "p@ss/word"),
        ("MYSQL_DATABASE", "monitor"),
        ("SERVER", server),
    ):
        monkeypatch.setenv(name, value)
    assert load_settings().resolved_database_url == url


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        (["MYSQL_USER", "SERVER"], "MYSQL_DATABASE"),
        (["MYSQL_USER", "MYSQL_PASSWORD", "MYSQL_DATABASE"], "SERVER"),
        (["MYSQL_DATABASE", "SERVER"], "MYSQL_USER"),
        (["MYSQL_USER"], "MYSQL_DATABASE, SERVER"),
        (["MYSQL_DATABASE"], "MYSQL_USER, SERVER"),
        (["SERVER"], "MYSQL_USER, MYSQL_DATABASE"),
    ],
)
def test_a_part_of_a_database_is_refused_by_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, given: list[str], missing: str
) -> None:
    for name in given:
        monkeypatch.setenv(name, "db")
    with pytest.raises(SettingsError, match=f"^{missing}: missing beside "):
        load_settings()


def test_the_dot_env_of_containers_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TOKEN=mine\nMYSQL_PASSWORD=secret\n")
    assert load_settings().resolved_database_url.startswith("sqlite:///")


@pytest.mark.parametrize(
    ("parts", "overruled"),
    [
        ({}, []),
        ({"MYSQL_USER": "me", "MYSQL_DATABASE": "monitor", "SERVER": "db:3306"}, []),
        ({"SERVER": "db"}, []),
        ({"MYSQL_USER": "me", "SERVER": "elsewhere"}, ["SERVER"]),
        ({"MYSQL_USER": "you", "MYSQL_DATABASE": "other"}, ["MYSQL_USER", "MYSQL_DATABASE"]),
    ],
)
def test_a_database_url_wins_over_parts_and_those_that_contradict_it_are_known(
    monkeypatch: pytest.MonkeyPatch, parts: dict[str, str], overruled: list[str]
) -> None:
    for name, value in {"DATABASE_URL": "mariadb://me:pw@db/monitor", **parts}.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.resolved_database_url == "mariadb://me:pw@db/monitor"
    assert settings.overruled == overruled


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DATABASE_URL", "not a url", "DATABASE_URL: "),
        ("DATABASE_URL", "postgresql://db/monitor", "DATABASE_URL: postgresql is not supported"),
        ("DATABASE_URL", "sqlite://", "DATABASE_URL: SQLite needs a file"),
        ("MONITOR_OFFLINE_AFTER_SECONDS", "soon", "MONITOR_OFFLINE_AFTER_SECONDS: "),
        ("MONITOR_OFFLINE_AFTER_SECONDS", "0", "MONITOR_OFFLINE_AFTER_SECONDS: "),
        ("MONITOR_OFFLINE_AFTER_SECONDS", "1e11", "MONITOR_OFFLINE_AFTER_SECONDS: "),
        ("MONITOR_SILENT_STEP_SECONDS", "inf", "MONITOR_SILENT_STEP_SECONDS: "),
        ("MONITOR_SILENT_STEP_SECONDS", "nan", "MONITOR_SILENT_STEP_SECONDS: "),
        ("MONITOR_REQUEST_TIMEOUT_SECONDS", "1e12", "MONITOR_REQUEST_TIMEOUT_SECONDS: "),
        ("BACKEND", "monitor:port", "BACKEND: "),
        ("BACKEND", "8418", "BACKEND: "),
        ("BACKEND", "my host:80", "BACKEND: "),
        ("BACKEND", "http://", "BACKEND: "),
        ("BACKEND", ":::", "BACKEND: "),
        ("BACKEND", "ftp://monitor", "BACKEND: "),
        ("BACKEND", "http://[::1", "BACKEND: "),
        ("MONITOR_FEED_LENGTH", "1", "MONITOR_FEED_LENGTH: "),
        ("MONITOR_LOG_LEVEL", "loud", "MONITOR_LOG_LEVEL: "),
        ("REDIS_URL", "localhost:6379", "REDIS_URL: "),
        ("REDIS_URL", "redis://localhost:port/0", "REDIS_URL: "),
        ("SERVER", "db:port", "SERVER: "),
        ("SERVER", "mariadb://db", "SERVER: "),
        ("REDIS_URL", "redis+sentinel://localhost", "REDIS_URL: "),
        ("MONITOR_FEED_BYTES", "1000", "MONITOR_FEED_BYTES: "),
    ],
)
def test_a_value_that_cannot_be_is_told_by_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert str(raised.value).startswith(said)


def test_a_password_is_not_told_with_the_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:secret-password@db/monitor")
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert "secret-password" not in str(raised.value)


@pytest.mark.parametrize("admin_password", ["pässwort", "pa\u0308sswort"])
def test_one_password_to_look_and_to_act_with_is_refused(
    monkeypatch: pytest.MonkeyPatch, admin_password: str
) -> None:
    monkeypatch.setenv("MONITOR_DASHBOARD_PASSWORD", "pässwort")
    monkeypatch.setenv("MONITOR_DASHBOARD_ADMIN_PASSWORD", admin_password)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert str(raised.value).startswith("MONITOR_DASHBOARD_ADMIN_PASSWORD: is the same as")
    assert "sswort" not in str(raised.value)


@pytest.mark.parametrize(("password", "warnings"), [("short", 1), ("x" * 12, 0), (None, 0)])
def test_a_password_to_act_with_that_can_be_guessed_is_warned_about(
    caplog: pytest.LogCaptureFixture, password: str | None, warnings: int
) -> None:
    settings = Settings(MONITOR_DASHBOARD_ADMIN_PASSWORD=password)
    warn_of_weak_admin_password(settings)
    assert len(caplog.records) == warnings
    assert "short" not in caplog.text


def test_without_a_token_one_is_made_that_only_the_owner_can_read(tmp_path: Path) -> None:
    settings = load_settings()
    [token] = ensure_token(settings)
    assert len(token) >= 32
    path = tmp_path / "data" / "token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().strip() == token
    assert ensure_token(settings) == [token]
    assert ensure_token(load_settings()) == [token]
    assert list(path.parent.iterdir()) == [path]


def test_a_token_that_is_set_makes_no_file(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, token=["mine"], MONITOR_DATA_DIR=tmp_path / "unused")
    assert ensure_token(settings) == ["mine"]
    assert not (tmp_path / "unused").exists()


def test_several_that_start_at_once_agree_on_the_token(tmp_path: Path) -> None:
    starters = 8
    with ThreadPoolExecutor(starters) as pool:
        for round_ in range(100):
            settings = Settings(_env_file=None, MONITOR_DATA_DIR=tmp_path / f"data {round_}")
            together = Barrier(starters)

            def start(settings: Settings = settings, together: Barrier = together) -> list[str]:
                together.wait()
                return ensure_token(settings)

            tokens = [started.result() for started in [pool.submit(start) for _ in range(starters)]]
            assert tokens == [[settings.token_file.read_text().strip()]] * starters


def test_a_token_file_that_is_empty_says_so(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "token").write_text("\n")
    with pytest.raises(SettingsError, match="is empty"):
        ensure_token(load_settings())


def test_a_folder_that_cannot_be_made_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MONITOR_DATA_DIR", str(tmp_path / "file" / "data"))
    with pytest.raises(SettingsError, match="Set TOKEN, or MONITOR_DATA_DIR"):
        ensure_token(load_settings())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MONITOR_RETENTION_DAYS", "0"),
        ("MONITOR_RETENTION_DAYS", "1e9"),
        ("MONITOR_RETENTION_DAYS", "nan"),
        ("MONITOR_RETENTION_PROCESSES", "0"),
        ("MONITOR_RETENTION_PROCESSES", "many"),
        ("MONITOR_RETENTION_PROCESSES", "9" * 20),
        ("MONITOR_ARCHIVE_AFTER_DAYS", "-1"),
        ("MONITOR_AUDIT_DAYS", "-1"),
        ("MONITOR_FAILURE_DAYS", "-1"),
    ],
)
def test_a_limit_that_keeps_nothing_or_is_no_number_is_named(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        load_settings()


@pytest.mark.parametrize("name", ["https://monitor.example.org", "monitor.example.org:8050"])
def test_a_name_of_the_dashboard_is_a_name_alone(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("MONITOR_DASHBOARD_HOSTS", f"localhost, {name}")
    with pytest.raises(SettingsError, match=f"MONITOR_DASHBOARD_HOSTS: .*{name}"):
        load_settings()


@pytest.mark.parametrize(
    ("tokens", "named"),
    [
        ({"TOKEN": "0123456789abcdef"}, []),
        ({"TOKEN": "0123456789abcde"}, ["TOKEN"]),
        ({"TOKEN": "0123456789abcdef,secret", "READ_TOKEN": "short"}, ["TOKEN", "READ_TOKEN"]),
    ],
)
def test_a_token_that_can_be_guessed_is_warned_about_by_its_variable(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tokens: dict[str, str],
    named: list[str],
) -> None:
    for name, value in tokens.items():
        monkeypatch.setenv(name, value)
    warn_of_weak_tokens(load_settings())
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == named
    assert not any(token in caplog.text for value in tokens.values() for token in value.split(","))


def test_proxies_are_addresses_and_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().trusted_proxies == []
    monkeypatch.setenv("MONITOR_TRUSTED_PROXIES", "10.0.0.1, 172.16.0.0/12,::1")
    assert load_settings().trusted_proxies == ["10.0.0.1", "172.16.0.0/12", "::1"]
    for wrong in ("*", "proxy", "10.0.0.1/8"):
        monkeypatch.setenv("MONITOR_TRUSTED_PROXIES", wrong)
        with pytest.raises(SettingsError, match="MONITOR_TRUSTED_PROXIES"):
            load_settings()


@pytest.mark.parametrize(
    "backend",
    ["my_host", "my_host:8418", "[::1]:8418", "http://me:secret@h:80", "https://h/path/", " h:80 "],
)
def test_a_backend_is_an_address_or_a_url(monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    monkeypatch.setenv("BACKEND", backend)
    assert load_settings().backend == backend.strip()
