"""`outgrow map`: the app as text that reads without colour, and as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli.typing_verbs import Outgrow
from tests.unit.host.review.reviewing import imports_undone, write_files
from tests.unit.host.review.test_picture import SHOP


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The shop of the picture's own tests, in the current folder."""
    write_files(tmp_path, SHOP)
    monkeypatch.setitem(os.environ, "STOCK_TOKEN", "s3cret")
    yield from imports_undone(monkeypatch)


def test_the_map_shows_who_calls_whom(outgrow: Outgrow) -> None:
    ended = outgrow("map", "shop.api:app")
    assert ended.code == 0
    assert ended.out.splitlines() == [
        "app: 1 edge, 2 services, 1 provider",
        "",
        "web  shop.api:app",
        "  order ──▶ Orders.place",
        "  at import ──▶ Orders.place",
        "",
        "Orders as buying  shop/orders.py:7",
        "  place(sku: str) -> int ──▶ Stock.quote, Stock.reserve, Stock.watch",
        "  needs  stock: Stock",
        "",
        "Stock  shop/stock.py:12",
        "  reserve(sku: str, *, quantity: int = 1) -> int  [timeout 0.5 s, idempotent, 3 in line]",
        "  watch() -> list[int]  [stream]",
        "  quote(sku: str | None) -> None  [thread]",
        "  needs  db: Database, sqlite unless STOCK_DATABASE_URL says otherwise",
        "         smtp: Smtp, made by open_smtp",
        "         currency: str = 'EUR', from STOCK_CURRENCY",
        "         token: str, from STOCK_TOKEN (secret)",
        "         limit: int = 5",
    ]
    assert ended.err == "find mistakes in it: outgrow check\n"


def test_secrets_are_never_shown(outgrow: Outgrow) -> None:
    for words in (["map", "."], ["map", ".", "--json"]):
        shown = outgrow(*words).out
        assert "hunter2" not in shown
        assert "s3cret" not in shown


def test_the_map_can_be_had_as_json(outgrow: Outgrow) -> None:
    ended = outgrow("map", "shop.api:app", "--json")
    assert (ended.code, ended.err) == (0, "")
    shown = json.loads(ended.out)
    assert list(shown) == [
        *("app", "edges", "services", "providers", "links"),
        *("groups", "groups_from", "groups_run"),
    ]
    assert shown["edges"] == [{"name": "web", "app": "shop.api:app", "group": None}]
    assert shown["providers"] == [
        {"function": "shop.stock.open_smtp", "type": "Smtp", "services": ["stock"]}
    ]
    assert shown["links"][0] == {
        "kind": "call",
        "caller": "web",
        "caller_kind": "edge",
        "function": "order",
        "called": "buying",
        "operation": "place",
        "file": "shop/api.py",
        "line": 12,
    }


def test_the_settings_file_names_the_app(outgrow: Outgrow, tmp_path: Path) -> None:
    settings = '[app]\nname = "corner"\nedges = { front = "shop.api:app" }\n'
    (tmp_path / "outgrow.toml").write_text(settings)
    shown = outgrow("map").out.splitlines()
    assert shown[0].startswith("corner: ")
    assert shown[2] == "front  shop.api:app"


def test_without_services_it_says_so(outgrow: Outgrow, tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text("")
    assert outgrow("map", "plain").out == "app: 0 services\n"


def test_a_broken_service_is_shown_as_far_as_it_can_be_read(
    outgrow: Outgrow, tmp_path: Path
) -> None:
    (tmp_path / "odd.py").write_text(
        "from outgrow import service\n@service\nclass Odd:\n    a: 'Nowhere'\n    b: int = 1\n"
    )
    assert outgrow("map", "odd").out.splitlines()[-2:] == [
        "  needs  b: int = 1",
        "  not all of it can be read: outgrow check says why",
    ]
