"""Which app the code belongs to: by its name, with its edges, and with what these call."""

from __future__ import annotations

from pathlib import Path

import pytest

from outgrow.errors import ModuleMissingError
from outgrow.host.review.code import Code
from outgrow.host.review.picture import picture_of
from outgrow.host.review.rules import findings_of
from outgrow.host.review.targets import code_of
from tests.unit.host.review.reviewing import IMPORTS, write_files

STOCK = "@service\nclass Stock:\n    @operation\n    async def a(self) -> None: ...\n"
API = "from shop.stock import Stock\nasync def app(): await client(Stock).a()\n"
APP = (
    "from outgrow import App\nfrom shop.stock import Stock\n"
    'it = App(name="corner", services=[Stock], edges={"web": "shop.api:app"})\n'
)
SHOP = {
    "shop/__init__.py": "",
    "shop/stock.py": IMPORTS + STOCK,
    "shop/api.py": IMPORTS + API,
    "shop/app.py": APP,
}


def read(folder: Path, files: dict[str, str], *targets: str) -> Code:
    write_files(folder, SHOP | files)
    return code_of(targets)


def edge_calls(code: Code) -> list[tuple[str, str, str]]:
    links = picture_of(code).links
    return [(each.caller, each.function, each.called) for each in links]


@pytest.mark.parametrize("target", ["shop.app:it", "shop.app", "shop/app.py", "shop/app.py:it"])
def test_the_edges_of_an_app_that_is_named_are_read(tmp_path: Path, target: str) -> None:
    code = read(tmp_path, {}, target)
    assert (code.name, code.edges) == ("corner", {"web": "shop.api:app"})
    assert edge_calls(code) == [("web", "app", "stock")]


def test_mistakes_in_an_edge_of_an_app_that_is_named_are_found(tmp_path: Path) -> None:
    reaching = IMPORTS + API.replace("await client(Stock).a()", "client(Stock).b")
    (found,) = findings_of(read(tmp_path, {"shop/api.py": reaching}, "shop.app:it"))
    assert (found.file, found.code) == ("shop/api.py", "OG204")


def test_an_edge_of_an_app_that_is_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ModuleMissingError):
        read(tmp_path, {"shop/app.py": APP.replace("shop.api", "shop.none")}, "shop.app:it")


@pytest.mark.parametrize("target", ["shop.api:app", "shop/api.py:app"])
def test_an_edge_goes_by_the_app_that_names_it(tmp_path: Path, target: str) -> None:
    app = APP.replace('"web"', '"front"') + "raise SystemExit('it is read, not run')\n"
    code = read(tmp_path, {"shop/app.py": app, "shop/broken.py": "outgrow App( edges"}, target)
    assert (code.name, code.edges) == ("corner", {"front": "shop.api:app"})
    assert edge_calls(code) == [("front", "app", "stock")]


def test_an_edge_at_the_top_goes_by_the_app_beside_it(tmp_path: Path) -> None:
    files = {"front.py": IMPORTS + API, "corner.py": APP.replace("shop.api", "front")}
    code = read(tmp_path, files, "front:app")
    assert (code.name, code.edges) == ("corner", {"web": "front:app"})


def test_an_app_that_is_imported_gives_its_name_once(tmp_path: Path) -> None:
    imported = {"shop/api.py": IMPORTS + "from shop.app import it\nimport shop.app\n" + API}
    code = read(tmp_path, imported | {"shop/more.py": APP}, "shop.api:app")
    assert (code.name, code.edges) == ("corner", {"web": "shop.api:app"})


@pytest.mark.parametrize(
    "others",
    [
        pytest.param({"shop/other.py": APP.replace("corner", "other")}, id="two name it"),
        pytest.param({"shop/app.py": APP.replace("api:app", "api:else")}, id="none names it"),
        pytest.param({"shop/app.py": APP.replace('"corner"', "NAME")}, id="its name is made"),
        pytest.param({"shop/app.py": APP.replace("outgrow", "other")}, id="it is of another kind"),
    ],
)
def test_where_nobody_can_say_which_app_it_is_there_is_no_name(
    tmp_path: Path, others: dict[str, str]
) -> None:
    code = read(tmp_path, others, "shop.api:app")
    assert (code.name, code.edges) == ("", {"web": "shop.api:app"})


def test_the_settings_file_has_the_last_word_on_the_name(tmp_path: Path) -> None:
    (tmp_path / "outgrow.toml").write_text('[app]\nname = "big"\n[run]\napp = "shop.api:app"\n')
    assert read(tmp_path, {}).name == "big"


def test_an_edge_of_the_settings_file_is_left_out_where_it_was_not_asked_for(
    tmp_path: Path,
) -> None:
    (tmp_path / "outgrow.toml").write_text('[run]\napp = "shop.api:app"\n')
    other = {"other.py": IMPORTS + API, "shop/app.py": ""}
    assert read(tmp_path, other, "shop.stock").edges == {}
    assert read(tmp_path, other, "other:app").edges == {"web": "other:app"}
    assert read(tmp_path, other, "shop.api:app").edges == {"web": "shop.api:app"}


def test_edges_in_libraries_are_listed(tmp_path: Path) -> None:
    app = APP.replace("shop.api:app", "json:dumps")
    assert read(tmp_path, {"shop/app.py": app}, "shop.app:it").edges == {"web": "json:dumps"}
