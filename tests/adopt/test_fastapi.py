"""The FastAPI example: validation, docs page, events, uploads and a streamed export."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.adopt.memory import GROWTH_BYTES_MAX, MemoryPeak
from tests.adopt.serving import ADOPT, Served, ServerName, served
from tests.adopt.streams import counted, digest_of, pieces

MILLION = 1_000_000
UPLOAD_BYTES = 200 * 1024 * 1024


@pytest.fixture(scope="module")
def books(server: ServerName, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp(f"fastapi-{server}")
    with served(
        "app:app",
        server=server,
        cwd=ADOPT / "fastapi_app",
        folder=folder,
        environment={"BOOKS_DATABASE": str(folder / "books.db")},
    ) as running:
        yield running


def test_the_docs_page_and_its_schema_are_there(books: Served) -> None:
    with books.client() as client:
        assert "swagger-ui" in client.get("/docs").text
        schema = client.get("/openapi.json").json()
    assert set(schema["paths"]) >= {"/books", "/books/{book_id}", "/uploads"}


def test_a_book_is_kept(books: Served) -> None:
    with books.client() as client:
        made = client.post("/books", json={"title": "Emma", "pages": 474})
        assert made.status_code == 201
        assert client.get(f"/books/{made.json()['id']}").json() == made.json()


def test_a_missing_book_is_a_404(books: Served) -> None:
    with books.client() as client:
        answer = client.get("/books/999")
    assert (answer.status_code, answer.json()) == (404, {"detail": "No such book."})


def test_a_wrong_body_is_answered_422_with_the_reason(books: Served) -> None:
    with books.client() as client:
        answer = client.post("/books", json={"title": "", "pages": "many"})
    assert answer.status_code == 422
    assert [error["loc"] for error in answer.json()["detail"]] == [
        ["body", "title"],
        ["body", "pages"],
    ]


def test_events_come_one_by_one(books: Served) -> None:
    with books.client() as client, client.stream("GET", "/ticks?count=4") as answer:
        pieces_of_text = [piece for piece in answer.iter_raw() if piece]
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert len(pieces_of_text) == 4
    assert pieces_of_text[3] == b"id: 3\ndata: tick 3\n\n"


def test_a_file_of_a_form_arrives_whole(books: Served) -> None:
    with books.client() as client:
        answer = client.post("/files", files={"file": ("tea.bin", b"x" * 3_000_000)})
    assert (answer.json()["name"], answer.json()["bytes"]) == ("tea.bin", 3_000_000)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "with its length"])
def test_a_large_upload_is_read_in_little_memory(books: Served, chunked: bool) -> None:
    headers = {} if chunked else {"Content-Length": str(UPLOAD_BYTES)}
    with books.client() as client:
        client.get("/docs")
        memory = MemoryPeak(books.pid)
        answer = client.post("/uploads", content=pieces(UPLOAD_BYTES), headers=headers)
        assert answer.json() == {"bytes": UPLOAD_BYTES, "sha256": digest_of(UPLOAD_BYTES)}
        assert memory.growth_bytes() < GROWTH_BYTES_MAX


@pytest.mark.timeout(60)
def test_a_million_rows_are_streamed_in_little_memory(books: Served) -> None:
    with books.client() as client:
        client.get("/docs")
        memory = MemoryPeak(books.pid)
        assert counted(client, f"/numbers.csv?rows={MILLION}").lines_count == MILLION + 1
        assert memory.growth_bytes() < GROWTH_BYTES_MAX
