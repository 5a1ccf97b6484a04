"""A durable store that a keeper has, in another process."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, cast

from outgrow.errors import DeadlineExceededError, OverloadedError, UnavailableError
from outgrow.host.durable.ending import cancelled
from outgrow.host.durable.keeper import VERSION, Keeper, follow
from outgrow.host.exchange import Exchange
from outgrow.model import graph_of
from outgrow.store import METHODS, PARTS, MessageSizeError, StoreLostError
from outgrow.wire import NEVER_NS, Frame, current

if TYPE_CHECKING:
    from outgrow.host.durable.hints import Hints
    from outgrow.store import Crew, Dead, Log, Queue

START_SECONDS_MAX = 30.0
_LOOK_SECONDS = 0.05
_FRAME = Frame("durable", NEVER_NS)


class _Part:
    """One part of the store; its methods are those of the protocol."""

    def __init__(self, client: Any, part: str) -> None:
        for owner, name in METHODS:
            if owner == part:
                setattr(self, name, _asked(client, part, name))


def _asked(client: Any, part: str, name: str) -> Any:
    method = METHODS[part, name]
    what = f"{part}.{name}" if part else name

    async def asked(*args: Any, **kwargs: Any) -> Any:
        try:
            body = method.encoded(args, kwargs)
        except UnicodeEncodeError:
            raise MessageSizeError(
                f"`{what}` was given text with characters that cannot be stored",
                hint="Take lone surrogates out",
            ) from None
        # Not within the deadline of whoever asks: what is begun here is to be done.
        before = current.get()
        current.set(_FRAME)
        try:
            answer = await client.ask(part, name, body)
        except (UnavailableError, OverloadedError, DeadlineExceededError) as problem:
            may_be_kept = getattr(problem, "may_have_run", True)
            raise StoreLostError(
                f"the keeper did not answer `{what}`: {problem.text}", may_be_kept=may_be_kept
            ) from None
        finally:
            current.set(before)
        return method.result(answer)

    return asked


class KeptStore(_Part):
    """Durable work by way of the keeper.

    Args:
        meeting: Where the keeper answers, such as `unix:/run/keeper.sock`.
        name: Of the worker.
        hints: Told when there may be something to do.
    """

    def __init__(self, meeting: str, name: str, hints: Hints) -> None:
        graph = graph_of([Keeper])
        self._exchange = Exchange(name, VERSION, graph, random.Random())
        self._exchange.take({service: [meeting] for service in graph.services})
        self._client = self._exchange.remote_clients([])[Keeper]
        super().__init__(self._client, "")
        self._parts = {part: _Part(self._client, part) for part in PARTS if part}
        self._meeting = meeting
        self._hints = hints
        self._following: asyncio.Task[None] | None = None

    @property
    def log(self) -> Log:
        """Its events."""
        return cast("Log", self._parts["log"])

    @property
    def queue(self) -> Queue:
        """Its jobs."""
        return cast("Queue", self._parts["queue"])

    @property
    def dead(self) -> Dead:
        """Its dead letters."""
        return cast("Dead", self._parts["dead"])

    @property
    def crew(self) -> Crew:
        """Its workers."""
        return cast("Crew", self._parts["crew"])

    async def start(self) -> None:
        """Wait until the keeper answers.

        Raises:
            StoreLostError: It does not.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + START_SECONDS_MAX
        while True:
            try:
                await self.queue.queues()
            except StoreLostError as problem:
                if loop.time() > end:
                    raise StoreLostError(
                        f"no keeper answers at {self._meeting}: {problem.text}",
                        hint="Is it running? `outgrow status` tells",
                        may_be_kept=False,
                    ) from None
                await asyncio.sleep(_LOOK_SECONDS)
            else:
                break
        following = follow(self._client, self._hints)
        self._following = asyncio.create_task(following, name="outgrow-durable-news")

    async def stop(self) -> None:
        """Close the connection."""
        following, self._following = self._following, None
        await cancelled(following)
        await self._exchange.close()
