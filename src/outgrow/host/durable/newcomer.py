"""Whether a version that starts still runs all that older versions of its app left waiting.

The store remembers the last versions of each app that came in. What one of them ran, and a later
one does not, must not wait any more when that one starts: nobody else would run it. What only a
later version runs may wait: that version is beside this one, or will be back.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from outgrow.host.durable.errors import UnreadableError
from outgrow.model import Catalog, KeptJob, described, fingerprint_of, shape_from

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from outgrow.store import DurableStore

VERSIONS_MAX = 10
_MARK = "versions of the app "
_logger = logging.getLogger("outgrow.durable")


@dataclass(frozen=True)
class Newcomer:
    """A version of an app that wants to run what waits.

    Attributes:
        app: Its name, by which its older versions are found.
        catalog: What it runs and may publish.
        is_proven: Whether it is in service already, and only one of its workers is new.
    """

    app: str
    catalog: Catalog
    is_proven: bool = False


class KeptVersion(msgspec.Struct, kw_only=True):
    """A version of an app, as the store remembers it.

    Attributes:
        first_ms: When it first came in.
        last_ms: When it last did.
        jobs: The queue of each kind.
        subscriptions: The topic of each.
        schemas: The fingerprint of each job's arguments, by kind, and of each event, by topic.
    """

    first_ms: int
    last_ms: int
    jobs: dict[str, str]
    subscriptions: dict[str, str]
    schemas: dict[str, str]

    def runs_as(self, other: KeptVersion) -> bool:
        """Whether both run the same."""
        return (self.jobs, self.subscriptions) == (other.jobs, other.subscriptions)


def mark_of(app: str) -> tuple[str, str]:
    """Under what the store keeps the versions of an app, beside the schemas of what waits."""
    return f"{_MARK}{app}", ""


def versions_in(kept: bytes | None) -> list[KeptVersion]:
    """What the store remembers of an app, the last that came in first."""
    return msgspec.json.decode(kept, type=list[KeptVersion]) if kept else []


async def kept_catalogs(store: DurableStore) -> dict[str, Catalog]:
    """What the last version of each app runs and may publish, by the app's name."""
    shapes = await store.schemas()
    return {
        name.removeprefix(_MARK): _catalog_of(versions_in(kept)[0], shapes)
        for (name, _), kept in shapes.items()
        if name.startswith(_MARK)
    }


def _catalog_of(kept: KeptVersion, shapes: Mapping[tuple[str, str], bytes]) -> Catalog:
    known = {name: dict(shape_from(shapes[name, schema])) for name, schema in kept.schemas.items()}
    return Catalog(
        jobs={name: KeptJob(queue, known[name]) for name, queue in kept.jobs.items()},
        events={name: shape for name, shape in known.items() if name not in kept.jobs},
        subscriptions=kept.subscriptions,
    )


class Entry:
    """The coming in of one version.

    Attributes:
        gone: Kinds of jobs that older versions ran, and this one does not.
    """

    def __init__(self, newcomer: Newcomer) -> None:
        self.gone: frozenset[str] = frozenset()
        self._newcomer = newcomer
        self._versions: list[KeptVersion] = []

    async def ask(self, store: DurableStore, now_ms: int, *, leaves_unreadable: bool) -> None:
        """Whether it may.

        Args:
            store: Where it waits.
            now_ms: Now, on the clock by which versions are known.
            leaves_unreadable: Whether it may whatever waits.

        Raises:
            UnreadableError: Something waits that this version does not run; says what.
        """
        known = versions_in((await store.schemas()).get(mark_of(self._newcomer.app)))
        now_ms = max([now_ms, *(one.last_ms + 1 for one in known)])
        own = _version_of(self._newcomer.catalog, now_ms)
        same = next((one for one in known if one.runs_as(own)), None)
        is_last = same is not None and same is known[0]
        own.first_ms = same.first_ms if same is not None else now_ms
        older = [one for one in known if one is not same and one.first_ms < own.first_ms]
        self.gone = frozenset(kind for one in older for kind in one.jobs) - {*own.jobs}
        self._versions = [own, *(one for one in known if one is not same)][:VERSIONS_MAX]
        if self._newcomer.is_proven:
            return
        waiting = [*await _jobs_left(store, own, older), *await _events_left(store, own, older)]
        if not waiting:
            return
        text = f"what waits is run by nobody in this version: {'; '.join(waiting)}"
        if not (is_last or leaves_unreadable):
            raise UnreadableError(text, hint=_HINT)
        _logger.warning("%s", text)

    async def record(self, store: DurableStore) -> None:
        """Have the store remember that it came in."""
        if self._newcomer.is_proven:
            return
        shapes, known = self._newcomer.catalog.shapes, await store.schemas()
        for name, schema in self._versions[0].schemas.items():
            if (name, schema) not in known:
                await store.declare(name, schema, described(shapes[name]))
        await store.declare(*mark_of(self._newcomer.app), msgspec.json.encode(self._versions))


_HINT = (
    "Keep what runs it until it is done; what was renamed can say its old name, as in "
    "`@job(name=...)`. Or forget it, by `outgrow jobs cancel --kind KIND` and `outgrow jobs "
    "unsubscribe NAME`. Or start with `leave_unreadable`. If it is another app's, give each its "
    "own `name`"
)


def _version_of(catalog: Catalog, now_ms: int) -> KeptVersion:
    return KeptVersion(
        first_ms=now_ms,
        last_ms=now_ms,
        jobs={name: job.queue for name, job in catalog.jobs.items()},
        subscriptions=catalog.subscriptions,
        schemas={name: fingerprint_of(shape) for name, shape in catalog.shapes.items()},
    )


async def _jobs_left(
    store: DurableStore, own: KeptVersion, older: Sequence[KeptVersion]
) -> list[str]:
    queues = {*own.jobs.values()}
    were = {(kind, queue) for one in older for kind, queue in one.jobs.items()}
    left = {kind for kind, queue in were if kind not in own.jobs or queue not in queues}
    counts = await store.unfinished(left) if left else []
    return [
        f"{one.count} of the job `{one.kind}`, in the queue `{one.queue}`"
        for one in counts
        if one.kind not in own.jobs or one.queue not in queues
    ]


async def _events_left(
    store: DurableStore, own: KeptVersion, older: Sequence[KeptVersion]
) -> list[str]:
    left = {name for one in older for name in one.subscriptions} - {*own.subscriptions}
    views = await store.log.subscriptions() if left else []
    counts = {one.name: one.unread_count + one.parked_count for one in views if one.name in left}
    return [f"{count} of the events for `{name}`" for name, count in counts.items() if count]
