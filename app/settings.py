"""The configuration: environment variables, also from a `.env` file in the working directory."""

import contextlib
import ipaddress
import logging
import os
import re
import secrets
import tempfile
import unicodedata
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy import URL

from db.session import normalise_url
from monitor.auth import STRONG_LENGTH
from monitor.feed.connecting import check_redis_url
from monitor.feed.log import FEED_BYTES, TURN_BYTES

logger = logging.getLogger(__name__)


class SettingsError(Exception):
    """The configuration cannot be used; the text says which variable and how to mend it."""


def _data_dir() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "process-monitor"


LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
# A century; no calendar reaches back for much more.
MAX_DAYS = 36_500
MAX_SECONDS = MAX_DAYS * 86_400
# More than any database holds.
MAX_PROCESSES = 10**12
# Guesses are slowed down by address, but there may be many addresses and years of time.
STRONG_PASSWORD_LENGTH = 12
_BLANK = re.compile(r"\s")
Seconds = Annotated[float, Field(gt=0, le=MAX_SECONDS)]
Tokens = Annotated[list[str], NoDecode]
# What names a database of MariaDB's only together. Not the password: a user may have none (one that
# is forgotten, MariaDB asks for), and the `.env` of containers, which `make run` reads, too, has it
# alone.
_DATABASE_PARTS = ("MYSQL_USER", "MYSQL_DATABASE", "SERVER")


class Settings(BaseSettings):
    """Every variable with its default; README.md has the table for people."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", env_ignore_empty=True, populate_by_name=True
    )

    database_url: str | None = None
    mysql_user: str | None = None
    mysql_password: str | None = None
    mysql_database: str | None = None
    server: str | None = None
    redis_url: str | None = None
    token: Tokens = []
    read_token: Tokens = []
    backend: str = "127.0.0.1:8418"

    data_dir: Path = Field(default_factory=_data_dir, alias="MONITOR_DATA_DIR")
    offline_after_seconds: Seconds = Field(30, alias="MONITOR_OFFLINE_AFTER_SECONDS")
    silent_step_seconds: Seconds = Field(900, alias="MONITOR_SILENT_STEP_SECONDS")
    request_timeout_seconds: Seconds = Field(10, alias="MONITOR_REQUEST_TIMEOUT_SECONDS")
    feed_length: int = Field(100_000, ge=100, alias="MONITOR_FEED_LENGTH")
    feed_bytes: int = Field(FEED_BYTES, ge=2 * TURN_BYTES, alias="MONITOR_FEED_BYTES")
    retention_days: float | None = Field(None, gt=0, le=MAX_DAYS, alias="MONITOR_RETENTION_DAYS")
    retention_processes: int | None = Field(
        None, ge=1, le=MAX_PROCESSES, alias="MONITOR_RETENTION_PROCESSES"
    )
    archive_after_days: float = Field(7, ge=0, le=MAX_DAYS, alias="MONITOR_ARCHIVE_AFTER_DAYS")
    audit_days: float = Field(90, ge=0, le=MAX_DAYS, alias="MONITOR_AUDIT_DAYS")
    failure_days: float = Field(90, ge=0, le=MAX_DAYS, alias="MONITOR_FAILURE_DAYS")
    trusted_proxies: Tokens = Field([], alias="MONITOR_TRUSTED_PROXIES")
    max_connections: int = Field(10_000, ge=16, alias="MONITOR_MAX_CONNECTIONS")
    cors_origins: Tokens = Field(["*"], alias="MONITOR_CORS_ORIGINS")
    dashboard_password: str | None = Field(None, alias="MONITOR_DASHBOARD_PASSWORD")
    dashboard_admin_password: str | None = Field(None, alias="MONITOR_DASHBOARD_ADMIN_PASSWORD")
    dashboard_hosts: Tokens = Field([], alias="MONITOR_DASHBOARD_HOSTS")
    log_level: str = Field("INFO", alias="MONITOR_LOG_LEVEL")

    @field_validator(
        "token", "read_token", "cors_origins", "dashboard_hosts", "trusted_proxies", mode="before"
    )
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        return value

    @field_validator("dashboard_hosts")
    @classmethod
    def _check_dashboard_hosts(cls, value: list[str]) -> list[str]:
        for name in value:
            if "/" in name or ":" in name:
                raise ValueError(f"{name!r}: give names alone, without https:// and port")
        return value

    @field_validator("backend")
    @classmethod
    def _check_backend(cls, value: str) -> str:
        value = value.strip()
        with contextlib.suppress(ValueError):
            parts = urlsplit(base_url(value))
            host = parts.hostname or ""
            is_host = host and not host.isdigit() and not _BLANK.search(host)
            # `port` raises for one that is none.
            if is_host and parts.scheme in ("http", "https") and parts.port != 0:
                return value
        raise ValueError("must be host:port, or a URL: http://host:port")

    @field_validator("redis_url")
    @classmethod
    def _check_redis_url(cls, value: str | None) -> str | None:
        if value is not None:
            check_redis_url(value)
        return value

    @field_validator("server")
    @classmethod
    def _check_server(cls, value: str | None) -> str | None:
        if value is not None:
            _host_and_port(value)
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _check_trusted_proxies(cls, value: list[str]) -> list[str]:
        for address in value:
            ipaddress.ip_network(address)  # raises ValueError naming it
        return value

    @field_validator("log_level")
    @classmethod
    def _check_log_level(cls, value: str) -> str:
        if value.upper() not in LOG_LEVELS:
            raise ValueError(f"must be one of {', '.join(LOG_LEVELS)}")
        return value.upper()

    @property
    def resolved_database_url(self) -> str:
        """DATABASE_URL, or one made of MYSQL_* and SERVER, or SQLite in the data folder."""
        if self.database_url:
            return self.database_url
        if self.mysql_user and self.mysql_database and self.server:
            host, port = _host_and_port(self.server)
            url = URL.create(
                "mariadb",
                self.mysql_user,
                self.mysql_password,
                host,
                port,
                self.mysql_database,
            )
            return url.render_as_string(hide_password=False)
        return f"sqlite:///{self.data_dir / 'monitor.db'}"

    @property
    def overruled(self) -> list[str]:
        """The variables that name another database than DATABASE_URL, which is used."""
        if not self.database_url:
            return []
        url = normalise_url(self.database_url)
        host, port = _host_and_port(self.server) if self.server else (url.host, url.port)
        named = {
            "MYSQL_USER": (self.mysql_user, url.username),
            "MYSQL_DATABASE": (self.mysql_database, url.database),
            "SERVER": (f"{host}:{port or 3306}", f"{url.host}:{url.port or 3306}"),
        }
        return [name for name, (part, used) in named.items() if part and part != used]

    @property
    def archive_after(self) -> timedelta | None:
        """None: never."""
        return _days(self.archive_after_days)

    @property
    def audit_for(self) -> timedelta | None:
        """None: for ever."""
        return _days(self.audit_days)

    @property
    def failures_for(self) -> timedelta | None:
        """None: for ever."""
        return _days(self.failure_days)

    @property
    def token_file(self) -> Path:
        return self.data_dir / "token"


def _days(number: float) -> timedelta | None:
    return timedelta(days=number) if number else None


def base_url(backend: str) -> str:
    """BACKEND may be `host:port` or a URL."""
    return (backend if "://" in backend else f"http://{backend}").rstrip("/")


def _host_and_port(server: str) -> tuple[str, int]:
    """Of `host`, `host:port` or `[address]:port`. Raises ValueError."""
    parts = urlsplit(f"//{server}")
    if not parts.hostname or parts.netloc != server or "@" in server:
        raise ValueError("must be a host, or host:port")
    return parts.hostname, parts.port or 3306


def load_settings() -> Settings:
    """Reads the environment. Raises SettingsError naming the variable and the reason."""
    try:
        settings = Settings()
    except ValidationError as error:
        faults = [f"{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors()]
        raise SettingsError("\n".join(faults)) from error
    _check_database_parts(settings)
    _check_passwords(settings)
    try:
        normalise_url(settings.resolved_database_url)
    except Exception as error:
        raise SettingsError(f"DATABASE_URL: {error}") from error
    return settings


def _check_database_parts(settings: Settings) -> None:
    """Raises SettingsError for a part of a database: reports would go into SQLite unnoticed."""
    if settings.database_url:
        return
    given = [name for name in _DATABASE_PARTS if getattr(settings, name.lower())]
    missing = [name for name in _DATABASE_PARTS if name not in given]
    if given and missing:
        raise SettingsError(
            f"{', '.join(missing)}: missing beside {' and '.join(given)}. "
            f"Set {', '.join(_DATABASE_PARTS)} all for MariaDB, or none of them for SQLite."
        )


def _check_passwords(settings: Settings) -> None:
    """Raises SettingsError for one password with two meanings: everybody could act."""
    given = (settings.dashboard_password, settings.dashboard_admin_password)
    # Compared as the sign-in does.
    plain, admin = (unicodedata.normalize("NFC", password or "") for password in given)
    if admin and plain == admin:
        raise SettingsError(
            "MONITOR_DASHBOARD_ADMIN_PASSWORD: is the same as MONITOR_DASHBOARD_PASSWORD, so "
            "whoever may look could act. Set another one, or only the administrator's."
        )


def warn_of_weak_admin_password(settings: Settings) -> None:
    """Says in the log that the password to act with can be guessed."""
    password = settings.dashboard_admin_password
    if password is not None and len(password) < STRONG_PASSWORD_LENGTH:
        logger.warning(
            "MONITOR_DASHBOARD_ADMIN_PASSWORD has fewer than %d characters and can be guessed",
            STRONG_PASSWORD_LENGTH,
        )


def warn_of_weak_tokens(settings: Settings) -> None:
    """Says in the log which variables hold tokens that can be guessed."""
    for name, tokens in (("TOKEN", settings.token), ("READ_TOKEN", settings.read_token)):
        if any(len(token) < STRONG_LENGTH for token in tokens):
            logger.warning(
                "%s: a token has fewer than %d characters and can be guessed; make one with "
                "`openssl rand -hex 32`",
                name,
                STRONG_LENGTH,
            )


def ensure_token(settings: Settings) -> list[str]:
    """The full-access tokens; without TOKEN one is made at first and kept in the data folder.

    Raises SettingsError when the folder cannot be written.
    """
    if settings.token:
        return settings.token
    path = settings.token_file
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _make_token(path)
        token = path.read_text().strip()
    except OSError as error:
        raise SettingsError(
            f"TOKEN is not set and none can be kept in {path}: {error.strerror}. "
            "Set TOKEN, or MONITOR_DATA_DIR to a folder that can be written."
        ) from error
    if not token:
        raise SettingsError(f"{path} is empty: remove it, and a new token is made.")
    return [token]


def _make_token(path: Path) -> None:
    """Of several that start at once one makes the token, all read the same.

    The file appears with its token in it, by a link, which unlike a rename never replaces another.
    """
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".token-") as file:  # 0600
        file.write(secrets.token_urlsafe(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(file.name, path)
