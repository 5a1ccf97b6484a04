"""Apps adopt a service: views of Django, sync and async, and a lifespan under any server."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.adopt.serving import SERVERS, ServerName, served

PROJECT = """
import asyncio

import django
from django.conf import settings
from django.http import HttpResponse
from django.test import AsyncClient, Client
from django.urls import path

from outgrow import client, operation, service, wait


@service
class Prices:
    @operation
    async def of(self, sku: str) -> int:
        return len(sku)


prices = client(Prices)


def price(request, sku):
    return HttpResponse(wait(prices.of(sku)))


async def async_price(request, sku):
    return HttpResponse(await prices.of(sku))


urlpatterns = [path("sync/<sku>", price), path("async/<sku>", async_price)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])
django.setup()


async def both():
    browser = AsyncClient()
    return [(await browser.get(f"/{kind}/tea")).content for kind in ("sync", "async")]


print(Client().get("/sync/tea").content, asyncio.run(both()), Client().get("/sync/cups").content)
"""


def test_sync_and_async_views_of_django_call_one_service() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROJECT], capture_output=True, text=True, check=False, timeout=20
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "b'3' [b'3', b'3'] b'4'"


APP = """
from typing import Annotated

from fastapi import Depends, FastAPI

from outgrow import lifespan, on_start, on_stop, operation, service, uses


@service
class Prices:
    @on_start
    async def opened(self) -> None:
        print("opened", flush=True)

    @on_stop
    async def closed(self) -> None:
        print("closed", flush=True)

    @operation
    async def of(self, sku: str) -> int:
        return len(sku)


app = FastAPI(lifespan=lifespan)


@app.get("/{sku}")
async def price(sku: str, prices: Annotated[Prices, Depends(uses(Prices))]) -> int:
    return await prices.of(sku)
"""


@pytest.mark.parametrize("server", SERVERS)
def test_with_a_lifespan_services_start_and_stop_with_the_app(
    server: ServerName, tmp_path: Path
) -> None:
    (tmp_path / "main.py").write_text(APP)
    with served("main:app", server=server, cwd=tmp_path, folder=tmp_path) as running:
        assert running.says("opened")
        with running.client() as browser:
            assert browser.get("/tea").json() == 3
    assert re.findall("opened|closed", running.log()) == ["opened", "closed"]
