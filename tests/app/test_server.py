"""Server processes that share a port share the work."""

import contextlib
import pickle
import socket
import sys

import pytest

from app.server import SharedPort
from tests.servers import free_port


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere one socket is shared")
def test_connections_are_spread_over_the_processes_that_share_a_port() -> None:
    with contextlib.ExitStack() as stack:
        parent = stack.enter_context(SharedPort("127.0.0.1", free_port()))
        children = [stack.enter_context(pickle.loads(pickle.dumps(parent))) for _ in range(2)]
        for child in children:
            child.listen(100)
            child.settimeout(0)
        for _ in range(60):
            stack.enter_context(socket.create_connection(parent.getsockname()))
        assert all(_accepts(child, stack) for child in children)


def _accepts(listening: socket.socket, stack: contextlib.ExitStack) -> bool:
    try:
        stack.enter_context(listening.accept()[0])
    except BlockingIOError:
        return False
    return True
