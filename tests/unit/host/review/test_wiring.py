"""What services need exists, and none needs itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.host.review.reviewing import Reviewed, lines, write_files

SMTP = """
class Smtp:
    pass

@service
class Mail:
    smtp: Smtp

    @operation
    async def send(self, to: str) -> None: ...
"""


def test_a_field_that_nothing_makes_is_found(reviewed: Reviewed) -> None:
    (found,) = reviewed(SMTP)
    assert lines([found]) == [
        "shop.py:8 OG206 nothing that was imported makes the field `smtp: Smtp` of `Mail`"
    ]
    assert found.hint.startswith("Write a function with `@provides` above it that returns `Smtp`")


@pytest.mark.parametrize(
    "provider",
    [
        pytest.param("def make() -> Smtp: return Smtp()", id="a function"),
        pytest.param("async def make() -> 'Smtp': return Smtp()", id="an async function"),
        pytest.param("def make() -> Iterator[Smtp]: yield Smtp()", id="a generator"),
        pytest.param("async def make() -> AsyncIterator[Smtp]: yield Smtp()", id="async generator"),
        pytest.param(
            "async def make() -> AsyncGenerator[Smtp, None]: yield Smtp()", id="generator in full"
        ),
    ],
)
def test_a_provider_of_any_kind_makes_a_field(reviewed: Reviewed, provider: str) -> None:
    imports = "from collections.abc import AsyncGenerator, AsyncIterator, Iterator\n"
    assert lines(reviewed(f"{imports}{SMTP}\n@provides\n{provider}\n")) == []


def test_a_provider_of_a_class_below_it_makes_nothing_else(reviewed: Reviewed) -> None:
    source = f"{SMTP}\nclass Fast(Smtp): ...\n@provides\ndef make() -> Fast: return Fast()\n"
    assert [each.code for each in reviewed(source)] == ["OG206"]


def test_a_provider_may_stand_in_the_settings_file_or_in_an_app(
    reviewed: Reviewed, tmp_path: Path
) -> None:
    made = f"{SMTP}\ndef make() -> Smtp: return Smtp()\n"
    (tmp_path / "outgrow.toml").write_text('[app]\nproviders = ["shop:make"]\n')
    assert reviewed(made) == []
    (tmp_path / "outgrow.toml").unlink()
    named = "from outgrow import App\nimport shop\n"
    named += "app = App(services=[shop.Mail], providers=[shop.make])\n"
    write_files(tmp_path, {"named.py": named})
    assert reviewed({"shop.py": made}, "shop", "named") == []


def test_a_field_with_a_default_or_from_the_environment_needs_no_provider(
    reviewed: Reviewed,
) -> None:
    source = """
        from dataclasses import field
        from outgrow import Database, database, from_env

        @service
        class Mail:
            db: Database = database()
            plain: Database
            limit: int = 5
            names: list[str] = field(default_factory=list)
            later: int = field(init=False)
            host: str = from_env()
            port: int = from_env(25)
    """
    assert lines(reviewed(source)) == []


OPERATION = "    @operation\n    async def run(self) -> None: ...\n"


def test_a_class_with_operations_that_is_no_service_is_found(reviewed: Reviewed) -> None:
    (found,) = reviewed(f"class Lost:\n{OPERATION}")
    assert lines([found]) == ["shop.py:2 OG201 `Lost` has operations, but is no service"]
    assert found.hint == "Write `@service` above the class"


def test_a_class_with_operations_may_be_there_to_be_inherited(reviewed: Reviewed) -> None:
    source = f"class Shared:\n{OPERATION}\n@service\nclass Stock(Shared): ...\n"
    assert reviewed(source) == []
    source = f"import abc\nclass Shared(abc.ABC):\n{OPERATION}    @abc.abstractmethod\n"
    source += "    def a(self): ..."
    assert reviewed({"other.py": source}, "other") == []


def test_a_field_typed_with_an_unmarked_class_below_a_service_is_found(reviewed: Reviewed) -> None:
    source = f"@service\nclass Stock:\n{OPERATION}\nclass Bigger(Stock): ...\n"
    (found,) = reviewed(f"{source}\n@service\nclass Orders:\n    stock: Bigger\n")
    assert lines([found]) == [
        "shop.py:11 OG201 the field `stock` of `Orders` is `Bigger`, which has operations, but is "
        "no service"
    ]
    assert found.hint == "Write `@service` above `Bigger`"


CIRCLE = """
from __future__ import annotations

@service
class Orders:
    stock: Stock

@service
class Stock:
    mail: Mail

@service
class Mail:
    orders: Orders

@service
class Reports:
    orders: Orders
"""


def test_a_circle_of_fields_is_found_once(reviewed: Reviewed) -> None:
    (found,) = reviewed(
        {
            "a.py": CIRCLE[1:]
            .replace("from __future__ import annotations\n", "")
            .replace(": Stock", ": 'Stock'")
            .replace(": Mail", ": 'Mail'")
        }
    )
    assert lines([found]) == [
        "a.py:5 OG205 services need one another: Orders.stock -> Stock.mail -> Mail.orders -> "
        "Orders"
    ]


HIDDEN = """
@service
class Stock:
    @operation
    async def restock(self) -> None:
        {ask}

@service
class Orders:
    stock: Stock

    @operation
    async def place(self) -> None: ...

{below}
"""


@pytest.mark.parametrize(
    ("ask", "below"),
    [
        pytest.param("client(Orders)", "", id="in an operation"),
        pytest.param("uses(Orders)", "", id="by uses"),
        pytest.param("_tell()", "def _tell(): client(Orders)", id="in what it calls"),
        pytest.param("orders.place", "orders = client(Orders)", id="at the top of the module"),
        pytest.param("print(lambda: client(Orders))", "", id="in a lambda"),
    ],
)
def test_a_circle_hidden_in_code_is_found(reviewed: Reviewed, ask: str, below: str) -> None:
    (found,) = reviewed(HIDDEN.format(ask=ask, below=below))
    assert (found.code, found.file) == ("OG205", "shop.py")
    assert "-> Orders.stock -> Stock" in found.text
    assert "services need one another: `" in found.text


def test_a_circle_hidden_in_another_file_is_found(reviewed: Reviewed) -> None:
    (found,) = reviewed(
        {
            "shop.py": HIDDEN.format(ask="import tell\n        tell.tell()", below=""),
            "tell.py": "def tell():\n    import shop\n    client(shop.Orders)\n",
        }
    )
    assert lines([found]) == [
        "tell.py:4 OG205 services need one another: `tell` for Stock -> Orders.stock -> Stock"
    ]


def test_a_service_that_asks_for_itself_is_a_circle(reviewed: Reviewed) -> None:
    (found,) = reviewed(
        "@service\nclass Stock:\n    @operation\n    async def a(self) -> None: client(Stock)\n"
    )
    assert lines([found]) == ["shop.py:5 OG205 services need one another: `Stock.a` -> Stock"]


def test_asking_for_others_without_a_circle_is_fine(reviewed: Reviewed) -> None:
    source = HIDDEN.format(ask="pass", below="orders = client(Orders)\ndef view(): client(Stock)")
    assert reviewed(source) == []
