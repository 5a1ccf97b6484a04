"""One server with small limits for the whole room, and a well-behaved client at each attack."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parity.launches import launch
from tests.parity.servers import Program, Server
from tests.parity.wire import Connection, ask, request

HEADER_BYTES_MAX = 8192
BODY_BYTES_MAX = 4_000_000
SMALL = launch(
    "hostile_app:app",
    app_dir=str(Path(__file__).parent),
    header_seconds="1",
    body_idle_seconds="1",
    write_idle_seconds="1",
    keep_alive_seconds="2",
    header_bytes_max=str(HEADER_BYTES_MAX),
    body_bytes_max=str(BODY_BYTES_MAX),
)
SERVED_MIN = 3


class Neighbour(threading.Thread):
    """A client that does nothing wrong, on one kept connection, while others attack."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self.problem = ""
        self._server = server
        self._served = 0
        self._changed = threading.Condition()
        self._stopping = threading.Event()

    def run(self) -> None:
        """Ask again and again; keep the first thing that goes wrong."""
        try:
            with Connection(self._server) as connection:
                while not self._stopping.wait(0.02):
                    connection.send(request("/hello?neighbour"))
                    line = connection.answer().status_line
                    if line != "HTTP/1.1 200 OK":
                        raise AssertionError(line)
                    with self._changed:
                        self._served += 1
                        self._changed.notify_all()
        except (OSError, ValueError, IndexError, AssertionError) as error:
            self.problem = repr(error)

    def is_served(self) -> bool:
        """Whether it is served a few more times from now on."""
        with self._changed:
            wanted = self._served + SERVED_MIN
            return self._changed.wait_for(lambda: self._served >= wanted, 10)

    def stop(self) -> None:
        """End it."""
        self._stopping.set()
        self.join(10)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Outgrow with small limits."""
    with Program("outgrow").running(SMALL) as running:
        yield running


@pytest.fixture(scope="session")
def worker(server: Server) -> int:
    """The process id of the only worker, as it was before the first attack."""
    return ask(server, "/pid").value()


@pytest.fixture(autouse=True)
def neighbour(server: Server, worker: int) -> Iterator[Neighbour]:
    """The well-behaved client: served before, during and after; the worker stays the same."""
    client = Neighbour(server)
    client.start()
    assert client.is_served()
    yield client
    assert client.is_served(), client.problem
    client.stop()
    assert client.problem == ""
    assert ask(server, "/pid").value() == worker
