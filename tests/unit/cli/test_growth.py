"""What the verbs of growth print, and how they end, over a made-up shop."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("starlette")

from outgrow.cli.report import _words  # pyright: ignore[reportPrivateUsage]
from tests.unit.cli.typing_verbs import Outgrow
from tests.unit.cli.watching import shop_observed


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[str]:
    with shop_observed(tmp_path / "state"):
        yield str(tmp_path / "state")


def test_a_forecast_lists_what_binds_and_ends_with_one(folder: str, outgrow: Outgrow) -> None:
    ended = outgrow("forecast", "10", "--folder", folder)
    assert ended.code == 1
    assert "writer orders" in ended.out
    assert "pool stock" not in ended.out
    last = ended.out.splitlines()[-1]
    assert last.startswith("`writer orders` is corrected by 3 load tests: 6 % less")
    assert "\nlast verified 20" in ended.out
    assert "foretold 322 (283 to 361), measured 300 (264 to 336)" in ended.out
    assert ended.err.splitlines()[-1].endswith("for a way past them: outgrow plan 10")


def test_a_forecast_below_all_limits_ends_with_zero(folder: str, outgrow: Outgrow) -> None:
    ended = outgrow("forecast", "2", "--folder", folder)
    assert ended.code == 0
    assert "nothing binds" in ended.out


def test_a_forecast_tells_what_else_grows(folder: str, outgrow: Outgrow) -> None:
    words = ["--mix", "POST /orders=2", "--data", "5", "--folder", folder]
    ended = outgrow("forecast", "10", *words)
    assert "As fast as the rest grow: POST /orders 2 times; `times now` is that of the rest" in (
        ended.out.splitlines()
    )
    assert "With 5 times the rows, taken on in a straight line" in ended.out
    cost = "0.02 ms (0.0176 to 0.0224) a row, 40 rows now, in GET /products"
    assert f"  SELECT * FROM products: {cost}" in ended.out.splitlines()
    assert "taken as it is, since its calls bring 1 rows each" in ended.out
    told = json.loads(outgrow("forecast", "10", *words, "--json").out)
    assert told["besides"]["mix"] == [{"name": "POST /orders", "times": 2.0}]


def test_silenced_signs_stand_apart_with_their_reason(folder: str, outgrow: Outgrow) -> None:
    ended = outgrow("signs", "--folder", folder)
    assert ended.code == 1
    before, _, silenced = ended.out.partition("Silenced:")
    assert "   mean hold 4.1 ms, uses 3,600\n   such as: outgrow logs --trace 01234567" in before
    assert "write lock" in before
    assert "full station" not in before
    assert "silenced until 2027-03-31: a second worker comes in spring" in silenced
    assert ended.err.startswith("1 signs; 1 silenced; 1 could not be looked for (--missing)")
    told = json.loads(outgrow("signs", "--folder", folder, "--json").out)
    assert [one["sign"] for one in told["silenced"]] == ["full station"]
    assert told["signs"][0]["numbers"] == {"mean_hold_ms": 4.1, "uses_count": 3600}


def test_a_silence_that_is_not_understood_stops_run_before_it_starts(
    outgrow: Outgrow, tmp_path: Path
) -> None:
    (tmp_path / "outgrow.toml").write_text('[[signs.silenced]]\nsign = "headroom"\n')
    ended = outgrow("run", "main:app", "--port", "0")
    assert ended.code == 2
    assert "entry 1 of [[signs.silenced]] in outgrow.toml has no `reason`" in ended.err


def test_a_plan_tells_its_steps_and_what_is_in_the_way(folder: str, outgrow: Outgrow) -> None:
    ended = outgrow("plan", "10", "--folder", folder)
    assert ended.code == 1
    assert "1. run `web` 3 times instead of 1" in ended.out
    assert "   apply: `outgrow apply --workers web=3`" in ended.out
    costs = "2 workers more, about 140 MB; 0.05 cores at the traffic of now; 14.40 EUR a month"
    assert f"   costs: {costs}" in ended.out.splitlines()
    ways = ended.out.partition("Ways past `writer orders`, each by itself:\n")[2]
    assert (
        "- give `Stock` a database of its own (data): 1.7 times (1.6 to 1.8), "
        "540 (475 to 605) requests/s, then `loop web` binds\n    costs: 25.00 EUR a month\n"
    ) in ways
    assert "- run `Mail.send` as jobs (code): no gain, `writer orders` binds at 322" in ways
    assert "then `loop web` binds, if each hold takes 1.1 ms at most" in ways
    assert "In the way: `writer orders`: hold it for less" in ended.out.splitlines()
    measuring, measured = ended.out.splitlines()[-2:]
    assert measuring.startswith("applied 20")
    assert measuring.endswith(
        "workers web=3: foretold 2.2 times (1.9 to 2.5), 700 (616 to 784) requests/s; "
        "measuring: 4 of 18 windows"
    )
    assert measured.endswith(
        "by traffic since: 1.9 times (1.7 to 2.1), 322 (283 to 361) requests/s, "
        "`writer orders` first: held"
    )
    assert ended.err.splitlines()[-1] == (
        "to carry it out: outgrow plan 10 --out plan.json; outgrow apply plan.json"
    )


def test_a_plan_in_a_file_is_what_apply_reads(
    folder: str, outgrow: Outgrow, tmp_path: Path
) -> None:
    path = tmp_path / "plan.json"
    ended = outgrow("plan", "10", "--folder", folder, "--out", str(path), "--json")
    assert json.loads(ended.out)["change"]["sizes"] == ["web=3"]
    applied = outgrow("apply", str(path), "--folder", folder)
    assert applied.code == 1
    assert "no supervisor answers in" in applied.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param(["--workers", "2"], 2, "a plan goes alone", id="and more workers"),
        pytest.param([], 2, "cannot read the plan", id="no such file"),
    ],
)
def test_a_plan_that_cannot_be_applied_says_why(
    outgrow: Outgrow, tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    ended = outgrow("apply", str(tmp_path / "plan.json"), *words)
    assert (ended.code, said in ended.err) == (code, True)


def test_a_plan_without_a_change_of_placement_is_not_applied(
    outgrow: Outgrow, tmp_path: Path
) -> None:
    path = tmp_path / "plan.json"
    step = {"by": "hand", "pattern": {"title": "give `pool a` 9 slots", "how": "write it"}}
    told = {"format": "outgrow plan 1", "times": 3, "change": {}, "steps": [step]}
    path.write_text(json.dumps(told))
    ended = outgrow("apply", str(path))
    assert ended.code == 1
    assert "By hand: give `pool a` 9 slots: write it" in ended.err


def test_a_forecast_is_written_as_one_file_that_loads_nothing(
    folder: str, outgrow: Outgrow, tmp_path: Path
) -> None:
    path = tmp_path / "growth.html"
    ended = outgrow("forecast", "10", "--folder", folder, "--html", str(path))
    assert (ended.code, f"written: {path}" in ended.err) == (1, True)
    content = path.read_text()
    # What is not nested well is no XML.
    text = " ".join(ElementTree.fromstring(content.partition("\n")[2]).itertext())
    for said in (
        "shop: growth",
        "writer orders",
        "283 to 361",
        "run ",
        "write lock",
        "held",
        "mean hold 4.1 ms",
    ):
        assert said in text
    assert not re.search(r"<script|https?:|url\(|@import", content)


def test_names_in_a_report_are_text_and_no_markup() -> None:
    assert _words("`<b>x</b>` & more") == "<code>&lt;b&gt;x&lt;/b&gt;</code> &amp; more"


def test_a_report_that_cannot_be_written_says_so(
    folder: str, outgrow: Outgrow, tmp_path: Path
) -> None:
    ended = outgrow(
        "forecast", "10", "--folder", folder, "--html", str(tmp_path / "nowhere" / "x.html")
    )
    assert (ended.code, "cannot write" in ended.err) == (1, True)


def test_costs_are_told_by_request_by_service_and_in_a_month(folder: str, outgrow: Outgrow) -> None:
    told = outgrow("forecast", "10", "--folder", folder, "--costs").out
    assert "Each request takes, at 134.0 requests/s:" in told
    assert re.search(r"^Orders +61 % +2\.80 +4\.20 +2\.8 +0\.056 EUR$", told, re.MULTILINE)
    assert "1 % more requests take 0.97 (0.94 to 1.00) % more CPU time" in told
    assert "now: 0.62 (0.61 to 0.63) cores at work, 140 MB of memory, 1 database; 79.00" in told
    assert "at 10 times the traffic: 6.30 (5.54 to 7.06) cores at work" in told
    assert "258.00 (237.36 to 278.64) EUR a month" in told
    as_json = json.loads(outgrow("forecast", "10", "--folder", folder, "--costs", "--json").out)
    assert [bill["times"] for bill in as_json["costs"]["bills"]] == [1.0, 10.0]
    assert "costs" not in json.loads(outgrow("forecast", "10", "--folder", folder, "--json").out)


def test_a_price_that_is_not_understood_stops_run_before_it_starts(
    outgrow: Outgrow, tmp_path: Path
) -> None:
    (tmp_path / "outgrow.toml").write_text("[prices]\ncpu_hours = 0.04\n")
    ended = outgrow("run", "main:app", "--port", "0")
    assert ended.code == 2
    assert "`cpu_hours` under [prices] in outgrow.toml is not known" in ended.err
    assert "cpu_hour = 0.04" in ended.err
