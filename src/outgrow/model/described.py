"""What a service is, read from its class: its operations and what it needs.

It is read when it is first asked for, not when the class is written: by then every module is
imported, so that annotations may name classes that stand further down.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import typing
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, cast

import msgspec

from outgrow.errors import (
    EnvironmentVariableError,
    FieldTypeError,
    NotAServiceError,
    SignatureError,
)
from outgrow.model.declare import EnvironmentDefault, OperationOptions, ServiceOptions

FieldKind = Literal["service", "resource", "environment", "value", "provided"]

_STREAMS = (AsyncIterator, AsyncGenerator, AsyncIterable)
_REFUSED_KINDS = {
    inspect.Parameter.VAR_POSITIONAL: "*",
    inspect.Parameter.VAR_KEYWORD: "**",
}


@dataclass(frozen=True)
class Field:
    """One thing that a service needs.

    Attributes:
        service: The service's name.
        name: The field's.
        type: Its type.
        kind: Where its value comes from: a client of another service; a resource that is made for
            each service, such as a database; the environment; a plain default; a provider.
        default: What stands behind the equals sign; `...` where nothing does.
    """

    service: str
    name: str
    type: Any
    kind: FieldKind
    default: Any = ...

    @property
    def variable(self) -> str:
        """The environment variable that sets it, for a field of kind `environment`."""
        return self.default.name or f"{self.service}_{self.name}".upper().replace("-", "_")

    def from_environment(self, environment: Mapping[str, str]) -> Any:
        """Its value, for a field of kind `environment`.

        Raises:
            EnvironmentVariableError: The variable is missing, or its text is no such value.
        """
        text = environment.get(self.variable)
        owner = f"`{self.name}` of service `{self.service}`"
        if text is None:
            if self.default.default is ...:
                raise EnvironmentVariableError(f"{self.variable} is not set, which {owner} needs")
            return self.default.default
        try:
            return _parsed(text, self.type)
        except msgspec.ValidationError as problem:
            shown = "its value" if self.default.secret else f"`{text}`"
            raise EnvironmentVariableError(
                f"{self.variable} is set, but {shown} does not fit {owner}: {problem}",
                hint=f"Give it a value of the type {_shown(self.type)}",
            ) from None


@dataclass(frozen=True)
class Parameter:
    """One parameter of an operation; `default` is `...` where it has none."""

    name: str
    type: Any
    default: Any = ...
    is_keyword_only: bool = False


@dataclass(frozen=True)
class Operation:
    """A method that others may call.

    Attributes:
        service: Name of its service.
        owner: Name of the class.
        name: Of the method.
        function: The method itself, unbound.
        kind: `async`; `stream` for an async generator; `thread` for a `def`.
        parameters: Without `self`.
        result: Type of the result; of each item, for a stream.
        options: What `@operation` was given.
    """

    service: str
    owner: str
    name: str
    function: Callable[..., Any]
    kind: Literal["async", "stream", "thread"]
    parameters: tuple[Parameter, ...]
    result: Any
    options: OperationOptions

    @property
    def shown(self) -> str:
        """`Stock.reserve`."""
        return f"{self.owner}.{self.name}"


@dataclass(frozen=True)
class ServiceModel:
    """All that the marks on one class say.

    Attributes:
        cls: The class.
        name: Of the service.
        module: Where it is written.
        operations: By name.
        fields: By name.
        starts: Names of its start hooks, in order.
        stops: Names of its stop hooks.
        options: What `@service` was given.
    """

    cls: type
    name: str
    module: str
    operations: Mapping[str, Operation]
    fields: Mapping[str, Field]
    starts: tuple[str, ...]
    stops: tuple[str, ...]
    options: ServiceOptions

    @property
    def needs(self) -> tuple[type, ...]:
        """The services that it calls."""
        return tuple(field.type for field in self.fields.values() if field.kind == "service")


def is_service(thing: object) -> bool:
    """Whether this is a class made a service."""
    return isinstance(thing, type) and "__outgrow_service__" in thing.__dict__


def describe(cls: type) -> ServiceModel:
    """What this service is.

    Raises:
        NotAServiceError: The class is none.
        FieldTypeError: An annotation names something that cannot be found.
        SignatureError: An operation cannot be called from elsewhere.
    """
    known: ServiceModel | None = cls.__dict__.get("__outgrow_model__")
    if known is not None:
        return known
    if not is_service(cls):
        shown = getattr(cls, "__qualname__", repr(cls))
        raise NotAServiceError(f"`{shown}` is no service")
    options: ServiceOptions = cls.__dict__["__outgrow_service__"]
    model = ServiceModel(
        cls=cls,
        name=options.name,
        module=cls.__module__,
        operations=MappingProxyType(_operations_of(cls, options)),
        fields=MappingProxyType(_fields_of(cls, options)),
        starts=_hooks_of(cls, "start"),
        stops=_hooks_of(cls, "stop"),
        options=options,
    )
    setattr(cls, "__outgrow_model__", model)  # noqa: B010
    return model


# Fields.


def _fields_of(cls: type, options: ServiceOptions) -> dict[str, Field]:
    found: dict[str, Field] = {}
    for each in dataclasses.fields(cls):
        if not each.init:
            continue
        kind = _field_type(cls, each.name, options)
        default = _default_of(each)
        found[each.name] = Field(options.name, each.name, kind, _kind_of(kind, default), default)
    return found


def _default_of(each: dataclasses.Field[Any]) -> Any:
    if each.default is not dataclasses.MISSING:
        return each.default
    if each.default_factory is not dataclasses.MISSING:
        return getattr(each.default_factory, "__outgrow_default__", each.default_factory)
    return ...


def _kind_of(kind: Any, default: Any) -> FieldKind:
    if isinstance(default, EnvironmentDefault):
        return "environment"
    if is_service(kind):
        return "service"
    if getattr(kind, "__outgrow_resource__", False):
        return "resource"
    return "provided" if default is ... else "value"


def _field_type(cls: type, name: str, options: ServiceOptions) -> Any:
    for owner in cls.__mro__:
        annotations = inspect.get_annotations(owner)
        if name in annotations:
            annotation = annotations[name]
            what = f"the field `{name}: {_text(annotation)}` of `{cls.__qualname__}`"
            return _resolved(annotation, owner.__module__, options, what)
    raise AssertionError(name)


def _resolved(annotation: Any, module: str, options: ServiceOptions, what: str) -> Any:
    """The type that an annotation stands for, which may be text or hold some."""
    names = vars(sys.modules[module]) if module in sys.modules else {}
    holder = {"it": annotation}
    try:
        hints = typing.get_type_hints(
            cast("Any", type("_", (), {"__annotations__": holder})),
            globalns=dict(names),
            localns=dict(options.names),
            include_extras=True,
        )
    except NameError as problem:
        file = getattr(sys.modules.get(module), "__file__", module)
        raise FieldTypeError(
            f"{what} names `{problem.name}`, which {file} does not have when it runs",
            hint=f"Import `{problem.name}` there for real, not under `if TYPE_CHECKING:`",
        ) from None
    except Exception as problem:
        raise FieldTypeError(f"{what} is no type: {problem}", hint="Mend the annotation") from None
    return hints["it"]


def _text(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else _shown(annotation)


def _shown(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")


def _parsed(text: str, kind: Any) -> Any:
    origin = typing.get_origin(kind)
    if origin in (tuple, list, set, frozenset):
        parts = [part.strip() for part in text.split(",") if part.strip()]
        return msgspec.convert(parts, kind, strict=False)
    plain: Any = kind
    if isinstance(plain, type) and not issubclass(plain, int | float | str | bytes):
        return msgspec.convert(text, kind, strict=False, dec_hook=_made_of)
    return msgspec.convert(text, kind, strict=False)


def _made_of(kind: type, text: object) -> object:
    """A value of a class that msgspec does not know, such as a path."""
    try:
        return kind(text)
    except Exception as problem:
        raise ValueError(str(problem)) from None


# Operations.


def _operations_of(cls: type, options: ServiceOptions) -> dict[str, Operation]:
    found: dict[str, Operation] = {}
    for name, owner in _members(cls):
        member = owner.__dict__[name]
        marks: OperationOptions | None = getattr(member, "__outgrow_operation__", None)
        if marks is not None:
            found[name] = _operation(cls, owner, name, marks, options)
    return found


def _members(cls: type) -> list[tuple[str, type]]:
    """Each name of the class with the class that it comes from, in the order they are written."""
    owners: dict[str, type] = {}
    for owner in reversed(cls.__mro__[:-1]):
        owners |= dict.fromkeys(owner.__dict__, owner)
    return list(owners.items())


def _operation(
    cls: type, owner: type, name: str, marks: OperationOptions, options: ServiceOptions
) -> Operation:
    function = owner.__dict__[name]
    shown = f"{cls.__qualname__}.{name}"
    if not inspect.isfunction(function):
        raise SignatureError(f"`{shown}` is no plain method", hint="Put `@operation` on a method")
    if name.startswith("_"):
        raise SignatureError(f"`{shown}` is private by its name", hint="Name it without the `_`")
    signature = inspect.signature(function)
    parameters = tuple(
        _parameter(each, function, shown, options)
        for each in list(signature.parameters.values())[1:]
    )
    result, kind = _result(function, signature, shown, options)
    return Operation(
        options.name, cls.__qualname__, name, function, kind, parameters, result, marks
    )


def _parameter(
    each: inspect.Parameter, function: Any, shown: str, options: ServiceOptions
) -> Parameter:
    if each.kind in _REFUSED_KINDS:
        raise SignatureError(
            f"`{shown}` takes `{_REFUSED_KINDS[each.kind]}{each.name}`, which cannot be checked",
            hint="Name each parameter, or take one list",
        )
    if each.kind is inspect.Parameter.POSITIONAL_ONLY:
        raise SignatureError(
            f"`{shown}` takes `{each.name}` by position only", hint="Remove the `/`"
        )
    if each.annotation is inspect.Parameter.empty:
        raise SignatureError(
            f"the parameter `{each.name}` of `{shown}` has no type",
            hint=f"Write `{each.name}: TYPE`",
        )
    what = f"the parameter `{each.name}: {_text(each.annotation)}` of `{shown}`"
    kind = _resolved(each.annotation, function.__module__, options, what)
    default = ... if each.default is inspect.Parameter.empty else each.default
    is_keyword_only = each.kind is inspect.Parameter.KEYWORD_ONLY
    return Parameter(each.name, kind, default, is_keyword_only)


def _result(
    function: Any, signature: inspect.Signature, shown: str, options: ServiceOptions
) -> tuple[Any, Literal["async", "stream", "thread"]]:
    annotation = signature.return_annotation
    if annotation is inspect.Signature.empty:
        raise SignatureError(
            f"`{shown}` does not say what it returns", hint="Write `-> TYPE`, or `-> None`"
        )
    what = f"the result `{_text(annotation)}` of `{shown}`"
    kind = _resolved(annotation, function.__module__, options, what)
    if inspect.isasyncgenfunction(function):
        if typing.get_origin(kind) not in _STREAMS:
            raise SignatureError(
                f"`{shown}` yields, but is said to return {_shown(kind)}",
                hint="Write `-> AsyncIterator[TYPE]`",
            )
        return typing.get_args(kind)[0], "stream"
    if typing.get_origin(kind) in _STREAMS:
        raise SignatureError(
            f"`{shown}` returns an iterator, which cannot cross",
            hint="Make it an async generator: `yield` each item",
        )
    if inspect.isgeneratorfunction(function):
        raise SignatureError(f"`{shown}` is a generator", hint="Make it `async def`, which streams")
    return kind, "async" if inspect.iscoroutinefunction(function) else "thread"


def _hooks_of(cls: type, which: str) -> tuple[str, ...]:
    return tuple(
        name
        for name, owner in _members(cls)
        if getattr(owner.__dict__[name], "__outgrow_hook__", None) == which
    )
