"""Where the legacy routes answer errors otherwise than FastAPI would, and why.

- 400 instead of 422 for a body that does not fit: the contract says so, since workers treat both
  alike and people look up 400 first.
- one text in `detail`, naming field and reason, instead of a list of objects.
"""

from collections.abc import Sequence
from typing import Any

from starlette.responses import JSONResponse, Response

from monitor.errors import MonitorError, TooManyAttempts, Unauthenticated, Unavailable, wire


def refusal_response(error: MonitorError) -> Response:
    """`{"detail": …}` with the status of the error's class."""
    headers = {}
    if isinstance(error, Unavailable | TooManyAttempts):
        headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"detail": str(error)}, wire(error).status, headers)


def misfit_response(faults: Sequence[Any]) -> JSONResponse:
    """400 from what pydantic found: every field with its reason."""
    return JSONResponse({"detail": "; ".join(_text(fault) for fault in faults)}, 400)


def _text(fault: Any) -> str:
    where, *path = fault["loc"]  # "body" or "query", then the field
    if fault["type"] == "json_invalid":
        return f"body: is not JSON: {fault['ctx']['error']} (character {path[0]})"
    return f"{'.'.join(map(str, path)) or where}: {fault['msg']}"
