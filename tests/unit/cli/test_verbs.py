"""What people type, what they read, and the exit codes that scripts read."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

import outgrow as package
from outgrow.model import Settings
from tests.unit.cli.typing_verbs import Outgrow

LOG = (
    "2026-01-01T10:00:00.123Z web/1 out hello\n"
    "2026-01-01T10:00:01.456Z supervisor err outgrow: stopped\n"
)


def test_the_version_is_told(outgrow: Outgrow) -> None:
    assert outgrow("--version").out == f"outgrow {package.__version__}\n"


@pytest.mark.parametrize("verb", ["run", "dev", "status", "logs", "apply"])
def test_each_verb_explains_itself(outgrow: Outgrow, verb: str) -> None:
    ended = outgrow(verb, "--help")
    assert ended.code == 0
    assert f"outgrow {verb}" in ended.out
    assert verb in outgrow("--help").out


def test_the_help_of_run_names_every_setting(outgrow: Outgrow) -> None:
    shown = outgrow("run", "--help").out
    for field in dataclasses.fields(Settings):
        assert field.name == "app" or f"--{field.name.replace('_', '-')}" in shown


def test_explain_shows_every_setting_with_value_and_source(outgrow: Outgrow) -> None:
    ended = outgrow("run", "main:app", "--port", "0", "--no-access-log", "--explain")
    assert (ended.code, ended.err) == (0, "")
    heading, *rows = ended.out.splitlines()
    assert heading.split() == ["setting", "value", "source"]
    shown = {row.split()[0]: row.split(maxsplit=2)[1:] for row in rows}
    assert list(shown) == [field.name for field in dataclasses.fields(Settings)]
    assert shown["app"] == ["main:app", "the command line"]
    assert shown["port"] == ["0", "--port"]
    assert shown["access_log"] == ["false", "--access-log"]
    assert shown["fd"] == ["-", "default"]
    assert shown["drain_seconds"] == ["30", "default"]


def test_explain_as_json_has_the_same_for_programs(
    outgrow: Outgrow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outgrow.toml").write_text('[run]\nheader = ["a: b"]\nworkers = "2:3"\n')
    monkeypatch.setenv("OUTGROW_BUSY_PERCENT", "50")
    ended = outgrow("run", "--explain", "--json")
    rows = {row["setting"]: (row["value"], row["source"]) for row in json.loads(ended.out)}
    assert len(rows) == len(dataclasses.fields(Settings))
    assert rows["header"] == (["a: b"], "outgrow.toml")
    assert rows["workers"] == ("2:3", "outgrow.toml")
    assert rows["busy_percent"] == (50.0, "OUTGROW_BUSY_PERCENT")
    assert rows["app"] == (None, "default")


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "json"])
def test_explain_never_shows_a_secret(outgrow: Outgrow, form: list[str]) -> None:
    ended = outgrow("run", "--tls-key-password", "swordfish", "--explain", *form)
    assert "swordfish" not in ended.out
    assert "(secret)" in ended.out


def test_explain_takes_a_header_more_than_once(outgrow: Outgrow) -> None:
    ended = outgrow("run", "--header", "a: b", "--header", "c: d", "--explain")
    assert "a: b; c: d" in ended.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["run", "--port", "http", "--explain"], "OG302", id="a wrong value"),
        pytest.param(["run", "--prot", "1"], "--prot", id="an unknown option"),
        pytest.param(["run", "a:b", "c:d"], "c:d", id="two apps"),
        pytest.param(["fly"], "fly", id="an unknown verb"),
        pytest.param(["run"], "OG101", id="no app"),
        pytest.param(["dev", "--workers", "2"], "--workers", id="workers in dev"),
        pytest.param(["logs", "--lines", "many"], "--lines", id="lines that are no number"),
        pytest.param(["status", "extra"], "extra", id="a word too many"),
    ],
)
def test_misuse_is_told_on_stderr_with_code_2(
    outgrow: Outgrow, words: list[str], said: str
) -> None:
    ended = outgrow(*words)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


def test_an_unknown_key_in_the_file_is_misuse(outgrow: Outgrow, tmp_path: Path) -> None:
    (tmp_path / "outgrow.toml").write_text("[run]\nprot = 1\n")
    ended = outgrow("run", "main:app")
    assert ended.code == 2
    assert ended.err.startswith("OG301: `prot` in [run] of outgrow.toml")
    assert "\n\nhint: Did you mean `port`?" in ended.err


@pytest.mark.parametrize(
    "words", [["status"], ["status", "--json"], ["logs"], ["apply", "--reload"]], ids=" ".join
)
def test_without_a_supervisor_a_verb_fails_with_code_1(outgrow: Outgrow, words: list[str]) -> None:
    ended = outgrow(*words)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("OG404: no supervisor answers in ")
    assert "hint: Start one with `outgrow run`" in ended.err


def test_a_change_of_nothing_is_refused(outgrow: Outgrow) -> None:
    ended = outgrow("apply")
    assert ended.code != 0
    assert "--workers" in ended.err


def logged(folder: Path) -> Path:
    (folder / "log").parent.mkdir(exist_ok=True)
    (folder / "log").write_text(LOG)
    return folder


def test_the_log_can_be_read_after_the_supervisor_died(outgrow: Outgrow, tmp_path: Path) -> None:
    logged(tmp_path / ".outgrow")
    ended = outgrow("logs")
    assert ended.code == 0
    assert [line.split(maxsplit=2) for line in ended.out.splitlines()] == [
        ["10:00:00.123", "web/1", "hello"],
        ["10:00:01.456", "supervisor", "outgrow: stopped"],
    ]
    assert "no supervisor runs here" in ended.err


def test_the_log_of_one_worker_can_be_read_as_json(outgrow: Outgrow, tmp_path: Path) -> None:
    folder = logged(tmp_path / "state")
    ended = outgrow("logs", "--folder", str(folder), "--worker", "web/1", "--json", "-n", "5")
    assert json.loads(ended.out) == {
        "at": "2026-01-01T10:00:00.123Z",
        "worker": "web/1",
        "stream": "out",
        "text": "hello",
    }


def test_only_the_last_lines_are_shown_where_asked_for(outgrow: Outgrow, tmp_path: Path) -> None:
    logged(tmp_path / ".outgrow")
    assert len(outgrow("logs", "-n", "1").out.splitlines()) == 1
    assert outgrow("logs", "-n", "0").out == ""


def test_a_negative_number_of_lines_is_misuse(outgrow: Outgrow, tmp_path: Path) -> None:
    logged(tmp_path / ".outgrow")
    assert outgrow("logs", "-n", "-5").code == 2


def test_a_log_of_the_dead_cannot_be_followed(outgrow: Outgrow, tmp_path: Path) -> None:
    logged(tmp_path / ".outgrow")
    ended = outgrow("logs", "--follow")
    assert (ended.code, ended.err.partition(":")[0]) == (1, "OG404")
