"""Exceptions as values: an operation's exception reaches its caller with its class and its content.

An exception is rebuilt from its class, its arguments and its attributes, without running its
`__init__`. Where its caller could not import the class, or the class cannot be made so, it is a
`RemoteError`, also in one process. A group is rebuilt from its parts.
"""

from __future__ import annotations

import builtins
import sys
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from types import CodeType, GetSetDescriptorType, MemberDescriptorType
from typing import Any, cast
from weakref import WeakKeyDictionary

import msgspec

from outgrow.errors import OutgrowError, OverloadedError, RemoteError, UnavailableError
from outgrow.wire.exact import encodes

_INT_MIN, _INT_MAX = -(2**63), 2**64 - 1
_TEXT_CHARACTERS_MAX = 4000
_TRACE_LINES_MAX = 20
_CLASSES_MAX = 256
_PLACES_MAX = 1024
_TRACE_TITLE = "Raised in another process:"
_NOT_BEGUN = (UnavailableError, OverloadedError)
# Written source has a name in angle brackets.
_OWN_FILES = (str(Path(__file__).parents[1]), "<")


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """An exception on its way.

    Attributes:
        module: Where its class is.
        name: Of the class, with dots.
        arguments: Its `args`.
        attributes: What else it holds.
        text: What it says.
        parts: Of a group.
        trace: Where it was raised, the innermost call last; empty where its caller sees that.
    """

    module: str
    name: str
    arguments: list[Any]
    attributes: dict[str, Any]
    text: str
    parts: list[Fault] = []
    trace: list[str] = []


def fault_of(error: Exception, *, is_traced: bool = False) -> Fault:
    """The exception as a value that can be written.

    Args:
        error: The exception.
        is_traced: Whether to say where it was raised, as the other side cannot see that.
    """
    parts = [fault_of(each, is_traced=is_traced) for each in _parts_of(error)]
    return _fault(error, parts, is_traced=is_traced)


def _fault(error: Exception, parts: list[Fault], *, is_traced: bool) -> Fault:
    kind = type(error)
    attributes = {name: _sendable(each) for name, each in _held(error).items()}
    arguments = [_sendable(each) for each in _arguments_of(error)]
    trace = _trace_of(error, attributes) if is_traced else []
    text = _text(error)
    return Fault(kind.__module__, kind.__qualname__, arguments, attributes, text, parts, trace)


def error_of(fault: Fault) -> Exception:
    """The exception behind a value; a `RemoteError` where it cannot be made."""
    return _error(fault, [error_of(each) for each in fault.parts])


def _error(fault: Fault, parts: list[Exception]) -> Exception:
    kind = _class_of(fault.module, fault.name)
    if kind is not None:
        try:
            error = _rebuilt(kind, fault, parts)
            _add_trace(error, fault)
        except Exception:  # its own `__new__` may want anything
            pass
        else:
            return error
    error = RemoteError(f"{fault.module}.{fault.name}: {fault.text}")
    _add_trace(error, fault)
    return error


def crossed_error(error: Exception) -> Exception:
    """The exception of an operation that had begun, as it arrives at the other side."""
    parts = _parts_of(error)
    crossed = [crossed_error(each) for each in parts]
    is_same = all(map(_is_same, parts, crossed))
    if isinstance(error, _NOT_BEGUN) and not error.may_have_run:
        # One that it called did not run, but it did: who repeats it would repeat a part of it.
        error = error_of(fault_of(error)).with_traceback(error.__traceback__)
        if isinstance(error, _NOT_BEGUN):
            error.may_have_run = True
    if is_same and _may_pass(error):
        return error
    fault = _fault(error, [], is_traced=False)
    return _error(fault, crossed).with_traceback(error.__traceback__)


def _is_same(one: object, other: object) -> bool:
    return one is other


# Which exceptions may pass as they are.

# Whether objects of a class come out of the two functions above as they went in.
_survives: WeakKeyDictionary[type, bool] = WeakKeyDictionary()


def _may_pass(error: Exception) -> bool:
    kind = type(error)
    if _class_of(kind.__module__, kind.__qualname__) is not kind:
        return False
    held = _held(error)
    if not all(map(_is_scalar, (*_arguments_of(error), *held.values()))):
        return False
    known = _survives.get(kind)
    if known is None:
        again = _error(_fault(error, [], is_traced=False), _parts_of(error))
        known = type(again) is kind and (again.args, _held(again)) == (error.args, held)
        known = _survives[kind] = known and _safe_text(again) == _safe_text(error)
    return known


def _class_of(module: str, name: str) -> type[Exception] | None:
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found if isinstance(found, type) and issubclass(found, Exception) else None


# What an exception holds.


def _parts_of(error: Exception) -> list[Exception]:
    if not isinstance(error, ExceptionGroup):
        return []
    return list(cast("ExceptionGroup[Exception]", error).exceptions)


def _arguments_of(error: Exception) -> tuple[Any, ...]:
    if isinstance(error, ExceptionGroup):
        return (cast("ExceptionGroup[Exception]", error).message,)
    return error.args


def _held(error: Exception) -> dict[str, Any]:
    """Its attributes, those in slots as well."""
    held = dict(vars(error))
    for name, slot in _slots(type(error)).items():
        with suppress(AttributeError):
            if (value := slot.__get__(error)) is not None:
                held[name] = value
    return held


@lru_cache(_CLASSES_MAX)
def _slots(kind: type[Exception]) -> dict[str, Any]:
    """The attributes that are not in `__dict__`, such as the `filename` of an OSError."""
    return {
        name: slot
        for each in reversed(kind.__mro__)
        # All have what the first two have, and an AttributeError holds on to any object at all.
        if each not in (BaseException, BaseExceptionGroup, AttributeError)
        for name, slot in vars(each).items()
        if isinstance(slot, MemberDescriptorType | GetSetDescriptorType)
        and not name.startswith("__")
    }


def _rebuilt(kind: type[Exception], fault: Fault, parts: list[Exception]) -> Exception:
    new, slots = cast("Any", kind), _slots(kind)
    error: Exception
    if issubclass(kind, ExceptionGroup):
        error = ExceptionGroup.__new__(new, fault.arguments[0], parts)
    elif vars(builtins).get(kind.__name__) is kind:
        error = new(*fault.arguments)
    else:
        error = new.__new__(new, *fault.arguments)
        error.args = tuple(fault.arguments)
    for name, value in fault.attributes.items():
        if name in slots:
            with suppress(AttributeError, TypeError):  # some cannot be set
                slots[name].__set__(error, value)
        else:
            vars(error)[name] = value
    return error


def _sendable(value: Any) -> Any:
    """The value as plain data; what is none, as the text that shows it."""
    if _is_scalar(value):
        return value
    try:
        return msgspec.msgpack.decode(msgspec.msgpack.encode(value))
    except Exception:  # its own code may run here, and raise anything
        return _safe_repr(value)


def _is_scalar(value: object) -> bool:
    kind = type(value)
    if kind is str:
        return encodes(cast("str", value))
    if kind is int:
        return _INT_MIN <= cast("int", value) <= _INT_MAX
    return value is None or kind in (bool, float, bytes)


def _text(error: Exception) -> str:
    shown = error.text if isinstance(error, OutgrowError) else _safe_text(error)
    return shown[:_TEXT_CHARACTERS_MAX].encode(errors="replace").decode()


def _safe_text(error: Exception) -> str:
    try:
        return str(error)
    except Exception:
        return type(error).__name__


def _safe_repr(value: object) -> str:
    try:
        return repr(value)[:_TEXT_CHARACTERS_MAX].encode(errors="replace").decode()
    except Exception:
        return f"<{type(value).__name__}>"


# Where it was raised.


def _trace_of(error: Exception, attributes: dict[str, Any]) -> list[str]:
    """The calls that it came through here, and before that elsewhere; takes that note away."""
    lines: list[str] = []
    step = error.__traceback__
    while step is not None:
        if (place := _place_of(step.tb_frame.f_code)) is not None:
            lines.append(f"{place[0]}:{step.tb_lineno} in {place[1]}")
        step = step.tb_next
    notes = attributes.get("__notes__")
    if isinstance(notes, list):
        kept: list[object] = []
        for note in cast("list[object]", notes):
            if isinstance(note, str) and note.startswith(_TRACE_TITLE):
                lines += [line.strip() for line in note.splitlines()[1:]]
            else:
                kept.append(note)
        attributes.pop("__notes__")
        if kept:
            attributes["__notes__"] = kept
    return lines[-_TRACE_LINES_MAX:]


@lru_cache(_PLACES_MAX)
def _place_of(code: CodeType) -> tuple[str, str] | None:
    """The names of a piece of code and of its file; None for what the user did not write."""
    if code.co_filename.startswith(_OWN_FILES):
        return None
    file = code.co_filename.rpartition("/")[2].encode(errors="replace").decode()
    return file, code.co_qualname


def _add_trace(error: Exception, fault: Fault) -> None:
    if fault.trace:
        error.add_note("\n  ".join((_TRACE_TITLE, *fault.trace)))
