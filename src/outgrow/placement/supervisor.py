"""The process that outlives all others: it holds the sockets, starts workers and watches them.

It runs no code of the app and stands on the path of no request. It is the parent of all workers, so
it learns of every death at once, and adopts what they leave behind.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outgrow.errors import OutgrowError, RefusedError
from outgrow.placement.changes import Wish
from outgrow.placement.commit import commit_of
from outgrow.placement.control import ControlServer
from outgrow.placement.fleet import Fleet
from outgrow.placement.folder import Folder
from outgrow.placement.keeping import Keeping
from outgrow.placement.kept import kept_plan
from outgrow.placement.logbook import LogBook
from outgrow.placement.machine import this_machine
from outgrow.placement.observing import Observing
from outgrow.placement.parenthood import become_subreaper, ignore_signals, terminal_is_gone
from outgrow.placement.pipes import Pipes
from outgrow.placement.plan import whole_plan
from outgrow.placement.seat import AUDIT
from outgrow.placement.sockets import Listeners
from outgrow.placement.status import status_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from outgrow.model import Replicas, Settings
    from outgrow.placement.peer import Peer
    from outgrow.placement.plan import Plan
    from outgrow.placement.sources import Resolved

TICK_SECONDS = 0.1
STOP_GRACE_SECONDS = 2.0
SAID_SECONDS = 2.0
AGAIN_SECONDS = 0.3


class Supervisor:
    """Runs one app until it is told to stop.

    Args:
        settings: How to run it.
        reread: Finds settings and plan anew, for a reload.
        plan: Which group runs what; everything in one where None.
        typed: How many workers the command line says; it counts more than what was applied before.
        watch: Yields whenever the app's files change (`outgrow dev`); None never to look.
        objectives: What is promised of operations, as outgrow.toml has it.
        signs: Which signs are silenced, likewise.
        prices: What things cost, likewise.
    """

    def __init__(
        self,
        settings: Settings,
        reread: Callable[[], Resolved],
        *,
        plan: Plan | None = None,
        typed: Replicas | None = None,
        watch: Callable[[Settings], AsyncIterator[str]] | None = None,
        objectives: Mapping[str, object] | None = None,
        signs: Mapping[str, object] | None = None,
        prices: Mapping[str, object] | None = None,
    ) -> None:
        self.settings = settings
        self.started_at = time.time()
        self.machine = this_machine()
        self._reread = reread
        self._written = plan or whole_plan(settings.workers, settings.busy_percent)
        self._typed = typed
        self._watch = watch
        self._observed = (objectives or {}, signs or {}, prices or {})
        self.is_durable = False
        self._stop_asked_at = 0.0
        self._had_terminal = sys.stdin.isatty()
        self._stopping = asyncio.Event()
        self._listeners_of_news: list[asyncio.Queue[str]] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._placed: tuple[Plan, dict[str, int]] | None = None

    async def run(self) -> int:
        """Run until stopped; returns the exit code.

        Raises:
            OutgrowError: It could not start; says why.
        """
        folder = Folder(Path(self.settings.folder))
        try:
            self.listeners = Listeners(self.settings)
        except OutgrowError:
            folder.close()
            raise
        self.book = LogBook(folder.log_path)
        loop = asyncio.get_running_loop()
        has_terminal = self._watch is not None and sys.stdin.isatty()
        self._pipes = None if has_terminal else Pipes(loop, self.book, passes_on=True)
        self._plan_path = folder.plan_path
        told = self._recall_plan()
        self.fleet = Fleet(
            self.settings,
            self.listeners,
            self._pipes,
            self.say,
            has_colors=sys.stderr.isatty(),
            plan=self.kept.current,
            calls_folder=str(folder.calls_path()),
        )
        if told:
            self.say(told)
        self.keeping = Keeping(self.settings, folder, self._pipes, self.say)
        self.observing = Observing(
            *(self.settings, folder, self._pipes, self.say, *self._observed),
            durable=self.keeping.place,
        )
        control = ControlServer(self, folder.socket_path)
        try:
            become_subreaper()
            self._catch_signals(loop)
            await control.start(self.settings.host, self.settings.control_port)
            return await self._supervise()
        finally:
            self.fleet.kill()
            self.keeping.kill()
            self.observing.close()
            await control.stop()
            self.listeners.close()
            if self._pipes:
                self._pipes.close()
            self.book.close()
            folder.close()
            ignore_signals()

    def _recall_plan(self) -> str:
        """Find the plan that was left here; returns what to tell about it."""
        self.kept, told = kept_plan(self._plan_path, self._written)
        typed = self.kept.take_typed(self._typed) if self._typed else ""
        if typed:
            self._write_plan()
        return typed or told

    async def _supervise(self) -> int:
        self._look_for_commit(self.settings)
        self.fleet.load(self.settings, is_applied=self.kept.is_applied)
        ticking = asyncio.ensure_future(self._tick())
        watching = asyncio.ensure_future(self._reload_on_change())
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            while not self._stopping.is_set():
                ended = {stopping, self.fleet.fatal}
                await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
                if self.fleet.fatal.done():
                    self._could_not_start(self.fleet.fatal.result())
            await self._stop()
        finally:
            for task in (ticking, watching, stopping):
                task.cancel()
        return 0

    def _could_not_start(self, problem: OutgrowError) -> None:
        """Give up, unless somebody is at work on the app."""
        if self._watch is None:
            raise problem
        self.say(f"{problem}\n\nnothing serves yet; waiting for a change of the app's files")
        self.fleet.fatal = asyncio.get_running_loop().create_future()

    def _look_for_commit(self, settings: Settings) -> None:
        """Have workers that start from now on report what they run."""
        commit = settings.commit or commit_of(Path(settings.app_dir))
        self.fleet.around = self.observing.watch(commit), self.keeping.place

    async def _tick(self) -> None:
        was_serving = False
        while True:
            self._settle(was_serving=was_serving)
            if self._pipes:
                self._pipes.breathe()
            if self.fleet.in_service and self.fleet.ready and not was_serving:
                was_serving = True
                self._remark_placement()  # from which it may change as soon as they are told
                self._say_serving()
            await asyncio.sleep(TICK_SECONDS)

    def _settle(self, *, was_serving: bool) -> None:
        """Whatever one step runs into, the next ones must go on."""
        steps: list[Callable[[], object]] = [
            self.fleet.settle,
            self._settle_keeper,
            partial(self.observing.settle, may_speak=was_serving),
        ]
        if was_serving:
            steps.append(self._remark_placement)
        for step in steps:
            try:
                step()
            except Exception as problem:
                where = "".join(traceback.format_exception(problem))
                self.say(f"this should not have happened, supervision goes on\n{where}")

    def _settle_keeper(self) -> None:
        loads = {worker.load for worker in self.fleet.workers.values()}
        if self.fleet.change is not None:
            loads.add(self.fleet.change.target.load)
        self.is_durable = any(load.loaded is not None and load.loaded.is_durable for load in loads)
        self.keeping.settle(is_needed=self.is_durable)

    def _remark_placement(self) -> None:
        """Have it marked where what runs where is not as it was."""
        plan, sizes = self.fleet.plan, {n: size.wanted for n, size in self.fleet.sizes.items()}
        before, was = self._placed or (plan, sizes)
        self._placed = plan, sizes
        steps = before.steps_to(plan) if before is not plan else []
        if not steps:  # scaled by itself, then
            steps += [
                f"workers of `{name}`: {was[name]} -> {wanted}"
                for name, wanted in sizes.items()
                if was.get(name, wanted) != wanted
            ]
        if steps:
            self.observing.remark("placement", "; ".join(steps))

    def _say_serving(self) -> None:
        deployment = self.fleet.in_service
        assert deployment is not None
        loaded = deployment.load.loaded
        kind = (loaded.framework or loaded.interface) if loaded else ""
        self.fleet.say(
            f"serving {self.settings.app} ({kind}) on {self.listeners.address}, "
            f"{_size_shown(self.fleet.plan)}"
        )
        self.say("look: outgrow status   outgrow logs --follow   stop: Ctrl+C")

    # Changes.

    async def change(self, wish: Wish, peer: Peer) -> AsyncIterator[str]:
        """Carry a change out; yields lines that tell how it goes.

        Args:
            wish: What is asked for.
            peer: Who asks.

        Raises:
            OutgrowError: It failed; what was there before serves on.
        """
        news: asyncio.Queue[str] = asyncio.Queue()
        self._listeners_of_news.append(news)
        changing = asyncio.ensure_future(self._change(wish))
        # The observer writes down itself what is asked for on its page, as it knows by whom.
        if not (wish.is_only_shown or (peer.pid and peer.pid == self.observing.pid)):
            changing.add_done_callback(partial(self._write_down, wish, peer.name))
        try:
            async for line in _until(changing, news):
                yield line
            yield await changing
        finally:
            # Whoever asked may go; the change goes on.
            self._listeners_of_news.remove(news)
            self._keep(changing)

    def _write_down(self, wish: Wish, who: str, changed: asyncio.Future[str]) -> None:
        """Have it kept who has changed what."""
        problem = None if changed.cancelled() else changed.exception()
        end = getattr(problem, "text", str(problem)) if problem else None
        self.observing.remark(AUDIT, wish.entry(who, end))

    async def _change(self, wish: Wish) -> str:
        if self.fleet.is_stopping:
            raise RefusedError("the supervisor is stopping", hint="Start it again first")
        plan = self.fleet.completed(wish.plan_after(self.kept, self.fleet.plan, self.machine))
        steps = self.fleet.plan.steps_to(plan)
        # What is only shown has not happened: it is for who asked, and no event.
        tell = self._tell if wish.is_only_shown else self.fleet.say
        for step in steps or ([] if wish.reloads else ["nothing changes"]):
            tell(step)
        if wish.is_only_shown:
            return "this is what would change; say it without `--dry-run` to have it done"
        if steps:
            await self._place(plan)
            self._plan_changed(wish)
        if wish.reloads:
            await self._begin_reload(restarts_all=wish.reload_all)
        await self.fleet.settled()
        count = len(self.fleet.ready)
        version = self.fleet.in_service.load.version if self.fleet.in_service else 0
        done = f"{count} {'worker serves' if count == 1 else 'workers serve'} version {version}"
        self.fleet.note(done)
        return done

    async def _place(self, plan: Plan) -> None:
        """Bring the workers from the plan in force to another; all of it, or nothing."""
        fleet = self.fleet
        if [(group.name, group.runs) for group in plan.groups] != [
            (group.name, group.runs) for group in fleet.plan.groups
        ]:
            await fleet.place(plan).done
            return
        for group in plan.groups:
            fleet.resize(group.name, group.replicas, group.busy_percent)

    def _plan_changed(self, wish: Wish) -> None:
        if wish.undo:
            self.kept.took_back(self.fleet.plan)
        else:
            self.kept.changed(self.fleet.plan)
        self._write_plan()

    def _write_plan(self) -> None:
        try:
            self.kept.write(self._plan_path)
        except OSError as problem:
            self.say(f"the plan could not be kept, a restart will not know it: {problem}")

    def _begin_reload(self, *, restarts_all: bool) -> asyncio.Future[None]:
        resolved = self._reread()
        settings = resolved.settings
        fixed = ("host", "port", "unix_socket", "fd", "folder", "control_port")
        fixed += ("page_host", "page_port")
        for name in fixed:
            if getattr(settings, name) != getattr(self.settings, name):
                self.say(f"`{name}` changed: that takes a restart, a reload keeps the old one")
        is_applied = self.kept.is_applied and resolved.plan == self.kept.written
        plan = None if is_applied else resolved.plan
        self.observing.renew(settings, resolved.objectives, resolved.signs, resolved.prices)
        self._look_for_commit(settings)
        change = self.fleet.load(settings, plan, is_applied=is_applied, restarts_all=restarts_all)
        self.say(f"version {change.target.load.version} is loading")
        change.done.add_done_callback(partial(self._take, resolved))
        return change.done

    def _take(self, resolved: Resolved, done: asyncio.Future[None]) -> None:
        """Live by new settings and their plan once the version that has them serves."""
        if done.cancelled() or done.exception() is not None:
            return
        self.settings = resolved.settings
        if self.kept.take_written(resolved.plan):
            self.say("outgrow.toml has changed: what was applied before is dropped")
            self._write_plan()

    def _reload_by_signal(self) -> None:
        if self._had_terminal and terminal_is_gone():
            self._asked_to_stop(0.0)  # the kernel sent it, since the terminal was closed
            return
        self._keep(asyncio.ensure_future(self._reload("SIGHUP")))

    async def _reload(self, why: str) -> None:
        if self.fleet.is_stopping:
            return
        self.say(f"reload, asked for by {why}")
        wish = Wish(reload=True)
        changing = asyncio.ensure_future(self._change(wish))
        changing.add_done_callback(partial(self._write_down, wish, why))
        try:
            self.say(await changing)
        except OutgrowError as problem:
            if self.fleet.in_service is not None:
                self.fleet.say(f"the reload failed, the version before serves on\n{problem}")

    async def _reload_on_change(self) -> None:
        if self._watch is None:
            return
        async for file in self._watch(self.settings):
            await self._reload(f"a change of {file}")

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._kept)

    def _kept(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # said already; read, so that asyncio does not say it again

    # Signals and the end.

    def _catch_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.add_signal_handler(signal.SIGTERM, self._asked_to_stop, AGAIN_SECONDS)
        loop.add_signal_handler(signal.SIGINT, self._asked_to_stop, 0.0)
        loop.add_signal_handler(signal.SIGHUP, self._reload_by_signal)
        loop.add_signal_handler(signal.SIGCHLD, self._reap)

    def _asked_to_stop(self, again_seconds: float) -> None:
        now = asyncio.get_running_loop().time()
        # Some programs send SIGTERM to the process and to its group: that is one wish, not two.
        if self._stopping.is_set() and now - self._stop_asked_at < again_seconds:
            return
        is_again, self._stop_asked_at = self._stopping.is_set(), now
        self._stopping.set()
        if is_again:
            self.say("asked again to stop: ending all workers at once")
            self.fleet.kill()
            self.keeping.kill()
            self.observing.kill()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self.observing.reaped(pid, status)
            self.keeping.reaped(pid, status)
            self.fleet.reaped(pid, status)

    async def _stop(self) -> None:
        loop = asyncio.get_running_loop()
        self.observing.start_no_more()
        self.fleet.stop()
        self.listeners.close()  # so that whoever comes now is refused, rather than left waiting
        said_at = loop.time()
        give_up = said_at + self.settings.drain_seconds + STOP_GRACE_SECONDS
        while self.fleet.workers:
            now = loop.time()
            if now > give_up:
                self.fleet.kill()
            if now - said_at >= SAID_SECONDS:
                said_at = now
                beats = [w.beat for w in self.fleet.workers.values() if w.beat]
                requests = sum(beat.in_flight for beat in beats)
                work = sum(beat.work_in_hand for beat in beats)
                jobs = f", events and jobs: {work}" if work else ""
                self.say(
                    f"stopping: requests that still run: {requests}{jobs}; Ctrl+C again ends them"
                )
            await asyncio.sleep(0.02)
        await self.keeping.stop()
        await self.observing.stop()
        self.say("stopped")

    def say(self, text: str) -> None:
        """Tell people: on stderr, in the log, and to whoever follows a change."""
        lines = "".join(f"outgrow: {line}\n" for line in text.splitlines())
        self.book.passed("supervisor", "err", lines.encode(), 2)
        self._tell(text)

    def _tell(self, text: str) -> None:
        for news in self._listeners_of_news:
            news.put_nowait(text)

    # What the control socket answers.

    def status(self) -> dict[str, Any]:
        """What runs and how it fares, as `outgrow status --json` prints it."""
        return status_of(self)

    @property
    def is_ready(self) -> bool:
        """Whether at least one worker serves."""
        return not self.fleet.is_stopping and self.fleet.is_ready

    @property
    def page(self) -> str | None:
        """Address of the page, while somebody answers there."""
        return (self.observing.page or None) if self.observing.is_up else None

    @property
    def log_path(self) -> Path:
        """Where the log is."""
        return self.book.path


def _size_shown(plan: Plan) -> str:
    if plan.is_split:
        groups = (f"{group.name} ({group.replicas})" for group in plan.groups)
        return f"workers in {len(plan.groups)} groups: {', '.join(groups)}"
    replicas = plan.edge.replicas
    return f"{replicas} {'worker' if replicas.max == 1 else 'workers'}"


async def _until(done: asyncio.Future[Any], news: asyncio.Queue[str]) -> AsyncIterator[str]:
    """What is said until something is done."""
    while True:
        hearing = asyncio.ensure_future(news.get())
        await asyncio.wait({hearing, done}, return_when=asyncio.FIRST_COMPLETED)
        if not hearing.done():
            hearing.cancel()
            return
        yield hearing.result()
