"""Failed attempts to show who one is: slowed down, address by address, the longer the more.

Kept in this process alone: several of them allow as many times as much.
"""

import ipaddress
import logging
from collections import Counter

from throttled import MemoryStore, Quota, RateLimiterType, Throttled, per_hour, per_min

logger = logging.getLogger(__name__)

# The first ones are free, for a token that was mistyped or is being rotated. After ten there is one
# in 2 s, after forty one in 15 s, after a hundred one a minute; a quiet hour or two undo it.
QUOTAS = (per_min(30, burst=10), per_min(4, burst=40), per_hour(60, burst=100))
# Of whoever else tries meanwhile, those that have been quiet for longest are forgotten.
MAX_ADDRESSES = 10_000
# Who has a network of IPv6 has all its addresses.
NETWORK_BITS = 64


class Attempts:
    """Knows how often an address failed lately."""

    def __init__(self, quotas: tuple[Quota, ...] = QUOTAS) -> None:
        self._limits = [_throttled(quota) for quota in quotas]
        self._said = _throttled(per_min(1, burst=1))
        self.refusals: Counter[str] = Counter()

    def wait_seconds(self, address: str) -> float:
        """Until the next attempt is looked at; 0 when it is looked at now."""
        key = _network(address)
        return max(_wait_seconds(limit, key) for limit in self._limits)

    def failed(self, address: str) -> None:
        """One more that was looked at, and was wrong."""
        self.refusals["FAILED_ATTEMPT"] += 1
        key = _network(address)
        for limit in self._limits:
            limit.limit(key)
        wait = self.wait_seconds(address)
        if wait > 0 and not self._said.limit(key).limited:
            logger.warning(
                "many failed attempts from %s: the next is looked at in %.0f s", key, wait
            )

    def held_back(self) -> None:
        """One that came too soon."""
        self.refusals["TOO_MANY_ATTEMPTS"] += 1


def _throttled(quota: Quota) -> Throttled:
    # Each has a store of its own: in one, the names of addresses would be the same.
    store = MemoryStore(options={"MAX_SIZE": MAX_ADDRESSES})
    return Throttled(using=RateLimiterType.GCRA.value, quota=quota, store=store)


def _wait_seconds(limit: Throttled, key: str) -> float:
    state = limit.peek(key)
    if state.remaining > 0:
        return 0.0
    # What `retry_after` says of a peek is when there was room, not when there will be.
    interval = limit.limiter.quota.emission_interval
    return max(0.0, state.reset_after - (state.limit - 1) * interval)


def _network(address: str) -> str:
    try:
        known = ipaddress.ip_address(address)
    except ValueError:  # a socket of the file system has none
        return address or "local"
    if isinstance(known, ipaddress.IPv6Address):
        if known.ipv4_mapped is not None:
            return str(known.ipv4_mapped)
        return str(ipaddress.ip_network((int(known), NETWORK_BITS), strict=False))
    return str(known)
