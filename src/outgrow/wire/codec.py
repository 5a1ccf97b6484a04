"""How values of one type cross a boundary: written as MessagePack, read as the declared type.

The same narrowing happens in one process as between machines: what is not exactly of its declared
type and unchangeable is written and read, wherever the call goes. So a subclass of `int` arrives as
an `int`, a list where a tuple is declared as a tuple, and a zone keeps its offset but not its name.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import typing
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, cast
from uuid import UUID

import msgspec

from outgrow.errors import SignatureError, ValueMismatchError
from outgrow.wire.exact import ExactTest, field_types, is_named_tuple, unwrapped

_SCALARS = (
    *(bool, int, float, str, bytes, bytearray, NoneType),
    *(date, datetime, time, timedelta, Decimal, UUID),
)
_CONTAINERS = (list, tuple, set, frozenset, dict, Mapping)
_MOMENTS = (datetime, time)
_SHOWN_CHARACTERS_MAX = 60


class Codec:
    """Writes, reads and copies the values of one type.

    Args:
        kind: The type.
        what: What it is the type of, for messages, such as "`sku` of `Stock.reserve`".

    Attributes:
        passes: Whether a value may pass as it is.
        has_moments: Whether it has to be `written` before it is encoded.

    Raises:
        SignatureError: Values of this type cannot cross.
    """

    def __init__(self, kind: Any, what: str) -> None:
        self.kind = kind
        self.what = what
        found = _Walk(what)
        found.visit(kind)
        self.has_moments = found.has_moments
        try:
            self._decode = msgspec.msgpack.Decoder(kind, dec_hook=_made).decode
        except TypeError as problem:
            raise SignatureError(f"{what} cannot cross: {problem}") from None
        test, names = self.written_test("value", "_")
        self.passes: typing.Callable[[Any], bool] = eval(f"lambda value: {test}", names)

    def written_test(self, value: str, prefix: str) -> tuple[str, dict[str, Any]]:
        """What `passes` tests, as source, and what that refers to.

        Args:
            value: What the source calls the value.
            prefix: What names of its own begin with.
        """
        writing = ExactTest(prefix)
        return writing.expression(self.kind, value) or "False", writing.names

    def encode(self, value: Any) -> bytes:
        """The value as bytes.

        Raises:
            ValueMismatchError: It cannot be written.
        """
        try:
            return _encode(self.written(value) if self.has_moments else value)
        except (TypeError, ValueError, OverflowError, RecursionError) as problem:
            raise ValueMismatchError(f"{self.what} is {_shown(value)}: {problem}") from None

    def written(self, value: Any) -> Any:
        """The value with what keeps its zone as text, which the encoder would otherwise not."""
        return msgspec.to_builtins(value, builtin_types=(bytes, bytearray), enc_hook=_plain)

    def decode(self, encoded: bytes) -> Any:
        """The value behind the bytes.

        Raises:
            ValueMismatchError: It is none of the declared type.
        """
        try:
            return self._decode(encoded)
        except (msgspec.MsgspecError, ValueError, RecursionError) as problem:
            raise ValueMismatchError(f"{self.what} does not fit: {problem}") from None

    def crossed(self, value: Any) -> Any:
        """The value as it arrives at the other side.

        Raises:
            ValueMismatchError: It is none of the declared type.
        """
        return value if self.passes(value) else self.decode(self.encode(value))


class ArgumentsCodec:
    """Writes and reads all arguments of a call at once.

    Args:
        codecs: Of each parameter, in their order.
    """

    def __init__(self, codecs: Iterable[Codec]) -> None:
        self._codecs = tuple(codecs)
        self._moments = [at for at, each in enumerate(self._codecs) if each.has_moments]
        kind = tuple[tuple(each.kind for each in self._codecs)]  # type: ignore[misc]
        self._decode = msgspec.msgpack.Decoder(kind, dec_hook=_made).decode

    def encode(self, values: tuple[Any, ...]) -> bytes:
        """The arguments as bytes.

        Raises:
            ValueMismatchError: One cannot be written; names it.
        """
        try:
            if self._moments:
                changed = list(values)
                for at in self._moments:
                    changed[at] = self._codecs[at].written(changed[at])
                return _encode(changed)
            return _encode(values)
        except Exception:
            for codec, value in zip(self._codecs, values, strict=True):
                codec.encode(value)
            raise

    def decode(self, encoded: bytes) -> tuple[Any, ...]:
        """The arguments behind the bytes.

        Raises:
            ValueMismatchError: One is none of its declared type; names it.
        """
        try:
            return self._decode(encoded)
        except Exception:
            try:
                parts = _raws(encoded)
            except msgspec.MsgspecError as problem:
                raise ValueMismatchError(f"the arguments make no sense: {problem}") from None
            for codec, part in zip(self._codecs, parts, strict=False):
                codec.decode(bytes(part))
            count, wanted = len(parts), len(self._codecs)
            raise ValueMismatchError(f"{count} arguments came where {wanted} are taken") from None


_raws = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode


class _Walk:
    """Looks whether all of a type can cross."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.has_moments = False
        self._seen: set[Any] = set()

    def visit(self, kind: Any) -> None:
        kind = unwrapped(kind)
        if typing.get_origin(kind) is Annotated:
            kind = typing.get_args(kind)[0]
        origin = typing.get_origin(kind)
        if origin is Literal or kind in (Any, None, object):
            return
        if origin in (Union, UnionType) or origin in _CONTAINERS:
            for each in typing.get_args(kind):
                if each is not ...:
                    self.visit(each)
            return
        plain: Any = origin or kind
        if not isinstance(plain, type) or isinstance(kind, typing.TypeVar):
            raise self._refused(kind)
        self._visit_class(plain, kind)

    def _visit_class(self, plain: Any, kind: Any) -> None:
        if plain in _MOMENTS or _is_model(plain):
            self.has_moments = True
        if plain in _SCALARS or plain in _CONTAINERS or _is_model(plain):
            return
        if issubclass(plain, enum.Enum) or typing.is_typeddict(plain) or plain in self._seen:
            return
        if inspect.isabstract(plain) or not _is_record(plain):
            raise self._refused(kind)
        self._seen.add(plain)
        try:
            fields = field_types(plain)
        except NameError as problem:
            raise SignatureError(
                f"{self.what} is `{_name(kind)}`, a field of which names `{problem.name}`, "
                "which its module does not have when it runs",
                hint=f"Import `{problem.name}` there for real, not under `if TYPE_CHECKING:`",
            ) from None
        for each in fields.values():
            self.visit(each)

    def _refused(self, kind: Any) -> SignatureError:
        return SignatureError(
            f"{self.what} is of the type `{_name(kind)}`, which cannot cross between processes",
            hint="Use plain data: numbers, text, lists, dicts, dataclasses, enums, dates",
        )


def _is_record(kind: Any) -> bool:
    is_attrs = hasattr(kind, "__attrs_attrs__")
    return (
        dataclasses.is_dataclass(kind)
        or issubclass(kind, msgspec.Struct)
        or is_named_tuple(kind)
        or is_attrs
    )


def _is_model(kind: Any) -> bool:
    """Whether this is a model of pydantic, which stays an optional guest."""
    return hasattr(kind, "model_validate") and hasattr(kind, "model_dump")


def _plain(value: Any) -> Any:
    """What is written in the place of a value that the encoder does not know."""
    if _is_model(type(value)):
        return value.model_dump()
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, bytes):
        return bytes(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Mapping):
        return dict(cast("Mapping[Any, Any]", value))
    if isinstance(value, list | tuple | set | frozenset):
        return list(cast("list[Any]", value))
    raise TypeError(f"a `{type(value).__qualname__}` is no plain data")


def _made(kind: Any, value: Any) -> Any:
    """A value of a class that the decoder does not know."""
    if kind is object:
        return value
    if _is_model(kind):
        return kind.model_validate(value, by_alias=False, by_name=True)
    raise TypeError(f"a `{kind.__qualname__}` is no plain data")


_encode = msgspec.msgpack.Encoder(enc_hook=_plain).encode


def _name(kind: Any) -> str:
    return kind.__qualname__ if isinstance(kind, type) else str(kind).replace("typing.", "")


def _shown(value: object) -> str:
    text = repr(value)
    if len(text) > _SHOWN_CHARACTERS_MAX:
        text = text[:_SHOWN_CHARACTERS_MAX] + "..."
    return f"`{text}`"
