"""Where each setting's value comes from: the command line, the environment, a file, the default.

The nearer to the person at the keyboard wins, in that order. Every value remembers its source, so
that `outgrow run --explain` can say it.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
import tomllib
import types
import typing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

from outgrow.errors import SettingsFileError, SettingValueError, UnknownSettingError
from outgrow.model import Replicas, Settings, queue_bounds
from outgrow.placement.plan_table import plan_in
from outgrow.store import durable_place

if typing.TYPE_CHECKING:
    from collections.abc import Mapping

    from outgrow.placement.machine import Machine
    from outgrow.placement.plan import Plan

FILE_NAME = "outgrow.toml"
_PROJECT_FILE_NAME = "pyproject.toml"
_ENVIRONMENT_PREFIX = "OUTGROW_"
_MISSPELT_RATIO = 0.6
# Tables that the observer understands.
_OBSERVED = ("objectives", "signs", "prices")
_APP_KEYS = ("name", "services", "providers", "edges")
# Variables of ours that are no settings of `run`.
_OTHER_VARIABLES = {"OUTGROW_FAULTS", "OUTGROW_TOKENS", "OUTGROW_WORKER"}
_KUBERNETES_VARIABLE = re.compile(r"OUTGROW_(SERVICE_(HOST|PORT)|PORT_\d)\w*")
HOST_AND_PORT = re.compile(r"\[?([^\[\]\s]+)\]?:([1-9]\d{0,4})")
_FIELDS = {field.name: field for field in dataclasses.fields(Settings)}
_TYPES = typing.get_type_hints(Settings)


@dataclass(frozen=True)
class Chosen:
    """One setting with its source.

    Attributes:
        name: The setting.
        value: What holds.
        source: Such as `--port`, `OUTGROW_PORT`, `outgrow.toml` or `default`.
    """

    name: str
    value: object
    source: str


@dataclass(frozen=True)
class Resolved:
    """All settings, and where each came from.

    Attributes:
        plan: Which group runs what.
        objectives: What is promised of operations, as the file has it.
        signs: Which signs are silenced, likewise.
        prices: What things cost, likewise.
    """

    settings: Settings
    chosen: tuple[Chosen, ...]
    plan: Plan
    objectives: Mapping[str, object] = dataclasses.field(default_factory=dict[str, object])
    signs: Mapping[str, object] = dataclasses.field(default_factory=dict[str, object])
    prices: Mapping[str, object] = dataclasses.field(default_factory=dict[str, object])


def resolve(
    flags: Mapping[str, object],
    machine: Machine,
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Resolved:
    """Find the value of each setting.

    Args:
        flags: From the command line, by setting; None where a flag was not given.
        machine: For settings that say `auto`.
        environment: The process's own by default.
        folder: Where outgrow.toml or pyproject.toml are looked for; the current one by default.

    Raises:
        SettingError: A name or a value is wrong; says where it stands.
    """
    environment = os.environ if environment is None else environment
    content, file_name = _from_file(folder or Path())
    file_values = _run_table(content, file_name)
    _refuse_unknown_variables(environment)
    chosen = [
        _choose(name, flags, environment, file_values, file_name, machine) for name in _FIELDS
    ]
    settings = Settings(**{one.name: cast("Any", one.value) for one in chosen})
    _check_together(settings)
    plan = plan_in(content, file_name, settings, partial(_replicas_in_file, file_name, machine))
    if next(one for one in chosen if one.name == "workers").source not in ("default", file_name):
        plan = plan.resized(plan.edge.name, settings.workers)  # who says it now is nearer
    others = {name: _table(content, name, file_name) for name in _OBSERVED}
    return Resolved(settings, tuple(chosen), plan, **others)


def _choose(
    name: str,
    flags: Mapping[str, object],
    environment: Mapping[str, str],
    file_values: Mapping[str, object],
    file_name: str,
    machine: Machine,
) -> Chosen:
    field = _FIELDS[name]
    flag = flags.get(name)
    if flag is not None and flag != []:
        source = "the command line" if name == "app" else f"--{name.replace('_', '-')}"
        return Chosen(name, _parsed(name, flag, source, machine), source)
    for variable in (_ENVIRONMENT_PREFIX + name.upper(), *field.metadata["env"]):
        text = environment.get(variable)
        # Kubernetes writes such an address there for a service named `outgrow`.
        if text and not text.startswith("tcp://"):
            return Chosen(name, _parsed(name, text, variable, machine), variable)
    if name in file_values:
        return Chosen(name, _parsed(name, file_values[name], file_name, machine), file_name)
    return Chosen(name, field.default, "default")


def _from_file(folder: Path) -> tuple[Mapping[str, object], str]:
    for file_name in (FILE_NAME, _PROJECT_FILE_NAME):
        path = folder / file_name
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as problem:
            raise SettingsFileError(f"cannot read {path}: {problem}") from None
        except tomllib.TOMLDecodeError as problem:
            raise SettingsFileError(f"{path} is not valid TOML: {problem}") from None
        if file_name == _PROJECT_FILE_NAME:
            tools = cast("object", content.get("tool", {}))
            own = cast("dict[str, object]", tools).get("outgrow") if isinstance(tools, dict) else 0
            if own is None:
                continue
            if not isinstance(own, dict):
                raise SettingsFileError(f"`tool.outgrow` in {path} is no table")
            content = cast("dict[str, object]", own)
        return content, file_name
    return {}, ""


def _run_table(content: Mapping[str, object], file_name: str) -> Mapping[str, object]:
    for table in content:
        if table not in ("app", "run", "size", *_OBSERVED):
            raise UnknownSettingError(
                f"{file_name} has `{table}`, which is no table of Outgrow",
                hint="Known: [app], [run], [size.machine.groups.NAME], "
                + ", ".join(f"[{name}]" for name in _OBSERVED),
            )
    values = dict(_table(content, "run", file_name, _FIELDS))
    app = _table(content, "app", file_name, _APP_KEYS)
    for name in ("name", "providers", "services"):
        if name in app:
            values.setdefault(name, app[name])
    return values


def _table(
    content: Mapping[str, object],
    name: str,
    file_name: str,
    known: typing.Iterable[str] | None = None,
) -> Mapping[str, object]:
    table = content.get(name, {})
    if not isinstance(table, dict):
        raise SettingValueError(
            f"`{name}` in {file_name} is no table", hint=f"Write it as [{name}]"
        )
    values = cast("dict[str, object]", table)
    for key in values:
        if known is not None and key not in known:
            raise UnknownSettingError(
                f"`{key}` in [{name}] of {file_name} is no setting", hint=_nearest(key, known)
            )
    return values


def _refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    """Refuse what looks like a setting misspelt; others may use our prefix for their own ends.

    Kubernetes does: a service named `outgrow` puts OUTGROW_SERVICE_HOST into every container.
    """
    for variable in environment:
        name = variable.removeprefix(_ENVIRONMENT_PREFIX)
        is_other = variable in _OTHER_VARIABLES or _KUBERNETES_VARIABLE.fullmatch(variable)
        if name == variable or name.lower() in _FIELDS or is_other:
            continue
        near = difflib.get_close_matches(name.lower(), _FIELDS, n=1, cutoff=_MISSPELT_RATIO)
        if near:
            raise UnknownSettingError(
                f"the environment variable {variable} is no setting",
                hint=f"Did you mean `{_ENVIRONMENT_PREFIX}{near[0].upper()}`?",
            )


def _nearest(name: str, known: typing.Iterable[str]) -> str | None:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"Did you mean `{near[0]}`?" if near else None


def _parsed(name: str, value: object, source: str, machine: Machine) -> object:
    """The value in the setting's own type.

    Raises:
        SettingValueError: It cannot be that.
    """
    if name == "workers":
        parsed: object = _replicas(value, machine)
        expected = "a number, MIN:MAX or auto"
    else:
        parsed, expected = _converted(value, _TYPES[name])
    if parsed is None:
        shown = "what it has" if _FIELDS[name].metadata["secret"] else f"`{value}`"
        raise SettingValueError(f"`{name}` cannot be {shown} (from {source}); it is {expected}")
    if isinstance(parsed, int | float) and not isinstance(parsed, bool) and parsed < 0:
        raise SettingValueError(f"`{name}` cannot be {value} (from {source}); it is 0 or more")
    return parsed


def _replicas(value: object, machine: Machine) -> Replicas | None:
    if isinstance(value, dict):
        table = cast("dict[str, object]", value)
        low, high = table.get("min", 1), table.get("max", table.get("min", 1))
        if set(table) - {"min", "max"} or not isinstance(low, int) or not isinstance(high, int):
            return None
    elif value == "auto":
        low, high = 1, machine.workers_max
    else:
        match = re.fullmatch(r"(\d+)(?::(\d+))?", str(value).strip())
        if match is None:
            return None
        low, high = int(match[1]), int(match[2] or match[1])
    return Replicas(low, high) if 1 <= low <= high <= _WORKERS_MAX else None


_WORKERS_MAX = 1024


def parse_replicas(text: str, machine: Machine) -> Replicas:
    """`4`, `2:4` or `auto` as bounds.

    Raises:
        SettingValueError: It is none of these.
    """
    return cast("Replicas", _parsed("workers", text, "the request", machine))


def _replicas_in_file(file_name: str, machine: Machine, value: object) -> Replicas:
    return cast("Replicas", _parsed("workers", value, file_name, machine))


def _converted(value: object, kind: Any) -> tuple[object, str]:
    """The value as this type, or None, and what the type is in words."""
    options = typing.get_args(kind)
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        return _converted(value, next(one for one in options if one is not types.NoneType))
    if typing.get_origin(kind) is Literal:
        return (value if value in options else None), "one of " + ", ".join(options)
    if typing.get_origin(kind) is tuple:
        items = [value] if isinstance(value, str) else value
        is_text = isinstance(items, list | tuple) and all(
            isinstance(item, str) for item in cast("list[object]", items)
        )
        return (tuple(cast("list[str]", items)) if is_text else None), "a list of texts"
    return _as_plain(value, kind)


def _as_plain(value: object, kind: type) -> tuple[object, str]:
    if kind is bool:
        if isinstance(value, bool):
            return value, ""
        words = {
            "1": True,
            "true": True,
            "yes": True,
            "on": True,
            "0": False,
            "false": False,
            "no": False,
            "off": False,
        }
        return words.get(str(value).lower()), "true or false"
    if kind is str:
        return (value if isinstance(value, str) else None), "a text"
    expected = "a whole number" if kind is int else "a number"
    if isinstance(value, bool) or (kind is int and isinstance(value, float)):
        return None, expected
    try:
        number = kind(cast("Any", value))
    except (TypeError, ValueError, OverflowError):
        return None, expected
    return (number if number == number else None), expected  # NaN is no number


def _check_together(settings: Settings) -> None:
    for name in ("port", "page_port"):
        if (getattr(settings, name) or 0) > 65_535:
            raise SettingValueError(
                f"`{name}` cannot be {getattr(settings, name)}; it is 0 to 65535"
            )
    if not 1 <= settings.busy_percent <= 100:
        raise SettingValueError(f"`busy_percent` cannot be {settings.busy_percent}; it is 1 to 100")
    queue_bounds(settings.queue)
    if settings.durable_url:
        durable_place(settings.durable_url)
    if settings.threads < 1:
        raise SettingValueError("`threads` cannot be 0; it is 1 or more")
    if settings.tls_key and not settings.tls_certificate:
        raise SettingValueError("`tls_key` needs `tls_certificate`", hint="Give both files")
    if settings.observer and not HOST_AND_PORT.fullmatch(settings.observer):
        raise SettingValueError(
            f"`observer` cannot be {settings.observer}; it is HOST:PORT",
            hint="Such as `watch.example.com:7789`",
        )
    files = ("tls_certificate", "tls_key", "tls_client_ca", "log_config")
    for name in (*files, "tokens_file", "observer_ca"):
        path = getattr(settings, name)
        if path and not Path(path).is_file():
            raise SettingValueError(f"`{name}` names {path}, which is no file")
    if not Path(settings.app_dir).is_dir():
        raise SettingValueError(f"`app_dir` names {settings.app_dir}, which is no folder")
