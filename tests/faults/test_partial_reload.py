"""A reload starts anew what has changed, and leaves the rest alone, while requests go on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from .harness import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Start
    from .harness import Supervised

pytestmark = pytest.mark.timeout(60)  # several starts each, on a machine that may be busy

GROUPS = """
[app]
services = ["post:Post", "till:Till"]
[size.machine.groups.post]
runs = ["post"]
[size.machine.groups.till]
runs = ["till"]
"""
SERVICE = """
import os
from outgrow import operation, service

@service
class {name}:
    @operation
    async def where(self) -> list[int]:
        return [{edition}, os.getpid()]
"""
EDGE = """
import json, os
from outgrow import client
from post import Post
from till import Till

post, till = client(Post), client(Till)

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError(scope["type"])
    found = {"edge": [0, os.getpid()], "post": await post.where(), "till": await till.where()}
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(found).encode()})
"""


def write(folder: Path, name: str, edition: int) -> None:
    text = SERVICE.format(name=name, edition=edition)
    (folder / f"{name.lower()}.py").write_text(text)


@pytest.fixture
def shop(start: Start, tmp_path: Path) -> Supervised:
    """Two services in groups of their own, and an edge that asks both."""
    (tmp_path / "outgrow.toml").write_text(GROUPS)
    (tmp_path / "edge.py").write_text(EDGE)
    write(tmp_path, "Post", 1)
    write(tmp_path, "Till", 1)
    return start("--no-access-log", "--drain-seconds", "5", app="edge:app").until_ready(3)


@contextmanager
def asking(server: Supervised) -> Iterator[list[dict[str, list[int]]]]:
    """Asks without a pause; what was answered. Fails where something was not."""
    answers: list[dict[str, list[int]]] = []
    problems: list[Exception] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                answers.append(server.get("/"))
            except Exception as problem:
                problems.append(problem)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        done.set()
        thread.join()
    assert not problems, problems[:3]


def until_answered_by(server: Supervised, name: str, edition: int) -> dict[str, list[int]]:
    wait_until(lambda: server.get("/")[name][0] == edition, 10, f"edition {edition} of {name}")
    return server.get("/")


def test_only_groups_whose_code_changed_are_started_anew(shop: Supervised, tmp_path: Path) -> None:
    before = shop.get("/")
    with asking(shop) as answers:
        wait_until(lambda: len(answers) > 20, 10, "some answers")
        write(tmp_path, "Post", 2)
        status, lines = shop.apply(reload=True)
        assert (status, '"done"' in lines) == (200, True), lines
        assert "group `post` is started anew: post.py has changed" in lines
        assert "group `till` is left alone: nothing has changed" in lines
        after = until_answered_by(shop, "post", 2)
        seen = len(answers)
        wait_until(lambda: len(answers) > seen + 20, 10, "more answers")
    assert after["till"] == before["till"]
    assert after["post"][1] != before["post"][1]
    assert after["edge"] != before["edge"]


def test_all_groups_are_started_anew_where_that_is_asked_for(shop: Supervised) -> None:
    before = shop.get("/")
    assert '"done"' in shop.apply(reload_all=True)[1]
    wait_until(lambda: shop.get("/")["edge"] != before["edge"], 10, "the new edge")
    after = shop.get("/")
    assert all(after[name] != before[name] for name in before)


def test_a_group_that_was_left_alone_is_replaced_by_its_new_code_later(
    shop: Supervised, tmp_path: Path
) -> None:
    write(tmp_path, "Post", 2)
    assert '"done"' in shop.apply(reload=True)[1]
    before = until_answered_by(shop, "post", 2)
    write(tmp_path, "Till", 3)
    lines = shop.apply(reload=True)[1]
    assert "group `post` is left alone" in lines
    after = until_answered_by(shop, "till", 3)
    assert after["post"] == before["post"]
    wait_until(
        lambda: {each["state"] for each in shop.status()["workers"]} == {"ready"},
        15,
        "the end of all old workers",
    )
    assert len(shop.status()["workers"]) == 3
