"""What connections may cost: how many there are, and how long each of their waits may last.

Until its headers have come, nobody knows who a client is: it may not hold anything for long.
"""

import asyncio
import logging
import resource
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from monitor.limits import DETAILS_BYTES

# A report whose details are 1 MiB of what JSON escapes sixfold, and all the rest.
MAX_REQUEST_BYTES = 8 * DETAILS_BYTES
logger = logging.getLogger(__name__)

# From the connect, or from the last answer, to the last header.
HEAD_SECONDS = 10.0
# From the last header to the last byte of the body: 8 MiB at 2 Mbit/s.
BODY_SECONDS = 35.0
# For what was written and is not taken.
STALLED_SECONDS = 30.0
# Heads that did not come at once; 64 KiB each at most.
MAX_LARGE_HEADS = 256
# For the database, the feed, logs, and what is accepted while others are being closed.
OTHER_FILES = 256


# Where an application keeps its `ConnectionStatistics` in its lifespan's state.
STATISTICS = "process_monitor.connections"

Expire = Callable[[], None]


class Deadline:
    """Connections that have so many seconds for something, the longest waiting first.

    One timer for all of them: most are done at once, so starting and stopping has to cost little.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: dict[object, tuple[float, Expire]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __contains__(self, connection: object) -> bool:
        return connection in self._waiting

    def start(self, connection: object, expire: Expire) -> None:
        """From now on; anew for one that waits already. `expire` is called when it is too late."""
        loop = asyncio.get_running_loop()
        self._waiting.pop(connection, None)
        self._waiting[connection] = (loop.time(), expire)
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._sweep)

    def stop(self, connection: object) -> None:
        """Done, or gone."""
        self._waiting.pop(connection, None)

    def expire_longest(self) -> bool:
        """Ends the waiting of who waits for longest; False when nobody waits."""
        if not self._waiting:
            return False
        connection = next(iter(self._waiting))
        _, expire = self._waiting.pop(connection)
        expire()
        return True

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        while self._waiting:
            since, _ = next(iter(self._waiting.values()))
            remaining = since + self._seconds - loop.time()
            if remaining > 0:
                # Not for each of them alone: a little later does no harm.
                self._timer = loop.call_later(remaining + self._seconds / 20, self._sweep)
                return
            self.expire_longest()


@dataclass(slots=True)
class ConnectionStatistics:
    """Counted by the protocols, for whoever serves the figures."""

    open: int = 0
    refusals: Counter[str] = field(default_factory=Counter)


class Connections:
    """The connections of a server process.

    Args:
        limit: how many there may be; beyond, those make way whose client is not known yet
    """

    def __init__(
        self,
        limit: int,
        *,
        head_seconds: float = HEAD_SECONDS,
        body_seconds: float = BODY_SECONDS,
        stalled_seconds: float = STALLED_SECONDS,
    ) -> None:
        self.limit = limit
        self.heads = Deadline(head_seconds)
        self.bodies = Deadline(body_seconds)
        self.stalled = Deadline(stalled_seconds)
        # WebSockets whose clients have not said who they are.
        self._strangers: dict[object, Expire] = {}
        self._large_heads: dict[object, Expire] = {}

    def make_room(self) -> bool:
        """Ends the one that has been unknown for longest; False when everybody is known."""
        return self.heads.expire_longest() or _expire_oldest(self._strangers)

    def meet(self, connection: object, expire: Expire) -> None:
        """A WebSocket whose client is not known."""
        self._strangers[connection] = expire

    def recognise(self, connection: object) -> None:
        """It is known who is behind a WebSocket."""
        self._strangers.pop(connection, None)

    def hold_head(self, connection: object, expire: Expire) -> None:
        """A head that is large and not complete; the oldest makes way when there are too many."""
        self._large_heads[connection] = expire
        if len(self._large_heads) > MAX_LARGE_HEADS:
            _expire_oldest(self._large_heads)

    def head_is_complete(self, connection: object) -> None:
        """It is known what is asked for."""
        self.heads.stop(connection)
        self._large_heads.pop(connection, None)

    def forget(self, connection: object) -> None:
        """Gone, or about to go."""
        self.head_is_complete(connection)
        self.bodies.stop(connection)
        self.stalled.stop(connection)
        self.recognise(connection)


def _expire_oldest(waiting: dict[object, Expire]) -> bool:
    if not waiting:
        return False
    waiting.pop(next(iter(waiting)))()
    return True


def connection_limit(wanted: int) -> int:
    """How many connections this process can serve: `wanted`, or what open files allow.

    Takes the limit of open files as far up as it goes: the usual 1,024 are for programs that wait
    with select().
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + OTHER_FILES
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed >= needed:
        return wanted
    limit = max(allowed - OTHER_FILES, allowed // 2)
    logger.warning(
        "a process may open only %d files here: at most %d connections are taken, where "
        "MONITOR_MAX_CONNECTIONS is %d. Raise the hard limit (ulimit -Hn; LimitNOFILE= of a "
        "systemd unit; ulimits: nofile of a container), or lower MONITOR_MAX_CONNECTIONS.",
        allowed,
        limit,
        wanted,
    )
    return limit
