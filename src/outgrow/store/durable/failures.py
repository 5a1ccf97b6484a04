"""What an attempt died of, in a form that tells like from unlike."""

from __future__ import annotations

import hashlib
import re
import traceback
from pathlib import Path

from outgrow.store.durable.records import Failure

TEXT_CHARACTERS_MAX = 4_000
_FRAMES_COUNT = 3
_OURS = str(Path(__file__).parents[2])
# Ids, numbers and quoted values differ from one failure to the next.
_VARIABLE = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8}-[0-9a-f-]{27}|\d+|'[^']*'|\"[^\"]*\"")


def failure_of(error: BaseException) -> Failure:
    """The failure that an exception stands for.

    Its fingerprint is made of the exception's type, the functions that it came through last, and
    its text without what varies.
    """
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    text = str(error).replace("\0", "").encode(errors="replace").decode()
    frames = traceback.extract_tb(error.__traceback__)
    # Ours come and go, such as the step meter's; but where nothing else failed, they count.
    frames = [one for one in frames if not one.filename.startswith(_OURS)] or frames
    frames = frames[-_FRAMES_COUNT:]
    places = [f"{Path(frame.filename).name}:{frame.name}" for frame in frames]
    marks = "\n".join([kind, *places, _VARIABLE.sub("?", text)[:TEXT_CHARACTERS_MAX]])
    return Failure(
        type=kind,
        text=text[:TEXT_CHARACTERS_MAX],
        fingerprint=hashlib.sha256(marks.encode()).hexdigest()[:16],
    )


WORKER_DIED = Failure(
    type="WorkerDied",
    text="its worker died or was silent for longer than its lease",
    fingerprint="worker-died",
)


def is_death(failure: Failure | None) -> bool:
    """Whether an attempt ended with its worker."""
    return failure is not None and failure.fingerprint == WORKER_DIED.fingerprint


NO_REASON = Failure(type="", text="it failed without a reason", fingerprint="no-reason")
