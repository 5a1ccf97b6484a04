"""A project of Django in one file, for processes of their own: `python -c` with a scene behind it.

The environment says where its database is (`SHOP_URL`) and where effects are written (`LEDGER`).
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import transaction
from django.http import HttpResponse
from django.urls import path

from outgrow import (
    Event,
    client,
    enqueue,
    job,
    operation,
    publish,
    service,
    subscribe,
    wait,
)

LEDGER = Path(os.environ["LEDGER"])


class Placed(Event, key="number", name="django_shop.Placed"):
    """An order was placed."""

    number: str


def record(line: str) -> None:
    """Write an effect down, all of the line or nothing."""
    with LEDGER.open("ab", buffering=0) as ledger:
        ledger.write(f"{line}\n".encode())


@service
class Books:
    """Writes down what it is told."""

    @job
    def bill(self, number: str) -> None:
        record(f"bill {number}")

    @job(unique=True)
    def bill_once(self, number: str) -> None:
        record(f"once {number}")

    @subscribe
    def on_placed(self, event: Placed) -> None:
        record(f"placed {event.number}")

    @operation
    async def pass_on(self, number: str) -> None:
        """What an operation enqueues is no part of its caller's transaction."""
        await enqueue(books.bill, number)


def database_of(url: str) -> dict[str, Any]:
    """A database as Django's settings have it."""
    if url.startswith("sqlite"):
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": url.removeprefix("sqlite:///"),
            "OPTIONS": {"timeout": 20},
        }
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.removeprefix("/"),
        "USER": parts.username or "postgres",
        "HOST": parse_qs(parts.query).get("host", [parts.hostname])[0],
    }


databases = {"default": database_of(os.environ["SHOP_URL"])}
if "OTHER_URL" in os.environ:
    databases["other"] = database_of(os.environ["OTHER_URL"])
settings.configure(
    SECRET_KEY="of tests",
    INSTALLED_APPS=["outgrow.integrations.django"],
    DATABASES=databases,
    ROOT_URLCONF="tests.contracts.django_shop",
    ALLOWED_HOSTS=["*"],
)
django.setup()
books = client(Books)


def place(_request: Any, number: str) -> Any:
    """Place an order; each fifth ends the process that has committed it, and tells nobody."""
    atomic: Any = transaction.atomic
    with atomic():
        if number.endswith("5"):
            transaction.on_commit(lambda: os.kill(os.getpid(), signal.SIGKILL))
        wait(enqueue(books.bill, number))
        wait(publish(Placed(number=number)))
    return HttpResponse(number.encode())


urlpatterns = [path("place/<number>", place)]
application = get_wsgi_application()


def migrate() -> None:
    """Make the tables."""
    call_command("migrate", verbosity=0)
