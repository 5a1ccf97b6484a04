"""Pictures become small, and stay what they show."""

from __future__ import annotations

import struct
import zlib

import pytest

from tests.page.drawing import chunk, pixels_of, smaller

WIDTH, HEIGHT = 48, 9


def picture(colours: list[bytes], kinds: tuple[int, ...]) -> bytes:
    """A PNG of these colours in turn, its lines told in these ways in turn."""
    pixels = [colours[(7 * at) % len(colours)] for at in range(WIDTH * HEIGHT)]
    lines = bytearray()
    above = bytes(WIDTH * 3)
    for row in range(HEIGHT):
        line = b"".join(pixels[row * WIDTH : (row + 1) * WIDTH])
        lines += _filtered(kinds[row % len(kinds)], line, above)
        above = line
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(bytes(lines)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


def _filtered(kind: int, line: bytes, above: bytes) -> bytes:
    told = bytearray([kind])
    for at, byte in enumerate(line):
        left = line[at - 3] if at >= 3 else 0
        corner = above[at - 3] if at >= 3 else 0
        wanted = left + above[at] - corner
        nearest = min((left, above[at], corner), key=lambda one: abs(wanted - one))
        by = (0, left, above[at], (left + above[at]) // 2, nearest)[kind]
        told.append((byte - by) & 0xFF)
    return bytes(told)


def seen(small: bytes) -> list[bytes]:
    """The colours of a small picture, pixel by pixel."""
    palette = small[small.index(b"PLTE") + 4 :]
    start = small.index(b"IDAT")
    (length,) = struct.unpack(">I", small[start - 4 : start])
    lines = zlib.decompress(small[start + 4 : start + 4 + length])
    places = [place for row in range(HEIGHT) for place in lines[row * 49 + 1 : row * 49 + 49]]
    return [palette[3 * place : 3 * place + 3] for place in places]


@pytest.mark.parametrize("kind", range(5), ids=["plain", "left", "above", "mean", "paeth"])
def test_a_picture_of_few_colours_stays_the_same(kind: int) -> None:
    colours = [bytes((3 * n, 255 - 2 * n, n)) for n in range(80)]
    drawn = picture(colours, (kind, 0))
    assert seen(smaller(drawn)) == pixels_of(drawn)[2]


def test_of_many_colours_each_becomes_one_that_looks_like_it() -> None:
    colours = [bytes((n % 256, n // 2 % 256, 255 - n % 256)) for n in range(WIDTH * HEIGHT)]
    drawn = picture(colours, (0,))
    for was, now in zip(pixels_of(drawn)[2], seen(smaller(drawn)), strict=True):
        assert max(abs(a - b) for a, b in zip(was, now, strict=True)) <= 16
