"""Each setting's value comes from the nearest source, and what is wrong is said with its place."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from outgrow.errors import (
    DatabaseUrlError,
    SettingError,
    SettingsFileError,
    SettingValueError,
    UnknownSettingError,
)
from outgrow.model import Replicas, Settings
from outgrow.placement.machine import Machine
from outgrow.placement.sources import Resolved, parse_replicas, resolve

MACHINE = Machine(cpus=6.5, memory_bytes=0, is_container=False)


class Sources:
    """A folder, an environment and flags to resolve settings from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, content: str, name: str = "outgrow.toml") -> None:
        (self.folder / name).write_text(content)

    def resolve(
        self, flags: Mapping[str, object] | None = None, environment: dict[str, str] | None = None
    ) -> Resolved:
        return resolve(flags or {}, MACHINE, environment=environment or {}, folder=self.folder)

    def value(self, name: str, flag: object = None, **environment: str) -> tuple[object, str]:
        """A setting's value and source."""
        flags = {name: flag}
        found = self.resolve(flags, environment)
        (chosen,) = [one for one in found.chosen if one.name == name]
        assert getattr(found.settings, name) == chosen.value
        return chosen.value, chosen.source

    def problem(self, *arguments: Any, **named: Any) -> SettingError:
        with pytest.raises(SettingError) as raised:
            self.resolve(*arguments, **named)
        return raised.value


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources(tmp_path)


def test_without_sources_all_defaults_hold(sources: Sources) -> None:
    found = sources.resolve()
    assert found.settings == Settings()
    assert {one.source for one in found.chosen} == {"default"}
    assert [one.name for one in found.chosen] == [f.name for f in dataclasses.fields(Settings)]


def test_the_nearest_source_wins(sources: Sources) -> None:
    own = {"OUTGROW_PORT": "2", "PORT": "3"}
    sources.write("run.port = 4")
    assert sources.value("port", "1", **own) == (1, "--port")
    assert sources.value("port", **own) == (2, "OUTGROW_PORT")
    assert sources.value("port", PORT="3") == (3, "PORT")
    assert sources.value("port") == (4, "outgrow.toml")


def test_an_empty_variable_sets_nothing(sources: Sources) -> None:
    assert sources.value("port", OUTGROW_PORT="", PORT="") == (8000, "default")


def test_no_header_on_the_command_line_leaves_those_of_the_file(sources: Sources) -> None:
    sources.write('run.header = ["a: b"]')
    assert sources.value("header", []) == (("a: b",), "outgrow.toml")


def test_the_app_named_first_is_said_to_be_from_the_command_line(sources: Sources) -> None:
    assert sources.value("app", "main:app") == ("main:app", "the command line")
    assert sources.value("app", OUTGROW_APP="main:app") == ("main:app", "OUTGROW_APP")


def test_variables_of_other_tools_are_understood(sources: Sources) -> None:
    assert sources.value("workers", WEB_CONCURRENCY="3")[0] == Replicas(3, 3)
    assert sources.value("trusted_proxies", FORWARDED_ALLOW_IPS="*")[0] == "*"


def test_pyproject_is_read_where_there_is_no_file_of_our_own(sources: Sources) -> None:
    sources.write("[tool.outgrow.run]\nport = 5\n", "pyproject.toml")
    assert sources.value("port") == (5, "pyproject.toml")
    sources.write("run.host = 'localhost'")
    assert sources.value("port") == (8000, "default")


@pytest.mark.parametrize("content", ["", "[tool.ruff]\nx = 1\n", "[tool.outgrow]\n"])
def test_a_pyproject_without_our_table_sets_nothing(sources: Sources, content: str) -> None:
    sources.write(content, "pyproject.toml")
    assert sources.resolve().settings == Settings()


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        pytest.param("port", "0", 0, id="a whole number"),
        pytest.param("keep_alive_seconds", "2.5", 2.5, id="a number"),
        pytest.param("keep_alive_seconds", "2", 2.0, id="a number without fraction"),
        pytest.param("access_log", "no", False, id="no"),
        pytest.param("access_log", "TRUE", True, id="true"),
        pytest.param("factory", "on", True, id="on"),
        pytest.param("factory", "0", False, id="zero for false"),
        pytest.param("host", "::", "::", id="a text"),
        pytest.param("fd", "3", 3, id="a number that may be missing"),
        pytest.param("unix_socket", "a.sock", "a.sock", id="a text that may be missing"),
        pytest.param("lifespan", "off", "off", id="a choice"),
        pytest.param("header", "x: y", ("x: y",), id="one of several"),
        pytest.param("workers", "4", Replicas(4, 4), id="a fixed number of workers"),
        pytest.param("workers", "2:4", Replicas(2, 4), id="bounds of workers"),
        pytest.param("workers", "auto", Replicas(1, 6), id="workers for this machine"),
    ],
)
def test_a_text_becomes_the_type_of_its_setting(
    sources: Sources, name: str, given: str, value: object
) -> None:
    assert sources.value(name, given)[0] == value
    assert sources.value(name, **{f"OUTGROW_{name.upper()}": given})[0] == value


@pytest.mark.parametrize(
    ("line", "value"),
    [
        pytest.param("port = 81", 81, id="a whole number"),
        pytest.param('port = "82"', 82, id="a number as text"),
        pytest.param("keep_alive_seconds = 1", 1.0, id="a number"),
        pytest.param("access_log = false", False, id="false"),
        pytest.param('header = ["a: b", "c: d"]', ("a: b", "c: d"), id="a list"),
        pytest.param("workers = 3", Replicas(3, 3), id="a number of workers"),
        pytest.param('workers = "1:2"', Replicas(1, 2), id="bounds as text"),
        pytest.param("workers = { min = 2, max = 5 }", Replicas(2, 5), id="bounds as a table"),
        pytest.param("workers = { min = 2 }", Replicas(2, 2), id="a lower bound"),
        pytest.param("workers = { max = 5 }", Replicas(1, 5), id="an upper bound"),
    ],
)
def test_a_file_has_values_of_its_own_types(sources: Sources, line: str, value: object) -> None:
    sources.write(f"[run]\n{line}\n")
    name = line.partition(" ")[0]
    assert sources.value(name) == (value, "outgrow.toml")


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        pytest.param("port", "http", "a whole number", id="a word for a number"),
        pytest.param("port", "80.5", "a whole number", id="a fraction"),
        pytest.param("port", "65536", "0 to 65535", id="a port too high"),
        pytest.param("port", "-1", "0 or more", id="a negative number"),
        pytest.param("drain_seconds", "-0.5", "0 or more", id="a negative time"),
        pytest.param("drain_seconds", "soon", "a number", id="a word for a time"),
        pytest.param("busy_percent", "0", "1 to 100", id="no share"),
        pytest.param("busy_percent", "101", "1 to 100", id="more than all"),
        pytest.param("busy_percent", "nan", "it is", id="a share that is no number"),
        pytest.param("access_log", "maybe", "true or false", id="neither true nor false"),
        pytest.param("interface", "asgi", "auto, asgi3, asgi2, wsgi", id="no such choice"),
        pytest.param("workers", "0", "MIN:MAX", id="no worker"),
        pytest.param("workers", "4:2", "MIN:MAX", id="bounds the wrong way round"),
        pytest.param("workers", "many", "MIN:MAX", id="a word for workers"),
        pytest.param("workers", "5000", "MIN:MAX", id="too many workers"),
        pytest.param("threads", "0", "1 or more", id="no thread"),
        pytest.param("tls_certificate", "none.pem", "is no file", id="no certificate"),
        pytest.param("log_config", "none.ini", "is no file", id="no file for logging"),
        pytest.param("app_dir", "none", "is no folder", id="no folder"),
    ],
)
def test_a_value_that_cannot_be_is_said_with_what_can(
    sources: Sources, name: str, given: str, expected: str
) -> None:
    problem = sources.problem({name: given})
    assert isinstance(problem, SettingValueError)
    assert name in problem.text
    assert expected in problem.text
    assert problem.hint


def test_a_place_for_events_and_jobs_that_cannot_be_is_refused(sources: Sources) -> None:
    for url in ("mysql://joe:secret@db/shop", "sqlite:///jobs.db?pgbouncer=true"):
        with pytest.raises(DatabaseUrlError) as caught:
            sources.resolve({"durable_url": url})
        assert "secret" not in str(caught.value)


def test_a_time_that_is_not_a_number_is_refused(sources: Sources) -> None:
    sources.problem({"drain_seconds": "nan"})


@pytest.mark.parametrize(
    "line",
    [
        "port = true",
        "port = 80.0",
        "port = []",
        "host = 3",
        "header = [1]",
        "access_log = 'x'",
        "workers = { low = 1 }",
        "workers = { min = 'a' }",
        "workers = []",
        "interface = ['wsgi']",
    ],
)
def test_a_value_of_the_wrong_type_in_a_file_is_said_with_the_file(
    sources: Sources, line: str
) -> None:
    sources.write(f"[run]\n{line}\n")
    problem = sources.problem()
    assert isinstance(problem, SettingValueError)
    assert "(from outgrow.toml)" in problem.text


@pytest.mark.parametrize(
    ("flags", "environment", "source"),
    [
        pytest.param({"port": "x"}, {}, "--port", id="a flag"),
        pytest.param({}, {"OUTGROW_PORT": "x"}, "OUTGROW_PORT", id="our variable"),
        pytest.param({}, {"PORT": "x"}, "PORT", id="another variable"),
        pytest.param({"header": [3]}, {}, "--header", id="a repeated flag"),
    ],
)
def test_a_wrong_value_is_said_with_its_source(
    sources: Sources, flags: dict[str, object], environment: dict[str, str], source: str
) -> None:
    assert f"(from {source})" in sources.problem(flags, environment).text


def test_a_secret_is_never_said(sources: Sources) -> None:
    sources.write("run.tls_key_password = 12345")
    assert "12345" not in str(sources.problem())


def test_a_key_without_its_certificate_is_refused(sources: Sources, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("")
    assert "needs `tls_certificate`" in sources.problem({"tls_key": str(key)}).text


@pytest.mark.parametrize(
    ("content", "said", "hint"),
    [
        pytest.param("[run]\nprot = 1", "`prot` in [run] of outgrow.toml", "`port`", id="a typo"),
        pytest.param("[run]\nxyzzy = 1", "`xyzzy`", "--explain", id="nothing like any"),
        pytest.param("[runs]\nport = 1", "`runs`", "[run]", id="another table"),
        pytest.param("port = 1", "`port`", "[run]", id="outside of the table"),
    ],
)
def test_an_unknown_name_in_a_file_is_said_with_the_nearest(
    sources: Sources, content: str, said: str, hint: str
) -> None:
    sources.write(content)
    problem = sources.problem()
    assert isinstance(problem, UnknownSettingError)
    assert said in problem.text
    assert hint in problem.hint


def test_an_unknown_variable_of_ours_is_said_with_the_nearest(sources: Sources) -> None:
    problem = sources.problem({}, {"OUTGROW_WORKER_COUNT": "2"})
    assert isinstance(problem, UnknownSettingError)
    assert "OUTGROW_WORKER_COUNT" in problem.text
    assert "Did you mean" in problem.hint


def test_variables_of_a_kubernetes_service_with_our_name_are_left_alone(sources: Sources) -> None:
    theirs = {"OUTGROW_SERVICE_HOST": "10.0.0.1", "OUTGROW_PORT": "tcp://10.0.0.1:80"}
    theirs |= {"OUTGROW_PORT_80_TCP_PROTO": "tcp", "OUTGROW_PORT_80_TCP_ADDR": "10.0.0.1"}
    assert sources.value("port", **theirs) == (8000, "default")


def test_a_run_that_is_no_table_is_said(sources: Sources) -> None:
    sources.write("run = 3")
    assert "is no table" in sources.problem().text


@pytest.mark.parametrize("content", ["tool = 3", "[tool]\noutgrow = 3"])
def test_a_pyproject_with_something_else_for_our_table_is_said(
    sources: Sources, content: str
) -> None:
    sources.write(content, "pyproject.toml")
    assert sources.problem().code in ("OG301", "OG302", "OG303")


@pytest.mark.parametrize("name", ["outgrow.toml", "pyproject.toml"])
def test_a_file_that_is_not_toml_is_said_with_its_line(sources: Sources, name: str) -> None:
    sources.write("[run]\nport = = 3", name)
    problem = sources.problem()
    assert isinstance(problem, SettingsFileError)
    assert name in problem.text
    assert "line 2" in problem.text


def test_a_file_that_cannot_be_read_is_said(sources: Sources, tmp_path: Path) -> None:
    (tmp_path / "outgrow.toml").mkdir()
    assert "cannot read" in sources.problem().text
    (tmp_path / "outgrow.toml").rmdir()
    (tmp_path / "outgrow.toml").write_bytes(b"\xff\xfe")
    assert "cannot read" in sources.problem().text


def test_bounds_asked_for_while_running_are_read_alike() -> None:
    assert parse_replicas("auto", MACHINE) == Replicas(1, 6)
    with pytest.raises(SettingValueError, match="the request"):
        parse_replicas("lots", MACHINE)


def test_the_app_table_names_providers(tmp_path: Path) -> None:
    (tmp_path / "outgrow.toml").write_text('[app]\nname = "shop"\nproviders = ["shop.mail:open"]\n')
    resolved = resolve({}, MACHINE, environment={}, folder=tmp_path)
    assert resolved.settings.providers == ("shop.mail:open",)


def test_a_wrong_key_of_the_app_table_is_refused_with_the_right_one(tmp_path: Path) -> None:
    (tmp_path / "outgrow.toml").write_text('[app]\nservice = ["shop.stock:Stock"]\n')
    with pytest.raises(UnknownSettingError, match="`service` in \\[app\\]") as caught:
        resolve({}, MACHINE, environment={}, folder=tmp_path)
    assert "services" in caught.value.hint
