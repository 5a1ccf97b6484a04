"""Which line of code to name to a person: theirs, not the standard library's or ours."""

from __future__ import annotations

import re
import sys
import sysconfig
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable
    from types import FrameType

_FRAMES_MAX = 5
_OURS = str(Path(__file__).parent.parent)
_PACKAGES = ("site-packages", "dist-packages")


def is_own(file: str) -> bool:
    """Whether a file is part of the app, rather than of Python, of a package or of Outgrow."""
    if file.startswith(("<", sysconfig.get_paths()["stdlib"], _OURS)):
        return False
    return not any(name in file for name in _PACKAGES)


def lines_of(problem: BaseException) -> str:
    """The app's lines that led to a problem, innermost last; a line of text each."""
    if isinstance(problem, SyntaxError) and problem.filename:
        return f"  {problem.filename}:{problem.lineno}: {(problem.text or '').strip()}"
    frames = traceback.extract_tb(problem.__traceback__)
    return _shown((frame.filename, frame.lineno, frame.line or frame.name) for frame in frames)


def lines_in(text: str) -> str:
    """The app's lines in the text of a traceback."""
    found: list[tuple[str, str, str]] = re.findall(r'File "(.+)", line (\d+), in .+\n\s+(.+)', text)
    return _shown(found)


def _shown(places: Iterable[tuple[str, object, str]]) -> str:
    every = list(places)
    own = [place for place in every if is_own(place[0])] or every
    return "\n".join(f"  {file}:{line}: {code}" for file, line, code in own[-_FRAMES_MAX:])


def calling_line() -> str:
    """The app's line that led to this call, `file:line`; empty where there is none."""
    own = [frame for frame in traceback.extract_stack() if is_own(frame.filename)]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else ""


def waiting_line(task: asyncio.Task[Any] | None) -> str:
    """Where a task waits: the innermost of the app's lines in its chain of coroutines."""
    coroutine: Any = task.get_coro() if task is not None else None
    frames: list[FrameType] = []
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "ag_frame", None)
        if frame is not None:
            frames.append(frame)
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "ag_await", None)
    return _innermost(frames)


def running_line(thread: int | None) -> str:
    """Where a thread is now: the innermost of the app's lines in its stack."""
    frame = sys._current_frames().get(thread or 0)  # pyright: ignore[reportPrivateUsage]
    frames: list[FrameType] = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return _innermost(frames[::-1])


def _innermost(frames: list[FrameType]) -> str:
    own = [frame for frame in frames if is_own(frame.f_code.co_filename)]
    if not own:
        return ""
    frame = own[-1]
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
