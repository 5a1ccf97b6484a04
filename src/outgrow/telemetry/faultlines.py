"""An exception in words, and a fingerprint by which the same fault is told again.

The fingerprint is of its type and of the lines of the app's own code that led to it, without their
numbers: an edit elsewhere in a file leaves it as it is.
"""

from __future__ import annotations

import hashlib
import re
import sysconfig
import traceback
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

TRACEBACK_MAX = 8000
_FRAMES_MAX = 64
_LINES_MAX = 12
_INNER_MAX = 3
# What databases say of a failed statement: its parameters, and the row.
_PARAMETERS = re.compile(r"^(\[parameters: |DETAIL:\s*).*$", re.MULTILINE)
_CUT = "\n  ... (cut)\n"
_OURS = str(Path(__file__).parents[1]) + "/"


class Fault(msgspec.Struct, frozen=True):
    """One exception.

    Attributes:
        kind: Its type, with its module unless that is `builtins`.
        traceback: Its text, cut in the middle; empty where that was not wanted.
        fingerprint: 16 hexadecimal digits.
    """

    kind: str
    traceback: str
    fingerprint: str


def described(error: BaseException, *, is_full: bool = True) -> Fault:
    """An exception in words.

    Args:
        error: It may be a group, and may have causes.
        is_full: Whether with its traceback, which takes most of the time.
    """
    kind, text = kind_of(error), _text_of(error) if is_full else ""
    lines = [kind, *_places(error)]
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        for inner in group.exceptions[:_INNER_MAX]:
            lines += [kind_of(inner), *_places(inner)]
    hashed = hashlib.blake2b("\n".join(lines).encode(errors="replace"), digest_size=8)
    return Fault(kind, text, hashed.hexdigest())


def kind_of(error: BaseException) -> str:
    """The type of an exception, with its module unless that is `builtins`."""
    kind = type(error)
    module = kind.__module__
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"


def _text_of(error: BaseException) -> str:
    text = "".join(traceback.format_exception(error, limit=_FRAMES_MAX))
    if len(text) <= TRACEBACK_MAX:
        return text
    half = (TRACEBACK_MAX - len(_CUT)) // 2
    return text[:half] + _CUT + text[-half:]


def _places(error: BaseException) -> list[str]:
    """Function and line of the innermost frames of the app's code; of any where it has none."""
    every = list(_frames(error.__traceback__))
    own = [frame for frame in every if _is_own(frame.filename)]
    lines: list[str] = []
    for frame in (own or every)[-_LINES_MAX:]:
        line = f"{frame.name}: {(frame.line or '').strip()}"
        if not lines or lines[-1] != line:  # however deep it called itself
            lines.append(line)
    return lines


def _frames(trace: TracebackType | None) -> Iterator[traceback.FrameSummary]:
    # From the inner end, as what recurses without end is as deep as Python lets it be.
    yield from traceback.extract_tb(trace, limit=-_FRAMES_MAX)


@lru_cache(maxsize=1024)
def _is_own(filename: str) -> bool:
    """Whether a file is the app's: no library, not Python's own, not ours."""
    if filename.startswith(("<", _OURS)):
        return False
    return not filename.startswith(_libraries()) and not {
        "site-packages",
        "dist-packages",
    }.intersection(Path(filename).parts)


@lru_cache(maxsize=1)
def _libraries() -> tuple[str, ...]:
    return tuple({f"{sysconfig.get_path(name)}/" for name in ("stdlib", "platstdlib")})


def without_parameters(text: str) -> str:
    """The text of an error without the values that a statement failed for."""
    if "[parameters: " not in text and "DETAIL:" not in text:
        return text
    return _PARAMETERS.sub(r"\1(not kept)", text)
