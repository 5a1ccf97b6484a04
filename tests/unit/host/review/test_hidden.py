"""An import that only type checkers see is found before it is missed."""

from __future__ import annotations

import pytest

from tests.unit.host.review.reviewing import Reviewed, lines

STOCK = "@service\nclass Stock:\n    @operation\n    async def count(self) -> int: return 1\n"
FUTURE = "from __future__ import annotations\n"


def shop(imports: str, rest: str) -> dict[str, str]:
    """Two modules, the second with these imports; they must come before all others."""
    return {"stock.py": STOCK, "shop.py": f"{imports}\n{rest}"}


HIDDEN = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from stock import Stock\n"


@pytest.mark.parametrize(
    ("body", "user"),
    [
        pytest.param("    stock: 'Stock'", "the field `stock` of `Orders`", id="a field"),
        pytest.param(
            "    @operation\n    async def a(self, s: 'list[Stock]') -> None: ...",
            "the operation `Orders.a`",
            id="a parameter",
        ),
        pytest.param(
            "    @operation\n    async def a(self) -> 'Stock | None': ...",
            "the operation `Orders.a`",
            id="a result",
        ),
    ],
)
def test_a_hidden_import_is_found_at_the_import(reviewed: Reviewed, body: str, user: str) -> None:
    (found,) = reviewed(shop(HIDDEN, f"@service\nclass Orders:\n{body}\n"))
    assert lines([found]) == [
        f"shop.py:4 OG202 `Stock` is imported for type checkers only, but {user} needs it when "
        "the program runs"
    ]
    assert 'runtime-evaluated-decorators = ["outgrow.service"]' in found.hint


@pytest.mark.parametrize(
    "imports",
    [
        pytest.param("import typing\nif typing.TYPE_CHECKING:\n    import stock\n", id="a module"),
        pytest.param(
            "import typing as t\nif t.TYPE_CHECKING:\n    import stock as s\n", id="renamed"
        ),
    ],
)
def test_a_hidden_module_is_found(reviewed: Reviewed, imports: str) -> None:
    name = "s" if " as s" in imports else "stock"
    (found,) = reviewed(shop(imports, f"@service\nclass Orders:\n    it: '{name}.Stock'\n"))
    assert f"`{name}` is imported for type checkers only" in found.text


@pytest.mark.parametrize(
    "rest",
    [
        pytest.param("def view(stock: 'Stock') -> None: ...", id="a function"),
        pytest.param("class Plain:\n    stock: 'Stock'", id="another class"),
        pytest.param(
            "@service\nclass Orders:\n    def a(self, s: 'Stock') -> None: ...", id="no operation"
        ),
        pytest.param(
            "from dataclasses import field\n@service\nclass Orders:\n"
            "    stock: 'Stock' = field(init=False)",
            id="a field that is not given",
        ),
        pytest.param(
            "from stock import Stock\n@service\nclass Orders:\n    stock: 'Stock'",
            id="imported as well",
        ),
        pytest.param(
            "@service\nclass Orders:\n    @operation\n"
            "    async def a(self) -> None:\n        s: 'Stock'",
            id="inside",
        ),
    ],
)
def test_a_hidden_import_that_nothing_needs_is_left_alone(reviewed: Reviewed, rest: str) -> None:
    assert lines(reviewed(shop(HIDDEN, rest))) == []


def test_a_provider_needs_its_import_as_well(reviewed: Reviewed) -> None:
    files = {"smtp.py": "class Smtp: ...\n"}
    files["shop.py"] = HIDDEN.replace("stock import Stock", "smtp import Smtp") + (
        "@provides\ndef open_smtp() -> 'Smtp': ...\n"
    )
    (found,) = reviewed(files)
    assert "but the provider `open_smtp` needs it" in found.text


def test_a_name_that_is_nowhere_is_found_at_its_field(reviewed: Reviewed) -> None:
    (found,) = reviewed("@service\nclass Orders:\n    stock: 'Stok'\n")
    assert (found.line, found.code) == (4, "OG202")
    assert "the field `stock: Stok` of `Orders` names `Stok`" in found.text


def test_the_other_branch_counts_as_an_import(reviewed: Reviewed) -> None:
    imports = HIDDEN + "else:\n    from stock import Stock\n"
    assert reviewed(shop(imports, "@service\nclass Orders:\n    stock: 'Stock'\n")) == []
