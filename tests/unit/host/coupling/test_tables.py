"""Tables that several parts write, from SQL and from models."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.host.coupling.coupled import found

APPS = {f"{app}/{file}.py": "" for app in ("orders", "stock", "bills") for file in ("views", "db")}
SQLALCHEMY = "class {name}(Base):\n    __tablename__ = '{table}'\n"
DJANGO = "from django.db import models\nclass {name}(models.Model):\n    ...\n"


def written(text: str) -> bool:
    return text.startswith("table `item` is written by `orders`, `stock`")


@pytest.mark.parametrize(
    "source",
    [
        pytest.param('run("INSERT INTO item (sku) VALUES (?)")\n', id="a statement"),
        pytest.param('run(f"UPDATE {schema}item SET count = {n}")\n', id="of a name put together"),
        pytest.param('c.execute("delete from item where sku = ?")\n', id="in small letters"),
    ],
)
def test_tables_in_sql_are_found(tmp_path: Path, source: str) -> None:
    making = 'c.execute("CREATE TABLE item (sku TEXT)")\n'
    own = 'c.execute("CREATE TABLE orders (id INTEGER)")\n'
    files = APPS | {"stock/db.py": making, "orders/db.py": own, "orders/views.py": source}
    texts = [text for _, text in found(tmp_path, files)]
    assert [written(text) for text in texts] == ([] if "{schema}" in source else [True])


@pytest.mark.parametrize(
    ("source", "writes"),
    [
        pytest.param("session.add(Item(sku=1))", True, id="a new row"),
        pytest.param("session.execute(update(Item).values(count=1))", True, id="an update"),
        pytest.param("Item.objects.filter(sku=1).delete()", True, id="at the end of a chain"),
        pytest.param("session.execute(select(Item.sku))", False, id="a read"),
        pytest.param("def f(item: Item) -> Item: ...", False, id="an annotation"),
    ],
)
def test_models_of_other_parts_are_followed(tmp_path: Path, source: str, writes: bool) -> None:
    files = APPS | {
        "stock/db.py": SQLALCHEMY.format(name="Item", table="item"),
        "orders/db.py": SQLALCHEMY.format(name="Order", table="orders"),
        "orders/views.py": f"from stock.db import Item\n{source}\n",
    }
    texts = [text for _, text in found(tmp_path, files)]
    assert [written(text) for text in texts] == [True] * writes


def test_models_of_django_are_named_as_their_tables(tmp_path: Path) -> None:
    files = APPS | {
        "stock/models.py": DJANGO.format(name="Item"),
        "orders/models.py": DJANGO.format(name="Order"),
        "orders/views.py": "from stock import models\nmodels.Item.objects.create(sku=1)\n",
    }
    ((code, text),) = found(tmp_path, files)
    assert (code, text) == (
        "shared table",
        "table `stock_item` is written by `orders`, `stock`",
    )


def test_a_layer_without_tables_of_its_own_is_no_owner(tmp_path: Path) -> None:
    files = APPS | {
        "stock/db.py": SQLALCHEMY.format(name="Item", table="item"),
        "orders/views.py": "from stock.db import Item\nItem(sku=1)\n",
    }
    assert found(tmp_path, files) == []


def test_many_readers_of_a_table_are_told(tmp_path: Path) -> None:
    readers = {
        f"{app}/db.py": SQLALCHEMY.format(name=app.title(), table=app)
        + "from stock.db import Stock\nsession.query(Stock)\n"
        for app in ("orders", "bills", "mail")
    }
    files = APPS | readers | {"stock/db.py": SQLALCHEMY.format(name="Stock", table="stock")}
    ((_, text),) = found(tmp_path, files)
    assert text == "table `stock` is used by `bills`, `mail`, `orders`, `stock`"


def test_plain_english_is_no_sql(tmp_path: Path) -> None:
    files = {
        f"{app}/db.py": 'say("Select a file from the list, then update it")\n' for app in "abc"
    }
    assert found(tmp_path, APPS | files) == []
