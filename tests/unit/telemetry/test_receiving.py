"""The observer hears workers that greet it, and nobody else."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trustme

from outgrow.errors import AddressError
from outgrow.telemetry import Origin, Report, ReportServer, SpanRecord, receiving
from outgrow.telemetry.records import Wanted
from outgrow.telemetry.reports import Hello, Refused, Welcome, frame_of, to_worker

WAIT_SECONDS = 5.0


def origin(name: str = "front/1", epoch: str = "e1") -> Origin:
    return Origin(app="shop", worker=name, epoch=epoch)


class Heard:
    """What an intake was told, in words."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def hear(self, origin: Origin) -> None:
        self.said.append(f"hear {origin.epoch}")

    def take(self, origin: Origin, report: Report) -> None:
        if report.number < 0:
            raise OSError("the disk is full")
        self.said.append(f"take {origin.epoch} {report.number}")

    def left(self, origin: Origin) -> None:
        self.said.append(f"left {origin.epoch}")


class Peer:
    """A worker's end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.frames = to_worker()
        self.found: list[object] = []

    def say(self, *messages: Hello | Report) -> None:
        self.writer.write(b"".join(frame_of(each) for each in messages))

    async def hear(self) -> object:
        """The next message; None at the end."""
        while not self.found:
            chunk = await asyncio.wait_for(self.reader.read(65_536), WAIT_SECONDS)
            if not chunk:
                return None
            self.found += self.frames.read(chunk)
        return self.found.pop(0)


class Scene:
    """A server, and peers that connect to it."""

    def __init__(self, path: Path, server: ReportServer, heard: Heard) -> None:
        self.path = path
        self.server = server
        self.heard = heard
        self.peers: list[Peer] = []

    async def connect(self) -> Peer:
        peer = Peer(*await asyncio.open_unix_connection(self.path))
        self.peers.append(peer)
        return peer

    async def greet(self, name: str = "front/1", epoch: str = "e1") -> Peer:
        peer = await self.connect()
        peer.say(Hello(1, origin(name, epoch)))
        assert await peer.hear() == Welcome()
        return peer

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(WAIT_SECONDS):
            while not condition():
                await asyncio.sleep(0)


def served(
    folder: Path, test: Callable[[Scene], Awaitable[None]], **options: object
) -> tuple[ReportServer, list[str]]:
    """Run a test against a server; the server, and what its intake was told."""
    heard = Heard()

    async def run() -> ReportServer:
        server = ReportServer(heard, **options)  # type: ignore[arg-type]
        await server.listen(folder / "observer")
        scene = Scene(folder / "observer", server, heard)
        try:
            await test(scene)
        finally:
            for peer in scene.peers:
                peer.writer.close()
            await server.close()
        return server

    return asyncio.run(run()), heard.said


def test_reports_are_taken_in_their_order_from_greeting_to_end(tmp_path: Path) -> None:
    async def test(scene: Scene) -> None:
        peer = await scene.greet()
        assert [one.worker for one in scene.server.origins] == ["front/1"]
        peer.say(*(Report(number, 0) for number in range(1, 50)))
        peer.writer.close()
        await scene.until(lambda: "left e1" in scene.heard.said)
        assert scene.server.origins == []

    server, said = served(tmp_path, test)
    assert said == ["hear e1", *(f"take e1 {number}" for number in range(1, 50)), "left e1"]
    assert server.reports == 49


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        pytest.param([Report(1, 0)], "without a greeting", id="no greeting"),
        pytest.param([Hello(2, origin())], "version 2", id="another protocol"),
        pytest.param([Hello(1, origin()), Hello(1, origin())], "greets twice", id="two greetings"),
    ],
)
def test_who_does_not_keep_to_the_protocol_is_refused_and_told_why(
    tmp_path: Path, messages: list[Hello | Report], why: str
) -> None:
    async def test(scene: Scene) -> None:
        peer = await scene.connect()
        peer.say(*messages)
        answer = await peer.hear()
        if answer == Welcome():
            answer = await peer.hear()
        assert isinstance(answer, Refused)
        assert why in answer.text
        assert await peer.hear() is None

    server, _ = served(tmp_path, test)
    assert server.refused == 1


def test_nonsense_is_refused(tmp_path: Path) -> None:
    async def test(scene: Scene) -> None:
        peer = await scene.connect()
        peer.writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert isinstance(await peer.hear(), Refused)

    server, said = served(tmp_path, test)
    assert (server.refused, said) == (1, [])


@pytest.mark.parametrize("token", ["", "wrong", "tökèn"])
def test_who_shows_another_token_is_refused(tmp_path: Path, token: str) -> None:
    async def test(scene: Scene) -> None:
        peer = await scene.connect()
        peer.say(Hello(1, origin(), token))
        answer = await peer.hear()
        assert isinstance(answer, Refused)
        assert "token" in answer.text
        again = await scene.connect()
        again.say(Hello(1, origin(), "secret"))
        assert await again.hear() == Welcome()

    served(tmp_path, test, token="secret")


def test_too_many_workers_are_refused(tmp_path: Path) -> None:
    async def test(scene: Scene) -> None:
        await scene.greet(epoch="e1")
        await scene.greet(epoch="e2")
        peer = await scene.connect()
        assert isinstance(await peer.hear(), Refused)
        assert len(scene.server.origins) == 2

    server, _ = served(tmp_path, test, connections_max=2)
    assert server.refused == 1


def test_who_says_nothing_is_hung_up_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "HELLO_SECONDS", 0.01)

    async def test(scene: Scene) -> None:
        greeted = await scene.greet()
        silent = await scene.connect()
        assert await silent.hear() is None
        greeted.say(Report(1, 0))
        await scene.until(lambda: "take e1 1" in scene.heard.said)

    served(tmp_path, test)


def test_a_worker_that_comes_back_has_not_left(tmp_path: Path) -> None:
    async def test(scene: Scene) -> None:
        before = await scene.greet()
        after = await scene.greet()
        assert await before.hear() is None
        after.say(Report(1, 0))
        await scene.until(lambda: "take e1 1" in scene.heard.said)

    _, said = served(tmp_path, test)
    assert said == ["hear e1", "hear e1", "take e1 1", "left e1"]


def test_a_report_that_cannot_be_taken_costs_the_worker_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(scene: Scene) -> None:
        peer = await scene.greet()
        peer.say(Report(-1, 0), Report(-1, 0), Report(3, 0))
        await scene.until(lambda: "take e1 3" in scene.heard.said)

    server, _ = served(tmp_path, test)
    assert (server.failed, server.reports) == (2, 1)
    assert caplog.text.count("could not be taken") == 1


def span(trace: int, kept_for: str = "error", kind: int = 3, **attributes: str) -> SpanRecord:
    identity = bytes([trace] * 16)
    return SpanRecord(
        identity, b"s" * 8, b"p" * 8, "x", kind, 1, 1, kept_for=kept_for, attributes={**attributes}
    )


def test_the_other_workers_are_asked_once_for_their_part_of_a_trace(tmp_path: Path) -> None:
    async def test(scene: Scene) -> None:
        one, two = await scene.greet(epoch="e1"), await scene.greet(epoch="e2")
        one.say(Report(1, 0, spans=[span(1), span(1), span(2, kind=2)]))
        assert await two.hear() == Wanted([bytes([1] * 16), bytes([2] * 16)])
        two.say(Report(1, 0, spans=[span(1), span(3, "asked"), span(4, kind=1)]))
        sql = span(5)
        sql.attributes = {"db.system.name": "sqlite"}
        two.say(Report(2, 0, spans=[sql, span(6)]))
        assert await one.hear() == Wanted([bytes([6] * 16)])

    served(tmp_path, test)


def test_the_socket_is_its_owners_alone_and_takes_the_place_of_an_old_one(tmp_path: Path) -> None:
    path = tmp_path / "observer"
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(path))

    async def test(scene: Scene) -> None:
        assert path.stat().st_mode & 0o777 == 0o600
        await scene.greet()

    served(tmp_path, test)
    assert not path.exists()


def test_a_path_that_is_too_long_is_said_to_be(tmp_path: Path) -> None:
    async def run() -> None:
        with pytest.raises(AddressError, match="cannot be heard at"):
            await ReportServer(Heard()).listen(tmp_path / ("x" * 120))

    asyncio.run(run())


def test_other_machines_need_a_token(tmp_path: Path) -> None:
    async def run() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with pytest.raises(AddressError, match="anybody"):
            await ReportServer(Heard()).listen_tls("127.0.0.1", 0, context)

    asyncio.run(run())


def test_what_a_worker_says_over_tls_is_heard() -> None:
    heard = Heard()
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    client = ssl.create_default_context()
    authority.configure_trust(client)

    async def run() -> None:
        server = ReportServer(heard, token="secret")
        port = await server.listen_tls("127.0.0.1", 0, context)
        streams = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client, server_hostname="localhost"
        )
        peer = Peer(*streams)
        peer.say(Hello(1, origin(), "secret"), Report(1, 0))
        assert await peer.hear() == Welcome()
        peer.writer.close()
        async with asyncio.timeout(WAIT_SECONDS):
            while "left e1" not in heard.said:
                await asyncio.sleep(0)
        await server.close()

    asyncio.run(run())
    assert heard.said == ["hear e1", "take e1 1", "left e1"]
