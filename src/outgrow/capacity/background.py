"""Work that nobody waits for, in what the archive counted: who hands it on, who runs it, how much.

A job is enqueued by an operation and run by whoever has a slot of its queue. Workers count both,
and here the two are put together: links from who enqueues to what runs, and queues with what came
into them and what left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from outgrow.capacity.evidence import LinkWindow, QueueWindow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from outgrow.capacity.evidence import StationWindow
    from outgrow.telemetry import Backlog, CallSum

SLOTS = ": slots"
CONCURRENCY = ": concurrency"
SUBSCRIPTION = "subscription "
"""Whose number of slots is no setting."""
_QUEUE, _TOPIC = "queue ", "topic "


def is_runner(caller: str) -> bool:
    """Whether this runs jobs or gives events out, rather than being an operation that calls."""
    return caller.startswith((_QUEUE, _TOPIC))


class Background:
    """Who runs what is handed on.

    Args:
        calls: All there are.
        stations: Names of all there are.
    """

    def __init__(self, calls: Iterable[CallSum], stations: Iterable[str]) -> None:
        self._receivers: dict[str, set[str]] = {}
        for one in calls:
            if one.caller.startswith(_TOPIC):
                self._receivers.setdefault(one.caller, set()).add(one.callee)
        names = {name.partition(SLOTS)[0] for name in stations if SLOTS in name}
        self._subscriptions = {_plain(one.removeprefix(SUBSCRIPTION)): one for one in names}

    def links(self, calls: Iterable[CallSum]) -> list[LinkWindow]:
        """How often each operation handed work on, by what runs it."""
        return [
            LinkWindow(caller=each.caller, callee=callee, calls=each.calls, is_background=True)
            for each in calls
            if each.caller and not is_runner(each.caller)
            for callee in self._runs_of(each.callee)
        ]

    def _runs_of(self, callee: str) -> Sequence[str]:
        if callee.startswith(_QUEUE):
            return [callee.rpartition(" ")[2]]
        return sorted(self._receivers.get(callee, ()))

    def runs(self, calls: Iterable[CallSum]) -> dict[str, dict[str, CallSum]]:
        """What each queue and subscription ran, by its name and then by the operation."""
        found: dict[str, dict[str, CallSum]] = {}
        for each in calls:
            if is_runner(each.caller):
                name = self._home(each)
                if name:
                    found.setdefault(name, {})[each.callee] = each
        return found

    def _home(self, run: CallSum) -> str:
        is_job = run.caller.startswith(_QUEUE)
        return run.caller if is_job else self._subscriptions.get(_plain(run.callee), "")

    def queues(
        self,
        calls: Sequence[CallSum],
        stations: Iterable[StationWindow],
        backlogs: Mapping[str, Backlog],
    ) -> list[QueueWindow]:
        """What came into each queue and subscription in a window, and what left.

        Args:
            calls: Of the window.
            stations: Likewise.
            backlogs: The last that was asked in it, by queue.
        """
        runs, came = self.runs(calls), self._came(calls)
        slots: dict[str, list[StationWindow]] = {}
        for one in stations:
            name, found, _ = one.name.partition(SLOTS)
            if one.kind == "queue" and found:
                slots.setdefault(name, []).append(one)
        names = sorted({*runs, *came, *slots, *backlogs})
        return [
            _queue(name, runs.get(name, {}), came.get(name, 0), slots.get(name, []), backlogs)
            for name in names
        ]

    def _came(self, calls: Iterable[CallSum]) -> dict[str, int]:
        found: dict[str, int] = {}
        for each in calls:
            if not each.caller or is_runner(each.caller):
                continue
            if each.callee.startswith(_QUEUE):
                names = [each.callee.rpartition(" ")[0]]
            else:
                receivers = self._receivers.get(each.callee, ())
                names = [self._subscriptions.get(_plain(one), "") for one in receivers]
            for name in filter(None, names):
                found[name] = found.get(name, 0) + each.calls
        return found


def _queue(
    name: str,
    runs: Mapping[str, CallSum],
    came: int,
    slots: Sequence[StationWindow],
    backlogs: Mapping[str, Backlog],
) -> QueueWindow:
    backlog = backlogs.get(name)
    servers = sum(one.capacity * one.replicas for one in slots)
    if backlog is not None and backlog.concurrency:
        servers = min(servers, backlog.concurrency)
    return QueueWindow(
        name=name,
        enqueued=came,
        started=sum(one.calls for one in runs.values()),
        ended=sum(one.calls - one.errors for one in runs.values()),
        depth=backlog.waiting if backlog else 0,
        oldest_seconds=backlog.oldest_seconds if backlog else 0.0,
        servers=servers,
        service_seconds=sum(one.hold_seconds - one.nested_wait_seconds for one in slots),
        dead=backlog.dead_letters if backlog else 0,
        is_sounded=backlog is not None,
    )


def _plain(name: str) -> str:
    """A name of a method of a service, however its class is written: `order_desk.on_paid`."""
    return name.replace("_", "").lower()
