"""A Django project adopts a service: a sync view waits for it, an async view awaits it."""

from __future__ import annotations

import subprocess
import sys

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
