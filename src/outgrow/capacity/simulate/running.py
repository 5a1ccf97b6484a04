"""Runs a `System` under a load in virtual time, and keeps what telemetry would have kept."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from outgrow.capacity.simulate.counting import Counts
from outgrow.capacity.simulate.engine import PARKED, Line, Server, Timeline
from outgrow.capacity.simulate.system import (
    Block,
    Call,
    Compute,
    Hold,
    Later,
    Place,
    Rest,
    Run,
    Serve,
    Span,
)
from outgrow.capacity.visits import SCHEDULE

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from outgrow.capacity.evidence import Window
    from outgrow.capacity.simulate.system import Step, System, Tick

QUANTUM_SECONDS = 0.004
"""How long one keeps a core or the GIL while others wait: 3 ms and 5 ms in truth."""
IN_FLIGHT_MAX = 20_000
_DRAWN = 2048


class RefusedError(Exception):
    """A station had no room."""


class Simulation:
    """One system at work.

    Args:
        system: What is simulated.
        seed: The same seed gives the same run.
        rate_per_second: Calls of all classes; ignored where the traffic has clients.
    """

    def __init__(self, system: System, *, seed: int, rate_per_second: float) -> None:
        self.system = system
        self.rate_per_second = rate_per_second
        self.timeline = Timeline()
        self.counts = Counts()
        self.in_flight = 0
        self._random = np.random.default_rng(seed)
        self._spans: dict[Span, list[float]] = {}
        self._tasks = {task.name: task for task in system.tasks}
        self._processes = {process.name: process for process in system.processes}
        self._computers = {computer.name: computer for computer in system.computers}
        self._build()
        self._names = list(system.traffic.mix)
        weights = np.array([system.traffic.mix[name] for name in self._names])
        self._weights = weights / weights.sum()
        self._start()

    def _build(self) -> None:
        self.servers: dict[tuple[str, int], Server] = {}
        self.idle_workers: dict[str, list[int]] = {}
        for computer in self.system.computers:
            place = Place(name=computer.name, kind="cpu", capacity=computer.cores)
            self._add(place, 0, tells_waits=False)
        for process in self.system.processes:
            self.idle_workers[process.name] = [0] * process.workers
            for number in range(process.workers if process.is_python else 0):
                strain = self.system.loop_strain_ratio
                name = process.name
                loop = Place(name=f"loop {name}", kind="loop", process=name, strain_ratio=strain)
                self._add(loop, number, tells_waits=False)
                gil = Place(name=f"gil {name}", kind="gil", process=name)
                self._add(gil, number, tells_waits=False)
        for place in self.system.places:
            workers = self._processes[place.process].workers if place.process else 1
            for number in range(workers):
                self._add(place, number, tells_waits=True)

    def _add(self, place: Place, number: int, *, tells_waits: bool) -> None:
        server = Server(self.timeline, place, tells_waits=tells_waits)
        self.servers[place.name, number] = server

    def _start(self) -> None:
        traffic = self.system.traffic
        if traffic.clients:
            for _ in range(traffic.clients):
                line = Line()
                self._begin(line, self._client(line))
        else:
            self._begin(Line(), self._arrivals())
        for tick in self.system.schedule:
            self._begin(Line(), self._by_the_clock(tick))
        self._begin(Line(), self._ticks())

    def _begin(self, line: Line, steps: Generator[float, None, None]) -> None:
        line.steps = steps
        self.timeline.wake(line)

    def _draw(self, span: Span) -> float:
        if span.cv <= 0:
            return span.mean_seconds
        drawn = self._spans.get(span)
        if not drawn:
            shape = 1 / span.cv**2
            values = self._random.gamma(shape, span.mean_seconds / shape, _DRAWN)
            drawn = self._spans[span] = values.tolist()
        return drawn.pop()

    def _ticks(self) -> Generator[float, None, None]:
        while True:
            yield 1.0
            for server in self.servers.values():
                server.look(1.0)

    def _arrivals(self) -> Generator[float, None, None]:
        traffic, random = self.system.traffic, self._random
        factor, until = 1.0, math.inf
        if traffic.burst_ratio:
            factor, until = 1 + traffic.burst_ratio, 0.0
        while True:
            gaps: list[float] = random.exponential(1.0, 512).tolist()
            kinds: list[int] = random.choice(len(self._names), 512, p=self._weights).tolist()
            for gap, kind in zip(gaps, kinds, strict=True):
                left = gap / self.rate_per_second
                # The gap is worked off at the rate of the state that holds meanwhile.
                while self.timeline.now + left / factor > until:
                    span = max(0.0, until - self.timeline.now)
                    left -= span * factor
                    yield span
                    factor = 2 - factor
                    until = self.timeline.now + random.exponential(traffic.burst_seconds)
                yield left / factor
                if self.in_flight < IN_FLIGHT_MAX:
                    self._launch(self._names[kind])

    def _client(self, line: Line) -> Generator[float, None, None]:
        random, traffic = self._random, self.system.traffic
        while True:
            yield float(random.exponential(traffic.think_seconds))
            name = self._names[int(random.choice(len(self._names), p=self._weights))]
            line.workers.clear()
            line.loop_seconds = line.waited_seconds = 0.0
            yield from self._call(line, name, is_entry=True)

    def _launch(self, name: str) -> None:
        line = Line()
        line.steps = self._request(line, name)
        self.timeline.wake(line)

    def _request(self, line: Line, name: str) -> Generator[float, None, None]:
        self.in_flight += 1
        self.counts.arrived(name, self.timeline.now)
        for attempt in range(self.system.traffic.attempts_max):
            if attempt:
                yield self.system.traffic.backoff_seconds * self._random.exponential()
            self.counts.attempts += 1
            if (yield from self._call(line, name, is_entry=True)):
                break
        self.in_flight -= 1

    def _call(self, line: Line, name: str, *, is_entry: bool) -> Generator[float, None, bool]:
        task = self._tasks[name]
        if task.process not in line.workers:
            line.workers[task.process] = self._choose(task.process)
        load = self.idle_workers[task.process]
        load[line.workers[task.process]] += 1
        began, loop_before, caller = self.timeline.now, line.loop_seconds, line.operation
        line.operation = name
        works = True
        try:
            yield from self._do(line, task.steps)
        except RefusedError:
            works = False
        line.operation = caller
        load[line.workers[task.process]] -= 1
        spent = self.timeline.now - began
        loop_seconds = line.loop_seconds - loop_before
        self.counts.ended(name, spent, loop_seconds, works=works, is_entry=is_entry)
        if caller:
            self.counts.linked(caller, name, spent)
        if not works and caller:
            raise RefusedError
        return works

    def _by_the_clock(self, tick: Tick) -> Generator[float, None, None]:
        while True:
            yield tick.every_seconds
            self._hand_on(SCHEDULE, tick.job)

    def _hand_on(self, caller: str, later: Later) -> None:
        """Enqueue a job."""
        self.counts.handed(caller, later.operation)
        self._begin(line := Line(), self._job(line, later))

    def _job(self, line: Line, later: Later) -> Generator[float, None, None]:
        """Run a job in whichever slot of its queue is free first."""
        task = self._tasks[later.operation]
        servers = [one for (name, _), one in self.servers.items() if name == later.station]
        number = min(
            range(len(servers)), key=lambda each: servers[each].in_use + len(servers[each].queue)
        )
        server, line.operation = servers[number], task.name
        line.workers[task.process] = number if server.place.process else self._choose(task.process)
        wait = yield from self._take(line, server)
        began, waited, works = self.timeline.now, line.waited_seconds, True
        line.held.append(server)
        try:
            yield from self._do(line, task.steps)
        except RefusedError:
            works = False
        line.held.pop()
        self._let_go(line, server, wait, began, waited)
        spent = self.timeline.now - began
        self.counts.ended(task.name, spent, line.loop_seconds, works=works, is_entry=False)

    def _choose(self, process: str) -> int:
        """The less loaded of two workers."""
        load = self.idle_workers[process]
        if len(load) == 1:
            return 0
        one, other = self._random.integers(0, len(load), 2).tolist()
        return one if load[one] <= load[other] else other

    def _do(self, line: Line, steps: Sequence[Step]) -> Generator[float, None, None]:
        for step in steps:
            if isinstance(step, Run):
                yield from self._on_loop(line, self._draw(step.span), uses_core=True)
            elif isinstance(step, Hold):
                yield from self._hold(line, self._server(line, step.station), step.steps)
            elif isinstance(step, Serve):
                yield from self._serve(line, self._server(line, step.station), step.span)
            elif isinstance(step, Rest):
                yield self._draw(step.span)
            elif isinstance(step, Compute):
                process = step.process or self._tasks[line.operation].process
                work = self._draw(step.span)
                yield from self._compute(line, process, work, is_python=step.is_python)
            elif isinstance(step, Call):
                for _ in range(step.times):
                    yield from self._call(line, step.operation, is_entry=False)
            elif isinstance(step, Block):
                yield from self._on_loop(line, self._draw(step.span), uses_core=False)
            elif isinstance(step, Later):
                self._hand_on(line.operation, step)
            elif self._random.random() < step.ratio:
                yield from self._do(line, step.steps)

    def _server(self, line: Line, name: str) -> Server:
        server = self.servers.get((name, 0))
        if server is None or not server.place.process:
            return self.servers[name, 0]
        return self.servers[name, line.workers[server.place.process]]

    def _take(self, line: Line, server: Server) -> Generator[float, None, float]:
        """Wait for a slot; returns how long that took."""
        began = self.timeline.now
        limit = server.place.queue_max
        if limit is not None and server.in_use >= server.capacity and len(server.queue) >= limit:
            server.rejected += 1
            raise RefusedError
        if not server.enter(line):
            return 0.0
        yield PARKED
        wait = self.timeline.now - began
        if server.tells_waits:
            line.waited_seconds += wait
        return wait

    def _hold(
        self, line: Line, server: Server, steps: Sequence[Step]
    ) -> Generator[float, None, None]:
        wait = yield from self._take(line, server)
        began, waited = self.timeline.now, line.waited_seconds
        line.held.append(server)
        try:
            yield from self._do(line, steps)
        finally:
            line.held.pop()
            self._let_go(line, server, wait, began, waited)

    def _let_go(self, line: Line, server: Server, wait: float, began: float, waited: float) -> None:
        held = self.timeline.now - began
        nested = line.waited_seconds - waited
        server.leave()
        server.count(line, wait, held, nested)
        for outer in line.held:
            self.counts.nested(outer.place.name, server.place.name, held - nested)

    def _serve(self, line: Line, server: Server, span: Span) -> Generator[float, None, None]:
        wait = yield from self._take(line, server)
        began = self.timeline.now
        yield self._draw(span) * (1 + server.place.strain_ratio * server.share)
        self._let_go(line, server, wait, began, line.waited_seconds)

    def _on_loop(self, line: Line, work: float, *, uses_core: bool) -> Generator[float, None, None]:
        process = self._tasks[line.operation].process
        loop = self.servers[f"loop {process}", line.workers[process]]
        wait = yield from self._take(line, loop)
        began = self.timeline.now
        work *= 1 + loop.place.strain_ratio * loop.share
        cpu_seconds = 0.0
        if uses_core:
            cpu_seconds = yield from self._compute(line, process, work, is_python=True)
        else:
            yield work
        held = self.timeline.now - began
        line.loop_seconds += held
        self.counts.used(process, cpu_seconds, is_loop=True)
        loop.leave()
        loop.count(line, wait, held, 0.0)
        for outer in line.held:
            self.counts.nested(outer.place.name, loop.place.name, held)

    def _compute(
        self, line: Line, process: str, work: float, *, is_python: bool
    ) -> Generator[float, None, float]:
        """Take cores for so much work, a quantum at a time; returns the CPU time it took."""
        owner = self._processes[process]
        computer = self._computers[owner.machine]
        cpu = self.servers[owner.machine, 0]
        gil = self.servers[f"gil {process}", line.workers[process]] if is_python else None
        work *= 1 + computer.strain_ratio * cpu.share
        spent = 0.0
        while work > 1e-12:
            part = min(work, QUANTUM_SECONDS)
            work -= part
            if gil is not None and gil.enter(line):
                yield PARKED
            if cpu.enter(line):
                waits_since = self.timeline.now
                yield PARKED
                self.counts.queued(process, self.timeline.now - waits_since)
            took = part * computer.slowdown_ratio[cpu.in_use - 1]
            yield took
            spent += took
            cpu.leave()
            if gil is not None:
                gil.leave()
        self.counts.used(process, spent)
        return spent

    def run(self, *, seconds: float, window_seconds: float = 10.0) -> list[Window]:
        """Go on for so long, and say what was counted in each window."""
        windows: list[Window] = []
        for _ in range(max(1, round(seconds / window_seconds))):
            self.timeline.run_until(self.timeline.now + window_seconds)
            windows.append(self.counts.window(self, window_seconds))
        return windows
