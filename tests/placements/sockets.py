"""Services that call each other over sockets, each with a host of its own, in one process.

What crosses here crosses as between two processes, and a test of it takes milliseconds.
"""

from __future__ import annotations

import random
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from outgrow import Clock
from outgrow.host import Host, app_of
from outgrow.host.remote import remote_client
from outgrow.model import App, graph_of
from outgrow.telemetry import LinkBook
from outgrow.testing import RunningApp
from outgrow.testing.watched import work_of_test
from outgrow.wire import AnsweringConnection, CallingConnection, Meeting, Peers, listen

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from pathlib import Path

    from outgrow.testing.watched import TestWork


class Apart(RunningApp):
    """The running services."""

    def __init__(
        self, clients: dict[type, Any], work: TestWork, connections: list[AnsweringConnection]
    ) -> None:
        super().__init__(clients.__getitem__, work)
        self.connections = connections


@asynccontextmanager
async def apart(
    services: Any,
    folder: Path,
    *,
    fakes: Sequence[object] = (),
    providers: Sequence[Any] = (),
    environment: Mapping[str, str] | None = None,
    clock: Clock | None = None,
) -> AsyncGenerator[Apart]:
    """Run each service behind a socket of its own, in the folder."""

    def given() -> Clock:
        assert clock is not None
        return clock

    app = app_of(services)
    first = [given] if clock is not None else []
    callers = [
        operation.shown
        for model in graph_of(app.services).services.values()
        for operation in model.operations.values()
    ]
    peers = Peers(lambda changed: CallingConnection(callers, on_change=changed), random.Random(1))
    meetings: dict[str, list[Meeting]] = {}
    clients: dict[type, Any] = {}
    connections: list[AnsweringConnection] = []
    async with AsyncExitStack() as exits:
        work = exits.enter_context(work_of_test(clock))
        source = work.source()
        exits.push_async_callback(source.close)
        exits.push_async_callback(peers.close)
        for number, model in enumerate(graph_of(app.services).services.values()):
            part = App(services=[model.cls], providers=[*first, *providers, *app.providers])
            host = Host(part, fakes=fakes, environment=environment, running=clients, source=source)
            await host.start()
            exits.push_async_callback(host.stop)
            meeting = Meeting("unix", path=str(folder / f"{number}.sock"))
            server = await listen(meeting, _maker(host, model.name, connections))
            exits.callback(server.close)
            meetings[model.name] = [meeting]
            peers.update(meetings)
            clients[model.cls] = remote_client(model, peers, LinkBook())
        yield Apart(clients, work, connections)


def _maker(host: Host, name: str, connections: list[AnsweringConnection]) -> Any:
    answerers = host.answerers()

    def make() -> AnsweringConnection:
        connections.append(AnsweringConnection(answerers, name=name))
        return connections[-1]

    return make
