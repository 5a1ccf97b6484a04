"""What messages say in protobuf and in JSON alike: their fields have the same names in both.

Messages of protobuf have no Python type that also those of JSON have, so whatever reads both takes
them as `Any`, within this folder.
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from outgrow.telemetry.otlp.limits import (
    ATTRIBUTES_MAX,
    DEPTH_MAX,
    KEY_CHARACTERS_MAX,
    VALUE_CHARACTERS_MAX,
)
from outgrow.telemetry.otlp.shapes import AnyValue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outgrow.telemetry.otlp.refusing import Reason
    from outgrow.telemetry.records import Attribute

SERVICE = "service.name"
INSTANCE = "service.instance.id"
# What a resource and a scope say of all that is in them, as each record has it.
OF_RESOURCE = "resource."
OF_SCOPE = "otel.scope."
DROPPED_ATTRIBUTES = "otel.dropped_attributes_count"

_INTEGER_MAX = 1 << 63
_VALUES = (
    *("string_value", "int_value", "bool_value", "double_value", "array_value", "kvlist_value"),
    "bytes_value",
)
_encode = msgspec.json.Encoder().encode


class ItemRefusedError(Exception):
    """One item is not taken; the rest of its request may be.

    Attributes:
        reason: For the count.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


@dataclass
class Place:
    """What a resource and a scope say of each record in them.

    Attributes:
        scope: Name of who measured.
        attributes: The rest of what they say.
    """

    service: str = ""
    worker: str = ""
    scope: str = ""
    attributes: dict[str, Attribute] = field(default_factory=dict[str, "Attribute"])


def place_of(resource: Any) -> Place:
    """What a resource says."""
    attributes, _ = attributes_of(resource.attributes, {})
    service, worker = attributes.pop(SERVICE, ""), attributes.pop(INSTANCE, "")
    named = {f"{OF_RESOURCE}{name}": value for name, value in attributes.items()}
    return Place(str(service), str(worker), "", named)


def within(place: Place, scope: Any) -> Place:
    """What a scope says besides."""
    attributes, _ = attributes_of(scope.attributes, {})
    named = {f"{OF_SCOPE}{name}": value for name, value in attributes.items()}
    if scope.version:
        named[f"{OF_SCOPE}version"] = scope.version[:VALUE_CHARACTERS_MAX]
    return Place(
        place.service,
        place.worker,
        scope.name[:VALUE_CHARACTERS_MAX],
        {**place.attributes, **named},
    )


def attributes_of(
    pairs: Sequence[Any], onto: dict[str, Attribute]
) -> tuple[dict[str, Attribute], int]:
    """Attributes as a record has them, and how many are too many.

    Args:
        pairs: Messages `KeyValue`.
        onto: They are added to it.
    """
    if len(pairs) > ATTRIBUTES_MAX:
        dropped, pairs = len(pairs) - ATTRIBUTES_MAX, pairs[:ATTRIBUTES_MAX]
    else:
        dropped = 0
    for pair in pairs:
        key = pair.key
        if len(key) > KEY_CHARACTERS_MAX:
            key = key[:KEY_CHARACTERS_MAX]
        onto[key] = plain(pair.value)
    return onto, dropped


def noted_drops(attributes: dict[str, Attribute], dropped: int, sent: int) -> dict[str, Attribute]:
    """Attributes that say how many others were dropped: here, and before they were sent."""
    if dropped + sent:
        attributes[DROPPED_ATTRIBUTES] = dropped + sent
    return attributes


def chosen(message: Any, oneof: str) -> str:
    """The field that a group of exclusive ones has; empty where it has none."""
    if not isinstance(message, msgspec.Struct):
        return message.WhichOneof(oneof) or ""
    fields = _VALUES if oneof == "value" else (oneof.removeprefix("_"),)
    return next((name for name in fields if getattr(message, name) is not None), "")


def plain(value: Any) -> Attribute:
    """A value as attributes have it: lists and maps as JSON, bytes in base64."""
    if isinstance(value, AnyValue):
        # Most values of JSON, the shortest way.
        text, number = value.string_value, value.int_value
        if text is not None:
            return text if len(text) <= VALUE_CHARACTERS_MAX else text[:VALUE_CHARACTERS_MAX]
        if number is not None and -_INTEGER_MAX <= number < _INTEGER_MAX:
            return number
    found = _tree_of(value, DEPTH_MAX)
    if isinstance(found, str):
        return found[:VALUE_CHARACTERS_MAX]
    if isinstance(found, list | dict):
        return _encode(found).decode()[:VALUE_CHARACTERS_MAX]
    return found


def _tree_of(value: Any, depth: int) -> str | bool | int | float | list[Any] | dict[str, Any]:
    kind = chosen(value, "value")
    if kind in ("", "string_value_strindex"):
        return ""
    found = getattr(value, kind)
    if kind == "array_value":
        return [_tree_of(each, depth - 1) for each in found.values] if depth else "…"
    if kind == "kvlist_value":
        if not depth:
            return "…"
        return {each.key: _tree_of(each.value, depth - 1) for each in found.values}
    if kind == "bytes_value":
        return found if isinstance(found, str) else base64.b64encode(found).decode()
    if kind == "double_value":
        return finite(found)
    if kind == "int_value" and not -_INTEGER_MAX <= found < _INTEGER_MAX:
        return str(found)
    return found


def finite(value: float | str) -> float | str:
    """A number; as text, as the protocol's JSON has it, if it is none that JSON can write."""
    number = number_of(value)
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def number_of(value: float | str) -> float:
    """A number that JSON may have as text, and must where it is none.

    Raises:
        ItemRefusedError: It is no number.
    """
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise ItemRefusedError("broken") from None


def identity(value: bytes | str, size: int) -> bytes:
    """An id; empty for none, which an id of nothing but zeros is as well.

    Args:
        value: Bytes, or hexadecimal digits, as JSON has it.
        size: Of the id in bytes.

    Raises:
        ItemRefusedError: It has another size, or other digits.
    """
    if isinstance(value, str):
        if len(value) not in (0, 2 * size):
            raise ItemRefusedError("ids")
        try:
            value = bytes.fromhex(value)
        except ValueError:
            raise ItemRefusedError("ids") from None
    if len(value) not in (0, size):
        raise ItemRefusedError("ids")
    return value if value.strip(b"\0") else b""
