"""Another's receiver, which answers as it is told to and remembers what it got."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from outgrow.telemetry.otlp.decoding import OtlpDecoder, Received
from outgrow.telemetry.otlp.limits import SIGNALS, Signal


@dataclass
class Elsewhere:
    """The receiver.

    Attributes:
        url: Where it is.
        answers: Status, headers and body of the next answers; afterwards 200.
        got: What it took, in order.
        headers: Of each request.
    """

    url: str = ""
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    got: list[Received] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    turn: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, requests: int, seconds: float = 10.0) -> None:
        """Wait until it was asked so often."""
        with self.turn:
            assert self.turn.wait_for(lambda: len(self.headers) >= requests, seconds)

    def take(
        self, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        with self.turn:
            self.headers.append(headers)
            status, further, content = self.answers.pop(0) if self.answers else (200, {}, b"")
            if status == 200:
                signals: dict[str, Signal] = {f"/prefix/v1/{one}": one for one in SIGNALS}
                signal = signals[path]
                packed = headers.get("content-encoding") == "gzip"
                plain = gzip.decompress(body) if packed else body
                self.got.append(OtlpDecoder().decode(signal, "protobuf", plain))
            self.turn.notify_all()
            return status, further, content


def wait_for(found: Callable[[], bool], seconds: float = 15.0) -> None:
    """Wait until something is so."""
    until = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < until
        time.sleep(0.005)


@contextmanager
def elsewhere(answers: Sequence[tuple[int, dict[str, str], bytes]] = ()) -> Iterator[Elsewhere]:
    """Serve on a free port of loopback."""
    there = Elsewhere(answers=list(answers))

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, further, content = there.take(self.path, headers, body)
            self.send_response(status)
            for name, value in further.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    there.url = f"http://127.0.0.1:{server.server_address[1]}/prefix"
    try:
        yield there
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
