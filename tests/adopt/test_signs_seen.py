"""Signs that are planted in a small app are found in its own traffic, by way of the observer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

import pytest

from tests.adopt.serving import served, wait_for
from tests.adopt.test_watch import OBSERVE, SEEN_SECONDS, Seen

for needed in ("duckdb", "numpy", "scipy"):
    pytest.importorskip(needed)

pytestmark = pytest.mark.timeout(120)

APP = """
import asyncio
import os
import sqlite3
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI

from outgrow import operation, service, uses

SLOW = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500000) "
    "SELECT sum(i) FROM n"
)


def ask(sql: str, *values: object, file: str = "shop.db") -> list[tuple]:
    connection = sqlite3.connect(file, timeout=30)
    try:
        with connection:
            return connection.execute(sql, values).fetchall()
    finally:
        connection.close()


ask("CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, sku TEXT)")
ask("CREATE TABLE IF NOT EXISTS notes (text TEXT)")
ask("INSERT OR IGNORE INTO items VALUES (1, 'tea'), (2, 'cup')")


@service
class Ledger:
    @operation
    async def note(self, text: str) -> int:
        ask("INSERT INTO notes VALUES (?)", text)
        return 1


@service
class Prices:
    ledger: Ledger

    @operation(idempotent=True)
    async def of(self, sku: str) -> int:
        await asyncio.sleep(0.03)
        return 250

    @operation
    async def noted(self, sku: str) -> int:
        return await self.ledger.note(sku)


@service
class Stock:
    @operation(idempotent=True)
    async def of(self, sku: str) -> int:
        await asyncio.sleep(0.03)
        return 7


    @operation(idempotent=True)
    async def picture(self, sku: str) -> str:
        return sku * 40_000


@service
class Offers:
    prices: Prices
    stock: Stock

    @operation
    async def page(self, sku: str) -> int:
        return await self.prices.of(sku) * await self.stock.of(sku)

    @operation
    async def sell(self, sku: str) -> int:
        ask("INSERT INTO notes VALUES (?)", sku)
        return await self.prices.noted(sku)


app = FastAPI()
OffersHere = Annotated[Offers, Depends(uses(Offers))]


@app.get("/orders")
def orders() -> int:
    return sum(len(ask("SELECT sku FROM items WHERE id = ?", each % 2 + 1)) for each in range(20))


@app.get("/report")
def report() -> int:
    return ask(SLOW, file="reports.db")[0][0]


@app.get("/offers/{sku}")
async def offer(sku: str, offers: OffersHere) -> int:
    return await offers.page(sku)


@app.post("/sales/{sku}")
async def sell(sku: str, offers: OffersHere) -> int:
    return await offers.sell(sku)


@app.post("/payments")
async def pay() -> int:
    paid = 0
    async with httpx.AsyncClient(base_url=os.environ["BANK"], trust_env=False) as bank:
        for _ in range(10):
            answer = await bank.post("/pay")
            if answer.status_code >= 500:
                answer = await bank.post("/pay")
            paid += answer.status_code == 200
    return paid


@app.get("/pictures/{sku}")
async def picture(sku: str, stock: Annotated[Stock, Depends(uses(Stock))]) -> int:
    return len(await stock.picture(sku))


@app.get("/healthy/{sku}")
def healthy(sku: str) -> int:
    return len(ask("SELECT id FROM items WHERE sku = ?", sku))
"""

GROUPS = """
[size.machine.groups.desk]
runs = ["offers"]

[size.machine.groups.store]
runs = ["prices", "stock"]

[size.machine.groups.books]
runs = ["ledger"]
"""

ASKED = {
    "GET /orders": 30,
    "GET /report": 20,
    "GET /offers/{sku}": 8,
    "POST /sales/{sku}": 8,
    "POST /payments": 25,
    "GET /pictures/{sku}": 5,
    "GET /healthy/{sku}": 60,
}


@contextmanager
def _bank() -> Iterator[str]:
    """What lies outside: one request of four fails."""
    numbers = count()

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.send_response(500 if next(numbers) % 4 == 0 else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the observer says after some requests of each kind."""
    folder = tmp_path_factory.mktemp("signs")
    (folder / "main.py").write_text(APP)
    (folder / "outgrow.toml").write_text(GROUPS)
    with (
        _bank() as bank,
        served(
            "main:app",
            server="outgrow",
            cwd=folder,
            folder=folder / "run",
            environment={**OBSERVE, "BANK": bank},
        ) as running,
        running.client() as client,
    ):
        seen = Seen(running)
        wait_for(seen.page, "the observer", SEEN_SECONDS)
        for route, times in ASKED.items():
            method, path = route.split(" ")
            for _ in range(times):
                answer = client.request(method, path.replace("{sku}", "tea"))
                assert answer.status_code == 200, running.log()
        wait_for(lambda: _is_told(seen), "all requests and statements", SEEN_SECONDS)
        seen.until_kept("POST /sales/{sku}", "INSERT notes")
        found = wait_for(lambda: seen.ask("signs?from=-1h&limit=200"), "signs", SEEN_SECONDS)
        yield {**found, "examples": {id: seen.ask(f"traces/{id}") for id in _ids(found)}}


def _is_told(seen: Seen) -> bool:
    ran = {one["text"]: one["calls"] for one in seen.statements()}
    called = seen.operations()
    return (
        all(called.get(route, 0) >= times for route, times in ASKED.items())
        and called.get("Ledger.note", 0) >= ASKED["POST /sales/{sku}"]
        and ran.get("SELECT sku FROM items WHERE id = ?", 0) >= 20 * ASKED["GET /orders"]
    )


def _ids(told: dict[str, Any]) -> set[str]:
    return {trace_id for one in told["signs"] for trace_id in one["traces"]}


def _found(told: dict[str, Any], sign: str) -> dict[str, dict[str, Any]]:
    return {one["subject"]: one for one in told["signs"] if one["sign"] == sign}


def test_a_statement_that_repeats_within_a_request_is_found(told: dict[str, Any]) -> None:
    (one,) = _found(told, "repeated statement").values()
    assert one["subject"] == "SELECT sku FROM items WHERE id = ?"
    assert one["text"].startswith("`GET /orders` runs it 20 times or more in a call; it takes")
    assert one["value"] == pytest.approx(20)
    assert one["numbers"]["runs_count"] == 600


def test_a_statement_that_is_slow_is_found(told: dict[str, Any]) -> None:
    (one,) = _found(told, "slow statement").values()
    assert one["subject"].startswith("WITH RECURSIVE n(i)")
    assert "`GET /report` runs it" in one["text"]


def test_a_table_that_two_services_write_is_found(told: dict[str, Any]) -> None:
    (one,) = _found(told, "many owners").values()
    assert (one["subject"], one["text"]) == (
        "sqlite:shop.db notes",
        "Ledger, Offers all write it",
    )


def test_calls_that_could_be_made_at_once_are_found(told: dict[str, Any]) -> None:
    (one,) = _found(told, "calls in a row").values()
    assert one["subject"] == "GET /offers/{sku}"


def test_a_long_chain_is_found_and_what_writes_in_two_services(told: dict[str, Any]) -> None:
    texts = {one["text"] for one in told["signs"] if one["sign"] == "long chain"}
    assert texts == {
        "`POST /sales/{sku}` waits for a chain of 3 calls between processes",
        "`POST /sales/{sku}` writes in Ledger, Offers: an outbox would join them",
    }


def test_what_an_app_tries_again_is_found(told: dict[str, Any]) -> None:
    (one,) = _found(told, "retries").values()
    assert one["subject"].startswith("POST /payments -> http 127.0.0.1:")
    assert one["value"] == pytest.approx(4 / 3, rel=0.05)


def test_a_link_with_many_calls_in_a_request_is_found(told: dict[str, Any]) -> None:
    pay, picture = sorted(_found(told, "chatty link").values(), key=lambda one: one["value"])
    assert pay["subject"].startswith("POST /payments -> http 127.0.0.1:")
    assert picture["subject"] == "GET /pictures/{sku} -> Stock.picture"
    assert picture["numbers"]["bytes_per_call"] == pytest.approx(120_000, rel=0.01)


def test_signs_lead_to_traces_that_show_them(told: dict[str, Any]) -> None:
    shown = {
        one["sign"]: told["examples"][one["traces"][0]]["spans"]
        for one in told["signs"]
        if one["traces"]
    }
    assert set(shown) >= {
        *("repeated statement", "slow statement", "calls in a row", "long chain", "retries"),
        "chatty link",
    }
    names = [span["name"] for span in shown["repeated statement"]]
    assert names.count("SELECT items") == 20
    assert [span["is_error"] for span in shown["retries"]].count(True) >= 1


def test_a_route_that_is_well_is_no_subject(told: dict[str, Any]) -> None:
    assert "GET /healthy/{sku}" not in str(told["signs"])
