"""The workers of one app, brought again and again from what is to what should be.

Every event, and a timer, ends in `settle`: it compares the workers that run with those that are
wanted, and takes the next steps. No step waits for another, so a death in the middle of a reload is
one more difference to settle, not a case of its own.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import deque
from typing import TYPE_CHECKING

from outgrow.errors import OutgrowError, RefusedError, WorkerDiedError, error_from
from outgrow.host import Begin, Drain, Failed, Watch
from outgrow.placement.crew import (
    Load,
    Worker,
    as_failed,
    send,
    send_waiting,
    what_is_awaited,
)
from outgrow.placement.groups import Change, Deployment, Size, is_called_by_leaving, too_many
from outgrow.placement.judge import judge
from outgrow.placement.meeting import release, share, tell_directory
from outgrow.placement.nurseries import Nurseries
from outgrow.placement.plan import whole_plan
from outgrow.placement.roster import Roster, how_it_ended, parts_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from outgrow.model import Replicas, Settings
    from outgrow.placement.pipes import Pipes
    from outgrow.placement.plan import Group, Plan
    from outgrow.placement.sockets import Listeners

WAITING_SAID_SECONDS = 2.0
_SOCKETS_PER_WORKER = 4
_OWN_GAP_SECONDS = 0.9


class Fleet:
    """All workers and nurseries of one supervisor.

    Args:
        settings: How to run the app.
        listeners: The sockets for clients.
        pipes: Where workers print; None for the terminal.
        say: Tells people.
        has_colors: The log goes to a terminal that shows colours.
        plan: Which group runs what; everything in one where None.
        calls_folder: Where workers of a plan with several groups meet.

    Attributes:
        plan: Which group runs what, as it is wanted.
        in_service: What serves; None until the first does.
        sizes: How many workers each group has, by its name.
        fatal: Set with the error if the first version cannot start.
        window: What the workers did in the last seconds.
        links: What they called.
        restarts: Unexpected deaths by worker name.
        is_stopping: Nothing is started any more.
        around: Where workers loaded from now on report, and where events and jobs are kept.
    """

    def __init__(
        self,
        settings: Settings,
        listeners: Listeners,
        pipes: Pipes | None,
        say: Callable[[str], None],
        *,
        has_colors: bool,
        plan: Plan | None = None,
        calls_folder: str = "",
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listeners = listeners
        self._say = say
        self._nurseries = Nurseries(self._loop, pipes, self, self.say)
        self._roster = Roster(
            self._loop, pipes, self._nurseries, calls_folder, self.settle, self.say
        )
        self._has_colors = has_colors
        self._versions = 0
        self._settling = asyncio.Event()
        self._waited_said_at = 0.0
        self._settled_at = self._loop.time()
        self.settings = settings
        self.plan = plan or whole_plan(settings.workers, settings.busy_percent)
        self.sizes = {group.name: Size.of(group) for group in self.plan.groups}
        self.workers = self._roster.workers
        self.loads: list[Load] = []
        self.in_service: Deployment | None = None
        self.change: Change | None = None
        self.fatal: asyncio.Future[OutgrowError] = self._loop.create_future()
        self.window = self._roster.window
        self.links = self._roster.links
        self.restarts = self._roster.restarts
        self.events: deque[tuple[float, str]] = deque(maxlen=100)
        self.is_stopping = False
        self.around: tuple[Watch | None, str] = (None, "")
        self._make_sockets()

    # What is asked for from outside.

    def load(
        self,
        settings: Settings,
        plan: Plan | None = None,
        *,
        is_applied: bool = False,
        restarts_all: bool = False,
    ) -> Change:
        """Bring a new version of the app into service; replaces a change that is under way.

        Args:
            settings: How to run it.
            plan: Which group runs what; as before where None.
            is_applied: The plan is of another version, which may have had services that are gone.
            restarts_all: Also workers whose code has not changed.
        """
        self._replace_change("another reload came before this one was done")
        self._versions += 1  # never twice the same, whether it came to serve or not
        begin = Begin("", self._versions, settings, self._has_colors, None, *self.around)
        load = Load(self._versions, begin, restarts_all=restarts_all)
        self.loads.append(load)
        self._nurseries.start(load)
        return self._begin(Deployment(load, plan or self.plan, is_applied))

    def place(self, plan: Plan) -> Change:
        """Bring the version in service from its plan to another; replaces a change under way.

        Raises:
            RefusedError: Nothing serves yet, or it cannot be placed so.
        """
        if self.in_service is None:
            raise RefusedError("nothing serves yet", hint="Try again when it does")
        target = Deployment(self.in_service.load, self.completed(plan), is_applied=True)
        self._replace_change("another change came before this one was done")
        return self._begin(target)

    def completed(self, plan: Plan) -> Plan:
        """A plan with all services of what serves, and no others."""
        if self.in_service is None:
            return plan
        return plan.completed(self.in_service.plan.services, drops_others=True)

    def _replace_change(self, text: str) -> None:
        if self.change is not None:
            self._abandon(WorkerDiedError(text, hint=""), is_replaced=True)

    def _begin(self, target: Deployment) -> Change:
        self._roster.forgive()  # what failed may be what the new version mends
        for group in target.plan.groups:
            # A change that was given up may have left another size.
            if self.in_service is None or self.in_service.plan.group(group.name) is None:
                self.sizes[group.name] = Size.of(group)
        self.change = Change(target, self._loop.create_future())
        self._waited_said_at = self._loop.time()
        return self.change

    def resize(self, name: str, replicas: Replicas, busy_percent: float | None = None) -> None:
        """Have so many workers in a group from now on, scaled to this busy share where given.

        Raises:
            RefusedError: There is no such group.
        """
        self.plan = self.plan.resized(name, replicas, busy_percent)
        for deployment in self._needed():
            if deployment.plan.group(name) is not None:
                deployment.plan = deployment.plan.resized(name, replicas, busy_percent)
        group = self.plan.group(name)
        assert group is not None
        self.sizes[name].take(group)
        self._nobody_waits()
        self._make_sockets()
        self.settle()

    def _nobody_waits(self) -> None:
        """Forget deaths of workers that need not come back."""
        names = {
            name
            for deployment in self._needed()
            for group in deployment.plan.groups
            for name in self.sizes[group.name].names(group)
        }
        self._roster.expect_only(names)

    def stop(self) -> None:
        """Let all workers finish what they have begun, and leave."""
        self.is_stopping = True
        if self.change is not None:
            self._end_change(OutgrowError("the supervisor stops"))
        now = self._loop.time()
        for worker in self.workers.values():
            if not worker.beat_at:
                worker.kill(signal.SIGKILL, now)  # it imports, and reads no order until it is done
        self._leave_in_order(now)
        for load in self.loads[:]:
            self._drop(load)

    def _leave_in_order(self, now: float) -> None:
        """The edges first: what they have begun needs the services."""
        edges = [worker for worker in self.workers.values() if worker.has_edge]
        for worker in edges or self.workers.values():
            if not worker.drain_at:
                self._drain(worker, now, closes_idle=True)

    def kill(self) -> None:
        """End all workers at once."""
        for worker in self.workers.values():
            worker.kill(signal.SIGKILL, self._loop.time())

    @property
    def ready(self) -> list[Worker]:
        """Workers of what is in service that are ready and stay."""
        deployment = self.in_service
        stay = [w for w in self.workers.values() if w.ready_at and not w.drain_at]
        return [worker for worker in stay if deployment and deployment.fits(worker)]

    def ready_in(self, group: Group) -> list[Worker]:
        """Those of one group."""
        return [worker for worker in self.ready if worker.group == group.name]

    @property
    def is_ready(self) -> bool:
        """Whether each group has a worker that serves."""
        deployment = self.in_service
        groups = deployment.plan.groups if deployment else ()
        return bool(groups) and all(self.ready_in(group) for group in groups)

    async def settled(self) -> None:
        """Wait until as many serve as are wanted, all of one version, or the end has come."""
        while not (self._is_settled or self.is_stopping):
            self._settling.clear()
            await self._settling.wait()

    @property
    def _is_settled(self) -> bool:
        groups = self.in_service.plan.groups if self.in_service else ()
        return self.change is None and all(
            len(self.ready_in(group)) == self.sizes[group.name].wanted for group in groups
        )

    def _needed(self) -> list[Deployment]:
        """What serves and what is to come."""
        target = self.change.target if self.change is not None else None
        return [each for each in (self.in_service, target) if each is not None]

    # The steps.

    def settle(self) -> None:
        """Take the next steps from what is to what should be."""
        now = self._loop.time()
        self._forgive(now)
        if not self.is_stopping:
            self._scale(now)
            self._fill(now)
            self._switch(now)
            self._trim(now)
            self._share(now)
            self._say_waiting(now)
        else:
            self._leave_in_order(now)
        self._judge(now)
        for worker in self.workers.values():
            send_waiting(worker.channel)
        self._settling.set()

    def _forgive(self, now: float) -> None:
        """Do not hold against workers that we stood still ourselves, and did not hear them."""
        gap, self._settled_at = now - self._settled_at, now
        if gap > _OWN_GAP_SECONDS:
            self._roster.stood_still(now, gap)

    def _scale(self, now: float) -> None:
        if self.in_service is None:
            return
        for group in self.in_service.plan.groups:
            size = self.sizes[group.name]
            busy = [worker.busy_percent for worker in self.ready_in(group)]
            wanted = size.scaled(now, busy)
            if wanted is not None:
                total = sum(busy) / max(len(busy), 1)
                who = "workers" if not self.plan.is_split else f"workers of `{group.name}`"
                self.say(f"{who} {size.wanted} -> {wanted}: they are {total:.0f} % busy")
                size.wanted = wanted
                self._nobody_waits()

    def _fill(self, now: float) -> None:
        for deployment in self._needed():
            if deployment.load.loaded is not None:
                for group in deployment.plan.groups:
                    self._fill_group(deployment, group, now)

    def _fill_group(self, deployment: Deployment, group: Group, now: float) -> None:
        wanted = self.sizes[group.name].wanted
        members = {
            worker.name
            for worker in deployment.members(self.workers.values(), group)
            if not worker.is_worn
        }
        for name in self.sizes[group.name].names(group):
            is_patient = self._roster.patience_with(name).next_start_at > now
            if name not in members and len(members) < wanted and not is_patient:
                members.add(name)
                try:
                    self._roster.start(deployment, group, name, now)
                except OSError as problem:
                    delay = self._roster.patience_with(name).died(now, 0.0)
                    self.say(f"{name} could not be started: {problem}; again in {delay:g} s")

    def _switch(self, now: float) -> None:
        change = self.change
        if change is None or change.target.load.loaded is None:
            return
        for group in change.target.plan.groups:
            if self.in_service and change.target.keeps(group, self.in_service):
                continue  # what ails it is no reason to keep the others from changing
            members = change.target.members(self.workers.values(), group)
            ready = [worker for worker in members if worker.ready_at]
            if len(ready) < (self.sizes[group.name].wanted if self.in_service else 1):
                return
        self.in_service = change.target
        self.settings = change.target.load.begin.settings
        self.plan = change.target.plan
        self.sizes = {group.name: self.sizes[group.name] for group in change.target.plan.groups}
        for group in change.target.plan.groups:
            self.sizes[group.name].take(group)
        self._end_change(None)
        self._nobody_waits()
        self._make_sockets()

    def _share(self, now: float) -> None:
        present = [
            w for w in self.workers.values() if w.ready_at and (w.has_edge or not w.drain_at)
        ]
        tell_directory(self.workers.values(), present, now)
        share(self._listeners, [worker for worker in self.ready if worker.has_edge], now)

    def _trim(self, now: float) -> None:
        if self.in_service is None:
            return
        needed, load = self._needed(), self.in_service.load
        others = [worker for worker in self.workers.values() if worker.load is not load]
        for worker in self.workers.values():
            if worker.drain_at or any(each.fits(worker) for each in needed):
                continue
            if is_called_by_leaving(worker, others):
                release(worker)
            else:
                self._drain(worker, now)
        for group in self.in_service.plan.groups:
            for worker in too_many(self.ready_in(group), self.sizes[group.name].wanted):
                self._drain(worker, now)
        for load in self.loads[:]:
            if not self._is_needed(load) and not self._roster.is_starting(load):
                self._drop(load)

    def _drain(self, worker: Worker, now: float, *, closes_idle: bool = False) -> None:
        worker.drain_at = worker.drain_at or now
        worker.drain_seconds = worker.load.begin.settings.drain_seconds
        worker.listening.clear()
        send(worker.channel, Drain(closes_idle, worker.drain_seconds))

    # What goes wrong.

    def _judge(self, now: float) -> None:
        for worker in list(self.workers.values()):
            judge(worker, worker.load.begin.settings, now, self.say)
            if worker.pid or not (worker.lost_at or worker.failed):
                continue
            if not worker.lost_at:
                self._nurseries.end(worker.load)  # it never forked: it hangs
            self._gone(worker, None)
        for load in self.loads[:]:
            self._nurseries.judge(load, now)

    def reaped(self, pid: int, status: int) -> None:
        """A child process ended."""
        for load in self.loads[:]:
            if load.nursery_pid == pid:
                self._nurseries.reaped(load, status)
        for worker in list(self.workers.values()):
            if not worker.pid:
                self._roster.read(worker)  # its `Started` may wait unread
            if worker.pid == pid:
                self._roster.read(worker)
                self._gone(worker, status)
        self.settle()

    def _gone(self, worker: Worker, status: int | None) -> None:
        if not self._roster.remove(worker) or self.is_stopping or worker.drain_at:
            return
        if not any(deployment.fits(worker) for deployment in self._needed()):
            self.say(
                f"{worker.name} of version {worker.load.version}, which was about to leave, "
                f"{how_it_ended(worker, status)}"
            )
            return
        if not worker.ready_at and self._is_only_new(worker):
            text = f"{worker.name} {how_it_ended(worker, status)} before it was ready"
            failed = worker.failed or as_failed(WorkerDiedError(text))
            self._abandon(error_from(*parts_of(failed)))
            return
        self._roster.died(worker, status, self._loop.time())

    def _is_needed(self, load: Load) -> bool:
        return any(deployment.load is load for deployment in self._needed())

    def _is_new(self, load: Load) -> bool:
        is_in_service = self.in_service is not None and load is self.in_service.load
        return self._is_needed(load) and not is_in_service

    def _is_only_new(self, worker: Worker) -> bool:
        """Whether it is part of a change that can still be given up, and of nothing else."""
        if self.change is None or not self.change.target.fits(worker):
            return False
        return self.in_service is None or not self.in_service.fits(worker)

    def load_ready(self, load: Load) -> None:
        """The app is imported, so its workers can start."""
        assert load.loaded is not None
        try:
            for deployment in self._needed():
                if deployment.load is load:
                    deployment.complete(load.loaded.services)
                    for line in deployment.take_over_from(self.in_service):
                        self._say(line)
        except OutgrowError as problem:
            self.load_failed(load, as_failed(problem))
        self.settle()

    def load_failed(self, load: Load, failed: Failed) -> None:
        """A version cannot be used."""
        problem = error_from(*parts_of(failed))
        if self._is_new(load):
            self._abandon(problem)
        else:
            self.say(str(problem))

    def _abandon(self, problem: OutgrowError, *, is_replaced: bool = False) -> None:
        """Give a change up, and keep what serves, where something does."""
        assert self.change is not None
        target = self.change.target
        given_up = [worker for worker in self.workers.values() if self._is_only_new(worker)]
        self._end_change(problem)
        now = self._loop.time()
        for worker in given_up:
            if worker.ready_at:
                self._drain(worker, now)  # others of its version call it already
            else:
                worker.drain_at = worker.drain_at or now
                worker.kill(signal.SIGKILL, now)
        if not self._is_needed(target.load):
            self._drop(target.load)
        if self.in_service is None and not is_replaced and not self.fatal.done():
            self.fatal.set_result(problem)

    def _drop(self, load: Load) -> None:
        load.is_dropped = True
        self._nurseries.end(load)
        self.loads.remove(load)

    def _end_change(self, problem: OutgrowError | None) -> None:
        assert self.change is not None
        done, self.change = self.change.done, None
        if problem is None:
            done.set_result(None)
        else:
            done.set_exception(problem)
            done.exception()  # read, so that nobody has to

    def _make_sockets(self) -> None:
        replicas = self.plan.edge.replicas
        each = 1 if replicas.min == replicas.max else _SOCKETS_PER_WORKER
        self._listeners.grow(replicas.max * each)

    def _say_waiting(self, now: float) -> None:
        if self.change is None or now - self._waited_said_at < WAITING_SAID_SECONDS:
            return
        self._waited_said_at = now
        target = self.change.target
        new = [w for w in self.workers.values() if not w.drain_at and target.fits(w)]
        if awaited := what_is_awaited(target.load, new, now):
            self._say(f"waiting for {awaited}")

    def say(self, text: str) -> None:
        """Tell people, and remember it as an event."""
        self.note(text)
        self._say(text)

    def note(self, text: str) -> None:
        """Remember an event, for `status`."""
        self.events.append((time.time(), text))
