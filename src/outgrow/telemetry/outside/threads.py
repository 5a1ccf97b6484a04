"""Work that a request hands to a thread pool stays part of that request.

`asyncio.to_thread` takes the context along, `loop.run_in_executor` and an executor's own `submit`
do not: then statements of such a thread would be nobody's. Only our own variables go along, such
that nothing changes for the app.
"""

from __future__ import annotations

from contextvars import copy_context
from functools import wraps
from typing import TYPE_CHECKING, Any

from outgrow.telemetry.traces import here

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import ContextVar

# That of the trace, and that by which the host knows the request.
_TAKEN_ALONG = {"outgrow_segment", "outgrow_arrival"}


def watch_threads(module: Any) -> None:
    """Have thread pools take along what tells the request.

    Args:
        module: `concurrent.futures.thread`, imported.
    """
    cls = module.ThreadPoolExecutor
    submit: Any = cls.submit

    @wraps(submit)
    def submit_here(self: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if here.get() is None:
            return submit(self, fn, *args, **kwargs)
        known = [(one, value) for one, value in copy_context().items() if one.name in _TAKEN_ALONG]
        return submit(self, _run, known, fn, *args, **kwargs)

    cls.submit = submit_here


def _run(
    known: list[tuple[ContextVar[Any], Any]], fn: Callable[..., Any], /, *args: Any, **kwargs: Any
) -> Any:
    tokens = [(variable, variable.set(value)) for variable, value in known]
    try:
        return fn(*args, **kwargs)
    finally:
        for variable, token in tokens:
            variable.reset(token)
