"""From an import string to an ASGI app: find it, see what kind it is, adapt it."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from outgrow.errors import (
    AppMissingError,
    AttributeMissingError,
    FactoryFailedError,
    ImportFailedError,
    InterfaceError,
    ModuleMissingError,
    PackageMissingError,
)
from outgrow.host.house import client
from outgrow.host.places import lines_of
from outgrow.model import all_providers, provides

if TYPE_CHECKING:
    from collections.abc import Callable

    from outgrow.model import Interface, Settings

_USUAL_NAMES = ("app", "application", "api", "asgi_app", "wsgi_app", "create_app", "make_app")


@dataclass(frozen=True)
class LoadedApp:
    """An app that was found.

    Attributes:
        app: The app itself, not yet adapted.
        interface: Which of the three it is.
        framework: Top-level package of its class, such as `fastapi`; empty for plain functions.
    """

    app: Callable[..., Any]
    interface: Interface
    framework: str


def load_app(settings: Settings) -> LoadedApp:
    """Import the app that the settings name.

    Raises:
        AppError: It cannot be found, imported or understood; says what to do.
    """
    if not settings.app:
        raise AppMissingError("no app was named")
    folder = str(Path(settings.app_dir).resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    for provider in settings.providers:
        _use_provider(provider, folder)
    for service in settings.services:
        client(_found(service, folder))
    module_name, _, attribute = _as_import_string(settings.app, folder).partition(":")
    found = _find(_import(module_name, folder), module_name, attribute)
    framework = _framework_of(found)
    interface: Interface | None = None
    if settings.factory or (settings.interface == "auto" and _needed(found) == []):
        found = _made_by(found, settings.app)
        framework = _framework_of(found) or framework
    interface = settings.interface if settings.interface != "auto" else interface_of(found)
    if interface is None:
        raise InterfaceError(
            f"`{settings.app}` is a {type(found).__name__}, which is no app by its look"
        )
    return LoadedApp(found, interface, framework)


def _found(name: str, folder: str) -> Any:
    module_name, _, attribute = _as_import_string(name, folder).partition(":")
    return _find(_import(module_name, folder), module_name, attribute)


def _use_provider(name: str, folder: str) -> None:
    function = _found(name, folder)
    if function not in all_providers():
        provides(function)


def _as_import_string(app: str, folder: str) -> str:
    """`shop/main.py:app` to `shop.main:app`; anything else as it is."""
    path, colon, attribute = app.partition(":")
    if path.endswith(".py"):
        file = Path(folder, path).resolve()
        if not file.is_relative_to(folder):
            sys.path.insert(0, folder := str(file.parent))
        path = ".".join(file.with_suffix("").relative_to(folder).parts)
    return path + colon + attribute


def _import(name: str, folder: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as problem:
        missing = problem.name or ""
        if name == missing or name.startswith(missing + "."):
            raise ModuleMissingError(
                f"no module `{missing}` in {folder}", hint=_near_modules(folder)
            ) from None
        raise ImportFailedError(
            f"importing `{name}` failed: no module `{missing}`\n{lines_of(problem)}",
            hint=f"Install what it needs, in this environment: `pip install {missing}`",
        ) from None
    except (Exception, SystemExit) as problem:
        raise ImportFailedError(
            f"importing `{name}` raised {_named(problem)}\n{lines_of(problem)}",
            hint=f"Mend that line, and try it alone: `python -c 'import {name}'`",
        ) from None


def _near_modules(folder: str) -> str | None:
    files = sorted(Path(folder).glob("*.py"))
    names = [file.stem for file in files if not file.stem.startswith(("_", "test_", "conftest"))]
    if not names:
        return None
    return f"Here are: {', '.join(names[:8])}; another folder: `--app-dir FOLDER`"


def _find(module: Any, module_name: str, attribute: str) -> Any:
    if not attribute:
        return _usual(module, module_name)
    found = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            likely = [f"`{module_name}:{name}`" for name in _likely(module)]
            hint = f"Callable there: {', '.join(likely[:6])}" if likely else None
            raise AttributeMissingError(f"module `{module_name}` has no `{attribute}`", hint=hint)
        found = getattr(found, part)
    if not callable(found):
        raise InterfaceError(
            f"`{module_name}:{attribute}` is {type(found).__name__}, which cannot be called",
            hint="Name the app itself, or a function that makes it",
        )
    return found


def _usual(module: Any, module_name: str) -> Any:
    for name in _USUAL_NAMES:
        if callable(getattr(module, name, None)):
            return getattr(module, name)
    hint = f"Looked for {', '.join(_USUAL_NAMES)}; name yours: `outgrow run {module_name}:NAME`"
    raise AttributeMissingError(f"module `{module_name}` holds no app by a usual name", hint=hint)


def _likely(module: Any) -> list[str]:
    """Names in the module that could be the app, the most usual first."""
    found: list[str] = []
    for name, value in cast("dict[str, object]", vars(module)).items():
        is_own = getattr(value, "__module__", None) in (None, module.__name__)
        is_app = callable(value) and not inspect.isclass(value)
        if is_app and not name.startswith("_") and (is_own or interface_of(value) is not None):
            found.append(name)
    return sorted(found, key=lambda name: (name not in _USUAL_NAMES, name))


def _made_by(factory: Any, name: str) -> Any:
    try:
        made = factory()
    except Exception as problem:
        raise FactoryFailedError(
            f"the factory `{name}` raised {_named(problem)}\n{lines_of(problem)}"
        ) from None
    if not callable(made):
        raise InterfaceError(
            f"the factory `{name}` returned {type(made).__name__}, which cannot be called",
            hint="Return the app from it",
        )
    return made


def interface_of(app: Any) -> Interface | None:
    """What kind of app this is, by its look; None where it is none or unclear.

    ASGI 3 takes (scope, receive, send), ASGI 2 takes (scope), WSGI takes (environ, start_response).
    """
    names = _needed(app)
    if names is None:
        return "asgi3" if _is_async(app) else None
    if len(names) == 3:
        return "asgi3" if _is_async(app) or names[0] == "scope" else None
    if len(names) == 2:
        return "wsgi" if "env" in names[0] or "start" in names[1] else None
    return "asgi2" if names == ["scope"] else None


def _is_async(app: Any) -> bool:
    """Whether calling the app gives something to await."""
    while isinstance(app, functools.partial):
        app = cast("Any", app).func
    if inspect.isclass(app):
        return hasattr(app, "__await__")
    return inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(
        getattr(app, "__call__", None)  # noqa: B004
    )


def _needed(app: Any) -> list[str] | None:
    """Names of the arguments that the app needs; None where it takes any number."""
    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        return None
    needed = [
        parameter.name
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        and parameter.default is parameter.empty
    ]
    is_open = any(parameter.kind == parameter.VAR_POSITIONAL for parameter in parameters)
    return None if is_open and not needed else needed


def _framework_of(app: Any) -> str:
    is_plain = inspect.isclass(app) or inspect.isroutine(app)
    kind = cast("Any", app if is_plain else type(cast("object", app)))
    package = (getattr(kind, "__module__", "") or "").partition(".")[0]
    known = {
        "fastapi",
        "starlette",
        "django",
        "flask",
        "litestar",
        "datasette",
        "quart",
        "falcon",
        "bottle",
        "pyramid",
        "sanic",
        "aiohttp",
        "blacksheep",
        "asgi_csrf",
    }
    return package if package in known else ""


def as_asgi(loaded: LoadedApp, threads: int) -> Callable[..., Any]:
    """The app as ASGI 3, whatever it was.

    Raises:
        PackageMissingError: It is a WSGI app, and a2wsgi is not installed.
    """
    if loaded.interface == "asgi2":
        return _Asgi2(loaded.app)
    if loaded.interface == "wsgi":
        try:
            from outgrow.host.wsgi import wsgi_as_asgi
        except ImportError:
            raise PackageMissingError(
                "a WSGI app needs the package a2wsgi", hint="pip install 'outgrow[wsgi]'"
            ) from None
        return wsgi_as_asgi(loaded.app, threads)
    return loaded.app


class _Asgi2:
    def __init__(self, app: Callable[[Any], Any]) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope)(receive, send)


def _named(problem: BaseException) -> str:
    text = str(problem)
    return f"{type(problem).__name__}: {text}" if text else type(problem).__name__
