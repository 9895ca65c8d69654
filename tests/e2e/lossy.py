"""Stands between a worker and the API, and loses what it is told to lose."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Literal

import httpx

Loss = Literal["request", "answer"]


class LossyApi(ThreadingHTTPServer):
    """Forwards POST requests to `target`; of the starts numbered in `lost` (from 1) it loses the
    request or the answer, and closes the connection.
    """

    daemon_threads = True

    def __init__(self, target: str, lost: dict[int, Loss]) -> None:
        super().__init__(("127.0.0.1", 0), _Forwarder)
        self.target = target
        self.lost = lost
        self.starts = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Forwarder(BaseHTTPRequestHandler):
    server: LossyApi

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        loss: Loss | None = None
        if self.path == "/newprocess":
            self.server.starts += 1
            loss = self.server.lost.get(self.server.starts)
        self.close_connection = True
        if loss == "request":
            return
        headers = {name: self.headers[name] for name in ("Authorization", "Content-Type")}
        answer = httpx.post(self.server.target + self.path, content=body, headers=headers)
        if loss == "answer":
            return
        self.send_response(answer.status_code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def losing(target: str, lost: dict[int, Loss]) -> Iterator[LossyApi]:
    """A proxy that serves in a thread of its own."""
    with LossyApi(target, lost) as proxy:
        serving = Thread(target=proxy.serve_forever, daemon=True)
        serving.start()
        yield proxy
        proxy.shutdown()
        serving.join()
