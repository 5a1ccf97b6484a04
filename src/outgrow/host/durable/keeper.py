"""The keeper: owns the one file of events and jobs, and does for all processes what they ask."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from outgrow.host.durable.hints import ALL, Hints, queue_name, topic_name
from outgrow.host.exchange import Exchange
from outgrow.host.services import Host
from outgrow.model import App, on_start, operation, service
from outgrow.store import METHODS, DurableStore

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from uuid import UUID

    from outgrow.store import ClaimedJob, JobOutcome

VERSION = 1
NEWS_SECONDS = 5.0
_AGAIN_SECONDS = 0.2
_NEWS_MAX = 1_000
_CALLS_MAX = 100_000
_AFTER_TELLS_ALL = frozenset(
    {"bury", "leave", "strays", "cancel", "pause_queue", "limit_queue", "tick", "replay", "rewind"}
    | {"pause_subscription", "unsubscribe", "sweep", "start_now"}
)


class News(msgspec.Struct, frozen=True):
    """For whom there may be something, since some moment.

    Attributes:
        number: To be given the next time.
        names: As `Hints` have them.
    """

    number: int
    names: tuple[str, ...]


class KeeperHints(Hints):
    """Hints that remember what was told last, for those who ask later."""

    def __init__(self) -> None:
        super().__init__()
        self.number = 0
        self._last: deque[tuple[int, tuple[str, ...]]] = deque(maxlen=_NEWS_MAX)

    def tell(self, *names: str) -> None:
        """There may be something for these."""
        if names:
            self.number += 1
            self._last.append((self.number, names))
            super().tell(*names, ALL)

    def since(self, number: int) -> tuple[str, ...]:
        """What was told after that."""
        if self.number - number > len(self._last) or number > self.number:
            return (ALL,)
        return tuple({name for at, names in self._last if at > number for name in names})


@service(concurrent_calls_max=_CALLS_MAX)
class Keeper:
    """Does what a durable store does, for other processes."""

    store: DurableStore
    hints: KeeperHints

    @on_start
    async def look(self) -> None:
        """See which queues have limits, so that their ends matter to others."""
        self._waited_for: dict[UUID, str] = {}
        self._limited = {one.name for one in await self.store.queue.queues() if _is_limited(one)}

    @operation
    async def ask(self, part: str, method: str, body: bytes) -> bytes:
        """Do one method of the store."""
        way = METHODS[part, method]
        args, kwargs = way.arguments(body)
        owner = getattr(self.store, part) if part else self.store
        result = await getattr(owner, method)(*args, **kwargs)
        self._tell(part, method, args, result)
        return way.encoded_result(result)

    @operation(timeout=NEWS_SECONDS * 2)
    async def news(self, number: int) -> News:
        """What may have changed since; waits a while until something has."""
        if number == self.hints.number:
            await self.hints.changed(ALL, self.hints.seen(ALL), NEWS_SECONDS)
        return News(self.hints.number, self.hints.since(number))

    def _tell(self, part: str, method: str, args: Sequence[Any], result: Any) -> None:
        if method == "append":
            self.hints.tell(*{topic_name(one.topic) for one in args[0]})
        elif method == "enqueue":
            self.hints.tell(*{queue_name(one.queue) for one in args[0]})
        elif method == "claim":
            self._note_claimed(result)
        elif (part, method) == ("queue", "settle"):
            self._tell_settled(args[1])
        elif method in _AFTER_TELLS_ALL:
            if method == "limit_queue":
                self._limited.add(args[0])
            self.hints.tell(ALL)

    def _note_claimed(self, jobs: Sequence[ClaimedJob]) -> None:
        """Somebody may wait until these end."""
        for job in jobs:
            if job.key is not None or job.queue in self._limited:
                self._waited_for[job.id] = job.queue

    def _tell_settled(self, outcomes: Sequence[JobOutcome]) -> None:
        queues = {self._waited_for.pop(one.id, "") for one in outcomes} - {""}
        self.hints.tell(*(queue_name(queue) for queue in queues))


def _is_limited(view: Any) -> bool:
    return view.limits.slots is not None or view.limits.rate is not None


@asynccontextmanager
async def keeping(
    store: DurableStore, hints: KeeperHints, meeting: str
) -> AsyncGenerator[Exchange]:
    """Do for other processes what they ask of a store that is open here.

    Args:
        store: The store, started.
        hints: Passed on to them.
        meeting: Where they ask, such as `unix:/run/keeper.sock`.
    """

    def given_store() -> DurableStore:
        return store

    def given_hints() -> KeeperHints:
        return hints

    app = App(services=[Keeper], providers=[given_store, given_hints])
    host = Host(app, is_durable=False)
    await host.start()
    exchange = Exchange("keeper", VERSION, host.graph, random.Random())
    try:
        await exchange.listen(meeting, host.answerers())
        yield exchange
    finally:
        await exchange.close()
        await host.stop()


async def follow(client: Any, hints: Hints) -> None:
    """Pass the news of a keeper on, for ever."""
    number = -1
    while True:
        try:
            news = await client.news(number)
        except Exception:  # it is away; when it is back, all may have changed
            number = -1
            await asyncio.sleep(_AGAIN_SECONDS)
            continue
        number = news.number
        hints.tell(*news.names)
