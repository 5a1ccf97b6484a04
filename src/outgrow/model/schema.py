"""The shape of an event or of a job's arguments, and whether a new one can read the old.

Messages wait while versions change. A field that was added with a default can be read from old
messages, and a neighbour of the old version overlooks it. What was removed, or is of another type,
breaks one of the two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec

Shape = Mapping[str, Any]
"""A JSON Schema with its definitions written out."""

_DEPTH_MAX = 32
_WORDS_ALONE = ("title", "description", "default", "examples")


@dataclass(frozen=True)
class Change:
    """One difference between two shapes.

    Attributes:
        path: Of the field, such as `address.zip`.
        text: What is different.
        breaks: Whether one side cannot read what the other wrote.
    """

    path: str
    text: str
    breaks: bool


def shape_of(fields: Mapping[str, tuple[Any, bool]]) -> Shape:
    """The shape of an object whose fields have these types, and have to be there or not."""
    properties: dict[str, Any] = {}
    for name, (kind, _) in fields.items():
        (schema,), definitions = msgspec.json.schema_components([kind], schema_hook=_foreign)
        properties[name] = _plain(schema, definitions, 0)
    required = sorted(name for name, (_, is_required) in fields.items() if is_required)
    return {"type": "object", "properties": properties, "required": required}


def fingerprint_of(shape: Shape) -> str:
    """The same for equal shapes; 16 hexadecimal digits."""
    return hashlib.sha256(described(shape)).hexdigest()[:16]


def described(shape: Shape) -> bytes:
    """A shape in bytes, to be kept; equal shapes give equal bytes."""
    return msgspec.json.encode(shape, order="sorted")


def shape_from(described: bytes) -> Shape:
    """The shape that was described."""
    return msgspec.json.decode(described, type=dict[str, Any])


def changes(old: Shape, new: Shape, path: str = "") -> list[Change]:
    """The differences between two shapes."""
    if old == new:
        return []
    if "properties" in old and "properties" in new:
        return _changed_fields(old, new, path)
    for part in ("items", "additionalProperties"):
        if _differ_only_in(part, old, new):
            return changes(old[part], new[part], f"{path}[]")
    was, now = _choices(old), _choices(new)
    gone = [_shown(one) for one in was if one not in now]
    if not gone:
        return [Change(path, "takes more than before", breaks=False)]
    return [Change(path, f"was {' or '.join(gone)}, and is {_shown(new)}", breaks=True)]


def _changed_fields(old: Shape, new: Shape, path: str) -> list[Change]:
    was, now = old["properties"], new["properties"]
    found: list[Change] = []
    for name in sorted({*was, *now}):
        place = f"{path}.{name}" if path else name
        is_required = name in new.get("required", ())
        if name not in now:
            found.append(Change(place, "was removed", breaks=True))
        elif name not in was:
            text = "was added, and has no default" if is_required else "was added, with a default"
            found.append(Change(place, text, breaks=is_required))
        else:
            found += changes(was[name], now[name], place)
            if is_required and name not in old.get("required", ()):
                found.append(Change(place, "no longer has a default", breaks=True))
    return found


def _differ_only_in(part: str, old: Shape, new: Shape) -> bool:
    if not (isinstance(old.get(part), dict) and isinstance(new.get(part), dict)):
        return False
    rest = [{key: value for key, value in one.items() if key != part} for one in (old, new)]
    return rest[0] == rest[1]


def _choices(shape: Shape) -> list[Any]:
    """What a value may be, each by itself."""
    if "anyOf" in shape:
        return [choice for one in shape["anyOf"] for choice in _choices(one)]
    if "enum" in shape:
        return [{"const": value} for value in shape["enum"]]
    return [shape]


def _shown(shape: Shape) -> str:
    if "const" in shape:
        return repr(shape["const"])
    if "anyOf" in shape or "enum" in shape:
        return " or ".join(_shown(one) for one in _choices(shape))
    return str(shape.get("format") or shape.get("type") or "anything")


def _plain(schema: Any, definitions: Mapping[str, Any], depth: int) -> Any:
    """A schema without references, titles and defaults; a type within itself is named."""
    if isinstance(schema, Sequence) and not isinstance(schema, str | bytes):
        items = cast("Sequence[Any]", schema)
        return [_plain(one, definitions, depth) for one in items]
    if not isinstance(schema, dict):
        return schema
    shape = cast("dict[str, Any]", schema)
    if "$ref" in shape:
        name = shape["$ref"].rpartition("/")[2]
        if depth >= _DEPTH_MAX:
            return {"type": name}
        return _plain(definitions[name], definitions, depth + 1)
    is_words = "type" in shape or "anyOf" in shape or "enum" in shape
    return {
        key: _plain(value, definitions, depth)
        for key, value in shape.items()
        if not (is_words and key in _WORDS_ALONE)
    }


def _foreign(kind: type) -> dict[str, Any]:
    """What stands for a class that msgspec does not know."""
    own: Any = getattr(kind, "model_json_schema", None)
    if own is not None:  # a model of pydantic's
        schema: dict[str, Any] = own()
        return _plain(schema, schema.get("$defs", {}), 0)
    return {"type": f"{kind.__module__}.{kind.__qualname__}"}
