"""What `outgrow verify` is asked beside the forecast: a rate, a baseline, a plan, a scenario."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

pytest.importorskip("starlette")

from outgrow.capacity import Step
from outgrow.cli import baseline
from outgrow.cli.bearing import asked_of, bearing
from outgrow.cli.loading import Found
from outgrow.cli.mixing import OTHERS, from_traces
from outgrow.cli.scenario import Visitors, visitor_in
from outgrow.cli.sending import Received, Request, Sender
from outgrow.errors import RefusedError, SettingsFileError, SettingValueError
from outgrow.placement import ApiClient, read_plan, write_plan
from tests.unit.cli.typing_verbs import Outgrow
from tests.unit.dashboard.shop_growth import verified

ROUTES = ["GET /items/{id}", "POST /orders"]


def step(*, good: float = 60.0, seconds_by_kind: tuple[tuple[float, ...], ...] = ()) -> Step:
    return Step(
        rate_per_second=60.0,
        seconds=10.0,
        sent=600,
        good=round(10 * good),
        bad=0,
        turned_down=0,
        late_seconds=0.0,
        p50_seconds=0.01,
        p99_seconds=0.05,
        seconds_by_kind=seconds_by_kind or ((0.01,), (0.2,)),
    )


def found(end: str, last: Step | None = None, **more: Any) -> Found:
    told = msgspec.to_builtins(msgspec.structs.replace(verified(1_700_000_000_000), **more))
    return Found(told, end, [last or step()])


@pytest.mark.parametrize(
    ("text", "per_second", "words"),
    [
        ("3x", 60.0, "3 times the traffic of now, 60.0 requests/s"),
        ("0.5x", 10.0, "0.5 times the traffic of now, 10.0 requests/s"),
        ("120/s", 120.0, "120 requests/s"),
    ],
)
def test_traffic_is_asked_about_in_times_or_requests(
    text: str, per_second: float, words: str
) -> None:
    asked = asked_of(text, 20.0)
    assert (asked.per_second, asked.words) == (per_second, words)


@pytest.mark.parametrize("text", ["3", "x", "0x", "-2x", "three times", "10/min"])
def test_what_is_no_amount_of_traffic_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(SettingValueError, match="is no amount of traffic") as caught:
        asked_of(text, 20.0)
    assert "Write 3x" in str(caught.value)


PROMISE = {"operation": "POST /orders", "latency_ms": 150.0, "goal_percent": 99.0}


@pytest.mark.parametrize(
    ("end", "last", "promises", "is_borne", "sentence"),
    [
        pytest.param(
            *("bound", step(), [{**PROMISE, "latency_ms": 300.0}], True),
            "It bears 3 times the traffic of now, 60.0 requests/s: 60.0/s were served, 0 badly, "
            "p99 50.0 ms.",
            id="borne",
        ),
        pytest.param(
            *("limit", step(good=41.0), [], False),
            "It does not bear 3 times the traffic of now, 60.0 requests/s: of 60.0/s that were "
            "sent 41.0/s were served, and `writer orders` was full.",
            id="too much",
        ),
        pytest.param(
            *("bound", step(), [PROMISE], False),
            "It does not bear 3 times the traffic of now, 60.0 requests/s: all were served, but "
            "99 % of `POST /orders` took up to 200 ms, and 150 are promised.",
            id="too slow",
        ),
        pytest.param(
            *("late", step(), [], None),
            "It is not known whether the app bears 3 times the traffic of now, 60.0 requests/s.",
            id="not known",
        ),
    ],
)
def test_whether_so_much_is_borne_is_said_in_one_sentence(
    end: str, last: Step, promises: list[dict[str, Any]], is_borne: bool | None, sentence: str
) -> None:
    answer = bearing(asked_of("3x", 20.0), found(end, last), ROUTES, promises)
    assert (answer.is_borne, answer.sentence) == (is_borne, sentence)
    assert answer.told["is_borne"] is is_borne


# The baseline.


def kept(best: float) -> baseline.Knee:
    return msgspec.convert(
        {
            "format": "outgrow knee 1",
            "made_ms": 1_790_000_000_000.0,
            "measured": {"best": best, "low": 0.9 * best, "high": 1.1 * best},
            "first_measured": "loop web",
            "cores": 2,
        },
        baseline.Knee,
    )


@pytest.mark.parametrize(
    ("before", "more", "is_kept", "word"),
    [
        pytest.param(310.0, {}, True, "The knee is kept at 300 requests/s: 3 % lower", id="near"),
        pytest.param(250.0, {}, True, "20 % higher", id="higher"),
        pytest.param(400.0, {}, False, "The knee has fallen to 300 requests/s: 25 %", id="lower"),
        pytest.param(400.0, {"others_cores": 99.0}, None, "others took 99.0 cores", id="disturbed"),
        pytest.param(
            310.0, {"is_reached": False}, True, "300 requests/s were borne at least", id="at least"
        ),
        pytest.param(
            400.0, {"is_reached": False}, None, "The knee is not known", id="not far enough"
        ),
    ],
)
def test_a_knee_may_be_lower_than_the_baseline_by_the_tolerance(
    before: float, more: dict[str, Any], is_kept: bool | None, word: str
) -> None:
    answer = baseline.compared(kept(before), found("limit", **more).told, 10.0)
    assert answer.is_kept is is_kept
    assert word in answer.sentence


def test_a_knee_is_written_and_read_again(tmp_path: Path) -> None:
    baseline.save_knee(tmp_path / "knee.json", found("limit"))
    knee = baseline.read_knee(tmp_path / "knee.json")
    assert (knee.measured.best, knee.first_measured) == (300.0, "writer orders")
    with pytest.raises(RefusedError, match="the limit was not reached"):
        baseline.save_knee(tmp_path / "other.json", found("bound", is_reached=False))


def test_what_is_no_baseline_is_refused_before_anything_is_sent(
    outgrow: Outgrow, tmp_path: Path
) -> None:
    with pytest.raises(SettingsFileError, match="cannot read the baseline"):
        baseline.read_knee(tmp_path / "nowhere.json")
    (tmp_path / "knee.json").write_text("{}")
    ended = outgrow("verify", "--yes", "--baseline", str(tmp_path / "knee.json"))
    assert ended.code == 2
    assert "knee.json is no baseline" in ended.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--at", "3x", "--save", "knee.json"], "finds no knee"),
        (["--at", "three"], "is no amount of traffic"),
        (["--warm-up", "10"], "needs to know what to send"),
    ],
)
def test_options_that_make_no_sense_together_are_misuse(
    outgrow: Outgrow, words: list[str], said: str
) -> None:
    ended = outgrow("verify", *words)
    assert ended.code == 2
    assert said in ended.err


def test_the_forecast_of_a_plan_is_taken_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    pattern = {"title": "run `web` twice", "how": "`outgrow apply --workers web=2`"}
    told = {
        "times": 4.0,
        "target_per_second": 80.0,
        "bears": {"best": 90.0, "low": 81.0, "high": 99.0},
        "change": {},
        "steps": [{"pattern": pattern, "by": "apply", "first_after": "cpu vm"}],
    }
    write_plan(path, told)
    foretold = read_plan(path).forecast
    assert foretold["now_per_second"] == 20.0
    assert (foretold["saturation_per_second"]["best"], foretold["first"]) == (90.0, ["cpu vm"])
    write_plan(path, {**told, "steps": []})
    with pytest.raises(RefusedError, match="changes nothing that could be verified"):
        _ = read_plan(path).forecast


# Scenarios.

BUYER = """
from outgrow.testing import Request

def visitor(dice):
    answer = yield Request("GET", f"/items/{dice.randint(1, 9)}")
    if answer.status == 200:
        yield Request("POST", "/orders", json={"sku": answer.json()["sku"]}, headers={"X-Key": "1"})
"""


class Scripted(Sender):
    """Answers each request by itself, and keeps it."""

    sent: list[Request]

    def __post_init__(self) -> None:
        self.sent = []

    async def send(self, request: Request) -> Received:
        self.sent.append(request)
        is_found = request.path != "/items/3"
        return Received(status=200 if is_found else 404, headers={}, body=b'{"sku": "tea"}')


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "load.py"
    path.write_text(text)
    return path


def test_a_visitor_is_told_each_answer_before_the_next_request(tmp_path: Path) -> None:
    sender = Scripted("http://127.0.0.1:1")
    calls = {"GET /items/{id}": 50.0, "POST /orders": 50.0}
    visitors = Visitors(visitor_in(written(tmp_path, BUYER)), sender, random.Random(1), calls)

    async def visit() -> None:
        for _ in range(200):
            sending = visitors.draw()
            assert await sending.send() in (200, 404)

    asyncio.run(visit())
    assert {one.method for one in sender.sent} == {"GET", "POST"}
    order = next(one for one in sender.sent if one.method == "POST")
    assert (order.body, order.headers) == (b'{"sku": "tea"}', ("X-Key: 1",))
    for before, after in zip(sender.sent, sender.sent[1:], strict=False):
        is_next = before.method == "GET" and before.path != "/items/3"
        assert after.method == ("POST" if is_next else "GET")
    assert [*visitors.routes] == ["GET /items/{id}", "POST /orders", OTHERS]
    assert visitors.off_ratio < 0.1


def test_a_scenario_of_another_mix_says_how_far_it_is_off(tmp_path: Path) -> None:
    text = "from outgrow.testing import Request\n"
    text += "def visitor(dice):\n    yield Request('GET', '/new')\n"
    calls = {"GET /items/{id}": 80.0, "GET /new": 20.0}
    visitors = Visitors(visitor_in(written(tmp_path, text)), Scripted(""), random.Random(1), calls)
    assert visitors.off_ratio == 0
    assert [visitors.draw().kind for _ in range(5)] == [1] * 5
    assert visitors.off_ratio == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("def visitor(dice):\n    return iter(())", "has no", id="no generator"),
        pytest.param("def visitor(dice):\n    if 0: yield", "sends nothing", id="nothing"),
        pytest.param("def visitor(dice):\n    yield 1", "yielded int, which is no", id="a number"),
        pytest.param("def visitor(dice):\n    yield 1 / 0", "ZeroDivisionError", id="an error"),
        pytest.param(
            "from outgrow.testing import Request\n"
            "def visitor(dice):\n    yield Request('GET', 'http://x/')",
            "cannot be sent",
            id="an address",
        ),
        pytest.param("visitor = 3", "no function `visitor`", id="no function"),
        pytest.param("import nothing_like_it", "cannot import the scenario", id="an import"),
    ],
)
def test_a_scenario_that_is_wrong_is_refused_with_what_is_wrong(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(SettingValueError, match=said):
        Visitors(visitor_in(written(tmp_path, text)), Scripted(""), random.Random(1), {}).draw()


def test_there_must_be_a_scenario(tmp_path: Path) -> None:
    with pytest.raises(SettingValueError, match="is no Python file"):
        visitor_in(tmp_path / "nowhere.py")


# Traces.


class Traced(ApiClient):
    """Answers with two traces of OpenTelemetry's instrumentation and one of ours."""

    def __init__(self) -> None: ...

    def get(self, target: str) -> Any:
        spans: dict[str, list[dict[str, Any]]] = {
            "a": [{"http.request.method": "GET", "url.path": "/items/tea"}],
            "b": [
                {"http.method": "POST", "http.target": "/orders"},
                {"http.method": "GET", "http.target": "/items/none", "http.status_code": 404},
            ],
            "c": [{"http.request.method": "GET", "http.route": "/items/{id}"}],
        }
        if target.startswith("traces?"):
            return {"traces": [{"trace_id": name} for name in spans]}
        told = spans[target.split("/")[1][0]]
        return {"spans": [{"kind": 2, "attributes": each} for each in told]}


def test_paths_are_taken_from_traces_that_tell_them() -> None:
    assert from_traces(Traced(), "-1h") == [Request(method="GET", path="/items/tea")]


def test_the_answer_for_programs_is_json() -> None:
    answer = baseline.compared(kept(310.0), found("limit").told, 10.0)
    assert json.loads(json.dumps(msgspec.to_builtins(answer)))["is_kept"] is True
