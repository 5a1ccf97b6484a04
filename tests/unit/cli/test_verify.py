"""What a load test sends, over what, and how its result is told and kept."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

pytest.importorskip("starlette")

from outgrow.capacity import Course
from outgrow.cli import bystanders, verdict
from outgrow.cli.loading import LoadTest, at_rate
from outgrow.cli.mixing import Mix, Mixed, from_file, from_log, mix_of
from outgrow.cli.sending import Request, Sender
from outgrow.dashboard.record import RECORD_MAX, keep_verified, verified_in
from outgrow.dashboard.shapes import Verified
from outgrow.errors import FolderError, RefusedError, SettingValueError
from outgrow.placement import ApiClient
from tests.unit.capacity.virtual import Virtual, passing
from tests.unit.cli.typing_verbs import Outgrow
from tests.unit.cli.watching import shop_observed
from tests.unit.dashboard.shop_growth import verified

TEA = Request(method="GET", path="/items/tea?size=2")
LINES = [
    'INFO:     127.0.0.1:1 - "GET /items/tea?size=2 HTTP/1.1" 200 OK',
    'INFO:     127.0.0.1:1 - "GET /items/tea?size=2 HTTP/1.1" 200 OK',
    'INFO:     127.0.0.1:1 - "GET /items/none HTTP/1.1" 404 Not Found',
    'INFO:     127.0.0.1:1 - "POST /orders HTTP/1.1" 201 Created',
    "started",
]


def test_only_reads_that_were_answered_well_are_taken_from_the_log() -> None:
    assert from_log(LINES) == [TEA]


def test_requests_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "requests"
    path.write_text('# examples\n\nGET /items/tea\nPOST /orders {"sku": "tea"}\n')
    assert from_file(path) == [
        Request(method="GET", path="/items/tea"),
        Request(method="POST", path="/orders", body=b'{"sku": "tea"}'),
    ]


@pytest.mark.parametrize("line", ["items/tea", "GET items", "get /items", "GET"])
def test_a_line_that_is_no_request_is_refused_by_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "requests"
    path.write_text(f"GET /\n{line}\n")
    with pytest.raises(SettingValueError, match="line 2 of"):
        from_file(path)
    with pytest.raises(SettingValueError, match="cannot read"):
        from_file(tmp_path / "nowhere")


def test_examples_belong_to_the_route_that_they_fit_best() -> None:
    calls = {"GET /items/{id}": 60.0, "GET /items/new": 30.0, "GET /files/{rest:path}": 10.0}
    new = Request(method="GET", path="/items/new")
    file = Request(method="GET", path="/files/a/b.txt")
    mix = mix_of(calls, [TEA, new, file])
    assert [(one.route, round(one.share, 2), one.examples) for one in mix] == [
        ("GET /items/{id}", 0.6, (TEA,)),
        ("GET /items/new", 0.3, (new,)),
        ("GET /files/{rest:path}", 0.1, (file,)),
    ]


def test_a_route_without_places_is_its_own_example() -> None:
    (one,) = mix_of({"GET /": 5.0}, [])
    assert one.examples == (Request(method="GET", path="/"),)


def test_a_little_traffic_without_an_example_is_left_out() -> None:
    (one,) = mix_of({"GET /": 95.0, "POST /orders": 5.0}, [])
    assert (one.route, one.share) == ("GET /", 1.0)


def test_much_traffic_without_an_example_is_refused_by_its_routes() -> None:
    with pytest.raises(RefusedError, match="no example of 80 % of the traffic: `POST /orders`"):
        mix_of({"GET /": 20.0, "POST /orders": 80.0}, [])
    with pytest.raises(RefusedError, match="no example of 100 %"):
        mix_of({}, [])


# Over the wire.

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


def answering(*answers: bytes, heard: list[bytes] | None = None) -> Talk:
    """A server that gives these answers in turn on each connection, and then hangs up."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for answer in answers:
                head = await reader.readuntil(b"\r\n\r\n")
                if heard is not None:
                    heard.append(head)
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    return talk


async def until(condition: Callable[[], object]) -> None:
    """Wait for it, ten seconds at the most."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


async def ended(server: asyncio.Server) -> None:
    """Wait until nothing talks any more."""
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others, timeout=10)


def sent(
    talk: Talk, *requests: Request, path: Path, headers: tuple[str, ...] = ()
) -> list[int | str]:
    async def send() -> list[int | str]:
        server = await asyncio.start_unix_server(talk, path)
        sender = Sender(f"unix:{path}", headers)
        found: list[int | str] = []
        for one in requests:
            try:
                answer = await asyncio.wait_for(sender.send(one), 10)
                found.append(answer.status)
            except (OSError, EOFError) as problem:
                found.append(type(problem).__name__)
        sender.close()
        await ended(server)
        return found

    return asyncio.run(send())


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
CHUNKED = b"HTTP/1.1 201 X\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx: y\r\n\r\n"
EARLY = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
LAST = b"HTTP/1.1 503 X\r\nconnection: close\r\n\r\nall of it"


def test_answers_of_all_kinds_are_read_on_one_connection(tmp_path: Path) -> None:
    heard: list[bytes] = []
    talk = answering(OK, CHUNKED, EARLY, EMPTY, LAST, heard=heard)
    requests = [Request(method="GET", path=f"/{number}") for number in range(6)]
    found = sent(talk, *requests, path=tmp_path / "app", headers=("X-Key: 1",))
    assert found == [200, 201, 200, 204, 503, 200]
    assert heard[0].startswith(b"GET /0 HTTP/1.1\r\nHost: localhost\r\n")
    assert b"X-Key: 1" in heard[0]


def test_a_connection_that_the_app_has_closed_is_not_used_again(tmp_path: Path) -> None:
    async def send() -> list[int]:
        talk = answering(OK)  # and hangs up, without a word of it in the answer
        server = await asyncio.start_unix_server(talk, tmp_path / "app")
        sender = Sender(f"unix:{tmp_path / 'app'}")
        found: list[int] = []
        for _ in range(3):
            found.append((await asyncio.wait_for(sender.send(TEA), 10)).status)
            others = asyncio.all_tasks() - {asyncio.current_task()}
            if others:
                await asyncio.wait(others, timeout=10)
            await until(lambda: all(reader.at_eof() for reader, _ in sender._idle))  # pyright: ignore[reportPrivateUsage]
        sender.close()
        await ended(server)
        return found

    assert asyncio.run(send()) == [200, 200, 200]


def test_a_body_is_sent_with_its_length_and_kind(tmp_path: Path) -> None:
    heard: list[bytes] = []
    request = Request(method="POST", path="/orders", body=b'{"sku": "tea"}')
    assert sent(answering(OK, heard=heard), request, path=tmp_path / "app") == [200]
    assert b"Content-Type: application/json\r\nContent-Length: 14\r\n" in heard[0]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi", id="half of it"),
        pytest.param(b"SSH-2.0\r\n\r\n", id="no HTTP"),
        pytest.param(b"HTTP/1.1 200 " + b"x" * 100_000 + b"\r\n\r\n", id="a long head"),
    ],
)
def test_what_is_no_answer_is_an_error_and_the_next_request_goes_on(
    tmp_path: Path, answer: bytes
) -> None:
    (found, again) = sent(answering(answer), TEA, TEA, path=tmp_path / "app")
    assert isinstance(found, str)
    assert isinstance(again, str)


@pytest.mark.parametrize("line", ["no colon", "X: 1\r\nHost: other"])
def test_a_header_that_would_be_more_is_refused(line: str) -> None:
    with pytest.raises(SettingValueError, match="--header"):
        Sender("http://127.0.0.1:1", [line])


# The test as a whole.


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with shop_observed(tmp_path / "state"):
        yield tmp_path / "state"


def load_test(api: ApiClient, told: dict[str, Any], path: Path, folder: Path) -> LoadTest:
    chance, sender = random.Random(1), Sender(f"unix:{path}")
    mixed = [Mixed(route="GET /items/{id}", share=1.0, examples=(TEA,))]
    return LoadTest(
        api=api,
        source=Mix(sender, chance, mixed),
        chance=chance,
        told=told,
        curve=[],
        folder=folder,
    )


def test_an_app_is_driven_to_its_limit_and_scored(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = bystanders.Look(0.0, None, 0.0)
    monkeypatch.setattr("outgrow.cli.bystanders.look", lambda: quiet)
    seats = asyncio.Semaphore(2)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                async with seats:
                    await passing(0.05)
                writer.write(OK)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    api = ApiClient(folder)
    told = api.get("forecast?times=1")
    told["saturation_per_second"] = {"best": 60.0, "low": 50.0, "high": 70.0}
    told["ladder"][0]["learned"] = {"tests": 2, "shift_percent": -10.0, "width_ratio": 0.5}
    said: list[str] = []

    async def run() -> Any:
        server = await asyncio.start_unix_server(talk, tmp_path / "app")
        found = await load_test(api, told, tmp_path / "app", folder).run(
            Course(60.0, 400.0, 90.0), said.append
        )
        await ended(server)
        return found

    with asyncio.Runner(loop_factory=Virtual) as runner:
        found = runner.run(run())
    assert found.end == "limit"
    served = max(step["good_per_second"] for step in found.told["steps"])
    assert served == pytest.approx(40, rel=0.15)
    # Others of the shop have sent requests meanwhile.
    assert found.told["measured"]["best"] > 2 * served
    assert found.told["first_measured"] == "writer orders"
    assert found.told["is_reached"]
    assert len(found.told["steps"]) >= 2
    assert said[0].startswith("sending ")
    (kept,) = verified_in(folder)
    assert kept.to_ms == found.told["to_ms"]
    assert kept.limit_foretold_per_second == pytest.approx(60 / 0.9)
    assert kept.limit_kind == "lock"


def test_a_test_that_is_stopped_is_kept_as_one_that_did_not_reach_the_limit(
    folder: Path, tmp_path: Path
) -> None:
    api = ApiClient(folder)
    told = api.get("forecast?times=1")

    async def run() -> None:
        server = await asyncio.start_unix_server(answering(*[OK] * 10_000), tmp_path / "app")
        test = load_test(api, told, tmp_path / "app", folder)
        task = asyncio.create_task(test.run(Course(322.0, 400.0, 90.0), lambda _: None))

        def stop(line: str) -> None:
            if line.startswith("  served"):
                task.cancel()

        task.cancel()
        await asyncio.wait([task])
        assert verified_in(folder) == []
        task = asyncio.create_task(test.run(Course(322.0, 400.0, 90.0), stop))
        await asyncio.wait([task])
        assert task.cancelled()
        await ended(server)

    with asyncio.Runner(loop_factory=Virtual) as runner:
        runner.run(run())
    (kept,) = verified_in(folder)
    assert (kept.is_reached, kept.is_held, len(kept.steps)) == (False, None, 1)


def test_what_was_foretold_between_two_points_lies_between_them() -> None:
    def point(rate: float, ms: float) -> dict[str, Any]:
        return {"calls_per_second": rate, "p99_ms": {"best": ms, "low": ms / 2, "high": 2 * ms}}

    curve = [point(10, 100), point(20, 200)]
    assert at_rate(curve, 15) == {"best": 150, "low": 75, "high": 300}
    assert at_rate(curve, 21) is None
    assert at_rate([], 1) is None


# How it is told and kept.


def told_of(**more: Any) -> dict[str, Any]:
    return msgspec.to_builtins(msgspec.structs.replace(verified(1_700_000_000_000), **more))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        pytest.param(
            {"is_held": None, "mix_off_percent": 35.0},
            "35 % of what was sent went to other routes than before: the forecast is of another "
            "mix.",
            id="another mix",
        ),
        pytest.param({}, "The forecast held: it was 7 % above what was measured.", id="held"),
        pytest.param(
            {"is_held": False, "error_percent": -40.0},
            "The forecast did not hold: it was 40 % below what was measured.",
            id="missed",
        ),
        pytest.param(
            {"is_held": None, "others_cores": 1.3},
            "Others took 1.3 cores meanwhile: less than was foretold says little then, "
            "verify again in a quieter time.",
            id="disturbed",
        ),
        pytest.param(
            {"is_reached": False, "is_held": None},
            "measured: 300 (264 to 336) requests/s were borne, and the limit was not reached",
            id="not reached",
        ),
        pytest.param(
            {"is_reached": False, "is_held": False},
            "That is more than was foretold: the forecast did not hold.",
            id="more than foretold",
        ),
    ],
)
def test_a_verdict_is_told_in_words(more: dict[str, Any], said: str) -> None:
    assert verdict.verdict(told_of(**more))[-1] == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (5, "just now"),
        (61, "1 minute ago"),
        (7_300, "2 hours ago"),
        (3 * 86_400, "3 days ago"),
        (-5, "just now"),
    ],
)
def test_the_age_of_a_test_is_told_in_its_largest_unit(seconds: float, said: str) -> None:
    assert verdict.age(1e12 - 1e3 * seconds, 1e12) == said


def test_what_tests_have_taught_of_a_limit_is_told() -> None:
    rung: dict[str, Any] = {"station": "loop web", "learned": None}
    assert verdict.learned(rung) == ""
    rung["learned"] = {"tests": 0, "shift_percent": 0.0, "width_ratio": 1.2}
    assert verdict.learned(rung) == ""
    rung["learned"] = {"tests": 3, "shift_percent": -8.2, "width_ratio": 0.41}
    assert verdict.learned(rung) == (
        "`loop web` is corrected by 3 load tests: 8 % less than the model alone says, and what "
        "no evidence shows is drawn 0.4 times as wide"
    )


def test_the_last_verification_is_told_in_one_line() -> None:
    assert verdict.last_verified(told_of()).endswith("`writer orders` first, as foretold: held")
    other = verdict.last_verified(told_of(first_measured="loop web", is_held=False))
    assert other.endswith("`loop web` first: did not hold")
    open_end = verdict.last_verified(told_of(is_reached=False, is_held=None, first_measured=""))
    assert open_end.endswith("measured at least 300: the limit was not reached")


@pytest.mark.parametrize(
    ("first", "later", "cores"),
    [
        pytest.param("cpu 100 0 50 900 5 0 0 0", "cpu 300 0 150 900 5 0 0 100", 1.0, id="busy"),
        pytest.param("cpu 100 0 50 900 5 0 0 0", "cpu 150 0 50 900 5 0 0 0", 0.0, id="the app"),
        pytest.param("cpu", "cpu", 0.0, id="another kind of file"),
    ],
)
def test_cores_that_others_take_are_what_is_left_of_the_busy_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str, later: str, cores: float
) -> None:
    monkeypatch.setattr("os.sysconf", lambda _name: 100)
    looks: list[bystanders.Look] = []
    for at, line in ((0.0, first), (2.0, later)):
        (tmp_path / "stat").write_text(line + "\ncpu0 1 2 3\n")
        seen = bystanders.look(tmp_path / "stat")
        looks.append(replace(seen, at=at, own_seconds=at * 0.5))
    assert looks[0].others_cores(looks[1], 0.5) == pytest.approx(cores)


def test_the_record_keeps_the_latest_and_survives_rubbish(tmp_path: Path) -> None:
    assert verified_in(tmp_path) == []
    for number in range(RECORD_MAX + 3):
        keep_verified(tmp_path, verified(float(number)))
    found = verified_in(tmp_path)
    assert (len(found), found[0].to_ms) == (RECORD_MAX, RECORD_MAX + 2)
    (tmp_path / "verified.json").write_text("{")
    assert verified_in(tmp_path) == []
    with pytest.raises(FolderError, match="cannot write"):
        keep_verified(tmp_path / "nowhere", verified(1.0))


def test_verify_needs_something_that_runs(outgrow: Outgrow, tmp_path: Path) -> None:
    ended = outgrow("verify", "--folder", str(tmp_path), "--yes")
    assert ended.code == 1
    assert "nothing runs in" in ended.err


def test_verify_needs_a_supervisor_to_know_where_the_app_is(outgrow: Outgrow, folder: Path) -> None:
    ended = outgrow("verify", "--folder", str(folder), "--yes")
    assert ended.code == 1
    assert "no supervisor answers in" in ended.err


@pytest.mark.parametrize("words", [["--seconds", "1"], ["--rate-max", "0"]])
def test_bounds_out_of_range_are_misuse(outgrow: Outgrow, words: list[str]) -> None:
    assert outgrow("verify", *words).code == 2


def test_the_shape_of_the_record_is_that_of_the_api() -> None:
    assert msgspec.json.decode(json.dumps(told_of()), type=Verified) == verified(1_700_000_000_000)
