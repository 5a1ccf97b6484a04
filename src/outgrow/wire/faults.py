"""Exceptions as values: an operation's exception reaches its caller with its class and its content.

An exception is rebuilt from its class, its arguments and its attributes, without running its
`__init__`. Where its caller could not import the class, it is a `RemoteError`, also in one process.
"""

from __future__ import annotations

import builtins
import sys
from typing import Any, cast

import msgspec

from outgrow.errors import OutgrowError, RemoteError
from outgrow.wire.exact import encodes

_INT_MIN, _INT_MAX = -(2**63), 2**64 - 1
_TEXT_CHARACTERS_MAX = 4000


class Fault(msgspec.Struct, frozen=True):
    """An exception on its way.

    Attributes:
        module: Where its class is.
        name: Of the class, with dots.
        arguments: Its `args`.
        attributes: What else it holds.
        text: What it says.
    """

    module: str
    name: str
    arguments: list[Any]
    attributes: dict[str, Any]
    text: str


def fault_of(error: Exception) -> Fault:
    """The exception as a value that can be written."""
    kind = type(error)
    attributes = {name: _sendable(each) for name, each in vars(error).items()}
    arguments = [_sendable(each) for each in error.args]
    return Fault(kind.__module__, kind.__qualname__, arguments, attributes, _text(error))


def error_of(fault: Fault) -> Exception:
    """The exception behind a value; a `RemoteError` where it cannot be made."""
    kind = _class_of(fault.module, fault.name)
    if kind is not None:
        try:
            return _rebuilt(kind, fault)
        except Exception:  # its own `__new__` may want anything
            kind = None
    return RemoteError(f"{fault.module}.{fault.name}: {fault.text}")


def crossed_error(error: Exception) -> Exception:
    """The exception as it arrives at the other side."""
    kind = type(error)
    is_known = _class_of(kind.__module__, kind.__qualname__) is kind
    if is_known and all(map(_is_scalar, (*error.args, *vars(error).values()))):
        return error
    return error_of(fault_of(error)).with_traceback(error.__traceback__)


def _class_of(module: str, name: str) -> type[Exception] | None:
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found if isinstance(found, type) and issubclass(found, Exception) else None


def _rebuilt(kind: type[Exception], fault: Fault) -> Exception:
    if vars(builtins).get(kind.__name__) is kind:
        error = kind(*fault.arguments)
    else:
        error = kind.__new__(kind, *fault.arguments)
        error.args = tuple(fault.arguments)
    vars(error).update(fault.attributes)
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
