"""The Flask example: form, session and streams, over WSGI."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.adopt.memory import GROWTH_BYTES_MAX, MemoryPeak
from tests.adopt.serving import ADOPT, Served, ServerName, served
from tests.adopt.streams import counted, digest_of, pieces

MILLION = 1_000_000
UPLOAD_BYTES = 200 * 1024 * 1024


@pytest.fixture(scope="module")
def notebook(server: ServerName, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(
        "app:app",
        server=server,
        interface="wsgi",
        cwd=ADOPT / "flask_app",
        folder=tmp_path_factory.mktemp(f"flask-{server}"),
    ) as running:
        yield running


def test_a_note_stays_in_the_session(notebook: Served) -> None:
    with notebook.client() as client:
        answer = client.post("/notes", data={"text": "buy <tea>"})
        assert (answer.status_code, answer.headers["location"]) == (302, "/")
        page = client.get("/").text
        assert "Noted: buy &lt;tea&gt;" in page
        assert "<li>buy &lt;tea&gt;</li>" in page
        assert "Noted" not in client.get("/").text
        assert "Visits: 3" in client.get("/").text


def test_another_browser_has_another_session(notebook: Served) -> None:
    with notebook.client() as one, notebook.client() as other:
        one.post("/notes", data={"text": "mine"})
        assert "mine" not in other.get("/").text


def test_a_wrong_form_is_refused(notebook: Served) -> None:
    with notebook.client() as client:
        answer = client.post("/notes", data={"text": " "})
        assert (answer.status_code, answer.text) == (400, "A note needs some text.")


def test_an_app_that_fails_answers_500_and_goes_on(notebook: Served) -> None:
    with notebook.client() as client:
        assert client.get("/broken").status_code == 500
        assert client.get("/").status_code == 200
    assert notebook.says("broken on purpose")


def test_a_stream_comes_in_pieces(notebook: Served) -> None:
    with notebook.client() as client:
        export = counted(client, "/numbers.csv?rows=5000")
    assert export.lines_count == 5001
    assert export.last_line == f"4999,{4999 * 4999}"
    assert export.headers["content-type"] == "text/csv; charset=utf-8"


def test_an_upload_arrives_whole(notebook: Served) -> None:
    with notebook.client() as client:
        answer = client.post("/uploads", content=b"x" * 300_000)
    assert answer.json()["bytes"] == 300_000


@pytest.mark.timeout(60)
def test_a_million_rows_are_streamed_in_little_memory(notebook: Served) -> None:
    with notebook.client() as client:
        client.get("/")
        memory = MemoryPeak(notebook.pid)
        export = counted(client, f"/numbers.csv?rows={MILLION}")
        assert export.lines_count == MILLION + 1
        assert memory.growth_bytes() < GROWTH_BYTES_MAX


@pytest.mark.timeout(60)
def test_a_large_upload_is_read_in_little_memory(notebook: Served) -> None:
    with notebook.client() as client:
        client.get("/")
        memory = MemoryPeak(notebook.pid)
        answer = client.post(
            "/uploads", content=pieces(UPLOAD_BYTES), headers={"Content-Length": str(UPLOAD_BYTES)}
        )
        assert answer.json() == {"bytes": UPLOAD_BYTES, "sha256": digest_of(UPLOAD_BYTES)}
        assert memory.growth_bytes() < GROWTH_BYTES_MAX
