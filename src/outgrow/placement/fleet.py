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
from dataclasses import dataclass
from typing import TYPE_CHECKING

from outgrow.errors import OutgrowError, WorkerDiedError, error_from
from outgrow.host import (
    Beat,
    Begin,
    Drain,
    Failed,
    Listen,
    Ready,
    Release,
    Report,
    Started,
    Worn,
)
from outgrow.placement.crew import (
    Load,
    Worker,
    as_failed,
    begin_named,
    close_descriptors,
    ended_how,
    send,
    send_waiting,
    start_process,
    what_is_awaited,
)
from outgrow.placement.judge import judge
from outgrow.placement.leftovers import clear_live_gauges
from outgrow.placement.nurseries import Nurseries
from outgrow.placement.patience import Patience
from outgrow.placement.scale import Scaler
from outgrow.placement.sockets import share_out
from outgrow.telemetry import Window
from outgrow.wire import DESCRIPTORS_MAX, ChannelClosedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from outgrow.model import Replicas, Settings
    from outgrow.placement.pipes import Pipes
    from outgrow.placement.sockets import Listeners

GROUP = "web"
WAITING_SAID_SECONDS = 2.0
_SOCKETS_PER_WORKER = 4
_OWN_GAP_SECONDS = 0.9


@dataclass
class Change:
    """A change of version under way.

    Attributes:
        target: The version to come.
        done: Set once it serves; or the error why it never will.
    """

    target: Load
    done: asyncio.Future[None]


class Fleet:
    """All workers and nurseries of one supervisor.

    Attributes:
        in_service: The version that serves; None until the first does.
        wanted: How many workers should serve.
        fatal: Set with the error if the first version cannot start.
        window: What the workers did in the last seconds.
        restarts: Unexpected deaths by worker name.
        is_stopping: Nothing is started any more.
    """

    def __init__(
        self,
        settings: Settings,
        listeners: Listeners,
        pipes: Pipes | None,
        say: Callable[[str], None],
        *,
        has_colors: bool,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listeners = listeners
        self._pipes = pipes
        self._say = say
        self._nurseries = Nurseries(self._loop, pipes, self, self.say)
        self._has_colors = has_colors
        self._count = 0
        self._versions = 0
        self._settling = asyncio.Event()
        self._waited_said_at = 0.0
        self._scaled_at = 0.0
        self._settled_at = self._loop.time()
        self._died_at: dict[str, float] = {}
        self._patience: dict[str, Patience] = {}
        self.settings = settings
        self.scaler = Scaler(settings.workers, settings.busy_percent)
        self.wanted = settings.workers.min
        self.workers: dict[str, Worker] = {}
        self.loads: list[Load] = []
        self.in_service: Load | None = None
        self.change: Change | None = None
        self.fatal: asyncio.Future[OutgrowError] = self._loop.create_future()
        self.window = Window()
        self.restarts: dict[str, int] = {}
        self.events: deque[tuple[float, str]] = deque(maxlen=100)
        self.is_stopping = False
        self._make_sockets()

    # What is asked for from outside.

    def load(self, settings: Settings) -> Change:
        """Bring a new version of the app into service; replaces a change that is under way."""
        if self.change is not None:
            text = "another reload came before this one was done"
            self._abandon(WorkerDiedError(text, hint=""), is_replaced=True)
        self._versions += 1  # never twice the same, whether it came to serve or not
        begin = Begin("", self._versions, settings, has_colors=self._has_colors)
        load = Load(self._versions, begin)
        self.loads.append(load)
        self._nurseries.start(load)
        self._patience.clear()  # what failed may be what the new version mends
        self.change = Change(load, self._loop.create_future())
        self._waited_said_at = self._loop.time()
        return self.change

    def resize(self, replicas: Replicas, busy_percent: float | None = None) -> None:
        """Have so many workers from now on, and scale them to this busy share where it is given."""
        self.scaler = Scaler(replicas, busy_percent or self.scaler.busy_percent)
        self._want(min(max(self.wanted, replicas.min), replicas.max))
        self._make_sockets()
        self.settle()

    def _want(self, count: int) -> None:
        self.wanted = count
        for name in set(self._died_at) - set(self._names(count)):
            del self._died_at[name]  # nobody waits for it any more

    def stop(self) -> None:
        """Let all workers finish what they have begun, and leave."""
        self.is_stopping = True
        if self.change is not None:
            self._end_change(OutgrowError("the supervisor stops"))
        now = self._loop.time()
        for worker in self.workers.values():
            self._drain(worker, now, closes_idle=True)
            if not worker.beat_at:
                worker.kill(signal.SIGKILL, now)  # it imports, and reads no order until it is done
        for load in self.loads[:]:
            self._drop(load)

    def kill(self) -> None:
        """End all workers at once."""
        for worker in self.workers.values():
            worker.kill(signal.SIGKILL, self._loop.time())

    @property
    def ready(self) -> list[Worker]:
        """Workers of the version in service that are ready and stay."""
        return [
            worker
            for worker in self.workers.values()
            if worker.load is self.in_service and worker.ready_at and not worker.drain_at
        ]

    async def settled(self) -> None:
        """Wait until as many serve as are wanted, all of one version, or the end has come."""
        while not (self._is_settled or self.is_stopping):
            self._settling.clear()
            await self._settling.wait()

    @property
    def _is_settled(self) -> bool:
        return self.change is None and len(self.ready) == self.wanted

    # The steps.

    def settle(self) -> None:
        """Take the next steps from what is to what should be."""
        now = self._loop.time()
        self._forgive(now)
        if not self.is_stopping:
            self._scale(now)
            self._fill(now)
            self._switch(now)
            self._share(now)
            self._trim(now)
            self._say_waiting(now)
        self._judge(now)
        for worker in self.workers.values():
            send_waiting(worker.channel)
        self._settling.set()

    def _forgive(self, now: float) -> None:
        """Do not hold against workers that we stood still ourselves, and did not hear them."""
        gap = now - self._settled_at
        self._settled_at = now
        if gap > _OWN_GAP_SECONDS:
            for worker in self.workers.values():
                worker.beat_at = now if worker.beat_at else 0.0
                worker.drain_at += gap if worker.drain_at else 0.0

    def _scale(self, now: float) -> None:
        if self.in_service is None or now - self._scaled_at < 1.0:
            return
        self._scaled_at = now
        busy = [worker.busy_percent for worker in self.ready]
        wanted = self.scaler.wanted(now, self.wanted, busy)
        if wanted != self.wanted:
            total = sum(busy) / max(len(busy), 1)
            self.say(f"workers {self.wanted} -> {wanted}: they are {total:.0f} % busy")
            self._want(wanted)

    def _fill(self, now: float) -> None:
        for load in list(self.loads):
            if not self._is_needed(load) or load.loaded is None:
                continue
            members = {w.name for w in self._members(load) if not w.is_worn}
            for name in self._names(self.wanted):
                is_patient = self._patience_with(name).next_start_at > now
                if name not in members and len(members) < self.wanted and not is_patient:
                    members.add(name)
                    try:
                        self._start_worker(load, name, now)
                    except OSError as problem:
                        delay = self._patience_with(name).died(now, 0.0)
                        self.say(f"{name} could not be started: {problem}; again in {delay:g} s")

    def _switch(self, now: float) -> None:
        change = self.change
        if change is None:
            return
        ready = [w for w in self._members(change.target) if w.ready_at]
        if len(ready) < (self.wanted if self.in_service else 1):
            return
        self.in_service = change.target
        self.settings = change.target.begin.settings
        self._end_change(None)

    def _share(self, now: float) -> None:
        serving = [worker for worker in self.ready if worker.state(now) == "ready"]
        if not serving:
            return  # a silent worker that comes back is better than none
        if self._listeners.is_shared:
            shares = {worker.key: {0} for worker in serving}
        else:
            owners = {worker.key: worker.listening for worker in serving}
            count = len(self._listeners.sockets)
            shares = share_out(count, owners, [worker.key for worker in serving])
        for worker in serving:
            self._listen(worker, shares[worker.key] - worker.listening)
        for worker in self.ready:
            # A silent worker is told as well: it will read it when it wakes.
            lost = worker.listening - shares.get(worker.key, set())
            if lost and not self._listeners.is_shared:
                send(worker.channel, Release(sorted(lost)))
                worker.listening -= lost

    def _listen(self, worker: Worker, numbers: set[int]) -> None:
        if not numbers:
            return
        ordered = sorted(numbers)
        for start in range(0, len(ordered), DESCRIPTORS_MAX):
            some = ordered[start : start + DESCRIPTORS_MAX]
            sockets = tuple(self._listeners.sockets[number].fileno() for number in some)
            send(worker.channel, Listen(some), sockets)
        worker.listening |= numbers

    def _trim(self, now: float) -> None:
        if self.in_service is None:
            return
        for worker in self.workers.values():
            is_old = worker.load.version < self.in_service.version
            if is_old and not worker.drain_at:
                self._drain(worker, now)
        ready = self.ready
        fresh = [worker for worker in ready if not worker.is_worn]
        surplus = sorted(fresh, key=_number)[self.wanted :]
        worn = [worker for worker in ready if worker.is_worn]
        for worker in surplus + (worn if len(fresh) >= self.wanted else []):
            self._drain(worker, now)
        for load in self.loads[:]:
            if not self._is_needed(load) and not any(w.load is load for w in self.workers.values()):
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
                self._read_worker(worker)  # its `Started` may wait unread
            if worker.pid == pid:
                self._read_worker(worker)
                self._gone(worker, status)
        self.settle()

    def _gone(self, worker: Worker, status: int | None) -> None:
        if self.workers.pop(worker.key, None) is None:
            return
        now = self._loop.time()
        self._loop.remove_reader(worker.channel.fileno())
        worker.channel.close()
        self.window.forget(worker.key)
        clear_live_gauges(worker.pid)
        if self.is_stopping or worker.drain_at:
            return
        served = now - worker.ready_at if worker.ready_at else 0.0
        how = "was killed by the supervisor" if worker.killed_at else ended_how(status)
        if not served and self._is_new(worker.load):
            problem = WorkerDiedError(f"{worker.name} {how} before it was ready")
            self.load_failed(worker.load, worker.failed or as_failed(problem))
            return
        if worker.failed:
            how = f"could not start: {error_from(*_parts(worker.failed))}"
        self.restarts[worker.name] = self.restarts.get(worker.name, 0) + 1
        self._died_at.setdefault(worker.name, now)
        delay = self._patience_with(worker.name).died(now, served)
        when = f"in {delay:g} s" if delay else "now"
        who = f"{worker.name} (process {worker.pid})" if worker.pid else worker.name
        self.say(f"{who} {how}; it is started again {when}")

    def _is_needed(self, load: Load) -> bool:
        return load is self.in_service or self._is_new(load)

    def _is_new(self, load: Load) -> bool:
        return self.change is not None and load is self.change.target

    def load_ready(self, load: Load) -> None:
        """The app is imported, so its workers can start."""
        self.settle()

    def load_failed(self, load: Load, failed: Failed) -> None:
        """A version cannot be used."""
        problem = error_from(*_parts(failed))
        if self._is_new(load):
            self._abandon(problem)
        else:
            self.say(str(problem))

    def _abandon(self, problem: OutgrowError, *, is_replaced: bool = False) -> None:
        """Give the new version up, and keep the one that serves, where one does."""
        assert self.change is not None
        target = self.change.target
        self._end_change(problem)
        now = self._loop.time()
        for worker in self._members(target):
            worker.drain_at = now
            worker.kill(signal.SIGKILL, now)
        self._drop(target)
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

    # Workers.

    def _start_worker(self, load: Load, name: str, now: float) -> None:
        if load.forks and load.nursery is None:
            return  # it will be back
        self._count += 1
        out, err = self._pipes.open(name) if self._pipes else (None, None)
        try:
            if load.forks:
                channel, pid = self._nurseries.fork(load, name, out, err), 0
            else:
                channel, pid = start_process(begin_named(load.begin, name), out, err)
        finally:
            close_descriptors(out, err)
        key = f"{name}#{self._count}"
        worker = Worker(key, name, load, channel, started_at=now, pid=pid)
        self.workers[key] = worker
        self._loop.add_reader(channel.fileno(), self._read_worker_and_settle, worker)

    def _read_worker_and_settle(self, worker: Worker) -> None:
        self._read_worker(worker)
        self.settle()

    def _read_worker(self, worker: Worker) -> None:
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
        elif isinstance(report, Started):
            worker.pid = report.pid
        elif isinstance(report, Ready):
            self._became_ready(worker, now)
        elif isinstance(report, Failed):
            worker.failed = report
        elif isinstance(report, Worn) and not self.is_stopping:
            worker.is_worn = True

    def _became_ready(self, worker: Worker, now: float) -> None:
        worker.ready_at = now
        died_at = self._died_at.pop(worker.name, None)
        if died_at is not None:
            self.say(f"{worker.name} is whole again after {now - died_at:.2f} s")

    def _members(self, load: Load) -> list[Worker]:
        return [w for w in self.workers.values() if w.load is load and not w.drain_at]

    def _names(self, count: int) -> list[str]:
        return [f"{GROUP}/{number}" for number in range(1, count + 1)]

    def _patience_with(self, name: str) -> Patience:
        return self._patience.setdefault(name, Patience())

    def _make_sockets(self) -> None:
        replicas = self.scaler.replicas
        each = 1 if replicas.min == replicas.max else _SOCKETS_PER_WORKER
        self._listeners.grow(replicas.max * each)

    def _say_waiting(self, now: float) -> None:
        if self.change is None or now - self._waited_said_at < WAITING_SAID_SECONDS:
            return
        self._waited_said_at = now
        awaited = what_is_awaited(self.change.target, self._members(self.change.target), now)
        if awaited:
            self._say(f"waiting for {awaited}")

    def say(self, text: str) -> None:
        """Tell people, and remember it as an event."""
        self.note(text)
        self._say(text)

    def note(self, text: str) -> None:
        """Remember an event, for `status`."""
        self.events.append((time.time(), text))


def _number(worker: Worker) -> int:
    return int(worker.name.rpartition("/")[2])


def _parts(failed: Failed) -> tuple[str, str, str]:
    return failed.code, failed.text, failed.hint
