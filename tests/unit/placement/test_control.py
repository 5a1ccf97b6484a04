"""The control socket answers whoever may ask, and survives whoever else comes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from outgrow.errors import AddressError, NotRunningError, RefusedError, StartupFailedError
from outgrow.placement.changes import Wish
from outgrow.placement.client import ControlClient
from outgrow.placement.control import BODY_BYTES_MAX, ControlServer, log_entry
from outgrow.placement.logbook import LogBook
from outgrow.placement.peer import Peer, user_name
from outgrow.placement.supervisor import Supervisor


class FakeSupervisor:
    """What the control socket asks of a supervisor."""

    def __init__(self, book: LogBook) -> None:
        self.book = book
        self.is_ready = True
        self.asked: list[Wish] = []
        self.peers: list[Peer] = []
        self.problem: Exception | None = None

    def status(self) -> dict[str, Any]:
        return {"app": "main:app", "workers": []}

    async def change(self, wish: Wish, peer: Peer) -> AsyncIterator[str]:
        self.asked.append(wish)
        self.peers.append(peer)
        yield "workers: 1 -> 2"
        if self.problem:
            raise self.problem
        yield "2 workers serve version 1"


class Control:
    """A control server at work, and ways to speak to it."""

    def __init__(self, folder: Path, supervisor: FakeSupervisor, server: ControlServer) -> None:
        self.folder = folder
        self.supervisor = supervisor
        self.server = server
        self.client = ControlClient(folder)

    @property
    def probe_port(self) -> int:
        return self.server._servers[1].sockets[0].getsockname()[1]

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(self.folder / "control.sock")

    async def raw(self, sent: bytes, *, probes: bool = False) -> bytes:
        """All that comes back for these bytes."""
        opening = (
            asyncio.open_connection("127.0.0.1", self.probe_port) if probes else self.connect()
        )
        reader, writer = await opening
        with contextlib.suppress(ConnectionError):
            writer.write(sent)
            await writer.drain()
        answer = b""
        with contextlib.suppress(ConnectionError):
            answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        return answer

    async def get(self, target: str, *, probes: bool = False) -> tuple[int, list[Any]]:
        """Status and lines of the answer to a request, as a small client sees them."""
        answer = await self.raw(f"GET {target} HTTP/1.0\r\n\r\n".encode(), probes=probes)
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), [json.loads(line) for line in body.splitlines()]

    async def use(self, call: Callable[[], Any]) -> Any:
        return await asyncio.to_thread(call)


def with_control(folder: Path, test: Callable[[Control], Awaitable[None]]) -> list[str]:
    """Run a test against a server; returns what the event loop had to complain of."""
    complaints: list[str] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, what: complaints.append(what["message"]))
        book = LogBook(folder / "log")
        supervisor = FakeSupervisor(book)
        server = ControlServer(cast("Supervisor", supervisor), folder / "control.sock")
        await server.start("127.0.0.1", 0)
        try:
            await test(Control(folder, supervisor, server))
        finally:
            await server.stop()
            book.close()

    asyncio.run(run())
    return complaints


def test_the_socket_is_its_owners_alone(tmp_path: Path) -> None:
    async def test(control: Control) -> None:
        assert (tmp_path / "control.sock").stat().st_mode & 0o777 == 0o600

    assert with_control(tmp_path, test) == []


def test_the_socket_can_lie_deep(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()

    async def test(control: Control) -> None:
        assert (await control.use(control.client.status))["app"] == "main:app"

    assert with_control(folder, test) == []


def test_the_status_is_told(tmp_path: Path) -> None:
    async def test(control: Control) -> None:
        assert await control.get("/status") == (200, [{"app": "main:app", "workers": []}])
        assert await control.use(control.client.status) == {"app": "main:app", "workers": []}

    assert with_control(tmp_path, test) == []


def test_a_change_is_carried_out_and_told_step_by_step(tmp_path: Path) -> None:
    async def test(control: Control) -> None:
        wish = Wish(workers="2", reload=True)
        steps = await control.use(lambda: list(control.client.apply(wish)))
        assert steps == ["workers: 1 -> 2", "2 workers serve version 1"]
        assert control.supervisor.asked == [wish]

    assert with_control(tmp_path, test) == []


def test_who_asks_for_a_change_is_known_by_process_and_user(tmp_path: Path) -> None:
    async def test(control: Control) -> None:
        await control.use(lambda: list(control.client.apply(Wish(workers="2"))))
        assert control.supervisor.peers == [Peer(os.getpid(), user_name(os.getuid()))]

    assert with_control(tmp_path, test) == []
    assert user_name(0) == "root (uid 0)"
    assert user_name(4_000_000_000) == "uid 4000000000"


def test_a_change_that_fails_raises_the_same_error_at_the_other_end(tmp_path: Path) -> None:
    async def test(control: Control) -> None:
        control.supervisor.problem = StartupFailedError("no database", hint="start it")
        steps: list[str] = []

        def apply() -> None:
            steps.extend(control.client.apply(Wish(reload=True)))

        with pytest.raises(StartupFailedError, match="no database") as raised:
            await control.use(apply)
        assert raised.value.hint == "start it"

    assert with_control(tmp_path, test) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(b"", "nothing to change", id="nothing"),
        pytest.param(b"{}", "nothing to change", id="an empty wish"),
        pytest.param(b'{"reload": false}', "nothing to change", id="no wish"),
        pytest.param(b"{", "not understood: Input data was truncated", id="no JSON"),
        pytest.param(b"[1]", "not understood: Expected `object`", id="a list"),
        pytest.param(b"\xff", "not understood: JSON is malformed", id="no text"),
        pytest.param(b'{"port": 1}', "unknown field `port`", id="an unknown wish"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(tmp_path: Path, body: bytes, said: str) -> None:
    async def test(control: Control) -> None:
        head = b"POST /apply HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body)
        answer = await control.raw(head + body)
        error = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
        assert error["code"] == RefusedError.code
        assert said in error["text"]
        assert control.supervisor.asked == []

    assert with_control(tmp_path, test) == []


def test_a_body_that_is_too_large_changes_nothing(tmp_path: Path) -> None:
    async def test(control: Control) -> None:
        body = b" " * BODY_BYTES_MAX + b' {"reload": true}'
        head = b"POST /apply HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body)
        assert b'"step"' not in await control.raw(head + body)
        assert control.supervisor.asked == []

    assert with_control(tmp_path, test) == []


@pytest.mark.parametrize(
    "request_line",
    ["GET / HTTP/1.1", "POST /status HTTP/1.1", "GET /apply HTTP/1.1", "DELETE /logs HTTP/1.1"],
)
def test_anything_else_is_not_found(tmp_path: Path, request_line: str) -> None:
    async def test(control: Control) -> None:
        answer = await control.raw(f"{request_line}\r\nHost: x\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 404")

    assert with_control(tmp_path, test) == []


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\x16\x03\x01\x00\xee", id="TLS"),
        pytest.param(b"GET\r\n\r\n", id="half a line"),
        pytest.param(b"GET /status HTTP/1.1\r\n\r\n", id="no host"),
        pytest.param(b"GET /" + b"x" * 200_000, id="an endless line"),
        pytest.param(b"\r\n" * 100, id="empty lines"),
        pytest.param(
            b"GET //[x HTTP/1.0\r\n\r\n",
            id="a bad address",
        ),
        pytest.param(
            b"GET /logs?lines=%C2%B2 HTTP/1.0\r\n\r\n",
            id="a digit that is no number",
        ),
        pytest.param(
            b"GET /logs?lines=99999999999999999999 HTTP/1.0\r\n\r\n",
            id="too many lines",
        ),
    ],
)
def test_nonsense_ends_one_connection_and_no_more(tmp_path: Path, sent: bytes) -> None:
    async def test(control: Control) -> None:
        reader, writer = await control.connect()
        with contextlib.suppress(ConnectionError):
            writer.write(sent)
            writer.write_eof()
            await asyncio.wait_for(reader.read(), 5)
        writer.close()
        assert (await control.get("/status"))[0] == 200

    assert with_control(tmp_path, test) == []


def test_the_log_is_read_by_line_and_by_worker(tmp_path: Path) -> None:
    lines = [f"2026-01-01T00:00:0{n}.000Z web/{n % 2} out line {n}\n" for n in range(6)]
    (tmp_path / "log").write_text("".join(lines))

    async def test(control: Control) -> None:
        status, entries = await control.get("/logs?lines=2")
        assert status == 200
        assert [entry["text"] for entry in entries] == ["line 4", "line 5"]
        _, entries = await control.get("/logs?worker=web/1")
        assert [entry["text"] for entry in entries] == ["line 1", "line 3", "line 5"]
        entries = await control.use(lambda: list(control.client.logs("lines=1", follows=False)))
        assert entries == [log_entry(lines[-1].encode())]

    assert with_control(tmp_path, test) == []


def test_followers_get_lines_as_they_come_until_they_leave(tmp_path: Path) -> None:
    async def test(control: Control) -> None:
        book = control.supervisor.book
        reader, writer = await control.connect()
        writer.write(b"GET /logs?follow=1&worker=web/1 HTTP/1.0\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        while not book.readers:
            await asyncio.sleep(0)
        book.passed("web/2", "out", b"other\n", None)
        book.passed("web/1", "out", b"mine\n", None)
        assert json.loads(await asyncio.wait_for(reader.readline(), 5))["text"] == "mine"
        writer.close()
        await writer.wait_closed()
        for _ in range(1000):
            book.passed("web/1", "out", b"more\n", None)
            await asyncio.sleep(0)
            if not book.readers:
                break
        assert book.readers == []

    assert with_control(tmp_path, test) == []


def test_followers_that_left_take_no_place(tmp_path: Path) -> None:
    async def test(control: Control) -> None:
        for _ in range(70):
            reader, writer = await control.connect()
            writer.write(b"GET /logs?follow=1 HTTP/1.0\r\n\r\n")
            with contextlib.suppress(asyncio.IncompleteReadError):
                await reader.readuntil(b"\r\n\r\n")
            writer.close()
            await writer.wait_closed()
        assert (await control.get("/status"))[0] == 200

    with_control(tmp_path, test)


def test_probes_hear_whether_it_lives_and_serves(tmp_path: Path) -> None:
    async def test(control: Control) -> None:
        for probes in (True, False):
            assert await control.get("/-/live", probes=probes) == (200, [{"live": True}])
            control.supervisor.is_ready = True
            assert await control.get("/-/ready", probes=probes) == (200, [{"ready": True}])
            control.supervisor.is_ready = False
            assert await control.get("/-/ready", probes=probes) == (503, [{"ready": False}])

    assert with_control(tmp_path, test) == []


@pytest.mark.parametrize("target", ["GET /status", "GET /logs", "POST /apply"])
def test_the_port_for_probes_answers_nothing_else(tmp_path: Path, target: str) -> None:
    async def test(control: Control) -> None:
        request = f'{target} HTTP/1.0\r\nContent-Length: 15\r\n\r\n{{"reload":true}}'
        answer = await control.raw(request.encode(), probes=True)
        assert answer.startswith(b"HTTP/1.1 404")
        assert control.supervisor.asked == []

    assert with_control(tmp_path, test) == []


def test_many_ask_at_once_and_all_are_answered(tmp_path: Path) -> None:
    async def test(control: Control) -> None:
        for _ in range(5):
            answers = await asyncio.gather(*(control.get("/status") for _ in range(50)))
            assert {status for status, _ in answers} == {200}

    assert with_control(tmp_path, test) == []


def test_strangers_at_the_port_for_probes_do_not_shut_the_owner_out(tmp_path: Path) -> None:
    async def test(control: Control) -> None:
        idle = [socket.create_connection(("127.0.0.1", control.probe_port)) for _ in range(70)]
        try:
            for _ in range(100):
                await asyncio.sleep(0)
            assert (await control.raw(b"GET /status HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 200")
        finally:
            for sock in idle:
                sock.close()

    with_control(tmp_path, test)


def test_a_port_for_probes_that_is_in_use_is_said(tmp_path: Path) -> None:
    async def run() -> None:
        book = LogBook(tmp_path / "log")
        fake = cast("Supervisor", FakeSupervisor(book))
        server = ControlServer(fake, tmp_path / "control.sock")
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            with pytest.raises(AddressError, match=f"control port {port}"):
                await server.start("127.0.0.1", port)
        await server.stop()
        book.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    "folder",
    [
        pytest.param("none", id="no folder"),
        pytest.param("empty", id="no socket"),
        pytest.param("stale", id="a socket that nobody listens on"),
        pytest.param("none/" + "x" * 150, id="a deep folder that is not there"),
        pytest.param(
            "file",
            id="a file",
        ),
    ],
)
def test_where_no_supervisor_runs_it_is_said(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "stale").mkdir()
    (tmp_path / "file").write_text("")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "stale" / "control.sock"))
    with pytest.raises(NotRunningError, match="no supervisor answers") as raised:
        ControlClient(tmp_path / folder).status()
    assert "outgrow run" in raised.value.hint


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        pytest.param(
            b"T web/1 out a b  c\n",
            {"at": "T", "worker": "web/1", "stream": "out", "text": "a b  c"},
            id="a whole line",
        ),
        pytest.param(
            b"T web/1 out ", {"at": "T", "worker": "web/1", "stream": "out", "text": ""}, id="empty"
        ),
        pytest.param(b"\xff", {"at": "\ufffd", "worker": "", "stream": "", "text": ""}, id="bytes"),
    ],
)
def test_a_line_of_the_log_is_taken_apart(line: bytes, entry: dict[str, str]) -> None:
    assert log_entry(line) == entry
