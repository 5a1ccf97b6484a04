"""Ours is measured as the table says: with an observer only where its name tells of one."""

from __future__ import annotations

import pytest

from benchmarks import http, memory, servers, start

TABLES = {"http": http.CONTENDERS, "memory": memory.CONTENDERS, "start": start.CONTENDERS}


def observes(contender: servers.Contender) -> str:
    """What it says of an observer."""
    words = contender.command("main:app", 8000, 1)
    return words[words.index("--observe") + 1]


@pytest.mark.parametrize("name", TABLES)
def test_ours_stands_beside_its_peers_without_an_observer_and_once_with_one(name: str) -> None:
    ours = [each for each in TABLES[name] if each.name.startswith("outgrow")]
    assert {each.name: observes(each) for each in ours} == {
        each.name: "auto" if each.name == "outgrow, observed" else "never" for each in ours
    }
    assert {"outgrow", "outgrow, observed"} <= {each.name for each in ours}


def test_further_options_and_names_leave_that_as_it_is() -> None:
    assert servers.outgrow(access_log=True).name == "outgrow with access log"
    named = servers.outgrow("--fork", "never", name="outgrow --fork never")
    assert observes(named) == "never"
    assert named.command("main:app", 8000, 1)[-2:] == ["--fork", "never"]
