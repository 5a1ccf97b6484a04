"""The placement `split`: each service in a process of its own, as seen from the test."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any

from outgrow.errors import ServiceStartError
from outgrow.host import Exchange, Host, KeeperHints, active, keeping
from outgrow.model import App, does_work, graph_of
from outgrow.testing.child import Advance, Begin, Count, Done, Load, Report, Stop, thing_of
from outgrow.testing.clock import ManualClock
from outgrow.wire import Channel, ChannelClosedError, channel_pair, error_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

    from outgrow.host import Clock, DurableSource
    from outgrow.testing.watched import TestWork

_STOP_SECONDS_MAX = 10.0
_CHILD = "import sys; from outgrow.testing.child import main; sys.exit(main(int(sys.argv[1])))"


@contextlib.asynccontextmanager
async def apart(
    app: App,
    providers: Sequence[Callable[..., Any]],
    fakes: Sequence[object],
    environment: Mapping[str, str] | None,
    clock: Clock | None,
    work: TestWork,
) -> AsyncGenerator[dict[type, Any]]:
    """Run services apart; gives their clients by class.

    Raises:
        ServiceError: One cannot be found from another process, or could not be started.
    """
    graph = graph_of(app.services)
    faked = {fake.__class__ for fake in fakes}
    async with contextlib.AsyncExitStack() as exits:
        folder = exits.enter_context(tempfile.TemporaryDirectory(prefix="outgrow-"))
        meetings = {
            name: f"unix:{folder}/{number}.sock" for number, name in enumerate(graph.services)
        }
        exchange = Exchange("test", 1, graph, random.Random(1))
        exits.push_async_callback(exchange.close)
        exchange.take({name: [meeting] for name, meeting in meetings.items()})
        clients = dict(exchange.remote_clients([]))
        keeper = f"unix:{folder}/keeper.sock"
        source = await exits.enter_async_context(_kept_here(work, keeper, does_work(graph)))
        for name, model in graph.services.items():
            if model.cls in faked:
                await _play_fake(model.cls, fakes, clients, meetings[name], source, exits)
        load = Load(
            paths=[each for each in sys.path if each],
            folder=os.getcwd(),  # noqa: PTH109 - as the test sees it
            files=_files([model.cls for model in graph.services.values()], providers),
            services=[_name(model.cls) for model in graph.services.values()],
            providers=[_name(each) for each in (*providers, *app.providers)],
            environment=dict(environment) if environment is not None else None,
            now=clock.now() if clock is not None else None,
            meetings=meetings,
            keeper=keeper,
        )
        troupe = exits.enter_context(_Troupe())
        await troupe.load(load)
        for name, model in graph.services.items():
            if model.cls not in faked:
                actor = await troupe.begin(name)
                exits.push_async_callback(actor.stop)
                if isinstance(clock, ManualClock):
                    clock.followers.append(actor)
                    exits.callback(clock.followers.remove, actor)
        yield clients


@contextlib.asynccontextmanager
async def _kept_here(
    work: TestWork, meeting: str, is_needed: bool
) -> AsyncGenerator[DurableSource]:
    """Have this process keep what the services publish and enqueue."""
    hints = KeeperHints()
    source = work.source(hints)
    try:
        if is_needed:
            durable = await source.get()
            async with keeping(durable.store, hints, meeting):
                with active(source):
                    yield source
        else:
            yield source
    finally:
        await source.close()


async def _play_fake(
    cls: type,
    fakes: Sequence[object],
    clients: Mapping[type, Any],
    meeting: str,
    source: DurableSource,
    exits: contextlib.AsyncExitStack,
) -> None:
    others = {each: client for each, client in clients.items() if each is not cls}
    host = Host(App(services=[cls]), fakes=fakes, running=others, source=source)
    await host.start()
    exits.push_async_callback(host.stop)
    exchange = Exchange("fake", 1, host.graph, random.Random(1))
    await exchange.listen(meeting, host.answerers())
    exits.push_async_callback(exchange.close)


def _files(*things: Sequence[Any]) -> dict[str, str]:
    """The file of each module that they are from."""
    modules = {each.__module__ for some in things for each in some}
    files = {module: getattr(sys.modules.get(module), "__file__", None) for module in modules}
    return {module: file for module, file in sorted(files.items()) if file}


def _name(thing: Any) -> str:
    """`MODULE:NAME` of a class or function.

    Raises:
        ServiceStartError: Another process would not find it there.
    """
    name = f"{thing.__module__}:{thing.__qualname__}"
    try:
        found = thing_of(name) is thing
    except (ImportError, AttributeError):
        found = False
    if not found:
        raise ServiceStartError(
            f"`{thing.__qualname__}` of {thing.__module__} cannot be found by another process",
            hint="Define it at the top of a module, or run this test as `local` and `rpc` only",
        )
    return name


class _Troupe:
    """The process that forks the services."""

    def __enter__(self) -> _Troupe:
        ours, theirs = channel_pair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _CHILD, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        self._channel = Channel[Report](ours, Report)
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()
        try:
            self._process.wait(_STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    async def load(self, load: Load) -> None:
        """Have the app imported."""
        self._channel.send(load)
        await asyncio.to_thread(_answer, self._channel, "the process that imports the app")

    async def begin(self, name: str) -> _Actor:
        """Have a service started."""
        ours, theirs = channel_pair()
        with theirs:
            self._channel.send(Begin(name), (theirs.fileno(),))
        actor = _Actor(name, Channel[Report](ours, Report))
        try:
            await asyncio.to_thread(actor.answer)
        except BaseException:
            actor.close()
            raise
        return actor


class _Actor:
    """A service in its process."""

    def __init__(self, name: str, channel: Channel[Report]) -> None:
        self._name = name
        self._channel = channel

    def answer(self) -> Done:
        """Wait for its report."""
        return _answer(self._channel, f"the process of `{self._name}`")

    def advance(self, seconds: float) -> None:
        """Set its clock forward."""
        self._channel.send(Advance(seconds))
        self.answer()

    def sleepers_count(self) -> int:
        """How many tasks sleep by its clock."""
        self._channel.send(Count())
        return self.answer().count

    async def stop(self) -> None:
        """Have it stop, and wait for that; one that died has been heard of by its callers."""
        try:
            self._channel.send(Stop())
            report = await asyncio.to_thread(_report, self._channel)
        except ChannelClosedError:
            return
        finally:
            self.close()
        _done(report)

    def close(self) -> None:
        """Let go of it; it ends where it still runs."""
        self._channel.close()


def _answer(channel: Channel[Report], who: str) -> Done:
    try:
        report = _report(channel)
    except ChannelClosedError:
        raise ServiceStartError(f"{who} ended", hint="Its last words are above") from None
    return _done(report)


def _report(channel: Channel[Report]) -> Report:
    while not (reports := channel.receive()):
        pass
    return reports[0][0]


def _done(report: Report) -> Done:
    if isinstance(report, Done):
        return report
    raise error_of(report.fault)
