"""What a version of an app leaves to others: its jobs, events and subscriptions, with their shapes.

What waits was written by one version and is read by the next; to compare their catalogs tells what
that one could not read, or nobody would run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from outgrow.model.schema import changes
from outgrow.model.working import shape_of_event, topic_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from outgrow.model.events import Event
    from outgrow.model.working import ReadableWork, WorkModel


class KeptJob(msgspec.Struct, frozen=True):
    """One kind of jobs, as a catalog has it.

    Attributes:
        queue: Where they wait.
        shape: Of their arguments.
    """

    queue: str
    shape: dict[str, Any]


class Catalog(msgspec.Struct, frozen=True, kw_only=True):
    """All that may wait of one version.

    Attributes:
        jobs: By kind.
        events: Their shapes, by topic.
        subscriptions: The topic of each.
    """

    jobs: dict[str, KeptJob]
    events: dict[str, dict[str, Any]]
    subscriptions: dict[str, str]

    @property
    def shapes(self) -> dict[str, dict[str, Any]]:
        """Of jobs by kind, and of events by topic."""
        return self.events | {name: job.shape for name, job in self.jobs.items()}

    @property
    def queues(self) -> set[str]:
        """Those from which jobs are run."""
        return {job.queue for job in self.jobs.values()}


class Breach(msgspec.Struct, frozen=True):
    """Something of an older version that a newer one cannot go on with.

    Attributes:
        kind: What it is of.
        name: Of the job or subscription, or the topic.
        text: What has changed.
        cure: One thing to do.
    """

    kind: str
    name: str
    text: str
    cure: str


def catalog_of(works: Iterable[WorkModel | ReadableWork], events: Iterable[type[Event]]) -> Catalog:
    """The catalog of services that do this work, and of events that they may publish.

    Raises:
        ServiceError: An event cannot be kept.
    """
    every = [*works]
    subscriptions = [one for work in every for one in work.subscriptions.values()]
    jobs = [one for work in every for one in work.jobs.values()]
    kinds = {*events, *(one.event for one in subscriptions)}
    return Catalog(
        jobs={one.name: KeptJob(one.queue, dict(one.shape)) for one in jobs},
        events={topic_of(kind): dict(shape_of_event(kind)) for kind in kinds},
        subscriptions={one.name: topic_of(one.event) for one in subscriptions},
    )


def breaches(old: Catalog, new: Catalog) -> list[Breach]:
    """What the older version leaves that the newer one cannot read, or that nobody would run."""
    return [*_job_breaches(old, new), *_event_breaches(old, new), *_unread(old, new)]


def _job_breaches(old: Catalog, new: Catalog) -> list[Breach]:
    found: list[Breach] = []
    for name, was in sorted(old.jobs.items()):
        now = new.jobs.get(name)
        if now is None:
            cure = f'Keep the name where it was renamed, `@job(name="{name}")`, or the job until'
            found.append(Breach("job", name, "is gone", f"{cure} none of them waits"))
            continue
        if was.queue not in new.queues:
            text = f"waits in the queue `{was.queue}`, from which nobody runs jobs any more"
            cure = f'Keep it, `@job(queue="{was.queue}")`, until it is empty'
            found.append(Breach("job", name, text, cure))
        found += _shape_breaches("job", name, was.shape, now.shape)
    return found


def _event_breaches(old: Catalog, new: Catalog) -> list[Breach]:
    return [
        breach
        for name, was in sorted(old.events.items())
        if name in new.events
        for breach in _shape_breaches("event", name, was, new.events[name])
    ]


def _unread(old: Catalog, new: Catalog) -> list[Breach]:
    found: list[Breach] = []
    for name, topic in sorted(old.subscriptions.items()):
        now = new.subscriptions.get(name)
        if now is None:
            cure = f'Keep the name where it was renamed, `@subscribe(name="{name}")`, or have it'
            cure += f" forgotten once it has read all: `outgrow jobs unsubscribe {name}`"
            found.append(Breach("subscription", name, f"to `{topic}` is gone", cure))
        elif now != topic:
            cure = f'Keep the name of the event, `class ...(Event, name="{topic}")`, or give the '
            cure += 'subscription another, `@subscribe(name="...")`'
            text = f"was to `{topic}`, and is to `{now}`"
            found.append(Breach("subscription", name, text, cure))
    return found


def _shape_breaches(kind: str, name: str, was: Any, now: Any) -> list[Breach]:
    cures = {
        "was removed": "Keep it, with a default, until no version that needs it runs",
        "was added, and has no default": "Give it a default",
        "no longer has a default": "Give it a default",
    }
    other = "Take the old type as well, or add another field with a default"
    return [
        Breach(kind, name, f"`{one.path}` {one.text}", cures.get(one.text, other))
        for one in changes(was, now)
        if one.breaks
    ]
