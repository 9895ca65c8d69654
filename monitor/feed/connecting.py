"""From REDIS_URL to a client of Redis, also behind Sentinel.

redis-py knows no URL for Sentinel. This is the form that others gave it:
`redis+sentinel://[user:password@]host[:port][,host[:port]…]/service[/database][?options]`, with
`sentinel_username` and `sentinel_password` among the options for what the sentinels ask for;
`rediss+sentinel://` uses TLS for them and for Redis.
"""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from redis.asyncio import Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff

_SENTINEL = re.compile(
    r"(?P<scheme>rediss?)\+sentinel://"
    r"(?:(?P<userinfo>[^@/]*)@)?(?P<hosts>[^@/?]+)"
    r"/(?P<service>[^/?]+)(?:/(?P<database>\d*))?(?:\?(?P<options>.*))?",
    re.IGNORECASE,
)
_HOST = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^\[\]:]+)(?::(?P<port>\d{1,5}))?")
SENTINEL_PORT = 26379
CONNECT_SECONDS = 1


@dataclass(frozen=True)
class _Sentinels:
    """Where they are, what they and Redis are given, and the service they watch."""

    hosts: list[tuple[str, int]]
    service: str
    given: dict[str, Any]
    redis: dict[str, Any]


def check_redis_url(url: str) -> None:
    """Raises ValueError, whose text says what is wrong."""
    if _is_sentinel(url):
        _parse_sentinels(url)
        return
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise ValueError("must begin with redis://, rediss://, unix:// or redis+sentinel://")
    _ = parts.port  # raises ValueError for one that is no number


def connect(url: str, *, answer_seconds: float) -> "Redis":
    """A client that connects when it is first used, and does not try again by itself.

    Whoever calls has something better to do than to wait, and appending twice would repeat events.
    RESP2, which every Redis speaks: one that is too old shall be able to say so.
    """
    options: dict[str, Any] = {
        "socket_timeout": answer_seconds,
        "socket_connect_timeout": CONNECT_SECONDS,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
    if not url.startswith("unix:"):
        options["socket_keepalive"] = True
    if not _is_sentinel(url):
        return Redis.from_url(url, **options)
    found = _parse_sentinels(url)
    asking = options | {"socket_timeout": CONNECT_SECONDS} | found.given
    sentinel = Sentinel(found.hosts, sentinel_kwargs=asking)  # type: ignore[no-untyped-call]  # redis-py's
    client: Redis = sentinel.master_for(found.service, **(options | found.redis))
    return client


async def disconnect(client: "Redis") -> None:
    """Closes its connections, also those to sentinels."""
    await client.aclose()
    pool = client.connection_pool
    if isinstance(pool, SentinelConnectionPool):
        await pool.sentinel_manager.aclose()


def _is_sentinel(url: str) -> bool:
    return "+sentinel:" in url.partition("/")[0].lower()


def _parse_sentinels(url: str) -> _Sentinels:
    match = _SENTINEL.fullmatch(url)
    if match is None:
        raise ValueError("must be redis+sentinel://[user:password@]host[:port][,…]/service[/db]")
    options = dict(parse_qsl(match["options"] or ""))
    names = ("username", "password")
    given = {name: options.pop(f"sentinel_{name}", None) for name in names}
    # The rest is for redis-py, which reads it from a URL as it does for a lone Redis.
    scheme, userinfo = match["scheme"].lower(), match["userinfo"]
    lone = f"{scheme}://{userinfo + '@' if userinfo else ''}sentinel/{match['database'] or 0}"
    redis = dict(parse_url(f"{lone}?{urlencode(options)}"))
    for name in ("host", "port", "connection_class"):
        redis.pop(name, None)
    tls = {name: value for name, value in redis.items() if name.startswith("ssl_")}
    if scheme == "rediss":
        redis["ssl"] = tls["ssl"] = True
    hosts = [_host(text) for text in match["hosts"].split(",")]
    return _Sentinels(hosts, unquote(match["service"]), given | tls, redis)


def _host(text: str) -> tuple[str, int]:
    match = _HOST.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no host[:port] of a sentinel")
    return match["host"].strip("[]"), int(match["port"] or SENTINEL_PORT)
