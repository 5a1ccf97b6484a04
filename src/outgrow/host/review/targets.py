"""From the words on a command line to the code that they mean, imported and parsed."""

from __future__ import annotations

import ast
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outgrow.errors import AppMissingError
from outgrow.host.clock import system_clock
from outgrow.host.imported import imports_in, loaded_files
from outgrow.host.places import is_own
from outgrow.host.review.apps import apps_beside, apps_in, apps_of, edge_module, is_same_edge
from outgrow.host.review.code import Code, SourceFile
from outgrow.host.review.imports import Imports, files_in, module_name
from outgrow.host.review.leniency import lenient_clients
from outgrow.host.review.sketch import sketch_of
from outgrow.host.review.table import AppTable, app_table
from outgrow.model import App, all_providers, all_services

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence


def code_of(targets: Sequence[str], app_dir: str | None = None) -> Code:
    """Import what the targets name, and read it.

    Args:
        targets: Each an import string, a file or a folder; what the settings file says where
            there are none.
        app_dir: The folder that modules are imported from.

    Raises:
        AppError: There is nothing to look at, or it cannot be imported.
        SettingError: The settings file is wrong.
    """
    table = app_table(Path())
    imports = Imports(Path(app_dir or table.app_dir).resolve())
    files = [file for each in targets if (file := (imports.root / each).resolve()).is_file()]
    folders = [Path(each).resolve() for each in targets if Path(each).is_dir()]
    paths = [*files, *(path for folder in folders for path in files_in(folder))]
    named = _named(targets, table, imports.root)
    with lenient_clients():
        for path in paths:
            # Of a folder, only such files can declare or ask for a service.
            if path in files or "outgrow" in imports_in(path.read_bytes(), ""):
                imports.file(path)
        things = {each: imports.thing(each) for each in named}
        providers = [imports.thing(each) for each in table.providers]
        # Of an app that is named, its edges belong to the code as its services do.
        apps = apps_in([*things.values(), *(imports.file(each) for each in files)])
        for edge in [each for app in apps for each in app.edges.values()]:
            imports.thing(edge)
    modules = _modules(imports, paths)
    if targets:
        table = _narrowed(table, things, modules)
    wanted = set(paths) if paths and not named else None
    return _collected(table, apps, providers, modules, wanted)


def _named(targets: Sequence[str], table: AppTable, root: Path) -> list[str]:
    """The targets that are import strings, or those of the settings file where there are none."""
    if targets:
        return [each for each in targets if not (Path(each).is_dir() or (root / each).is_file())]
    named = [*table.services, *table.edges.values()]
    if not named:
        raise AppMissingError(
            "nothing to look at: no target was named, and no settings file names an app",
            hint="Name a folder or a module: `outgrow check .`, `outgrow check shop.api:app`",
        )
    return named


def _narrowed(table: AppTable, things: Mapping[str, Any], modules: Mapping[Path, str]) -> AppTable:
    """The table with those of its edges that were read, and the apps that were named by hand."""
    edges = {name: edge for name, edge in table.edges.items() if _is_read(edge, modules)}
    found = [
        name
        for name, thing in things.items()
        if ":" in name and callable(thing) and not isinstance(thing, type)
    ]
    others = [name for name in found if not any(is_same_edge(name, x) for x in edges.values())]
    is_alone = len(others) == 1 and not edges
    edges |= {"web": others[0]} if is_alone else {name: name for name in others}
    return dataclasses.replace(table, edges=edges)


def _modules(imports: Imports, paths: Sequence[Path]) -> dict[Path, str]:
    """The modules that belong to the app: below its folder, in its packages, or asked for."""
    found = {
        path: name
        for path, name in loaded_files().items()
        if path.is_relative_to(imports.root) or name.partition(".")[0] in imports.tops
    }
    return {path: module_name(path, imports.root)[1] for path in paths} | found


def _collected(
    table: AppTable,
    named: Sequence[App],
    providers: Iterable[Callable[..., Any]],
    modules: Mapping[Path, str],
    wanted: set[Path] | None,
) -> Code:
    files = sorted(_parsed(modules, wanted), key=lambda one: one.module)
    names = {file.module for file in files}
    apps = apps_in(sys.modules.get(name) for name in sorted(names))
    classes = [cls for cls in all_services() if cls.__module__ in names and _is_current(cls)]
    of_apps = [each for app in apps for each in app.providers]
    marked = [each for each in reversed(all_providers()) if _is_known(each, names)]
    name, edges = _named_by(table, named, apps, modules)
    return Code(
        files={file.module: file for file in files},
        services=tuple(sketch_of(cls) for cls in classes),
        providers=tuple(dict.fromkeys([*providers, *of_apps, *marked, system_clock])),
        edges=edges,
        name=name,
    )


def _named_by(
    table: AppTable, named: Sequence[App], apps: Sequence[App], modules: Mapping[Path, str]
) -> tuple[str, dict[str, str]]:
    """What the app is called, and its edges by the names that it gives them."""
    given = table.edges
    own = list(named) or apps_of(given.values(), apps) or _beside(given.values(), modules)
    own = own or list(apps)
    theirs = {
        name: edge for app in own for name, edge in app.edges.items() if _is_read(edge, modules)
    }
    others = {
        name: edge
        for name, edge in given.items()
        if not any(is_same_edge(edge, each) for each in theirs.values())
    }
    return table.name or (own[0].name if len(own) == 1 else ""), others | theirs


def _is_read(edge: str, modules: Mapping[Path, str]) -> bool:
    return edge_module(edge) in (*modules.values(), *sys.modules)


def _beside(edges: Iterable[str], modules: Mapping[Path, str]) -> list[App]:
    """The apps with these edges in files that nobody imports, each once."""
    found: list[App] = []
    for edge in edges:
        found += [app for app in apps_beside(edge, modules) if app not in found]
    return found


def _parsed(modules: Mapping[Path, str], wanted: set[Path] | None) -> Iterator[SourceFile]:
    for path, name in modules.items():
        try:
            source = path.read_bytes()
            tree = ast.parse(source, filename=str(path))
        except (OSError, SyntaxError, ValueError):
            continue  # nobody imports it, or the import has said it
        imports = imports_in(source, name, is_package=path.name == "__init__.py")
        yield SourceFile(path, name, tree, imports, wanted is None or path in wanted)


def _is_current(cls: type) -> bool:
    """Whether a class is of the module as it is loaded now, not of one that it replaced."""
    module = sys.modules.get(cls.__module__)
    return module is not None and getattr(cls.__init__, "__globals__", None) is vars(module)


def _is_known(function: Callable[..., Any], names: set[str]) -> bool:
    """Whether a provider is of the app as it is loaded now, or of a library that it uses."""
    module = sys.modules.get(function.__module__)
    if module is None or getattr(function, "__globals__", None) is not vars(module):
        return False
    return function.__module__ in names or not is_own(module.__file__ or "<")
