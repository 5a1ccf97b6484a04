"""A reading list: validation, plain and async routes, events, uploads, a streamed export."""

import asyncio
import hashlib
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, File, HTTPException, Query, Request, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

DATABASE = Path(os.environ.get("BOOKS_DATABASE", ".outgrow/books.db"))
ROWS_MAX = 10_000_000
PIECE_BYTES = 64 * 1024


class NewBook(BaseModel):
    """A book to read."""

    title: str = Field(min_length=1, max_length=200)
    pages: int = Field(gt=0, le=10_000)


class Book(NewBook):
    """A book on the list."""

    id: int


def connect() -> sqlite3.Connection:
    """Open the list for one request."""
    return sqlite3.connect(DATABASE, timeout=10)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Make the list where there is none."""
    DATABASE.parent.mkdir(parents=True, exist_ok=True)
    with closing(connect()) as connection, connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS books (id INTEGER PRIMARY KEY, title TEXT, pages INTEGER)"
        )
    yield


app = FastAPI(title="Reading list", lifespan=lifespan)


@app.post("/books", status_code=201)
def add(book: NewBook) -> Book:
    """Put a book on the list."""
    with closing(connect()) as connection, connection:
        row = connection.execute(
            "INSERT INTO books (title, pages) VALUES (?, ?) RETURNING id", (book.title, book.pages)
        ).fetchone()
    return Book(id=row[0], **book.model_dump())


@app.get("/books/{book_id}")
def show(book_id: int) -> Book:
    """Find a book on the list."""
    with closing(connect()) as connection:
        row = connection.execute(
            "SELECT id, title, pages FROM books WHERE id = ?", (book_id,)
        ).fetchone()
    if row is None:
        raise HTTPException(404, "No such book.")
    return Book(id=row[0], title=row[1], pages=row[2])


@app.post("/uploads")
async def upload(request: Request) -> dict[str, str | int]:
    """Read a body of any length piece by piece; answer its length and SHA-256."""
    digest, length = hashlib.sha256(), 0
    async for piece in request.stream():
        digest.update(piece)
        length += len(piece)
    return {"bytes": length, "sha256": digest.hexdigest()}


@app.post("/files")
async def upload_file(file: Annotated[UploadFile, File()]) -> dict[str, str | int | None]:
    """Take a file of a form; Starlette keeps it on disk, not in memory."""
    digest, length = hashlib.sha256(), 0
    while piece := await file.read(PIECE_BYTES):
        digest.update(piece)
        length += len(piece)
    return {"name": file.filename, "bytes": length, "sha256": digest.hexdigest()}


@app.get("/ticks")
async def ticks(count: Annotated[int, Query(ge=1, le=1000)] = 3) -> StreamingResponse:
    """Send server-sent events."""

    async def events() -> AsyncIterator[str]:
        for number in range(count):
            yield f"id: {number}\ndata: tick {number}\n\n"
            await asyncio.sleep(0.05)

    return StreamingResponse(events(), media_type="text/event-stream")


@app.get("/numbers.csv")
def export(rows: Annotated[int, Query(ge=0, le=ROWS_MAX)] = 1000) -> StreamingResponse:
    """Stream as many rows as asked for, from a plain generator in a thread."""

    def lines() -> Iterator[str]:
        yield "number,square\n"
        for first in range(0, rows, 1000):
            numbers = range(first, min(first + 1000, rows))
            yield "".join(f"{number},{number * number}\n" for number in numbers)

    return StreamingResponse(lines(), media_type="text/csv")
