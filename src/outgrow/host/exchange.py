"""How a worker calls services that run in other workers, and answers for those that it runs."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from outgrow.host.remote import remote_client
from outgrow.telemetry import LinkBook
from outgrow.wire import AnsweringConnection, CallingConnection, Peers, listen, meeting_of

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Mapping, Sequence

    from outgrow.model import Graph
    from outgrow.telemetry import LinkTotals
    from outgrow.wire import Answerer, Call, Repeat


class Exchange:
    """The calls of one worker, in and out.

    Args:
        name: Of the worker.
        version: Of the app that it runs.
        graph: All services of the app.
        dice: Where chance comes from.
    """

    def __init__(self, name: str, version: int, graph: Graph, dice: random.Random) -> None:
        self._name = name
        self._version = version
        self._graph = graph
        self._book = LinkBook()
        callers = [
            operation.shown
            for model in graph.services.values()
            for operation in model.operations.values()
        ]
        self._peers = Peers(
            lambda changed: CallingConnection(
                callers, name=name, version=version, on_change=changed
            ),
            dice,
            on_repeat=self._repeated,
        )
        self._server: asyncio.Server | None = None
        self._open: set[AnsweringConnection] = set()
        self._is_leaving = False

    def remote_clients(self, runs: Iterable[str]) -> Mapping[type, Any]:
        """Clients of the services that this worker does not run, by class."""
        own = set(runs)
        return {
            model.cls: remote_client(model, self._peers, self._book)
            for name, model in self._graph.services.items()
            if name not in own
        }

    def take(self, meetings: Mapping[str, Sequence[str]]) -> None:
        """Call services where they run now.

        Args:
            meetings: Addresses, by service.
        """
        self._peers.update(
            {
                service: [meeting_of(each) for each in addresses]
                for service, addresses in meetings.items()
            }
        )

    async def listen(self, meeting: str, answerers: Sequence[Answerer]) -> None:
        """Answer calls there.

        Raises:
            AddressError: Nobody can listen there.
        """

        def connected() -> AnsweringConnection:
            made = AnsweringConnection([*answerers], name=self._name, version=self._version)
            # Always another set: the thread of the heartbeat may be counting in this one.
            self._open = {made, *(each for each in self._open if not each.is_gone)}
            if self._is_leaving:
                made.leave()
            return made

        self._server = await listen(meeting_of(meeting), connected)

    def links(self) -> list[LinkTotals]:
        """What is counted where calls are made; may be asked from any thread."""
        return self._book.all()

    def _repeated(self, call: Call, how: Repeat) -> None:
        totals = self._book.meet(call.caller, call.operation)
        totals.retries += how == "retry"
        totals.hedges += how == "hedge"
        totals.hedges_won += how == "won"

    @property
    def in_flight(self) -> int:
        """Calls that are being answered."""
        return sum(each.in_flight for each in self._open)

    async def leave(self, seconds: float) -> None:
        """Have callers go elsewhere, and wait until they have their answers; not for ever.

        Args:
            seconds: The longest to wait.
        """
        self._is_leaving = True
        if self._server is not None:
            self._server.close()
        for connection in self._open:
            connection.leave()
        await self.emptied(seconds)

    async def emptied(self, seconds: float) -> None:
        """Wait until nobody calls here any more; not for ever.

        Args:
            seconds: The longest to wait.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(each.closed() for each in self._open))

    async def close(self) -> None:
        """Close all connections."""
        if self._server is not None:
            self._server.close()
        for connection in self._open:
            connection.close()
        await self._peers.close()
