"""Large bodies, counted as they come and made as they go: the test itself keeps none."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import httpx

PIECE_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Counted:
    """A body that was read and dropped."""

    status_code: int
    headers: httpx.Headers
    lines_count: int
    pieces_count: int
    first_line: str
    last_line: str


def counted(client: httpx.Client, path: str) -> Counted:
    """Ask for a large text and count its lines."""
    lines = pieces = 0
    first = b""
    rest = b""
    with client.stream("GET", path) as answer:
        for piece in answer.iter_raw():
            pieces += 1
            lines += piece.count(b"\n")
            if b"\n" not in first:
                first += piece
            rest = (rest + piece)[-1000:]
    return Counted(
        status_code=answer.status_code,
        headers=answer.headers,
        lines_count=lines,
        pieces_count=pieces,
        first_line=first.split(b"\n", 1)[0].decode().strip(),
        last_line=rest.rstrip().rsplit(b"\n", 1)[-1].decode().strip(),
    )


def pieces(size_bytes: int) -> Iterator[bytes]:
    """A body of so many bytes, in pieces."""
    block = bytes(range(256)) * (PIECE_BYTES // 256)
    for start in range(0, size_bytes, PIECE_BYTES):
        yield block[: min(PIECE_BYTES, size_bytes - start)]


def digest_of(size_bytes: int) -> str:
    """SHA-256 of that body, as the apps answer it."""
    digest = hashlib.sha256()
    for piece in pieces(size_bytes):
        digest.update(piece)
    return digest.hexdigest()
