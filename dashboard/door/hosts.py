"""The names by which the dashboard answers.

A site can have its own name lead to this machine once its page is loaded (DNS rebinding): whatever
that page asks for and reads then is its own, to the browser. Only the Host header still says by
which name one came, and no address can be made to lead elsewhere. With a password there is nothing
to gain: the browser has the session's cookie for other names.
"""

import ipaddress
from collections.abc import Iterable

from starlette.types import Scope

ANY_NAME = "*"
LOCAL = "localhost"


class Hosts:
    """Which Host headers are accepted: all addresses, `localhost`, and the names given.

    Args:
        named: by the one who runs it; with ANY_NAME among them everything is accepted
        own: further names that lead here, as this machine's
        has_password: then everything is accepted while nobody named anything
    """

    def __init__(
        self, named: Iterable[str], own: Iterable[str] = (), *, has_password: bool = False
    ) -> None:
        named = list(named)
        self._accepts_all = ANY_NAME in named or (has_password and not named)
        self._names = {_plain(name) for name in (*named, *own)}

    def accept(self, scope: Scope) -> bool:
        """Whether a request came by a name that is known."""
        if self._accepts_all:
            return True
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        # No browser leaves the header out.
        return not host or self._knows(_without_port(host))

    def _knows(self, name: str) -> bool:
        name = _plain(name)
        return (
            name in self._names
            or name == LOCAL
            or name.endswith(f".{LOCAL}")
            or _is_address(name.removeprefix("[").removesuffix("]"))
        )


def _plain(name: str) -> str:
    return name.lower().removesuffix(".")


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and "]" not in port else host


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
