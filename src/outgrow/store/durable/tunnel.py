"""How each method of a durable store is called from another process.

The methods are read from the protocol itself, so that there is one list of them.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Collection
from typing import Any
from uuid import UUID

import msgspec

from outgrow.store.durable import protocol, records

_NAMES = {**vars(records), **vars(protocol), "UUID": UUID}
PARTS: dict[str, type] = {
    "log": protocol.Log,
    "queue": protocol.Queue,
    "dead": protocol.Dead,
    "crew": protocol.Crew,
    "": protocol.DurableStore,
}
# What the keeper does for all.
_OWN = ("start", "stop")


def _listed(value: Any) -> Any:
    """A collection that is neither list nor set, such as the keys of a `dict`."""
    if isinstance(value, Collection):
        return list(typing.cast("Collection[Any]", value))
    raise TypeError(f"{type(value).__name__} cannot be written")


_encode = msgspec.msgpack.Encoder(enc_hook=_listed).encode


class Method:
    """One method: how its arguments and its result are written and read."""

    def __init__(self, function: Any) -> None:
        hints = typing.get_type_hints(function, _NAMES)
        parameters = list(inspect.signature(function).parameters.values())[1:]
        self._signature = inspect.Signature(parameters)
        self._keyword_only = [
            one.name for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY
        ]
        kinds = {one.name: hints[one.name] for one in parameters}
        arguments = msgspec.defstruct("Arguments", list(kinds.items()))
        self._arguments = msgspec.msgpack.Decoder(arguments)
        self._made = arguments
        self._result = msgspec.msgpack.Decoder(hints["return"])

    def encoded(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        """A call's arguments."""
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return _encode(self._made(**bound.arguments))

    def arguments(self, body: bytes) -> tuple[list[Any], dict[str, Any]]:
        """What was encoded."""
        found = self._arguments.decode(body)
        every = {name: getattr(found, name) for name in self._signature.parameters}
        named = {name: every.pop(name) for name in self._keyword_only}
        return list(every.values()), named

    def encoded_result(self, result: Any) -> bytes:
        """A call's result."""
        return _encode(result)

    def result(self, body: bytes) -> Any:
        """What was encoded."""
        return self._result.decode(body)


METHODS: dict[tuple[str, str], Method] = {
    (part, name): Method(function)
    for part, kind in PARTS.items()
    for name, function in vars(kind).items()
    if inspect.iscoroutinefunction(function) and name not in _OWN
}
