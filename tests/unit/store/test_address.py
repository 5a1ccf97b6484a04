"""URLs are understood as their users mean them, and no password is ever shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgrow.errors import DatabaseUrlError
from outgrow.store.address import address_of, url_of_service, variable_of


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+aiosqlite"])
def test_a_path_is_meant_from_where_the_process_runs(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    near = address_of(f"{scheme}:///shop.db")
    far = address_of(f"{scheme}:///{tmp_path}/shop.db")
    monkeypatch.chdir("/")
    assert near.target == far.target == str(tmp_path / "shop.db")
    assert near.shown == f"sqlite:///{tmp_path}/shop.db"


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_a_database_without_a_path_has_no_target(url: str) -> None:
    assert (address_of(url).target, address_of(url).shown) == ("", "sqlite://")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_every_way_to_write_postgresql_means_the_same(scheme: str) -> None:
    address = address_of(f"{scheme}://joe:secret@db:5433/shop?sslmode=require")
    assert address.kind == "postgresql"
    assert address.target == "postgresql://joe:secret@db:5433/shop?sslmode=require"
    assert address.shown == "postgresql://joe@db:5433/shop"
    assert "secret" not in repr(address)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql:///shop?host=/run/pg&password=secret", "postgresql:///shop"),
        ("postgres://db/shop", "postgresql://db/shop"),
        ("postgres://joe:se@cret@db/shop", "postgresql://joe@db/shop"),
        ("postgres://joe:se?cret@db/shop", "postgresql://joe@db/shop"),
        ("postgres://joe:secret@a:1,b:2/shop", "postgresql://joe@a:1,b:2/shop"),
    ],
)
def test_what_is_shown_holds_no_password(url: str, shown: str) -> None:
    assert address_of(url).shown == shown


@given(st.text("abc:/?#@%", min_size=1))
def test_no_password_is_shown_however_it_is_written(odd: str) -> None:
    try:
        shown = address_of(f"postgresql://joe:SECRET{odd}SECRET@db/shop").shown
    except DatabaseUrlError as refused:
        shown = str(refused)
    assert "SECRET" not in shown


def test_a_slash_in_a_password_must_be_written_otherwise() -> None:
    with pytest.raises(DatabaseUrlError, match="%2F") as caught:
        address_of("postgres://joe:123/secret@127.0.0.1/shop")
    assert caught.value.text == "postgresql://joe@127.0.0.1/shop cannot be understood"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://joe:secret@db/shop", "begins with `mysql://`"),
        ("shop.db", "has no `://`"),
        ("postgresql+psycopg://joe:secret@db/shop", "asks for the driver `psycopg`"),
        ("sqlite:///shop.db?mode=ro", "has `?mode=ro`"),
        ("postgres://joe:secret@db/shop?pgbouncer=true", "has `pgbouncer`, which is for events"),
    ],
)
def test_another_url_is_refused_without_its_password(url: str, says: str) -> None:
    with pytest.raises(DatabaseUrlError, match=re.escape(f"SHOP_URL {says}")) as caught:
        address_of(url, variable="SHOP_URL")
    assert "secret" not in str(caught.value)


def test_the_nearest_place_that_says_a_url_counts() -> None:
    own = {"ORDERS_DATABASE_URL": "sqlite:///own.db"}
    shared = {"DATABASE_URL": "sqlite:///shared.db"}
    code = "sqlite:///code.db"
    assert url_of_service("orders", code, own | shared)[0] == "sqlite:///own.db"
    assert url_of_service("orders", code, shared)[0] == code
    assert url_of_service("orders", None, shared) == ("sqlite:///shared.db", "DATABASE_URL")
    default = ("sqlite:///.outgrow/orders.db", "ORDERS_DATABASE_URL")
    assert url_of_service("orders", None, {}) == default
    assert url_of_service("orders", None, {"DATABASE_URL": ""}) == default


def test_a_variable_has_only_letters_that_shells_take() -> None:
    assert variable_of("order-mail") == "ORDER_MAIL_DATABASE_URL"
