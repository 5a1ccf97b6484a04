"""An app is found by its name, and what is wrong is said with one thing to do."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from outgrow.errors import (
    AppError,
    AppMissingError,
    AttributeMissingError,
    FactoryFailedError,
    ImportFailedError,
    InterfaceError,
    ModuleMissingError,
    PackageMissingError,
)
from outgrow.host.app import LoadedApp, as_asgi, load_app
from outgrow.model import Settings

ASGI = "async def {name}(scope, receive, send): ...\n"
WSGI = "def {name}(environ, start_response): return []\n"
numbers = itertools.count()

Written = Callable[[str], str]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Written]:
    """Writes a module with this source and returns its name, which no other test has."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    before = set(sys.modules)

    def write(source: str) -> str:
        name = f"shop_{next(numbers)}"
        (tmp_path / f"{name}.py").write_text(source)
        return name

    yield write
    for name in set(sys.modules) - before:
        if name.startswith("shop_"):
            del sys.modules[name]


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., LoadedApp]:
    """Loads an app from the test's folder."""

    def load_there(app: str | None, **settings: Any) -> LoadedApp:
        return load_app(Settings(app=app, app_dir=str(tmp_path), **settings))

    return load_there


Load = Callable[..., LoadedApp]


@pytest.mark.parametrize(
    "form",
    [
        pytest.param("{}:app", id="module and name"),
        pytest.param("{}", id="module alone"),
        pytest.param("{}:", id="module and nothing"),
        pytest.param("{}.py", id="file"),
        pytest.param("./{}.py:app", id="file here, and name"),
    ],
)
def test_an_app_is_found_by_any_form_of_its_name(written: Written, load: Load, form: str) -> None:
    loaded = load(form.format(written(ASGI.format(name="app"))))
    assert (loaded.app.__name__, loaded.interface, loaded.framework) == ("app", "asgi3", "")


@pytest.mark.parametrize("name", ["app", "application", "api", "asgi_app", "wsgi_app"])
def test_usual_names_need_not_be_said(written: Written, load: Load, name: str) -> None:
    assert load(written(ASGI.format(name=name))).app.__name__ == name


def test_an_app_in_a_package_is_found_by_its_file(load: Load, tmp_path: Path) -> None:
    folder = tmp_path / f"shop_{next(numbers)}"
    folder.mkdir()
    (folder / "main.py").write_text(ASGI.format(name="app"))
    assert load(f"{folder.name}/main.py:app").interface == "asgi3"
    del sys.modules[f"{folder.name}.main"]


def test_an_app_may_be_an_attribute_of_something(written: Written, load: Load) -> None:
    source = "class site:\n    @staticmethod\n    async def app(scope, receive, send): ...\n"
    assert load(f"{written(source)}:site.app").interface == "asgi3"


@pytest.mark.parametrize("framework", ["fastapi.FastAPI", "starlette.applications.Starlette"])
def test_the_framework_is_named(written: Written, load: Load, framework: str) -> None:
    module, _, kind = framework.rpartition(".")
    loaded = load(written(f"from {module} import {kind}\napp = {kind}()\n"))
    assert loaded.framework == framework.partition(".")[0]


@pytest.mark.parametrize(
    ("source", "settings"),
    [
        pytest.param("def create_app(): return app_of_mine\n", {}, id="seen by its look"),
        pytest.param("def create_app(debug=False): return app_of_mine\n", {}, id="with options"),
        pytest.param("def create_app(*_): return app_of_mine\n", {"factory": True}, id="said"),
        pytest.param("create_app = lambda: app_of_mine\n", {}, id="a lambda"),
    ],
)
def test_a_factory_is_called(
    written: Written, load: Load, source: str, settings: dict[str, Any]
) -> None:
    loaded = load(f"{written(ASGI.format(name='app_of_mine') + source)}:create_app", **settings)
    assert loaded.app.__name__ == "app_of_mine"


def test_a_class_without_arguments_is_made(written: Written, load: Load) -> None:
    source = "class App:\n    async def __call__(self, scope, receive, send): ...\n"
    loaded = load(f"{written(source)}:App")
    assert (type(loaded.app).__name__, loaded.interface) == ("App", "asgi3")


def test_an_interface_that_was_said_is_believed(written: Written, load: Load) -> None:
    source = "def app(left, right): return []\n"
    assert load(f"{written(source)}:app", interface="wsgi").interface == "wsgi"


def failing(
    written: Written, load: Load, source: str, form: str = "{}:app", **settings: Any
) -> AppError:
    with pytest.raises(AppError) as raised:
        load(form.format(written(source)), **settings)
    assert raised.value.hint
    return raised.value


def test_no_name_at_all_is_said_with_how_to_name_one(load: Load) -> None:
    with pytest.raises(AppMissingError, match="no app was named") as raised:
        load(None)
    assert "outgrow run main:app" in raised.value.hint


def test_a_module_that_is_not_there_is_said_with_those_that_are(
    written: Written, load: Load
) -> None:
    name = written("")
    with pytest.raises(ModuleMissingError, match="no module `missing_shop`") as raised:
        load("missing_shop:app")
    assert name in raised.value.hint
    assert "--app-dir" in raised.value.hint


def test_a_module_that_is_not_there_in_an_empty_folder_is_said_with_another_folder(
    load: Load,
) -> None:
    with pytest.raises(ModuleMissingError) as raised:
        load("missing_shop:app")
    assert "--app-dir FOLDER" in raised.value.hint


def test_an_import_of_a_missing_package_is_said_with_how_to_get_it(
    written: Written, load: Load
) -> None:
    problem = failing(written, load, "x = 1\nimport package_that_is_not_there\n")
    assert isinstance(problem, ImportFailedError)
    assert "no module `package_that_is_not_there`" in problem.text
    assert ".py:2: import package_that_is_not_there" in problem.text
    assert "pip install package_that_is_not_there" in problem.hint


@pytest.mark.parametrize(
    ("source", "said", "line"),
    [
        pytest.param("x = 1\nx / 0\n", "ZeroDivisionError: division by zero", 2, id="a mistake"),
        pytest.param("def f(:\n", "SyntaxError", 1, id="bad syntax"),
        pytest.param("import sys\nsys.exit(3)\n", "SystemExit: 3", 2, id="an exit"),
        pytest.param("raise ValueError\n", "raised ValueError\n", 1, id="no words"),
        pytest.param("from json import nothing_there\n", "ImportError", 1, id="a missing name"),
    ],
)
def test_an_exception_at_import_is_said_with_its_line(
    written: Written, load: Load, source: str, said: str, line: int
) -> None:
    problem = failing(written, load, source)
    assert isinstance(problem, ImportFailedError)
    assert said in problem.text
    assert f".py:{line}: {source.splitlines()[line - 1]}" in problem.text
    assert "python -c 'import shop_" in problem.hint


def test_a_name_that_is_not_there_is_said_with_likely_ones(written: Written, load: Load) -> None:
    source = ASGI.format(name="website") + WSGI.format(name="app") + "_hidden = print\nn = 3\n"
    problem = failing(written, load, source, "{}:aap")
    assert isinstance(problem, AttributeMissingError)
    assert "has no `aap`" in problem.text
    assert problem.hint.index(":app`") < problem.hint.index(":website`")
    assert "_hidden" not in problem.hint


def test_a_module_without_an_app_is_said_with_the_names_looked_for(
    written: Written, load: Load
) -> None:
    problem = failing(written, load, "site = 3\n", "{}")
    assert isinstance(problem, AttributeMissingError)
    assert "create_app" in problem.hint


@pytest.mark.parametrize(
    ("source", "said"),
    [
        pytest.param("app = 3\n", "is int, which cannot be called", id="a number"),
        pytest.param("app = {}\n", "is dict, which cannot be called", id="a dictionary"),
        pytest.param("def app(left, right): ...\n", "no app by its look", id="a function"),
        pytest.param("def app(): return 3\n", "returned int", id="a factory of numbers"),
        pytest.param("def app(*_): ...\n", "no app by its look", id="a function of anything"),
    ],
)
def test_what_is_no_app_is_said(written: Written, load: Load, source: str, said: str) -> None:
    problem = failing(written, load, source)
    assert isinstance(problem, InterfaceError)
    assert said in problem.text


def test_a_factory_that_fails_is_said_with_its_line(written: Written, load: Load) -> None:
    problem = failing(written, load, "def app():\n    raise KeyError('DATABASE_URL')\n")
    assert isinstance(problem, FactoryFailedError)
    assert "KeyError: 'DATABASE_URL'" in problem.text
    assert ".py:2: raise KeyError" in problem.text


def test_a_factory_that_needs_arguments_is_said(written: Written, load: Load) -> None:
    problem = failing(written, load, "def app(config): ...\n", factory=True)
    assert isinstance(problem, FactoryFailedError)
    assert "missing 1 required positional argument" in problem.text


@pytest.mark.parametrize("form", ["{folder}/{name}.py", "../{parent}/{name}.py"])
def test_a_file_by_its_whole_path_is_found(
    written: Written, load: Load, tmp_path: Path, form: str
) -> None:
    name = written(ASGI.format(name="app"))
    assert load(form.format(folder=tmp_path, name=name, parent=tmp_path.name)).interface == "asgi3"


def test_an_asgi2_app_is_called_in_two_steps() -> None:
    calls: list[Any] = []

    def app(scope: Any) -> Any:
        async def serve(receive: Any, send: Any) -> None:
            calls.append((scope, receive, send))

        return serve

    running = as_asgi(LoadedApp(app, "asgi2", ""), 1)("scope", "receive", "send")
    with pytest.raises(StopIteration):
        running.send(None)
    assert calls == [("scope", "receive", "send")]


def test_a_wsgi_app_without_its_bridge_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "outgrow.host.wsgi", raising=False)
    monkeypatch.setitem(sys.modules, "a2wsgi", None)
    with pytest.raises(PackageMissingError, match="a2wsgi") as raised:
        as_asgi(LoadedApp(lambda environ, start_response: [], "wsgi", ""), 1)
    assert "pip install" in raised.value.hint
