"""What the verbs read from the observer's API, and how they do without one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("starlette")

from outgrow.cli import observed, status
from outgrow.errors import RefusedError
from outgrow.placement import ApiClient, Supervisor
from tests.unit.cli.test_show import status as status_of
from tests.unit.cli.typing_verbs import Outgrow
from tests.unit.cli.watching import shop_observed

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with shop_observed(tmp_path / "state"):
        yield tmp_path / "state"


def test_operations_and_processes_are_shown_from_the_api(folder: Path) -> None:
    seen = observed.look(str(folder))
    assert seen is not None
    lines = status.lines_of({**status_of(page="http://127.0.0.1:7788"), "observed": seen})
    text = "\n".join(lines)
    heading = next(line for line in lines if line.startswith("operation"))
    assert heading.split()[:3] == ["operation", "requests/s", "errors"]
    first = seen["operations"][0]
    assert first["name"] in text
    assert f"not kept, last {observed.WINDOW_SECONDS} s: 214 spans" in lines
    assert lines[-1] == "look: http://127.0.0.1:7788"
    assert "GET /items" not in text  # what the supervisor counts is not shown beside it


def test_without_an_observer_the_supervisor_s_own_counts_are_shown(tmp_path: Path) -> None:
    assert observed.look(str(tmp_path)) is None
    assert "GET /items/{id}" in "\n".join(status.lines_of(status_of(page=None)))


def test_the_docs_show_what_status_prints_with_an_observer(folder: Path) -> None:
    found = observed.look(str(folder))
    assert found is not None
    lines = observed.lines_of(found)
    start = (DOCS / "start.md").read_text()
    counting = (DOCS / "concepts" / "counting.md").read_text()
    for title in ("routes and operations", "processes"):
        heading = f"{title}, last {observed.WINDOW_SECONDS} s"
        columns = re.split(r"  +", lines[lines.index(heading) + 1].strip())
        shown = start.split(f"\n{heading}\n")[1].splitlines()[0]
        assert re.split(r"  +", shown.strip()) == columns
        for column in set(columns) - {"operation", "process", "machine", "state"}:
            assert f"`{column}`" in counting


def test_a_trace_is_shown_as_a_tree_with_what_was_logged(folder: Path, outgrow: Outgrow) -> None:
    rows = ApiClient(folder).get("traces?from=-30d")["traces"]
    trace_id = rows[0]["trace_id"]
    ended = outgrow("logs", "--folder", str(folder), "--trace", trace_id.upper())
    assert (ended.code, ended.err) == (0, "")
    heading, *lines = ended.out.splitlines()
    assert heading.startswith(trace_id)
    found = json.loads(outgrow("logs", "--folder", str(folder), "--trace", trace_id, "--json").out)
    assert len(found["spans"]) == int(heading.split(", ")[1].split()[0])
    deepest = max(found["spans"], key=lambda one: one["depth"])
    assert any(f"{'  ' * deepest['depth']}{deepest['name']}" in line for line in lines)
    for line in found["logs"]:
        assert line["text"] in ended.out


def test_what_the_api_refuses_is_said_with_its_hint(folder: Path) -> None:
    with pytest.raises(RefusedError, match="out of range") as caught:
        ApiClient(folder).get("logs?limit=0")
    assert caught.value.hint == "Give a number from 1 to 1000"


def test_lines_are_found_by_their_severity_and_text(folder: Path, outgrow: Outgrow) -> None:
    ended = outgrow("logs", "--folder", str(folder), "--severity", "debug", "--json")
    lines = [json.loads(line) for line in ended.out.splitlines()]
    assert lines
    assert [one["at_ms"] for one in lines] == sorted(one["at_ms"] for one in lines)
    plain = outgrow("logs", "--folder", str(folder), "--severity", "debug").out
    assert lines[0]["text"] in plain
    traced = next(one for one in lines if one["trace_id"])
    assert f"trace={traced['trace_id']}" in plain


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param(["--trace", "0" * 32], 1, "nothing runs in", id="no observer"),
        pytest.param(["--text", "tea", "--follow"], 2, "leave it out", id="both kinds of lines"),
        pytest.param(["--severity", "loud"], 2, "severity", id="no such severity"),
    ],
)
def test_what_cannot_be_answered_says_why(
    outgrow: Outgrow, tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    ended = outgrow("logs", "--folder", str(tmp_path), *words)
    assert ended.code == code
    assert said in ended.err


def test_objectives_that_are_not_understood_stop_run_before_it_starts(
    outgrow: Outgrow, tmp_path: Path
) -> None:
    (tmp_path / "outgrow.toml").write_text('[objectives]\n"GET /" = { percent = 101 }\n')
    ended = outgrow("run", "main:app", "--port", "0")
    assert ended.code == 2
    assert '`percent` of "GET /" under [objectives] in outgrow.toml is 101' in ended.err


@pytest.mark.parametrize("verb", ["run", "dev"])
def test_a_page_that_others_can_reach_without_a_token_stops_run_before_it_starts(
    outgrow: Outgrow, verb: str
) -> None:
    ended = outgrow(verb, "main:app", "--port", "0", "--observe", "auto", "--page-host", "0.0.0.0")
    assert ended.code == 2
    assert ended.err.startswith("OG302: the page on 0.0.0.0 can be reached by other machines")
    assert "`--tokens-file FILE` or in OUTGROW_TOKENS" in ended.err


def test_a_page_with_tokens_or_without_a_page_may_be_reached(
    outgrow: Outgrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Supervisor, "run", _end)
    words = ("run", "main:app", "--port", "0", "--page-host", "0.0.0.0", "--observe")
    assert outgrow(*words, "never").code == 0
    monkeypatch.setenv("OUTGROW_TOKENS", "ana read 0123456789abcdef")
    assert outgrow(*words, "auto").code == 0


async def _end(_: object) -> int:
    return 0


def test_a_page_of_an_observer_alone_needs_a_token_too(outgrow: Outgrow) -> None:
    ended = outgrow("observe", "--host", "0.0.0.0", "--port", "0")
    assert ended.code == 2
    assert "OG302: the page on 0.0.0.0 can be reached by other machines" in ended.err


@pytest.mark.parametrize(
    "words", [("--report-host", "0.0.0.0"), ("--report-port", "7789")], ids=["host", "port"]
)
def test_a_place_for_reports_without_a_certificate_is_refused(
    outgrow: Outgrow, words: tuple[str, str]
) -> None:
    ended = outgrow("observe", "--port", "0", *words)
    assert ended.code == 2
    assert ended.err.startswith(f"OG302: `{' '.join(words)}` without a certificate")
    assert "--tls-certificate FILE --tls-key FILE" in ended.err


def test_an_observer_is_named_by_host_and_port(outgrow: Outgrow) -> None:
    ended = outgrow("run", "main:app", "--observer", "watch.example.com", "--explain")
    assert ended.code == 2
    assert "it is HOST:PORT" in ended.err


def test_the_token_for_an_observer_is_never_shown(outgrow: Outgrow) -> None:
    words = ("run", "main:app", "--observer", "h:1", "--observer-token", "swordfish", "--explain")
    ended = outgrow(*words)
    assert (ended.code, "swordfish" in ended.out) == (0, False)
