"""What an idle subscription costs in memory."""

from bench.fanout import QUERY, subscribed
from bench.parts import Parts, resident_bytes
from bench.report import Figure, say
from bench.sockets import RawSocket, Tally, open_sockets, subscribe_message

SOCKETS = 2_000
WARM_UP = 200


async def measure(parts: Parts) -> list[Figure]:
    """Resident memory per socket with one subscription, beside a bare socket."""
    say(f"memory of {SOCKETS} idle subscriptions")
    with parts.monitor(parts.new_database()) as server, parts.peer("bare", "330") as (bare, pid):
        assert server.process is not None
        ours = await _per_socket(server.port, server.process.pid, bare=False)
        limit = await _per_socket(bare, pid, bare=True)
    name = f"memory per idle subscription (a bare socket: {limit / 1024:.0f} KiB)"
    return [Figure(name, "KiB", ours / 1024, 40, lower_is_better=True)]


async def _per_socket(port: int, pid: int, *, bare: bool) -> float:
    # The first sockets pay for what all share: code that is loaded, buffers, caches.
    warm = await _open(port, WARM_UP, bare=bare)
    before = resident_bytes(pid)
    sockets = await _open(port, SOCKETS, bare=bare)
    used = resident_bytes(pid) - before
    for client in [*warm, *sockets]:
        assert client.transport is not None
        client.transport.abort()
    return used / SOCKETS


async def _open(port: int, count: int, *, bare: bool) -> list[RawSocket]:
    if bare:
        tally = Tally()
        return await open_sockets(tally, port, count, path="/", subprotocol=None)
    _, sockets = await subscribed(port, [subscribe_message(QUERY, {"f": None})] * count)
    return sockets
