"""Everything an operation or read can refuse, and the one table that names it to clients.

- `Unauthenticated`: no token, or one that is not known.
- `TooManyAttempts`: the token is not known, and there were too many of that kind before.
- `Forbidden`: the token may read, but not do this.
- `PipelineNotFound`, `WorkerNotFound`, `ProcessNotFound`, `TaskNotFound`, `FailureNotFound`: there
  is nothing with that id.
- `InvalidInput`: a value breaks a documented rule; the message names the field and the reason.
- `Conflict`: the input contradicts what was done before (an idempotency key used twice).
- `CursorExpired`: the live feed no longer holds what follows this cursor.
- `Unavailable`: the database or the feed cannot be used right now; trying again later helps.

Anything else is a defect: masked, logged with an id, and answered with that id.
"""

from dataclasses import dataclass


class MonitorError(Exception):
    """Base of all refusals; its text is meant for the client."""


class Unauthenticated(MonitorError):
    """No token, or one that is not known."""

    def __init__(self, message: str = "Unauthorized") -> None:
        super().__init__(message)


class TooManyAttempts(MonitorError):
    """The token is not known, and there were too many of that kind before it."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(f"Too many failed attempts; try again in {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


class Forbidden(MonitorError):
    """The token may read, but not do this."""

    def __init__(self, message: str = "Forbidden") -> None:
        super().__init__(message)


class NotFound(MonitorError):
    """There is nothing with that id."""

    what = "Object"

    def __init__(self) -> None:
        super().__init__(f"{self.what} not found")


class PipelineNotFound(NotFound):
    """There is no pipeline with that id."""

    what = "Pipeline"


class WorkerNotFound(NotFound):
    """There is no worker with that id."""

    what = "Worker"


class ProcessNotFound(NotFound):
    """There is no process with that id."""

    what = "Process"


class TaskNotFound(NotFound):
    """There is no task with that id."""

    what = "Task"


class FailureNotFound(NotFound):
    """There is no failure with that id."""

    what = "Failure"


class InvalidInput(MonitorError):
    """A value breaks a documented rule; the message names the field and the reason."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field


class Conflict(MonitorError):
    """The input contradicts what was done before."""


class CursorExpired(MonitorError):
    """The live feed no longer holds what follows this cursor: query again, then subscribe."""

    def __init__(self) -> None:
        super().__init__("The feed no longer holds what follows this cursor; query again")


class Unavailable(MonitorError):
    """The database or the feed cannot be used right now."""

    retry_after_seconds = 1

    def __init__(self, message: str = "The service is unavailable right now; try again") -> None:
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Wire:
    """How one class of error is named: GraphQL `extensions.code` and HTTP status."""

    code: str
    status: int


WIRE: dict[type[Exception], Wire] = {
    Unauthenticated: Wire("UNAUTHENTICATED", 401),
    TooManyAttempts: Wire("UNAUTHENTICATED", 429),
    Forbidden: Wire("FORBIDDEN", 403),
    NotFound: Wire("NOT_FOUND", 404),
    PipelineNotFound: Wire("NOT_FOUND", 404),
    WorkerNotFound: Wire("NOT_FOUND", 404),
    ProcessNotFound: Wire("NOT_FOUND", 404),
    TaskNotFound: Wire("NOT_FOUND", 404),
    FailureNotFound: Wire("NOT_FOUND", 404),
    InvalidInput: Wire("BAD_USER_INPUT", 400),
    Conflict: Wire("CONFLICT", 409),
    # Only subscriptions have cursors into the feed; SSE answers it as a GraphQL error in a 200.
    CursorExpired: Wire("CURSOR_EXPIRED", 200),
    Unavailable: Wire("UNAVAILABLE", 503),
}
INTERNAL = Wire("INTERNAL", 500)


def wire(error: BaseException) -> Wire:
    """The client's name for `error`: INTERNAL unless it is in the table."""
    return WIRE.get(type(error), INTERNAL)  # type: ignore[arg-type]  # a class that is no key is INTERNAL
