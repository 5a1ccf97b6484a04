"""All workers by name: how they are started, what they report, and how often they died."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from outgrow.errors import error_from
from outgrow.host import Beat, Failed, Fork, Part, Ready, Report, Started, Worn
from outgrow.placement.crew import Worker, begin_named, close_descriptors, ended_how, start_process
from outgrow.placement.leftovers import clear_live_gauges
from outgrow.placement.patience import Patience
from outgrow.telemetry import LinkWindow, Window
from outgrow.wire import ChannelClosedError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from outgrow.placement.crew import Load
    from outgrow.placement.groups import Deployment
    from outgrow.placement.nurseries import Nurseries
    from outgrow.placement.pipes import Pipes
    from outgrow.placement.plan import Group


class Roster:
    """The workers of a fleet.

    Args:
        loop: Which hears them.
        pipes: Where they print; None for the terminal.
        nurseries: Which fork them.
        calls_folder: Where those that answer calls listen.
        settle: Called when one has reported.
        say: Tells people.

    Attributes:
        workers: By key.
        window: What they did in the last seconds.
        links: What they called.
        restarts: Unexpected deaths by name.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        pipes: Pipes | None,
        nurseries: Nurseries,
        calls_folder: str,
        settle: Callable[[], None],
        say: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._pipes = pipes
        self._nurseries = nurseries
        self._calls_folder = calls_folder
        self._settle = settle
        self._say = say
        self._count = 0
        self._died_at: dict[str, float] = {}
        self._patience: dict[str, Patience] = {}
        self.workers: dict[str, Worker] = {}
        self.window = Window()
        self.links = LinkWindow()
        self.restarts: dict[str, int] = {}

    def patience_with(self, name: str) -> Patience:
        """How long to wait before a worker of this name is started."""
        return self._patience.setdefault(name, Patience())

    def forgive(self) -> None:
        """Hold no failure against anybody."""
        self._patience.clear()

    def stood_still(self, now: float, seconds: float) -> None:
        """Hold nothing against workers that we did not hear, as we stood still ourselves."""
        for worker in self.workers.values():
            worker.beat_at = now if worker.beat_at else 0.0
            worker.drain_at += seconds if worker.drain_at else 0.0

    def is_starting(self, load: Load) -> bool:
        """Whether a worker of a version is not ready yet."""
        return any(each.load is load and not each.ready_at for each in self.workers.values())

    def expect_only(self, names: set[str]) -> None:
        """Have nobody wait for the return of others."""
        for name in set(self._died_at) - names:
            del self._died_at[name]

    def start(self, deployment: Deployment, group: Group, name: str, now: float) -> None:
        """Start a worker of a group.

        Raises:
            OSError: The machine has no room for it.
        """
        load = deployment.load
        if load.forks and load.nursery is None:
            return  # it will be back
        self._count += 1
        part = None
        # One that runs all may be called too, by an edge of its version that a merge made leave.
        are_apart = any(each.meeting and each.load is load for each in self.workers.values())
        if deployment.plan.is_split or are_apart:
            part = Part([*group.runs], f"unix:{self._calls_folder}/{self._count}.sock")
        fork = Fork(name, part, group.name in load.proven)
        out, err = self._pipes.open(name) if self._pipes else (None, None)
        try:
            if load.forks:
                channel, pid = self._nurseries.fork(load, fork, out, err), 0
            else:
                channel, pid = start_process(begin_named(load.begin, fork), out, err)
        finally:
            close_descriptors(out, err)
        key = f"{name}#{self._count}"
        worker = Worker(key, name, load, channel, started_at=now, pid=pid)
        worker.group, worker.runs = group.name, group.runs
        worker.meeting = part.meeting if part else ""
        self.workers[key] = worker
        self._loop.add_reader(channel.fileno(), self._read_and_settle, worker)

    # What they report.

    def _read_and_settle(self, worker: Worker) -> None:
        self.read(worker)
        self._settle()

    def read(self, worker: Worker) -> None:
        """Take all that a worker has reported."""
        if worker.lost_at:
            return
        try:
            while reports := worker.channel.receive():
                for report, _ in reports:
                    self._heard(worker, report)
        except ChannelClosedError:
            worker.lost_at = self._loop.time()
            self._loop.remove_reader(worker.channel.fileno())

    def _heard(self, worker: Worker, report: Report) -> None:
        now = self._loop.time()
        worker.beat_at = now
        if isinstance(report, Beat):
            worker.beat = report
            if report.busy_percent is not None:
                worker.busy_percent = report.busy_percent
                worker.memory_bytes = report.memory_bytes
                self.window.add(worker.key, now, report.changed)
                self.links.add(worker.key, now, report.links)
        elif isinstance(report, Started):
            worker.pid = report.pid
        elif isinstance(report, Ready):
            self._became_ready(worker, now)
        elif isinstance(report, Failed):
            worker.failed = report
        elif isinstance(report, Worn):
            worker.is_worn = True

    def _became_ready(self, worker: Worker, now: float) -> None:
        worker.ready_at = now
        worker.load.proven.add(worker.group)
        died_at = self._died_at.pop(worker.name, None)
        if died_at is not None:
            self._say(f"{worker.name} is whole again after {now - died_at:.2f} s")

    # How they end.

    def remove(self, worker: Worker) -> bool:
        """Let go of a worker that has ended; False if that was done already."""
        if self.workers.pop(worker.key, None) is None:
            return False
        self._loop.remove_reader(worker.channel.fileno())
        worker.channel.close()
        self.window.forget(worker.key)
        self.links.forget(worker.key)
        clear_live_gauges(worker.pid)
        if worker.meeting:
            Path(worker.meeting.removeprefix("unix:")).unlink(missing_ok=True)
        return True

    def died(self, worker: Worker, status: int | None, now: float) -> None:
        """Note the end of a worker that should have stayed, and say when it comes back."""
        how = how_it_ended(worker, status)
        served = now - worker.ready_at if worker.ready_at else 0.0
        if worker.failed:
            how = f"could not start: {error_from(*parts_of(worker.failed))}"
        self.restarts[worker.name] = self.restarts.get(worker.name, 0) + 1
        self._died_at.setdefault(worker.name, now)
        delay = self.patience_with(worker.name).died(now, served)
        when = f"in {delay:g} s" if delay else "now"
        who = f"{worker.name} (process {worker.pid})" if worker.pid else worker.name
        self._say(f"{who} {how}; it is started again {when}")


def how_it_ended(worker: Worker, status: int | None) -> str:
    """The end of a worker in words."""
    return "was killed by the supervisor" if worker.killed_at else ended_how(status)


def parts_of(failed: Failed) -> tuple[str, str, str]:
    """A report of failure, as `error_from` takes it."""
    return failed.code, failed.text, failed.hint
