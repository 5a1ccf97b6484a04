"""What a folder's settings file says about the app: its services, providers and edges."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from outgrow.errors import SettingsFileError, SettingValueError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_FILE, _PROJECT_FILE = "outgrow.toml", "pyproject.toml"


@dataclass(frozen=True)
class AppTable:
    """The table `[app]`, with what `[run]` says about where the code is.

    Attributes:
        name: For people; empty where it is not said.
        services: Import strings.
        providers: Import strings.
        edges: Import strings by name; the app of `[run]` is the edge `web` where none is named.
        app_dir: The folder that modules are imported from.
    """

    name: str = ""
    services: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    edges: Mapping[str, str] = field(default_factory=dict[str, str])
    app_dir: str = "."


def app_table(folder: Path) -> AppTable:
    """Read outgrow.toml, or pyproject.toml where there is none; empty where neither says anything.

    Raises:
        SettingError: A file cannot be read, or holds something else than an app.
    """
    content, file = _content(folder)
    app = _table(content, "app", file)
    run = _table(content, "run", file)
    edges = cast("dict[str, str]", _table(app, "edges", file))
    if not edges and isinstance(run.get("app"), str):
        edges = {"web": cast("str", run["app"])}
    return AppTable(
        name=str(app.get("name", "")),
        services=_texts(app, "services", file),
        providers=_texts(app, "providers", file),
        edges={str(name): str(edge) for name, edge in edges.items()},
        app_dir=str(run.get("app_dir", ".")),
    )


def _content(folder: Path) -> tuple[dict[str, Any], str]:
    for name in (_FILE, _PROJECT_FILE):
        path = folder / name
        try:
            content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as problem:
            raise SettingsFileError(f"cannot read {path}: {problem}") from None
        except tomllib.TOMLDecodeError as problem:
            raise SettingsFileError(f"{path} is not valid TOML: {problem}") from None
        if name == _PROJECT_FILE:
            content = _table(_table(content, "tool", name), "outgrow", name)
        if content:
            return content, name
    return {}, _FILE


def _table(content: Mapping[str, Any], name: str, file: str) -> dict[str, Any]:
    found = content.get(name, {})
    if not isinstance(found, dict):
        raise SettingValueError(f"`{name}` in {file} is no table", hint=f"Write it as [{name}]")
    return cast("dict[str, Any]", found)


def _texts(content: Mapping[str, Any], name: str, file: str) -> tuple[str, ...]:
    found = content.get(name, ())
    if not isinstance(found, list | tuple) or not all(
        isinstance(each, str) for each in cast("list[object]", found)
    ):
        raise SettingValueError(
            f"`{name}` under [app] in {file} is no list of texts",
            hint=f'Write `{name} = ["module:name"]`',
        )
    return tuple(cast("list[str]", found))
