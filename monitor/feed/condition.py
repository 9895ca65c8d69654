"""Whether a part works and, when it does not, why: for the log and for /health."""

import logging
import time
from asyncio import CancelledError

from sqlalchemy.exc import DBAPIError

from monitor.errors import MonitorError

# How often the log has the same cause while it lasts.
REPEAT_SECONDS = 60
# Causes that are remembered, in case they differ each time.
_CAUSES = 100


def cause(error: BaseException) -> str:
    """What lies under an error, in one line: Redis' or the class' name for it, and its text.

    Not how a time limit is kept, which lies under a TimeoutError: a task that was cancelled.
    """
    while (below := error.__cause__) is not None and not _keeps_time(below):
        error = below
    if isinstance(error, DBAPIError) and error.orig is not None:
        error = error.orig
    text = " ".join(str(error).split())
    if isinstance(error, MonitorError):
        return text
    # NOAUTH, OOM, READONLY and so on: redis-py cuts the word off the text.
    code = getattr(error, "status_code", None)
    if isinstance(code, str):
        return f"{code} {text}"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _keeps_time(error: BaseException) -> bool:
    return isinstance(error, CancelledError) or (
        isinstance(error.__cause__, CancelledError) and not str(error)
    )


class Condition:
    """Logs each cause when it is new, and once a minute while it lasts; and that it is over."""

    def __init__(self, logger: logging.Logger, name: str, *, problem: str | None = None) -> None:
        self._logger = logger
        self._name = name
        self._logged_at: dict[str, float] = {}
        # None while it works.
        self.problem = None if problem is None else f"{name}: {problem}"

    def recover(self) -> None:
        """It works."""
        if self.problem is not None:
            self._logger.info("%s: works", self._name)
            self._logged_at.clear()
        self.problem = None

    def fail(
        self, problem: str, *, level: int = logging.WARNING, trace: BaseException | None = None
    ) -> None:
        """It does not; `trace` is an error whose trace the log shall have."""
        self.problem = f"{self._name}: {problem}"
        now = time.monotonic()
        if now - self._logged_at.get(problem, -REPEAT_SECONDS) < REPEAT_SECONDS:
            return
        if len(self._logged_at) >= _CAUSES:
            self._logged_at.clear()
        self._logged_at[problem] = now
        self._logger.log(level, "%s", self.problem, exc_info=trace)
