"""POST /act: who may ask, from where, and how it is answered."""

from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from dashboard.acting.acts import Acts, NothingDone
from dashboard.acting.asked import Fault, parse
from dashboard.api import ApiGone, Refused
from dashboard.door.sessions import Role, role_of

PATH = "/act"
# All, so that none of them is answered with the document.
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
MAX_BODY_BYTES = 16 * 1024
_STATUS = {"NOT_FOUND": 404, "CONFLICT": 409, "BAD_USER_INPUT": 400}


class ActEndpoint:
    """Has done what an administrator asks for on a page of this dashboard."""

    def __init__(self, acts: Acts) -> None:
        self._acts = acts

    async def answer(self, request: Request) -> Response:
        """Refuses before it reads what is asked for: of a viewer, and of another site's page."""
        if request.method != "POST":
            return _refusal("Method not allowed.", 405, {"Allow": "POST"})
        if role_of(request.scope) is not Role.ADMIN:
            told = "Only who signed in with the administrator's password may do this."
            return _refusal(told, 403)
        if not is_same_origin(request):
            return _refusal("Only a page of this dashboard may ask for this.", 403)
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return _refusal("The body must be application/json.", 415)
        body = await _body(request)
        if body is None:
            return _refusal(f"The body is too large: {MAX_BODY_BYTES} bytes at most.", 413)
        return await self._do(body, request.client.host if request.client else "")

    async def _do(self, body: bytes, address: str) -> Response:
        try:
            return JSONResponse({"message": await self._acts.do(parse(body), address)})
        except Fault as fault:
            return JSONResponse({"detail": str(fault), "field": fault.field}, 400)
        except NothingDone as changed:
            return _refusal(str(changed), 409)
        except Refused as refused:
            return _refusal(str(refused), _STATUS.get(refused.code, 503))
        except ApiGone as gone:
            return _refusal(str(gone), 503)


def is_same_origin(request: Request) -> bool:
    """Whether a page of this dashboard asks: a session's cookie comes with what other ports and
    subdomains of this host send, too.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        return False
    origin = urlsplit(request.headers.get("origin", ""))
    # Behind a proxy with TLS, the scheme here is another one.
    return origin.scheme in ("http", "https") and origin.netloc == request.headers.get("host")


async def _body(request: Request) -> bytes | None:
    """None when it is too large."""
    body = b""
    try:
        async for part in request.stream():
            body += part
            if len(body) > MAX_BODY_BYTES:
                return None
    except ClientDisconnect:
        return b""
    return body


def _refusal(detail: str, status: int, headers: dict[str, str] | None = None) -> Response:
    sentence = f"{detail[:1].upper()}{detail[1:].removesuffix('.')}."
    return JSONResponse({"detail": sentence}, status, headers)
