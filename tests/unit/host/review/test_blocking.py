"""What stops the event loop is found in async operations, and nowhere else."""

from __future__ import annotations

import pytest

from tests.unit.host.review.reviewing import Reviewed, lines

TOP = """
import asyncio, os, socket, sqlite3, subprocess, threading, time, urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep as nap

LOCK = threading.Lock()
LATER = asyncio.Lock()
"""


def in_operation(body: str, kind: str = "async def") -> str:
    """A service whose operation has this body, in which `pool` and `lock` are its own."""
    indented = "\n".join(f"        {line}" for line in body.splitlines())
    return f"""{TOP}
@service
class Files:
    def __post_init__(self) -> None:
        self.pool = ThreadPoolExecutor()
        self.lock = threading.Lock()

    @operation
    {kind} read(self, name: str) -> None:
{indented}
"""


@pytest.mark.parametrize(
    ("body", "written"),
    [
        pytest.param("time.sleep(1)", "time.sleep", id="sleeping"),
        pytest.param("nap(1)", "nap", id="sleeping by another name"),
        pytest.param("import time as t\nt.sleep(1)", "t.sleep", id="imported on the spot"),
        pytest.param("open(name).read()", "open", id="a file"),
        pytest.param("with open(name) as file: pass", "open", id="a file in a with"),
        pytest.param("Path(name).read_text()", "Path(name).read_text", id="a path"),
        pytest.param(
            "p = Path(name)\np.write_bytes(b'')", "p.write_bytes", id="a path with a name"
        ),
        pytest.param("os.system('ls')", "os.system", id="a shell"),
        pytest.param("subprocess.run(['ls'])", "subprocess.run", id="a process"),
        pytest.param("p = subprocess.Popen(['ls'])\np.wait()", "p.wait", id="the end of a process"),
        pytest.param("urllib.request.urlopen(name)", "urllib.request.urlopen", id="a page"),
        pytest.param(
            "socket.create_connection(('', 1))", "socket.create_connection", id="a socket"
        ),
        pytest.param("s = socket.socket()\ns.connect(name)", "s.connect", id="a socket by hand"),
        pytest.param("sqlite3.connect(name)", "sqlite3.connect", id="a database"),
        pytest.param("input()", "input", id="the keyboard"),
        pytest.param("LOCK.acquire()", "LOCK.acquire", id="a lock of the module"),
        pytest.param("self.lock.acquire()", "self.lock.acquire", id="a lock of its own"),
        pytest.param(
            "self.pool.submit(print).result()", "self.pool.submit(print).result", id="a pool"
        ),
        pytest.param(
            "with ThreadPoolExecutor() as pool:\n    later = pool.submit(print)\nlater.result()",
            "later.result",
            id="a pool in a with",
        ),
    ],
)
def test_a_blocking_call_is_found(reviewed: Reviewed, body: str, written: str) -> None:
    (found,) = reviewed(in_operation(body))
    assert (found.code, found.text) == (
        "OG221",
        f"`Files.read` calls `{written}(...)`, which stops the event loop",
    )
    assert found.hint.endswith("or make `Files.read` a `def`, which runs in a thread")


def test_the_hint_names_what_does_not_block(reviewed: Reviewed) -> None:
    (found,) = reviewed(in_operation("time.sleep(1)"))
    assert found.hint.startswith("Use `await asyncio.sleep(...)`, or")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("await asyncio.sleep(1)", id="an async sleep"),
        pytest.param("await asyncio.to_thread(time.sleep, 1)", id="in a thread"),
        pytest.param("await asyncio.to_thread(lambda: open(name).read())", id="later, in a thread"),
        pytest.param("def inner(): time.sleep(1)\nawait asyncio.to_thread(inner)", id="not called"),
        pytest.param("open = print\nopen(name)", id="another open"),
        pytest.param("await LATER.acquire()", id="an async lock"),
        pytest.param("LOCK.acquire(blocking=False)", id="a lock that is tried"),
        pytest.param("LOCK.acquire(False)", id="a lock that is tried, shorter"),
        pytest.param("task = asyncio.create_task(self.read(''))\ntask.result()", id="a task"),
        pytest.param("s = socket.socket()\ns.setblocking(False)\ns.connect(name)", id="no block"),
        pytest.param("class Clock:\n    def sleep(self): ...\nClock().sleep()", id="another sleep"),
        pytest.param("time.monotonic(), os.getpid(), Path(name).name", id="what does not block"),
    ],
)
def test_what_does_not_block_is_left_alone(reviewed: Reviewed, body: str) -> None:
    assert lines(reviewed(in_operation(body))) == []


def test_a_def_operation_may_block(reviewed: Reviewed) -> None:
    assert reviewed(in_operation("time.sleep(1)", "def")) == []


def test_a_start_hook_and_a_handler_may_block(reviewed: Reviewed) -> None:
    source = "from outgrow import on_start\nimport time\n@service\nclass Files:\n    @on_start\n"
    source += "    async def warm(self) -> None: time.sleep(1)\nasync def home(): time.sleep(1)\n"
    assert reviewed(source) == []


CHAIN = """
import functools, time

def pause() -> None:
    time.sleep(1)

@functools.cache
def paused() -> None:
    pause()

def in_a_thread(function):
    return function

@in_a_thread
def apart() -> None:
    time.sleep(1)

class Disk:
    def read(self) -> None:
        time.sleep(2)

@service
class Files:
    disk: Disk = Disk()

    @operation
    async def first(self) -> None:
        self._step()
        await apart()

    @operation
    async def second(self) -> None:
        paused()

    @operation
    async def third(self) -> None:
        self.disk.read()

    def _step(self) -> None:
        pause()

    def _never(self) -> None:
        time.sleep(3)
"""


def test_a_blocking_call_is_found_in_what_an_operation_calls_and_told_once(
    reviewed: Reviewed,
) -> None:
    assert lines(reviewed(CHAIN)) == [
        "shop.py:6 OG221 `Files.first` runs `pause`, which calls `time.sleep(...)`, which stops "
        "the event loop",
        "shop.py:21 OG221 `Files.third` runs `Disk.read`, which calls `time.sleep(...)`, which "
        "stops the event loop",
    ]


def test_other_files_are_not_looked_into(reviewed: Reviewed) -> None:
    files = {
        "disk.py": "import time\ndef pause(): time.sleep(1)\n",
        "shop.py": "from disk import pause\n@service\nclass Files:\n    @operation\n"
        "    async def read(self) -> None: pause()\n",
    }
    assert reviewed(files) == []


def test_a_stream_is_an_async_operation(reviewed: Reviewed) -> None:
    (found,) = reviewed(
        """
        import time
        from collections.abc import AsyncIterator
        @service
        class Files:
            @operation
            async def watch(self) -> AsyncIterator[int]:
                time.sleep(1)
                yield 1
        """
    )
    assert found.code == "OG221"
