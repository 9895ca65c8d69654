"""What the server answers by itself, where there is no request yet for the application."""

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

# By status, as they are counted.
REASONS = {400: "NOT_HTTP", 408: "TOO_SLOW", 431: "HEAD_TOO_LARGE", 503: "TOO_MANY_CONNECTIONS"}


def refusal(status: int, detail: str) -> bytes:
    """An answer after which the connection is closed. `detail` has no quotes."""
    body = b'{"detail":"' + detail.encode() + b'"}'
    later = b"retry-after: 1\r\n" if status == 503 else b""
    head = b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body)
    return STATUS_LINE[status] + head + later + b"connection: close\r\n\r\n" + body
