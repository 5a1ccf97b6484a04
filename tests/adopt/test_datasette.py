"""The Datasette example: pages, JSON and a stream of a whole table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adopt.memory import GROWTH_BYTES_MAX, MemoryPeak
from tests.adopt.serving import ADOPT, Served, ServerName, served
from tests.adopt.streams import counted

MANY = 500_000
COUNT = 3_000


def _served(folder: Path, server: ServerName, count: int):
    return served(
        "app:app",
        server=server,
        cwd=ADOPT / "datasette_app",
        folder=folder,
        environment={"TREES_DATABASE": str(folder / "trees.db"), "TREES_COUNT": str(count)},
    )


@pytest.fixture(scope="module")
def trees(server: ServerName, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with _served(tmp_path_factory.mktemp(f"datasette-{server}"), server, COUNT) as running:
        yield running


def test_the_front_page_names_the_tables(trees: Served) -> None:
    with trees.client() as client:
        page = client.get("/")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "Street trees" in page.text
        assert "species" in client.get("/trees").text


def test_a_row_shows_what_it_refers_to(trees: Served) -> None:
    with trees.client() as client:
        assert "Plane" in client.get("/trees/trees?id=1").text
        assert "Street 719" in client.get("/trees/trees/1").text
        assert client.get("/trees/trees/9999999").status_code == 404


def test_a_query_is_answered_as_json(trees: Served) -> None:
    with trees.client() as client:
        question = {"sql": "select count(*) as n from trees where height_cm > :h", "h": "2000"}
        rows = client.get("/trees.json", params={**question, "_shape": "array"}).json()
    assert 0 < rows[0]["n"] < COUNT


def test_a_wrong_query_is_answered_400(trees: Served) -> None:
    with trees.client() as client:
        assert client.get("/trees.json", params={"sql": "select * from nothing"}).status_code == 400


def test_a_static_file_has_its_type(trees: Served) -> None:
    with trees.client() as client:
        style = client.get("/-/static/app.css")
    assert (style.status_code, style.headers["content-type"][:8]) == (200, "text/css")


def test_a_csv_stream_goes_past_the_page_size(trees: Served) -> None:
    with trees.client() as client:
        assert counted(client, "/trees/trees.csv").lines_count < COUNT
        stream = counted(client, "/trees/trees.csv?_stream=on")
    assert stream.lines_count == COUNT + 1
    assert stream.last_line.startswith(f"{COUNT},")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_half_a_million_trees_are_streamed_in_little_memory(
    tmp_path: Path, server: ServerName
) -> None:
    with _served(tmp_path, server, MANY) as running, running.client() as client:
        client.get("/")
        memory = MemoryPeak(running.pid)
        stream = counted(client, "/trees/trees.csv?_stream=on&_size=max")
        assert stream.lines_count == MANY + 1
        assert memory.growth_bytes() < GROWTH_BYTES_MAX
