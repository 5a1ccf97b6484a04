"""From words to code: what is imported, what is read, and what is asked for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from outgrow.errors import (
    AppMissingError,
    AttributeMissingError,
    ImportFailedError,
    ModuleMissingError,
    SettingsFileError,
    SettingValueError,
)
from outgrow.host.review.code import Code
from outgrow.host.review.rules import findings_of
from outgrow.host.review.targets import code_of
from tests.unit.host.review.reviewing import IMPORTS, lines, write_files

SERVICE = IMPORTS + (
    "@service\nclass {name}:\n"
    "    @operation\n    async def run(self, value: complex) -> None: ...\n"
)
STOCK, ORDERS = SERVICE.format(name="Stock"), SERVICE.format(name="Orders")
PACKAGE = {
    "shop/__init__.py": "",
    "shop/stock.py": STOCK,
    "shop/orders.py": "from shop.stock import Stock\n" + ORDERS,
    "shop/api.py": "import shop.orders\napp = lambda: None\n",
    "shop/plain.py": "raise SystemExit('never imported')\n",
    "tests/test_shop.py": IMPORTS + "raise SystemExit('no part of the app')\n",
    "migrations/env.py": IMPORTS + "raise SystemExit('no part of the app')\n",
    ".hidden/stock.py": IMPORTS + "raise SystemExit('no part of the app')\n",
    "venv/pyvenv.cfg": "",
    "venv/stock.py": IMPORTS + "raise SystemExit('no part of the app')\n",
}


def names(code: Code) -> list[str]:
    return [each.name for each in code.services]


def test_a_module_brings_what_it_imports(tmp_path: Path) -> None:
    write_files(tmp_path, PACKAGE)
    code = code_of(["shop.api:app"])
    assert names(code) == ["stock", "orders"]
    assert list(code.files) == ["shop", "shop.api", "shop.orders", "shop.stock"]
    assert code.edges == {"web": "shop.api:app"}
    assert names(code_of(["shop.stock"])) == ["stock", "orders"]  # they are loaded now


def test_a_folder_is_read_whole_and_imported_where_it_asks_for_services(tmp_path: Path) -> None:
    write_files(tmp_path, PACKAGE)
    code = code_of(["."])
    assert names(code) == ["stock", "orders"]
    assert list(code.files) == ["shop", "shop.api", "shop.orders", "shop.plain", "shop.stock"]
    assert "shop.api" not in sys.modules


def test_findings_are_of_the_folder_that_was_asked_for(tmp_path: Path) -> None:
    files = {"front/orders.py": "from back.stock import Stock\n" + ORDERS, "back/stock.py": STOCK}
    write_files(tmp_path, files | {"front/__init__.py": "", "back/__init__.py": ""})
    code = code_of(["front"])
    assert names(code) == ["stock", "orders"]
    assert {each.file for each in findings_of(code)} == {"front/orders.py"}
    assert [file.shown for file in code.wanted_files()] == ["front/__init__.py", "front/orders.py"]


def test_a_package_without_an_init_file_has_the_name_that_its_files_use(tmp_path: Path) -> None:
    files = {name: text for name, text in PACKAGE.items() if name.startswith("shop/")}
    del files["shop/__init__.py"]
    write_files(tmp_path, files)
    code = code_of(["."])
    assert [each.cls.__module__ for each in code.services] == ["shop.stock", "shop.orders"]


def test_a_source_folder_is_where_names_begin(tmp_path: Path) -> None:
    write_files(
        tmp_path, {f"src/{name}": text for name, text in PACKAGE.items() if "shop/" in name}
    )
    code = code_of(["."])
    assert [each.cls.__module__ for each in code.services] == ["shop.stock", "shop.orders"]


def test_another_folder_may_hold_the_modules(tmp_path: Path) -> None:
    write_files(tmp_path / "code", PACKAGE)
    assert names(code_of(["shop.api:app"], "code")) == ["stock", "orders"]
    assert {each.file for each in findings_of(code_of(["shop.api"], "code"))} == {
        "code/shop/orders.py",
        "code/shop/stock.py",
    }


def test_a_file_may_be_named(tmp_path: Path) -> None:
    write_files(tmp_path, PACKAGE)
    assert names(code_of(["shop/orders.py"])) == ["stock", "orders"]
    assert names(code_of(["shop/orders.py:Orders"])) == ["stock", "orders"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("outgrow.toml", '[app]\nname = "shop"\nservices = ["shop.orders:Orders"]\n'),
        ("outgrow.toml", '[app]\nedges = { web = "shop.api:app" }\n'),
        ("outgrow.toml", '[run]\napp = "shop.api:app"\n'),
        ("pyproject.toml", '[tool.outgrow.app]\nservices = ["shop.orders:Orders"]\n'),
        ("pyproject.toml", '[tool.outgrow.run]\napp = "shop.api:app"\n'),
    ],
)
def test_the_settings_file_names_the_app(tmp_path: Path, name: str, text: str) -> None:
    write_files(tmp_path, PACKAGE)
    (tmp_path / name).write_text(text)
    assert names(code_of([])) == ["stock", "orders"]


def test_the_settings_file_names_the_folder_too(tmp_path: Path) -> None:
    write_files(tmp_path / "code", PACKAGE)
    (tmp_path / "outgrow.toml").write_text('[run]\napp = "shop.api:app"\napp_dir = "code"\n')
    assert names(code_of([])) == ["stock", "orders"]


def test_an_app_object_names_app_and_edges(tmp_path: Path) -> None:
    app = "from outgrow import App\nfrom shop.stock import Stock\n"
    app += 'it = App(name="corner", services=[Stock], edges={"web": "shop.api:app"})\n'
    write_files(tmp_path, PACKAGE | {"shop/app.py": app})
    code = code_of(["shop.app"])
    assert (code.name, code.edges) == ("corner", {"web": "shop.api:app"})


@pytest.mark.parametrize("toml", ["", "[tool.other]\na = 1\n"])
def test_nothing_to_look_at_is_said(tmp_path: Path, toml: str) -> None:
    (tmp_path / "pyproject.toml").write_text(toml)
    with pytest.raises(AppMissingError) as raised:
        code_of([])
    assert "outgrow check ." in raised.value.hint


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("[app", SettingsFileError),
        ("app = 3", SettingValueError),
        ('[app]\nservices = "shop"', SettingValueError),
        ("[app]\nservices = [1]", SettingValueError),
        ("[app]\nedges = 1", SettingValueError),
    ],
)
def test_a_wrong_settings_file_is_said(tmp_path: Path, text: str, kind: type[Exception]) -> None:
    (tmp_path / "outgrow.toml").write_text(text)
    with pytest.raises(kind):
        code_of([])


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("nothing_here", ModuleMissingError),
        ("shop.nothing", ModuleMissingError),
        ("shop.stock:nothing", AttributeMissingError),
        ("shop.broken", ImportFailedError),
        ("shop.lacking", ImportFailedError),
        ("shop/broken.py", ImportFailedError),
    ],
)
def test_what_cannot_be_imported_is_said_as_when_it_is_run(
    tmp_path: Path, target: str, kind: type[Exception]
) -> None:
    more = {"shop/broken.py": "1 / 0\n", "shop/lacking.py": "import no_such_package\n"}
    write_files(tmp_path, PACKAGE | more)
    with pytest.raises(kind):
        code_of([target])


def test_a_file_that_nobody_imports_may_be_broken(tmp_path: Path) -> None:
    write_files(tmp_path, PACKAGE | {"shop/odd.py": "this is no Python\n"})
    assert names(code_of(["."])) == ["stock", "orders"]


def test_a_class_that_its_module_has_no_more_is_left_out(tmp_path: Path) -> None:
    write_files(tmp_path, PACKAGE)
    first = code_of(["shop.stock"]).services[0].cls
    del sys.modules["shop.stock"]
    (second,) = code_of(["shop.stock"]).services
    assert second.cls is not first


def test_lines_of_each_file_are_told_from_the_current_folder(tmp_path: Path) -> None:
    write_files(tmp_path, PACKAGE)
    found = findings_of(code_of(["shop.stock"]))
    assert lines(found)[0].startswith("shop/stock.py:5 OG203 ")


def test_a_thing_that_stands_for_another_is_not_opened(tmp_path: Path) -> None:
    source = IMPORTS + (
        "class Lazy:\n    def opened(self): raise SystemExit('it was opened')\n"
        "    __class__ = property(opened)\nlazy = Lazy()\n"
        "def view(): return lazy.name, client(lazy), [lazy]\ndef other(a: lazy): return a\n"
        "@service\nclass Shop:\n    @operation\n    async def a(self) -> None: await self.b(lazy)\n"
        "    async def b(self, given: object) -> None: ...\n"
    )
    write_files(tmp_path, {"shop.py": source})
    assert findings_of(code_of(["shop"])) == []


def test_odd_annotations_break_nothing(tmp_path: Path) -> None:
    source = (
        "from __future__ import annotations\n"
        + IMPORTS
        + (
            "TABLE = {}\n"
            "def view(a: TABLE, b: 'a b', c: 3, d: TABLE['x'], *e: [1], **f: lambda: 1): ...\n"
            "@TABLE.get\nclass Odd:\n    x: TABLE = 3\n"
        )
    )
    write_files(tmp_path, {"shop.py": source})
    assert findings_of(code_of(["shop"])) == []
