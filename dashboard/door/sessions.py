"""Sessions: what a sign-in gives, how long it lasts, and what ends it before its time."""

import contextlib
import hashlib
import hmac
import logging
import secrets
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from starlette.types import Scope

COOKIE = "monitor_session"
# Of not being used.
SESSION_SECONDS = 12 * 3600
# However much it is used.
MAX_SESSION_SECONDS = 7 * 24 * 3600

Clock = Callable[[], float]

logger = logging.getLogger(__name__)


class Role(StrEnum):
    """What a password lets its owner do: look, or look and act."""

    VIEWER = "viewer"
    ADMIN = "admin"


# What the key of a role is salted with. So the cookies of one never become those of the other,
# even if the passwords change places.
_SALTS = {Role.VIEWER: b"process monitor session", Role.ADMIN: b"process monitor admin session"}
# Of a request that the gate let through: the role of its session, None where nobody signs in.
ROLE = "process_monitor.role"


def role_of(scope: Scope) -> Role | None:
    """The role of who sent a request that came through the gate; None where nobody signs in."""
    role: Role | None = scope.get(ROLE)
    return role


@dataclass(frozen=True)
class Session:
    """One sign-in, for as long as it is known to last; times in seconds since 1970."""

    role: Role
    id: str
    begun_at: int
    ends_at: int

    @property
    def last_end_at(self) -> int:
        """Whatever prolongs it, it ends then."""
        return self.begun_at + MAX_SESSION_SECONDS


class SignedOut:
    """The sessions that were ended by their owners, for as long as they could have lasted.

    Kept in a folder too, a file without content for each, so that neither a restart nor another
    replica that has the folder lets them in again.
    """

    def __init__(self, folder: Path | None, now: Clock) -> None:
        self._folder = folder
        self._now = now
        self._names: set[str] = set()

    def add(self, session: Session) -> None:
        """Notes the end of a session; one that cannot be kept holds until a restart."""
        self._names = {name for name in self._names if not self._is_over(name)}
        self._names.add(_name(session))
        if self._folder is None:
            return
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self._folder / _name(session)).touch(0o600)
            self._remove_old(self._folder)
        except OSError as error:
            logger.warning("After a restart, a session that was signed out lives again: %s", error)

    def __contains__(self, session: Session) -> bool:
        name = _name(session)
        if name in self._names:
            return True
        with contextlib.suppress(OSError):  # it cannot be read, of which `add` warned
            return self._folder is not None and (self._folder / name).exists()
        return False

    def _remove_old(self, folder: Path) -> None:
        for path in folder.iterdir():
            if self._is_over(path.name):
                path.unlink(missing_ok=True)

    def _is_over(self, name: str) -> bool:
        end = name.partition(".")[0]
        return end.isdecimal() and int(end) <= self._now()


class _Password:
    """What a password can sign; the role of a session is whose password signed its cookie."""

    def __init__(self, role: Role, password: str) -> None:
        self.role = role
        # Slow, since whoever gets hold of a cookie may try passwords on it.
        self._key = hashlib.scrypt(_password_bytes(password), salt=_SALTS[role], n=2**14, r=8, p=1)
        self._password = self.sign("password", _password_bytes(password))

    def is_it(self, given: str) -> bool:
        return hmac.compare_digest(self.sign("password", _password_bytes(given)), self._password)

    def sign(self, purpose: str, data: bytes) -> bytes:
        return hmac.new(self._key, purpose.encode() + b":" + data, "sha256").hexdigest().encode()


class Sessions:
    """Sessions are cookies that only a password can have signed; only ended ones are stored.

    So all replicas know them, and a changed password ends those of its role.
    """

    def __init__(
        self,
        passwords: Mapping[Role, str],
        now: Clock = time.time,
        *,
        signed_out: SignedOut | None = None,
    ) -> None:
        self._passwords = {role: _Password(role, given) for role, given in passwords.items()}
        self._signed_out = signed_out or SignedOut(None, now)
        self._now = now

    def role_by(self, given: str) -> Role | None:
        """Whose password this is; all are compared, so that time does not tell."""
        roles = [password.role for password in self._passwords.values() if password.is_it(given)]
        return roles[0] if roles else None

    def begin(self, role: Role) -> Session:
        """A new session."""
        now = int(self._now())
        return Session(role, secrets.token_hex(16), now, now + SESSION_SECONDS)

    def find(self, scope: Scope) -> Session | None:
        """The session of a request; of several, the one that lasts longest."""
        return max(self._open_sessions(scope), key=lambda session: session.ends_at, default=None)

    def prolonged(self, session: Session) -> Session | None:
        """The same session, to last longer; None while more than half of its time remains."""
        now = self._now()
        if session.ends_at - now >= SESSION_SECONDS / 2:
            return None
        ends_at = min(int(now) + SESSION_SECONDS, session.last_end_at)
        return replace(session, ends_at=ends_at) if ends_at > session.ends_at else None

    def is_open(self, session: Session) -> bool:
        return self._now() < session.ends_at and session not in self._signed_out

    def end(self, scope: Scope) -> bool:
        """Ends the sessions of a request, for all who have their cookies; False: it has none."""
        ended = list(self._open_sessions(scope))
        for session in ended:
            self._signed_out.add(session)
        return bool(ended)

    def remaining_seconds(self, session: Session) -> int:
        """How long it lasts from now on."""
        return session.ends_at - int(self._now())

    def cookie(self, session: Session) -> str:
        """The value of its cookie."""
        told = f"{session.ends_at}.{session.begun_at}.{session.id}"
        signature = self._passwords[session.role].sign("session", told.encode())
        return f"{told}.{signature.decode()}"

    def _open_sessions(self, scope: Scope) -> Iterator[Session]:
        for value in _cookies(scope):
            session = self._read(value)
            if session and self.is_open(session):
                yield session

    def _read(self, value: bytes) -> Session | None:
        told, _, signature = value.rpartition(b".")
        for role, password in self._passwords.items():
            if hmac.compare_digest(signature, password.sign("session", told)):
                match told.split(b"."):
                    case [ends_at, begun_at, id_]:
                        return Session(role, id_.decode(), int(begun_at), int(ends_at))
        return None  # nobody signed it, or it is of a release before sessions had ids


def _name(session: Session) -> str:
    return f"{session.last_end_at}.{session.id}"


def _password_bytes(password: str) -> bytes:
    # Systems differ in how they compose "ü", and an environment may hold what is not UTF-8.
    return unicodedata.normalize("NFC", password).encode(errors="surrogateescape")


def _cookies(scope: Scope) -> Iterable[bytes]:
    """The values of our cookie; as bytes, and without unquoting, there is nothing to fail."""
    for header, line in scope["headers"]:
        if header == b"cookie":
            for part in line.split(b";"):
                name, _, value = part.strip().partition(b"=")
                if name == COOKIE.encode():
                    yield value
