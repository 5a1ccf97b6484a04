"""`outgrow map` shows in which group each service is: as it is written down, or as it runs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from outgrow.placement.control import ControlServer
from outgrow.placement.supervisor import Supervisor
from tests.unit.cli.typing_verbs import Outgrow
from tests.unit.host.review.reviewing import imports_undone, write_files
from tests.unit.host.review.test_picture import SHOP

GROUPS = """
[run]
app = "shop.api:app"
[size.machine.groups.front]
runs = ["web"]
replicas = { min = 1, max = 2, busy_percent = 50 }
[size.machine.groups.desk]
runs = ["stock"]
replicas = 3
"""
RUNNING = {"min": 1, "max": 4, "wanted": 2, "ready": 2, "busy_percent": 3, "busy_percent_aim": 70}
TOGETHER = [{"name": "web", "runs": ["buying", "stock", "web"], **RUNNING}]


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The shop of the picture's own tests, in the current folder."""
    write_files(tmp_path, SHOP)
    yield from imports_undone(monkeypatch)


class FakeSupervisor:
    """What the control socket asks of a supervisor."""

    is_ready = True

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        self.groups = groups

    def status(self) -> dict[str, Any]:
        return {"app": "shop.api:app", "groups": self.groups}


@contextlib.contextmanager
def supervised(folder: Path, groups: list[dict[str, Any]]) -> Iterator[None]:
    """A supervisor with these groups answers in a folder."""
    folder.mkdir()
    loop = asyncio.new_event_loop()
    socket = folder / "control.sock"
    server = ControlServer(cast("Supervisor", FakeSupervisor(groups)), socket)
    loop.run_until_complete(server.start("127.0.0.1", None))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def heads(shown: str) -> list[str]:
    """The first line of each part but the groups."""
    parts = shown.split("\n\n")[1:]
    return [part.splitlines()[0] for part in parts if not part.startswith("groups")]


def groups_in(shown: str) -> list[str]:
    """The lines of the part with the groups."""
    return [
        line for part in shown.split("\n\n") if part[:6] == "groups" for line in part.split("\n")
    ]


def test_groups_are_shown_as_the_settings_file_says(outgrow: Outgrow, tmp_path: Path) -> None:
    (tmp_path / "outgrow.toml").write_text(GROUPS)
    shown = outgrow("map").out
    assert shown.splitlines()[0] == "app: 1 edge, 2 services, 1 provider, 2 groups"
    assert groups_in(shown) == [
        "groups, as outgrow.toml says",
        "  group  runs         replicas",
        "  front  buying, web  1 to 2, by 50 % busy",
        "  desk   stock        3",
    ]
    assert heads(shown) == [
        "web  shop.api:app  in front",
        "Orders as buying  shop/orders.py:7  in front",
        "Stock  shop/stock.py:12  in desk",
    ]


def test_groups_can_stand_in_the_project_file(outgrow: Outgrow, tmp_path: Path) -> None:
    text = GROUPS.replace("[run", "[tool.outgrow.run").replace("[size", "[tool.outgrow.size")
    (tmp_path / "pyproject.toml").write_text(text)
    assert groups_in(outgrow("map").out)[0] == "groups, as pyproject.toml says"


def test_groups_can_be_had_as_json(outgrow: Outgrow, tmp_path: Path) -> None:
    (tmp_path / "outgrow.toml").write_text(GROUPS)
    shown = json.loads(outgrow("map", "--json").out)
    assert (shown["groups_from"], shown["groups_run"]) == ("outgrow.toml", False)
    desk = {"name": "desk", "runs": ["stock"], "min": 3, "max": 3, "busy_percent": 60.0}
    assert shown["groups"][1] == desk | {"ready": None, "wanted": None}
    homes = {each["name"]: each["group"] for each in (*shown["edges"], *shown["services"])}
    assert homes == {"web": "front", "buying": "front", "stock": "desk"}


def test_one_group_with_a_name_of_its_own_is_shown(outgrow: Outgrow, tmp_path: Path) -> None:
    (tmp_path / "outgrow.toml").write_text(GROUPS.partition("[size.machine.groups.desk]")[0])
    assert groups_in(outgrow("map").out)[2:] == [
        "  front  buying, stock, web  1 to 2, by 50 % busy",
    ]


def test_where_no_group_is_named_none_is_shown(outgrow: Outgrow, tmp_path: Path) -> None:
    (tmp_path / "outgrow.toml").write_text('[run]\napp = "shop.api:app"\n')
    ended = outgrow("map", "--json")
    shown = json.loads(ended.out)
    assert (shown["groups"], shown["groups_from"], ended.err) == ([], None, "")
    assert "group" not in outgrow("map").out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(GROUPS.replace('"stock"', '"stick"'), "runs `stick`", id="no such service"),
        pytest.param(GROUPS.replace("= 3", "= 0"), "`workers` cannot be", id="no number"),
        pytest.param(GROUPS + "[other]\n", "has `other`", id="no such table"),
    ],
)
def test_a_map_without_its_groups_says_why(
    outgrow: Outgrow, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "outgrow.toml").write_text(text)
    ended = outgrow("map")
    assert (ended.code, groups_in(ended.out)) == (0, [])
    assert "groups are left out" in ended.err
    assert said in ended.err


@pytest.mark.parametrize(("folder", "words"), [(".outgrow", []), ("state", ["--folder", "state"])])
def test_groups_that_run_come_first(
    outgrow: Outgrow, tmp_path: Path, folder: str, words: list[str]
) -> None:
    (tmp_path / "outgrow.toml").write_text(GROUPS)
    with supervised(tmp_path / folder, TOGETHER):
        shown = outgrow("map", *words).out
        as_json = json.loads(outgrow("map", "--json", *words).out)
    assert groups_in(shown) == [
        f"groups, running in {folder}",
        "  group  runs                replicas",
        "  web    buying, stock, web  2 of 1 to 4",
    ]
    assert heads(shown)[2] == "Stock  shop/stock.py:12  in web"
    assert (as_json["groups_from"], as_json["groups_run"]) == (folder, True)
    assert (as_json["groups"][0]["ready"], as_json["groups"][0]["busy_percent"]) == (2, 70)


def test_what_does_not_run_yet_is_in_no_group(outgrow: Outgrow, tmp_path: Path) -> None:
    with supervised(tmp_path / ".outgrow", [{"name": "web", "runs": ["web"], **RUNNING}]):
        shown = outgrow("map", "shop.api:app").out
    assert heads(shown)[:2] == ["web  shop.api:app  in web", "Orders as buying  shop/orders.py:7"]


def test_groups_of_another_app_are_left_out(outgrow: Outgrow, tmp_path: Path) -> None:
    with supervised(tmp_path / ".outgrow", TOGETHER):
        ended = outgrow("map", "shop.stock")
    assert groups_in(ended.out) == []
    assert "groups that run in .outgrow are left out" in ended.err
    assert "`buying`, which is not in this map" in ended.err


def test_a_folder_that_is_named_must_have_a_supervisor(outgrow: Outgrow) -> None:
    ended = outgrow("map", "shop.api:app", "--folder", "nowhere")
    assert (ended.code, ended.out) == (1, "")
    assert "OG404" in ended.err
