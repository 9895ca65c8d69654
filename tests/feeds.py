"""Logs in Redis, as an installation has them."""

from typing import Any

from monitor.feed.installation import Installation
from monitor.feed.redis import RedisFeed

NAME = "suite"
STREAM = f"process_monitor:{{{NAME}}}:feed"


def redis_feed(
    url: str, *, name: str = NAME, epoch: str = "", length: int = 1_000, **options: Any
) -> RedisFeed:
    """That of the installation of this name, whose database noted the epoch last."""

    async def installation() -> Installation:
        return Installation(name, epoch)

    return RedisFeed(url, installation=installation, length=length, **options)
