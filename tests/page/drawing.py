"""Makes a picture of the page small: at most 256 colours, its inks and their edges."""

from __future__ import annotations

import struct
import zlib
from collections import Counter

COLOURS_MAX = 256
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {2: 3, 6: 4}


def smaller(png: bytes) -> bytes:
    """The picture with each pixel in the nearest of its own most frequent colours.

    Args:
        png: As a browser draws it: eight bits a channel, not interlaced; what is seen through it
            is taken for opaque.
    """
    width, height, pixels = pixels_of(png)
    counts = Counter(pixels)
    inks = _inks(counts)
    places = {colour: inks.index(_nearest(colour, inks)) for colour in counts}
    rows = bytearray()
    for start in range(0, width * height, width):
        rows.append(0)
        rows += bytes(places[pixel] for pixel in pixels[start : start + width])
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    return b"".join(
        (
            _SIGNATURE,
            chunk(b"IHDR", head),
            chunk(b"PLTE", b"".join(inks)),
            chunk(b"IDAT", zlib.compress(bytes(rows), 9)),
            chunk(b"IEND", b""),
        )
    )


def _inks(counts: Counter[bytes]) -> list[bytes]:
    """The most frequent colours, of those that look alike only the most frequent one."""
    if len(counts) <= COLOURS_MAX:
        return list(counts)
    alike: dict[bytes, bytes] = {}
    weights: Counter[bytes] = Counter()
    for colour, count in counts.most_common():
        kind = bytes(channel >> 3 for channel in colour)
        weights[alike.setdefault(kind, colour)] += count
    return [colour for colour, _ in weights.most_common(COLOURS_MAX)]


def _nearest(colour: bytes, inks: list[bytes]) -> bytes:
    return min(inks, key=lambda ink: sum((a - b) ** 2 for a, b in zip(colour, ink, strict=True)))


def chunk(kind: bytes, content: bytes) -> bytes:
    """A piece of a PNG, with its length and its check sum."""
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def pixels_of(png: bytes) -> tuple[int, int, list[bytes]]:
    """Width, height, and the red, green and blue of each pixel."""
    found = _pieces(png)
    width, height, bits, kind, *_ = struct.unpack(">IIBBBBB", found[b"IHDR"])
    assert bits == 8, "eight bits a channel are read, no others"
    size = _CHANNELS[kind]
    lines = zlib.decompress(found[b"IDAT"])
    above = bytes(width * size)
    pixels: list[bytes] = []
    for row in range(height):
        start = row * (width * size + 1)
        above = _unfiltered(lines[start], lines[start + 1 : start + 1 + width * size], above, size)
        pixels += [above[at : at + 3] for at in range(0, width * size, size)]
    return width, height, pixels


def _pieces(png: bytes) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    at = len(_SIGNATURE)
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        kind = png[at + 4 : at + 8]
        found[kind] = found.get(kind, b"") + png[at + 8 : at + 8 + length]
        at += 12 + length
    return found


def _unfiltered(kind: int, line: bytes, above: bytes, size: int) -> bytes:
    """A line as it was before each byte was told by its neighbours; kinds are those of PNG."""
    if kind == 0:
        return line
    out = bytearray(line)
    for at, byte in enumerate(line):
        left = out[at - size] if at >= size else 0
        up = above[at]
        if kind == 1:
            told = left
        elif kind == 2:
            told = up
        elif kind == 3:
            told = (left + up) // 2
        else:
            told = _paeth(left, up, above[at - size] if at >= size else 0)
        out[at] = (byte + told) & 0xFF
    return bytes(out)


def _paeth(left: int, up: int, corner: int) -> int:
    wanted = left + up - corner
    far = (abs(wanted - left), abs(wanted - up), abs(wanted - corner))
    if far[0] <= far[1] and far[0] <= far[2]:
        return left
    return up if far[1] <= far[2] else corner
