"""An outside ledger: raw clients that never retry, and what became of each request.

Each request is a POST with an id of its own. Some clients keep their connection alive, some ask for
`Connection: close`; both obey the server's `Connection: close`. A connection that has idled for
longer than the server's keep-alive time less a second is closed by the client, so that no lost race
at the end of the keep-alive time is blamed on the server.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from .processes import Killed

REQUEST_SECONDS = 15.0
"""After this long without an answer a request counts as failed."""


@dataclass
class Connection:
    """One TCP connection of a client, and the worker that answered on it.

    Attributes:
        local_port: The client's port; the kernel may reuse it for a later connection.
        opened_at: When it was connected, on `time.monotonic()`.
        pid: The worker that answered on it; None while none has.
        answers: How many requests were answered on it.
        closed_early: Seconds it had idled when the server had closed it, if before the keep-alive
            time; a request sent at that moment would have failed.
    """

    local_port: int
    opened_at: float
    pid: int | None = None
    answers: int = 0
    closed_early: float | None = None


@dataclass
class Entry:
    """One request: sent, then answered or failed.

    Attributes:
        id: What the body said.
        connection: What it was sent on; None if connecting failed.
        started_at: Before connecting, if it had to connect, on `time.monotonic()`.
        ended_at: When it was answered or had failed.
        failure: Why it failed; empty if answered with 200.
    """

    id: str
    started_at: float
    connection: Connection | None = None
    ended_at: float = 0.0
    pid: int | None = None
    version: str = ""
    failure: str = ""

    @property
    def seconds(self) -> float:
        """From the start, connecting included, to the end."""
        return self.ended_at - self.started_at


@dataclass
class Outcome:
    """All that the ledger holds after the load has stopped."""

    entries: list[Entry] = field(default_factory=list[Entry])
    connections: list[Connection] = field(default_factory=list[Connection])

    @property
    def answered(self) -> list[Entry]:
        """Requests that got a 200."""
        return [entry for entry in self.entries if not entry.failure]

    @property
    def failed(self) -> list[Entry]:
        """Requests that got anything else, or nothing."""
        return [entry for entry in self.entries if entry.failure]

    @property
    def closed_early(self) -> list[Connection]:
        """Idle connections that the server closed within the keep-alive time."""
        return [each for each in self.connections if each.closed_early is not None]

    def unexplained(self, killed: Iterable[Killed]) -> list[Entry]:
        """Failed requests whose connection no killed process had accepted."""
        kills = list(killed)
        return [entry for entry in self.failed if not any(_belongs(entry, kill) for kill in kills)]

    def slowest_seconds(self, *, since: float = 0.0, until: float = float("inf")) -> float:
        """The longest request on a connection opened in this span; 0 without any."""
        spans = [
            entry.seconds
            for entry in self.entries
            if entry.connection and since <= entry.connection.opened_at <= until
        ]
        return max(spans, default=0.0)

    def explain(self, limit: int = 10) -> str:
        """The first failures, one a line, for an assertion's message."""
        lines = [
            f"{entry.failure} after {entry.seconds:.2f} s, {entry.connection}"
            for entry in self.failed[:limit]
        ]
        return f"{len(self.failed)} of {len(self.entries)} requests failed\n" + "\n".join(lines)


class Load:
    """Clients in a thread of their own that send until the `with` block ends.

    Args:
        port: Where the server listens, on 127.0.0.1.
        keeping: How many clients keep their connection alive.
        closing: How many open a new connection for each request.
        pauses_seconds: Pause between two requests, one value a client, taken in turn.
        keep_alive_seconds: The server's setting.
        target: Path and query of the requests.
    """

    def __init__(
        self,
        port: int,
        *,
        keeping: int = 8,
        closing: int = 4,
        pauses_seconds: tuple[float, ...] = (0.002, 0.005, 0.02, 0.3),
        keep_alive_seconds: float = 5.0,
        target: str = "/record",
    ) -> None:
        self.outcome = Outcome()
        self._port = port
        self._plan = [False] * keeping + [True] * closing
        self._pauses = pauses_seconds
        self._idle_max_seconds = keep_alive_seconds - 1
        self._target = target
        self._ids = itertools.count()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join(REQUEST_SECONDS + 5)
        assert not self._thread.is_alive(), "the ledger's clients did not stop"

    @property
    def count(self) -> int:
        """How many requests have ended so far."""
        return len(self.outcome.entries)

    async def _run(self) -> None:
        pauses = itertools.cycle(self._pauses)
        async with asyncio.TaskGroup() as group:
            for closing in self._plan:
                group.create_task(self._client(closing=closing, pause_seconds=next(pauses)))

    async def _client(self, *, closing: bool, pause_seconds: float) -> None:
        wire: _Wire | None = None
        while not self._stopping.is_set():
            wire = self._still_usable(wire)
            entry = Entry(id=f"r{next(self._ids)}", started_at=time.monotonic())
            try:
                async with asyncio.timeout(REQUEST_SECONDS):
                    wire = wire or await self._open()
                    entry.connection = wire.connection
                    await wire.exchange(entry, self._request(entry.id, closing=closing))
            except (OSError, EOFError, ValueError) as error:  # TimeoutError is an OSError
                entry.failure = entry.failure or f"{type(error).__name__}: {error}"
            self._book(entry)
            if entry.failure or (wire and wire.closing):
                wire = wire.close() if wire else None
            await asyncio.sleep(pause_seconds)
        if wire:
            wire.close()

    def _still_usable(self, wire: _Wire | None) -> _Wire | None:
        if wire is None:
            return None
        if wire.reader.at_eof():
            if wire.idle_seconds() < self._idle_max_seconds:
                wire.connection.closed_early = wire.idle_seconds()
            return wire.close()
        return wire.close() if wire.idle_seconds() > self._idle_max_seconds else wire

    async def _open(self) -> _Wire:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        port = int(writer.get_extra_info("sockname")[1])
        connection = Connection(local_port=port, opened_at=time.monotonic())
        self.outcome.connections.append(connection)
        return _Wire(reader, writer, connection)

    def _request(self, id: str, *, closing: bool) -> bytes:
        head = f"POST {self._target} HTTP/1.1\r\nHost: t\r\nContent-Length: {len(id)}\r\n"
        return f"{head}{'Connection: close' if closing else 'X-Kept: 1'}\r\n\r\n{id}".encode()

    def _book(self, entry: Entry) -> None:
        entry.ended_at = time.monotonic()
        if entry.connection and entry.pid is not None:
            entry.connection.pid = entry.pid
            entry.connection.answers += 1
        self.outcome.entries.append(entry)


class _Wire:
    """One connection's streams."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: Connection
    ) -> None:
        self.reader, self.connection = reader, connection
        self.closing = False
        self._writer = writer
        self._used_at = time.monotonic()

    def idle_seconds(self) -> float:
        return time.monotonic() - self._used_at

    async def exchange(self, entry: Entry, request: bytes) -> None:
        self._writer.write(request)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = next(
            int(line.split(":")[1]) for line in head.split("\r\n") if line.startswith("content-len")
        )
        body = await self.reader.readexactly(length)
        self._used_at = time.monotonic()
        self.closing = "connection: close" in head
        if not head.startswith("http/1.1 200"):
            raise ValueError(head.split("\r\n")[0])
        answer = json.loads(body)
        if answer["id"] != entry.id:
            raise ValueError(f"sent {entry.id}, the answer is for {answer['id']}")
        entry.pid, entry.version = answer["pid"], answer["version"]

    def close(self) -> None:
        self._writer.close()


def handled_ids(folder: Path) -> dict[str, list[int]]:
    """What the workers wrote down: request id -> process ids that handled it."""
    found: dict[str, list[int]] = {}
    for path in folder.glob("handled-*.log"):
        pid = int(path.stem.split("-")[1])
        for line in path.read_text().splitlines():
            found.setdefault(line.split()[0], []).append(pid)
    return found


def assert_ledgers_agree(outcome: Outcome, folder: Path) -> None:
    """Each answered id was handled exactly once, and by the worker that answered."""
    handled = handled_ids(folder)
    wrong = [entry for entry in outcome.answered if handled.get(entry.id) != [entry.pid]]
    assert not wrong, f"{len(wrong)} answers the workers do not know of, first: {wrong[0]}"
    twice = {id: pids for id, pids in handled.items() if len(pids) > 1}
    assert not twice, f"handled more than once: {twice}"


def _belongs(entry: Entry, kill: Killed) -> bool:
    if entry.connection is None:
        return False
    if entry.connection.opened_at > kill.at:
        return False
    by_port = entry.connection.local_port in kill.client_ports
    return by_port or entry.connection.pid == kill.pid
