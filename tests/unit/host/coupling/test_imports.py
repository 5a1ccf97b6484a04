"""Circles of imports between parts, from source."""

from __future__ import annotations

from pathlib import Path

import pytest

from outgrow.host.coupling.modules import parts_of
from tests.unit.host.coupling.coupled import found, told, write

ORDERS = {"orders/__init__.py": "", "orders/views.py": "", "orders/models.py": ""}
STOCK = {"stock/__init__.py": "", "stock/views.py": "", "stock/models.py": ""}
BILLS = {"bills/__init__.py": "", "bills/views.py": "", "bills/models.py": ""}
APPS = ORDERS | STOCK | BILLS


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        pytest.param(["a.x", "a.y", "b.x", "b.y", "c"], {"a", "b", "c"}, id="apps side by side"),
        pytest.param(["shop", "shop.a.x", "shop.b.x"], {"shop.a", "shop.b"}, id="one package"),
        pytest.param(["shop", "shop.a", "shop.b"], {"shop.a", "shop.b"}, id="one flat package"),
        pytest.param(["setup", "shop.a", "shop.b"], {"setup", "shop.a", "shop.b"}, id="scripts"),
        pytest.param(
            [f"{top}.{part}.x" for top in ("core", "plugs") for part in "abcd"],
            {f"{top}.{part}" for top in ("core", "plugs") for part in "abcd"},
            id="two packages of packages",
        ),
    ],
)
def test_parts_are_what_code_is_made_of(names: list[str], parts: set[str]) -> None:
    assert set(parts_of(names).values()) == parts


def test_parts_that_import_each_other_are_told_where_the_fewest_imports_are(
    tmp_path: Path,
) -> None:
    files = APPS | {
        "orders/views.py": "from stock.views import a\nfrom stock.models import Item\n",
        "stock/models.py": "\nfrom orders.models import Order\n",
    }
    write(tmp_path, files)
    (finding,) = told(tmp_path).findings
    assert finding.code == "import circle"
    assert (finding.file, finding.line) == (f"{tmp_path}/stock/models.py", 2)
    assert finding.text == (
        "`orders` and `stock` import each other; `stock` takes `orders.models.Order` only here"
    )
    assert "`orders` hand it to `stock`" in finding.hint


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        pytest.param("def f():\n    from orders import views\n", True, id="inside a function"),
        pytest.param("try:\n    import orders.views\nexcept OSError: ...\n", True, id="in a try"),
        pytest.param(
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import orders.views\n",
            False,
            id="for type checkers only",
        ),
        pytest.param("import json, orderly\n", False, id="of something else"),
    ],
)
def test_an_import_counts_where_it_runs(tmp_path: Path, source: str, seen: bool) -> None:
    files = APPS | {"orders/views.py": "import stock.views\n", "stock/views.py": source}
    texts = [text for _, text in found(tmp_path, files)]
    assert len(texts) == seen
    assert any("inside functions" in text for text in texts) is ("def" in source)


def test_a_longer_circle_is_told_once_as_a_whole(tmp_path: Path) -> None:
    files = APPS | {
        "orders/views.py": "import stock.views\n",
        "stock/views.py": "from bills import views\n",
        "bills/views.py": "from orders.models import a, b\nimport orders.views\n",
    }
    ((code, text),) = found(tmp_path, files)
    assert code == "import circle"
    assert text.startswith("a circle of imports: `bills` -> `orders` -> `stock` -> `bills`; ")


def test_the_door_of_a_package_stands_for_what_it_offers(tmp_path: Path) -> None:
    files = {
        "shop/__init__.py": "from .orders.place import place\nfrom .stock.take import take\n",
        "shop/orders/__init__.py": "",
        "shop/orders/place.py": "from shop import take\n",
        "shop/stock/__init__.py": "",
        "shop/stock/take.py": "from .. import place\n",
    }
    ((_, text),) = found(tmp_path, files)
    assert "`shop.orders` takes `shop.stock.take.take` only here" in text


def test_tests_and_migrations_are_left_out(tmp_path: Path) -> None:
    files = APPS | {
        "orders/views.py": "import stock.views\n",
        "stock/tests.py": "import orders.views\n",
        "stock/test/more.py": "import orders.views\n",
        "stock/migrations/first.py": "import orders.views\n",
    }
    assert found(tmp_path, files) == []


def test_what_cannot_be_read_is_said_and_nothing_is_imported(tmp_path: Path) -> None:
    write(tmp_path, APPS | {"broken.py": "def (", "wild.py": "raise SystemExit(3)\n"})
    coupling = told(tmp_path)
    assert coupling.file_count == len(APPS) + 1
    assert coupling.missing[1:] == (f"{tmp_path}/broken.py: cannot be read as Python",)
