"""Services behind sockets of each kind, and callers of them, in one process."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import uvloop

from outgrow.host import Host
from outgrow.host.remote import remote_client
from outgrow.model import App, describe
from outgrow.telemetry import LinkBook
from outgrow.wire import (
    AnsweringConnection,
    CallingConnection,
    Certificates,
    Meeting,
    Peers,
    listen,
)
from outgrow.wire.frames import BODY_BYTES_MAX
from tests.parity.certificates import folder as certificates_folder

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine
    from pathlib import Path

Kind = Literal["unix", "tcp", "tls"]
Factory = Callable[[], asyncio.AbstractEventLoop]
LOOPS: dict[str, Factory] = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
PATIENCE_SECONDS = 10.0


def run_in(factory: Factory, piece: Coroutine[Any, Any, Any]) -> Any:
    """What `asyncio.run` does, in a loop of this kind."""
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(piece)


def certificates(name: str) -> Certificates:
    """Those of the `server` or the `client`."""
    place = certificates_folder()
    return Certificates(*(str(place / each) for each in (f"{name}.pem", f"{name}.key", "ca.pem")))


@dataclass
class Replica:
    """One of several equal places where a service answers.

    Attributes:
        meeting: Where it listens.
        server: Which accepts its connections.
        connections: All that it had.
        is_leaving: It takes no more calls.
        late_count: Connections that came when it was leaving.
    """

    meeting: Meeting
    server: asyncio.Server
    connections: list[AnsweringConnection] = field(default_factory=list)
    is_leaving: bool = False
    late_count: int = 0

    @property
    def prompt_count(self) -> int:
        """Connections that came before it was leaving."""
        return len(self.connections) - self.late_count

    @property
    def in_flight(self) -> int:
        """Calls that are being answered."""
        return sum(each.in_flight for each in self.connections)

    @property
    def is_deserted(self) -> bool:
        """Whether nobody is connected."""
        return not any(each.is_open for each in self.connections)

    def leave(self) -> None:
        """Take no more connections, and have callers go elsewhere."""
        self.is_leaving = True
        self.server.close()
        for each in self.connections:
            each.leave()

    def close(self) -> None:
        """Go at once."""
        self.server.close()
        for each in self.connections:
            each.close()


class Counted(AnsweringConnection):
    """One that its replica knows from the moment that it is made."""

    def __init__(self, replica: Replica, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._replica = replica

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._replica.connections.append(self)
        if self._replica.is_leaving:
            self._replica.late_count += 1
            self.leave()


class Stage:
    """One service, its replicas, and a caller.

    Attributes:
        client: What the caller holds.
        book: What the caller counts.
        peers: How the caller reaches the replicas.
        callers: The caller's ends of all connections.
        replicas: Those that the caller knows.
        made: All that there ever were.
        host: Answers in all of them.
    """

    def __init__(self, cls: type, host: Host, kind: Kind, folder: Path, **limits: int) -> None:
        self._cls, self.host, self._kind, self._folder = cls, host, kind, folder
        self._name = describe(cls).name
        self._limits = limits
        self._count = 0
        self.callers: list[CallingConnection] = []
        self.replicas: list[Replica] = []
        self.made: list[Replica] = []
        self.peers = Peers(
            self._calling, random.Random(1), certificates("client") if kind == "tls" else None
        )
        self.book = LinkBook()
        self.client: Any = remote_client(describe(cls), self.peers, self.book)

    def _calling(self, changed: Callable[[], None]) -> CallingConnection:
        limit = self._limits.get("caller_bytes_max", BODY_BYTES_MAX)
        self.callers.append(CallingConnection(on_change=changed, body_bytes_max=limit))
        return self.callers[-1]

    async def add(self) -> Replica:
        """Have one more replica; the caller is not told yet."""
        answerers = self.host.answerers()
        limit = self._limits.get("callee_bytes_max", BODY_BYTES_MAX)

        def make() -> AnsweringConnection:
            return Counted(replica, answerers, name="stock", body_bytes_max=limit)

        self._count += 1
        meeting = Meeting("tcp", host="localhost")
        if self._kind == "unix":
            meeting = Meeting("unix", path=str(self._folder / f"{self._count}.sock"))
        server = await listen(
            meeting, make, certificates("server") if self._kind == "tls" else None
        )
        if self._kind != "unix":
            port = server.sockets[0].getsockname()[1]
            meeting = Meeting("tcp", host="127.0.0.1", port=port)
        replica = Replica(meeting, server)
        self.made.append(replica)
        return replica

    def tell(self, *replicas: Replica) -> None:
        """Tell the caller where the service runs now."""
        self.replicas = [*replicas]
        self.peers.update({self._name: [each.meeting for each in replicas]})

    @property
    def in_flight(self) -> int:
        """Calls under way as either side sees them."""
        sides = [*self.callers, *self.replicas]
        return sum(each.in_flight for each in sides)


@asynccontextmanager
async def staged(
    cls: type, kind: Kind, folder: Path, *, replicas: int = 1, **limits: int
) -> AsyncGenerator[Stage]:
    """Run a service in so many replicas; at the end all is closed, and nothing left behind."""
    before = asyncio.all_tasks()
    host = Host(App(services=[cls]))
    await host.start()
    stage = Stage(cls, host, kind, folder, **limits)
    stage.tell(*[await stage.add() for _ in range(replicas)])
    try:
        yield stage
    finally:
        await stage.peers.close()
        for each in stage.made:
            each.close()
        await until(lambda: all(each.is_deserted for each in stage.made), "all to go")
        await host.stop()
        await until(lambda: asyncio.all_tasks() <= before, "all tasks to end")
        for each in stage.made:
            await asyncio.gather(*(one.closed() for one in each.connections))


async def until(condition: Callable[[], object], what: str) -> None:
    """Let the loop turn until something is so."""
    async with asyncio.timeout(PATIENCE_SECONDS) as limit:
        while not condition():
            assert not limit.expired(), f"waited for {what}"
            await asyncio.sleep(0)
