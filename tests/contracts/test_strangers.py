"""Who is on the other side of a socket may be anybody, and say anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from outgrow import operation, service
from outgrow.errors import AddressError, UnavailableError
from outgrow.wire import (
    Call,
    CallingConnection,
    CallLostError,
    Certificates,
    Meeting,
    balancing,
    connect,
    connection,
    listen,
)
from outgrow.wire.answering import CALLS_MAX
from outgrow.wire.calling import WINDOW_BYTES
from outgrow.wire.frames import (
    BODY_BYTES_MAX,
    CALL,
    CALLER,
    CALLERS_MAX,
    CANCEL,
    CREDIT,
    FAULT,
    HEAD,
    HELLO,
    HELLO_BYTES_MAX,
    ITEM,
    LEAVING,
    MAGIC,
    REFUSED,
    RESULT,
    FrameReader,
    Hello,
    WireFrame,
    call_frame,
    frame,
    hello_frame,
)
from tests.contracts.connecting import Kind, Stage, certificates, staged, until

CALL_BYTES = 100_000
MINUTE_NS = 60 * 10**9
encode = msgspec.msgpack.encode
begun: list[int] = []


@service(concurrent_calls_max=1_000)
class Stock:
    @operation
    async def make(self, size_bytes: int) -> bytes:
        begun.append(size_bytes)
        return bytes(size_bytes)

    @operation
    async def hang(self) -> None:
        await asyncio.Event().wait()

    @operation
    async def flood(self) -> AsyncIterator[bytes]:
        while True:
            yield bytes(1_000)


MAKE, HANG, FLOOD = range(3)


class Stranger:
    """A connection over which anything can be said."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer
        self._frames = FrameReader(BODY_BYTES_MAX)

    async def hear(self) -> list[WireFrame]:
        """All frames until the other side closes."""
        came: list[WireFrame] = []
        with suppress(ConnectionError):
            while chunk := await self._reader.read(65_536):
                came += self._frames.read(chunk)
        return came

    async def hear_one(self) -> WireFrame:
        """The next frame; what follows it in one chunk is lost."""
        while True:
            if came := self._frames.read(await self._reader.read(65_536)):
                return came[0]


def words(**changes: Any) -> bytes:
    return hello_frame(Hello(MAGIC, **{"protocols": [1], "operations": [], **changes}))


@asynccontextmanager
async def strangers_at(stage: Stage, count: int = 1) -> AsyncGenerator[Stranger]:
    """A stranger who is connected to a replica."""
    meeting = stage.replicas[0].meeting
    if meeting.kind == "unix":
        stranger = Stranger(*await asyncio.open_unix_connection(meeting.path))
    else:
        stranger = Stranger(*await asyncio.open_connection(meeting.host, meeting.port))
    try:
        yield stranger
    finally:
        stranger.writer.close()
        with suppress(ConnectionError):
            await stranger.writer.wait_closed()


@pytest.fixture(params=["unix", "tcp"])
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param


def run_staged(kind: Kind, folder: Path, piece: Callable[[Stage], Awaitable[None]]) -> None:
    """Do something to a service; afterwards it still answers, and nobody else is connected."""

    async def run() -> None:
        begun.clear()
        async with staged(Stock, kind, folder) as stage:
            assert await stage.client.make(1) == bytes(1)
            async with asyncio.timeout(10):
                await piece(stage)
            assert await stage.client.make(1) == bytes(1)
            replica = stage.replicas[0]
            await until(lambda: not stage.in_flight, "all calls to end")
            await until(
                lambda: sum(each.is_open for each in replica.connections) == 1,
                "the stranger to be gone",
            )

    asyncio.run(run())


# Strangers who call.


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        pytest.param(b"", "said nothing for", id="nothing"),
        pytest.param(b"\0" * 7, "said nothing for", id="part of a head"),
        pytest.param(words()[:-1], "said nothing for", id="not all of the first words"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n", "unknown kind", id="HTTP"),
        pytest.param(words(protocols=[99]), "protocol 1 is spoken here, and 99", id="protocol 99"),
        pytest.param(words(protocols=[]), "and none there", id="no protocol"),
        pytest.param(call_frame(0, 0, 1, 1, b"", {}), "before", id="a call"),
        pytest.param(
            HEAD.pack(HELLO_BYTES_MAX + 1, HELLO, 0, 0, 0, 0, 0), "limit", id="too long a hello"
        ),
        pytest.param(frame(HELLO, 0, b"\x93abc"), "make no sense", id="a hello of nonsense"),
        pytest.param(words(body_bytes_max=0), "make no sense", id="a limit of 0"),
    ],
)
def test_a_caller_that_is_none_is_told_why_and_let_go(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes, answer: str
) -> None:
    async def piece(stage: Stage) -> None:
        monkeypatch.setattr(connection, "HANDSHAKE_SECONDS_MAX", 0.02)
        async with strangers_at(stage) as stranger:
            stranger.writer.write(said)
            (told,) = await stranger.hear()
            assert told.kind == REFUSED
            assert answer in told.body.decode()

    run_staged(kind, tmp_path, piece)


def call_of(operation: int, number: int, *arguments: Any, caller: int = 0) -> bytes:
    return call_frame(operation, caller, number, MINUTE_NS, encode(arguments), {})


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        pytest.param(call_of(99, 1), "an operation that is not here", id="an unknown operation"),
        pytest.param(call_of(0, 1, caller=7), "not here", id="an unknown caller"),
        pytest.param(call_of(HANG, 1) * 2, "under way", id="a number twice"),
        pytest.param(
            call_of(HANG, 1) + frame(CANCEL, 1) + call_of(HANG, 1),
            "under way",
            id="the number of a call that is being cancelled",
        ),
        pytest.param(call_of(FLOOD, 1) + frame(CREDIT, 1, number=1), "credit", id="credit"),
        pytest.param(frame(RESULT, 1, b"\xc0"), "kind 3", id="a result"),
        pytest.param(words(), "kind 1", id="first words again"),
        pytest.param(frame(CALLER, 0, b"x" * 1001), "too long a name", id="a caller's long name"),
        pytest.param(
            frame(CALLER, 0, b"GET /") * (CALLERS_MAX + 1), "too many callers", id="many callers"
        ),
        pytest.param(HEAD.pack(2**32 - 1, CALL, 0, 0, 0, 2, 1), "over the limit", id="4 GiB"),
    ],
)
def test_a_caller_that_talks_nonsense_is_told_and_its_calls_end(
    kind: Kind, tmp_path: Path, said: bytes, answer: str
) -> None:
    async def piece(stage: Stage) -> None:
        async with strangers_at(stage) as stranger:
            stranger.writer.write(words())
            assert (await stranger.hear_one()).kind == HELLO
            stranger.writer.write(call_of(HANG, 100) + call_of(FLOOD, 101) + said)
            told = (await stranger.hear())[-1]
            assert (told.kind, answer in told.body.decode()) == (REFUSED, True)

    run_staged(kind, tmp_path, piece)


@pytest.mark.parametrize("extras", [b"", b"\xff\xff\xff\xff", b"\x03\0\0\0\xa1\xff\xff"])
def test_a_call_with_extras_of_nonsense_fails_alone(
    kind: Kind, tmp_path: Path, extras: bytes
) -> None:
    async def piece(stage: Stage) -> None:
        async with strangers_at(stage) as stranger:
            stranger.writer.write(words())
            assert (await stranger.hear_one()).kind == HELLO
            stranger.writer.write(HEAD.pack(len(extras), CALL, 1, 0, 0, 5, MINUTE_NS) + extras)
            told = await stranger.hear_one()
            assert (told.kind, told.call) == (FAULT, 5)

    run_staged(kind, tmp_path, piece)


def test_what_follows_a_farewell_is_not_heard(kind: Kind, tmp_path: Path) -> None:
    async def piece(stage: Stage) -> None:
        async with strangers_at(stage) as stranger:
            stranger.writer.write(words())
            assert (await stranger.hear_one()).kind == HELLO
            stranger.writer.write(frame(REFUSED, 0, b"bye") + call_of(HANG, 1))
            assert await stranger.hear() == []

    run_staged(kind, tmp_path, piece)


def test_a_caller_that_reads_no_answers_gets_few_made(kind: Kind, tmp_path: Path) -> None:
    async def piece(stage: Stage) -> None:
        async with strangers_at(stage) as stranger:
            stranger.writer.write(words())
            assert (await stranger.hear_one()).kind == HELLO
            stranger.writer.transport.pause_reading()  # type: ignore[attr-defined]
            for number in range(20_000):
                stranger.writer.write(call_of(MAKE, number, CALL_BYTES))
            made = -1
            while made < len(begun):
                made = len(begun)
                for _ in range(50):
                    assert await stage.client.make(2) == bytes(2)
                    begun.remove(2)
            assert made * CALL_BYTES < 50_000_000
            assert stage.replicas[0].in_flight < CALLS_MAX  # the rest was not even read
            stranger.writer.transport.abort()

    run_staged(kind, tmp_path, piece)


def test_a_caller_that_never_reads_is_cut_off_when_it_is_let_go(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CLOSE_SECONDS_MAX", 0.02)

    async def piece(stage: Stage) -> None:
        async with strangers_at(stage) as stranger:
            stranger.writer.write(words())
            assert (await stranger.hear_one()).kind == HELLO
            stranger.writer.transport.pause_reading()  # type: ignore[attr-defined]
            stranger.writer.write(call_of(MAKE, 1, 10_000_000))
            callee = stage.replicas[0].connections[-1]
            await until(lambda: len(begun) == 2 and not callee.in_flight, "the answer")
            callee.close()
            await asyncio.wait_for(callee.closed(), 5)

    run_staged(kind, tmp_path, piece)


def test_who_speaks_no_tls_is_let_go(tmp_path: Path) -> None:
    async def piece(stage: Stage) -> None:
        async with strangers_at(stage) as stranger:
            stranger.writer.write(words())
            with suppress(ConnectionError):
                while await stranger._reader.read(1000):
                    pass

    run_staged("tls", tmp_path, piece)


# Strangers who are called.


@asynccontextmanager
async def callee_that(
    says: Callable[[Stranger], Awaitable[None]], folder: Path
) -> AsyncGenerator[Meeting]:
    """A process that listens, and does to each who connects what it wants."""

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await says(Stranger(reader, writer))
        finally:
            writer.close()

    meeting = Meeting("unix", path=str(folder / "stranger.sock"))
    server = await asyncio.start_unix_server(met, meeting.path)
    async with server:
        yield meeting


@pytest.mark.parametrize(
    ("said", "why"),
    [
        pytest.param(b"", "closed the conn|Broken pipe|reset", id="nothing"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", "unknown kind", id="HTTP"),
        pytest.param(words(protocols=[99]), "a protocol that is not 1", id="protocol 99"),
        pytest.param(frame(REFUSED, 0, b"go away"), "go away", id="a refusal"),
        pytest.param(frame(LEAVING, 0), "before", id="farewell"),
        pytest.param(frame(HELLO, 0, b"\xc1"), "make no sense", id="a hello of nonsense"),
        pytest.param(HEAD.pack(2**32 - 1, HELLO, 0, 0, 0, 0, 0), "limit", id="too long a hello"),
    ],
)
def test_a_callee_that_is_none_is_left_with_a_reason(tmp_path: Path, said: bytes, why: str) -> None:
    async def says(stranger: Stranger) -> None:
        stranger.writer.write(said)

    async def run() -> None:
        async with callee_that(says, tmp_path) as meeting:
            caller = await connect(meeting, CallingConnection)
            with pytest.raises(CallLostError, match=why) as caught:
                await caller.ready
            assert not caught.value.may_have_run
            await caller.closed()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("said", "why"),
    [
        pytest.param(frame(REFUSED, 0, b"out of tea"), "out of tea", id="a refusal"),
        pytest.param(frame(FAULT, 1, b"\xc1"), "an exception makes no sense", id="a bad fault"),
        pytest.param(frame(FAULT, 1, b"\x91" * 9_999), "makes no sense", id="a nest of lists"),
        pytest.param(frame(FAULT, 1, b"\x81\xa1\xff\xc0"), "makes no sense", id="no text"),
        pytest.param(call_of(0, 1), "kind 2", id="a call"),
        pytest.param(frame(ITEM, 2, bytes(50_000)) * 7, "credit", id="more items than were wanted"),
        pytest.param(HEAD.pack(2**32 - 1, RESULT, 0, 0, 0, 1, 0), "over the limit", id="4 GiB"),
        pytest.param(frame(RESULT, 9) + frame(0, 0), "unknown kind 0", id="an unknown kind"),
    ],
)
def test_a_callee_that_talks_nonsense_loses_its_calls(
    tmp_path: Path, said: bytes, why: str
) -> None:
    async def says(stranger: Stranger) -> None:
        await stranger.hear_one()
        stranger.writer.write(words(operations=["Stock.make"]))
        await stranger.hear_one()
        stranger.writer.write(said)
        await stranger.hear()

    async def run() -> None:
        async with callee_that(says, tmp_path) as meeting:
            caller = await connect(meeting, CallingConnection)
            await caller.ready
            call = Call("Stock.make", "edge", MINUTE_NS, b"", {})
            asked = asyncio.ensure_future(caller.ask(call))
            items = caller.stream(call)
            first = asyncio.ensure_future(anext(items))
            with pytest.raises(CallLostError, match=why) as caught:
                await asked
            assert caught.value.may_have_run
            with suppress(CallLostError):
                assert len(await first) < WINDOW_BYTES
            assert await read_all(items) < WINDOW_BYTES
            await caller.closed()
            assert caller.in_flight == 0

    asyncio.run(run())


async def read_all(items: AsyncIterator[bytes]) -> int:
    """Bytes of what is left of a stream that may be lost."""
    read_bytes = 0
    with suppress(CallLostError):
        async for each in items:
            read_bytes += len(each)
    return read_bytes


def test_a_callee_of_another_version_is_said_to_be_one(tmp_path: Path) -> None:
    async def says(stranger: Stranger) -> None:
        stranger.writer.write(words(operations=["Stock.older"]))
        await stranger.hear()

    async def run() -> None:
        async with callee_that(says, tmp_path) as meeting, staged(Stock, "unix", tmp_path) as stage:
            stage.peers.update({"stock": [meeting]})
            with pytest.raises(UnavailableError, match="another version") as caught:
                await stage.client.make(1)
            assert not caught.value.may_have_run
            with pytest.raises(UnavailableError, match="another version"):
                await anext(stage.client.flood())

    asyncio.run(run())


# TCP between machines.


def test_calls_never_cross_a_network_unprotected() -> None:
    async def run() -> None:
        for host in ("0.0.0.0", "192.0.2.1", "example.test", "::"):
            meeting = Meeting("tcp", host=host, port=1)
            with pytest.raises(AddressError, match="unprotected"):
                await listen(meeting, CallingConnection)
            with pytest.raises(AddressError, match="unprotected"):
                await connect(meeting, CallingConnection)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("own", "authority", "why"),
    [
        pytest.param("other", "server", r"does it believe .*other\.pem", id="the callee does not"),
        pytest.param("client", "other", "CERTIFICATE_VERIFY_FAILED", id="the caller does not"),
    ],
)
def test_who_is_signed_by_another_authority_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str, authority: str, why: str
) -> None:
    trustme: Any = pytest.importorskip("trustme")
    stranger = trustme.CA()
    issued = stranger.issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "other.pem"))
    issued.private_key_pem.write_to_path(str(tmp_path / "other.key"))
    stranger.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    other = Certificates(*(str(tmp_path / each) for each in ("other.pem", "other.key", "ca.pem")))
    sets = {"other": other, "client": certificates("client"), "server": certificates("server")}
    mixed = Certificates(sets[own].own, sets[own].key, sets[authority].authority)
    monkeypatch.setattr(balancing, "REACH_SECONDS_MAX", 0.3)

    async def run() -> None:
        async with staged(Stock, "tls", tmp_path) as stage:
            stage.peers._certificates = mixed
            with pytest.raises(UnavailableError, match=why) as caught:
                await stage.client.make(1)
            assert not caught.value.may_have_run
            assert not begun

    begun.clear()
    asyncio.run(run())


def test_an_address_that_may_not_be_called_is_named_to_its_callers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(balancing, "REACH_SECONDS_MAX", 0.05)

    async def run() -> None:
        async with staged(Stock, "unix", tmp_path) as stage:
            stage.peers.update({"stock": [Meeting("tcp", host="192.0.2.1", port=1)]})
            with pytest.raises(UnavailableError, match="cross the network unprotected"):
                await stage.client.make(1)

    asyncio.run(run())
