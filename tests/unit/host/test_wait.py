"""Sync code that waits for async calls: deadlines, loops that end, exits, forks and Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from outgrow import call, client, deadline, operation, service, wait
from outgrow.errors import DeadlineExceededError, UnavailableError
from outgrow.testing import running

BOUND_SECONDS = 5.0


@service(threads_max=2)
class Slow:
    @operation
    async def quick(self) -> int:
        return 1

    @operation
    async def hang(self) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    @operation
    async def leave(self) -> None:
        sys.exit(2)

    @operation
    async def interrupt(self) -> None:
        raise KeyboardInterrupt


begun, ended = threading.Event(), threading.Event()


@pytest.fixture(autouse=True)
def nothing_begun() -> None:
    begun.clear()
    ended.clear()


@contextmanager
def in_a_thread(work: Any) -> Iterator[list[Any]]:
    """Do it in a thread of its own; holds what it returned or raised once the block is left."""
    got: list[Any] = []

    def run() -> None:
        try:
            got.append(work())
        except BaseException as problem:
            got.append(problem)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield got
    thread.join(BOUND_SECONDS)
    assert not thread.is_alive(), "it waits for ever"


def test_a_deadline_ends_a_call_that_sync_code_waits_for() -> None:
    slow = client(Slow)
    wait(slow.quick())  # it has started, which may take longer than a deadline
    with pytest.raises(DeadlineExceededError), deadline(0.3):
        wait(slow.hang())
    assert begun.is_set()
    assert ended.wait(BOUND_SECONDS)


def test_the_time_of_a_def_operation_ends_the_calls_that_it_waits_for() -> None:
    @service
    class Report:
        slow: Slow

        @operation(timeout=0.05)
        def make(self) -> None:
            wait(self.slow.hang())

    with pytest.raises(DeadlineExceededError):
        client(Report).make()
    assert ended.wait(BOUND_SECONDS)


def test_a_def_operation_waits_on_the_loop_that_its_services_run_on() -> None:
    @service
    class Inner:
        @operation
        async def loop(self) -> int:
            return id(asyncio.get_running_loop())

    @service
    class Outer:
        inner: Inner

        @operation
        def loop(self) -> int:
            return wait(self.inner.loop())

    async def script() -> bool:
        async with running(Outer) as app:
            return await call(app.client(Outer).loop) == id(asyncio.get_running_loop())

    assert asyncio.run(script())


def test_a_thread_that_waits_is_told_when_its_loop_ends() -> None:
    slow = client(Slow)
    waiters: list[Any] = []

    async def script() -> None:
        await slow.quick()
        waiters.append(in_a_thread(lambda: wait(slow.hang())))
        waiters.append(waiters[0].__enter__())
        await asyncio.to_thread(begun.wait, BOUND_SECONDS)

    asyncio.run(script())
    waiters[0].__exit__(None, None, None)
    assert isinstance(waiters[1][0], UnavailableError)
    assert waiters[1][0].may_have_run


def test_a_thread_that_waits_is_told_when_its_loop_stands_still() -> None:
    slow = client(Slow)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(slow.quick())
    began = threading.Event()
    loop.call_soon(began.set)
    with in_a_thread(lambda: began.wait(BOUND_SECONDS) and wait(slow.hang())) as got:
        loop.run_until_complete(asyncio.to_thread(begun.wait, BOUND_SECONDS))
    assert isinstance(got[0], UnavailableError)
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.wait(asyncio.all_tasks(loop)))
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param("leave", SystemExit, id="SystemExit"),
        pytest.param("interrupt", KeyboardInterrupt, id="KeyboardInterrupt"),
    ],
)
def test_an_exit_in_an_operation_reaches_who_waits_and_no_other(
    name: str, kind: type[BaseException]
) -> None:
    slow = client(Slow)
    with in_a_thread(lambda: wait(getattr(slow, name)())) as got:
        pass
    assert isinstance(got[0], kind)
    assert wait(slow.quick()) == 1


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C interrupts, also where these tests were begun by a shell's `&`, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_ends_the_call_that_is_waited_for() -> None:
    slow = client(Slow)
    wait(slow.quick())

    def press() -> None:
        begun.wait(BOUND_SECONDS)
        signal.raise_signal(signal.SIGINT)

    with in_a_thread(press), pytest.raises(KeyboardInterrupt):
        wait(slow.hang())
    assert ended.wait(BOUND_SECONDS)


_SCRIPT = """
import asyncio, os
from collections.abc import Iterator
from outgrow import client, on_stop, operation, provides, service, wait

class Post: ...

@provides
def post() -> Iterator[Post]:
    yield Post()
    print("post closed", flush=True)

@service
class Prices:
    post: Post
    @operation
    async def of(self) -> int: return os.getpid()
    @on_stop
    async def end(self) -> None: print("stopped", flush=True)

prices = client(Prices)
assert wait(prices.of()) == os.getpid()
"""
_FORKS = """
for ask in (lambda: wait(prices.of()), lambda: asyncio.run(prices.of())):
    pid = os.fork()
    if not pid:
        os._exit(0 if ask() == os.getpid() else 1)
    assert os.waitpid(pid, 0)[1] == 0
"""


def test_services_stop_at_the_end_of_a_script_that_only_waits() -> None:
    assert output_of(_SCRIPT) == "stopped\npost closed\n"


def test_a_process_forked_after_the_first_call_has_services_of_its_own() -> None:
    assert output_of(_SCRIPT + _FORKS) == "stopped\npost closed\n" * 2


def output_of(script: str) -> str:
    """What a script prints; it ends within a bound, without a word on stderr."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        timeout=2 * BOUND_SECONDS,
        check=True,
    )
    assert not done.stderr
    return done.stdout
