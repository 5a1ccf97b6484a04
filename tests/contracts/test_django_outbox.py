"""What is published in `transaction.atomic()` exists if and only if that commits; once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.adopt.serving import Served, served, wait_for

pytestmark = pytest.mark.timeout(120)

ROOT = Path(__file__).resolve().parents[2]
PREFIX = """
import asyncio, os, signal
from django.db import connection, connections, transaction
from outgrow import client, enqueue, enqueue_many, lifespan, publish, wait
from outgrow.testing import running
from tests.contracts import django_shop
from tests.contracts.django_shop import Books, Placed, books, migrate


def play(scene):
    async def run():
        async with running([Books]) as app:
            found = await asyncio.to_thread(scene, app)
            await app.until_idle()
            return found
    return asyncio.run(run())


async def until_billed(count):
    async with lifespan():
        async with asyncio.timeout(60):
            while len(django_shop.LEDGER.read_text().splitlines()) < count:
                await asyncio.sleep(0.01)
"""


@dataclass(frozen=True)
class Shop:
    """A database of Django, durable work, and a ledger."""

    url: str
    folder: Path

    def play(self, scene: str, *, code: int = 0, **environment: str) -> str:
        """Run a scene in a process of its own; what it prints."""
        done = subprocess.run(
            [sys.executable, "-W", "error::RuntimeWarning", "-c", PREFIX + scene],
            cwd=ROOT,
            env={
                **os.environ,
                "SHOP_URL": self.url,
                "LEDGER": str(self.ledger),
                "OUTGROW_DURABLE_URL": f"sqlite:///{self.folder}/durable.db",
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    @property
    def ledger(self) -> Path:
        """Where effects are written."""
        return self.folder / "ledger"

    def effects(self) -> Counter[str]:
        """How often each was had."""
        return Counter(self.ledger.read_text().splitlines())


@pytest.fixture
def shop(url: str, tmp_path: Path) -> Shop:
    made = Shop(url, tmp_path)
    made.ledger.touch()
    return made


def once(*effects: str) -> Counter[str]:
    return Counter(effects)


BLOCKS = """
class Undone(Exception):
    pass


def scene(app):
    migrate()
    with transaction.atomic():
        wait(enqueue(books.bill, "committed"))
        wait(publish(Placed(number="1"), Placed(number="2")))
        wait(enqueue_many(books.bill.given(f"of many {number}") for number in range(2)))
    try:
        with transaction.atomic():
            wait(enqueue(books.bill, "rolled back"))
            wait(publish(Placed(number="rolled back")))
            raise Undone
    except Undone:
        pass
    with transaction.atomic():
        wait(enqueue(books.bill, "around"))
        try:
            with transaction.atomic():
                wait(enqueue(books.bill, "savepoint"))
                raise Undone
        except Undone:
            pass
        with transaction.atomic():
            wait(enqueue(books.bill, "inner"))
    try:
        with transaction.atomic():
            with transaction.atomic():
                wait(enqueue(books.bill, "inner of what failed"))
            raise Undone
    except Undone:
        pass
    assert wait(enqueue(books.bill, "outside")).is_new
    connection.set_autocommit(False)
    wait(enqueue(books.bill, "by hand, rolled back"))
    connection.rollback()
    wait(enqueue(books.bill, "by hand"))
    connection.commit()
    connection.set_autocommit(True)
    with transaction.atomic():
        wait(enqueue(books.bill, "woken"))


play(scene)
asyncio.run(until_billed(0))
"""


def test_what_is_published_exists_if_and_only_if_the_outermost_block_commits(shop: Shop) -> None:
    shop.play(BLOCKS)
    bills = (
        "committed",
        "of many 0",
        "of many 1",
        "around",
        "inner",
        "outside",
        "by hand",
        "woken",
    )
    placed = ("placed 1", "placed 2")
    assert shop.effects() == once(*(f"bill {each}" for each in bills), *placed)


def test_nothing_is_seen_before_the_commit(shop: Shop) -> None:
    printed = shop.play("""
def scene(app):
    migrate()
    with transaction.atomic():
        handle = wait(enqueue(books.bill, "1"))
        wait(publish(Placed(number="1")))
        print(handle.is_new, wait(handle.state()), app.published)
    print(app.published)


play(scene)
""")
    assert printed == "None None []\n[Placed(number='1')]\n"


def test_what_a_service_enqueues_is_no_part_of_its_callers_transaction(shop: Shop) -> None:
    shop.play("""
async def both():
    await app_books.pass_on("by the service")
    await enqueue(books.bill, "by the caller")


def scene(app):
    global app_books
    app_books = app.client(Books)
    migrate()
    try:
        with transaction.atomic():
            wait(both())
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    with transaction.atomic():
        wait(both())


play(scene)
""")
    assert shop.effects() == Counter({"bill by the service": 2, "bill by the caller": 1})


def test_what_cannot_carry_says_so(shop: Shop) -> None:
    printed = shop.play(
        """
from outgrow.store import OutboxError


def scene(app):
    try:
        with transaction.atomic():
            wait(enqueue(books.bill, "1"))
    except OutboxError as problem:
        print(problem)
    migrate()
    try:
        with transaction.atomic(), transaction.atomic(using="other"):
            wait(enqueue(books.bill, "1"))
    except OutboxError as problem:
        print(problem)
    try:
        with transaction.atomic():
            wait(enqueue(books.bill, "x" * 300_000))
    except Exception as problem:
        print(problem)


play(scene)
""",
        OTHER_URL=f"sqlite:///{shop.folder}/other.db",
    )
    assert "OG717: Django's database `default` has no outbox" in printed
    assert "hint: Run `python manage.py migrate outgrow`" in printed
    assert "OG717: transactions of `default` and `other` are open" in printed
    assert "more than 262144" in printed
    assert not shop.effects()


def test_a_second_database_has_an_outbox_of_its_own(shop: Shop) -> None:
    shop.play(
        """
from django.core.management import call_command


def scene(app):
    migrate()
    call_command("migrate", database="other", verbosity=0)
    with transaction.atomic(using="other"):
        wait(enqueue(books.bill, "other"))
    with transaction.atomic():
        wait(enqueue(books.bill, "default"))


play(scene)
""",
        OTHER_URL=f"sqlite:///{shop.folder}/other.db",
    )
    assert shop.effects() == once("bill other", "bill default")


def test_the_block_of_a_test_case_is_no_transaction_of_the_app(shop: Shop) -> None:
    printed = shop.play("""
from django.test import TestCase

migrate()


class Case(TestCase):
    def test_blocks(self):
        from outgrow.integrations.django.outbox import DjangoCarrier
        carrier = DjangoCarrier()
        print(carrier.transaction() is None)
        with transaction.atomic():
            print(carrier.transaction() is None)
            wait(enqueue(books.bill, "in a test"))
            with connection.cursor() as cursor:
                cursor.execute("SELECT kind FROM outgrow_django_outbox")
                print(cursor.fetchall())


import unittest
result = unittest.TextTestRunner().run(unittest.defaultTestLoader.loadTestsFromTestCase(Case))
assert result.wasSuccessful()
""")
    assert printed == "True\nFalse\n[('job',)]\n"


def test_migrations_are_up_to_date(tmp_path: Path) -> None:
    shop = Shop(f"sqlite:///{tmp_path}/shop.db", tmp_path)
    printed = shop.play("""
from django.core.management import call_command

call_command("makemigrations", "outgrow", check=True, dry_run=True)
call_command("check", fail_level="WARNING")
""")
    assert "No changes detected" in printed


COMMIT_AND_DIE = """
migrate()
for number in range(3):
    with transaction.atomic():
        wait(enqueue(books.bill, f"before {number}"))
        wait(publish(Placed(number=f"before {number}")))
with transaction.atomic():
    # Before what would have it moved.
    transaction.on_commit(lambda: os.kill(os.getpid(), signal.SIGKILL))
    wait(enqueue(books.bill, "last"))
    wait(publish(Placed(number="last")))
"""


def test_what_was_committed_before_a_kill_takes_effect_once(shop: Shop) -> None:
    shop.play("asyncio.run(until_billed(0))")  # from now on there are subscriptions
    shop.play(COMMIT_AND_DIE, code=-signal.SIGKILL)
    assert not shop.effects()
    shop.play("asyncio.run(until_billed(8))")
    shop.play("asyncio.run(until_billed(0))")
    numbers = ("before 0", "before 1", "before 2", "last")
    wanted = [f"{what} {number}" for what in ("bill", "placed") for number in numbers]
    assert shop.effects() == once(*wanted)


def test_a_kill_between_two_steps_of_the_move_repeats_nothing(shop: Shop) -> None:
    shop.play("asyncio.run(until_billed(0))")  # from now on there are subscriptions
    shop.play(COMMIT_AND_DIE, code=-signal.SIGKILL)
    shop.play(
        """
from outgrow.host import house
from outgrow.integrations.django.outbox import DjangoRows

house._wanted.clear()  # it only moves: a job that is killed as well may run twice
DjangoRows.remove = lambda rows, numbers: os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(until_billed(100))
""",
        code=-signal.SIGKILL,
    )
    shop.play("asyncio.run(until_billed(8))")
    shop.play("asyncio.run(until_billed(0))")
    assert set(shop.effects().values()) == {1}
    assert len(shop.effects()) == 8


@pytest.mark.slow
def test_workers_that_die_after_a_commit_lose_nothing(shop: Shop) -> None:
    shop.play("migrate()")
    environment = {
        "SHOP_URL": shop.url,
        "LEDGER": str(shop.ledger),
        "PYTHONPATH": str(ROOT),
        **({"OUTGROW_DURABLE_URL": shop.url} if shop.url.startswith("postgres") else {}),
    }
    # Of a job that is killed as well nobody knows whether it has written its line.
    (shop.folder / "outgrow.toml").write_text('[size.machine.groups.work]\nruns = ["books"]\n')
    with served(
        "tests.contracts.django_shop:application",
        server="outgrow",
        cwd=shop.folder,
        folder=shop.folder,
        interface="wsgi",
        workers=2,
        environment=environment,
    ) as running:
        numbers = [str(number) for number in range(12)]
        for number in numbers:
            answer = placed(running, number)
            assert (answer == number) != number.endswith("5")
        wanted = once(*(f"{what} {number}" for what in ("bill", "placed") for number in numbers))
        wait_for(lambda: shop.effects() >= wanted, "effects", 60, then=running.log)
        assert shop.effects() == wanted


def placed(running: Served, number: str) -> str:
    """Place an order; what is answered, empty where the worker died."""
    with running.client() as browser, suppress(httpx.TransportError):
        return browser.get(f"/place/{number}").text
    return ""


def test_a_process_without_services_only_writes(shop: Shop) -> None:
    shop.play(
        """
migrate()
with transaction.atomic():
    wait(enqueue(books.bill, "in a block"))
handles = wait(enqueue_many(books.bill.given(f"outside {number}") for number in range(2)))
assert {one.is_new for one in handles} == {None}
with connection.cursor() as cursor:
    cursor.execute("SELECT count(*) FROM outgrow_django_outbox")
    assert cursor.fetchone() == (3,)
os.kill(os.getpid(), signal.SIGKILL)
""",
        code=-signal.SIGKILL,
    )
    assert not shop.effects()
    shop.play("asyncio.run(until_billed(3))")
    assert shop.effects() == once("bill in a block", "bill outside 0", "bill outside 1")


def test_a_service_that_is_found_late_is_started_for_its_jobs(shop: Shop) -> None:
    shop.play("""
from outgrow import job, service


async def scene():
    async with lifespan():
        def late():
            @service
            class Late:
                @job
                def bill(self) -> None:
                    django_shop.record("late")

            migrate()
            with transaction.atomic():
                wait(enqueue(client(Late).bill))

        await asyncio.to_thread(late)
        async with asyncio.timeout(60):
            while not django_shop.LEDGER.read_text():
                await asyncio.sleep(0.01)


asyncio.run(scene())
""")
    assert shop.effects() == once("late")


def test_connections_of_a_jobs_thread_are_let_go_of_as_after_a_request(shop: Shop) -> None:
    printed = shop.play("""
import threading
from outgrow import job, service

BREAKS = {
    "sqlite": "SELECT nothing",
    "postgresql": "SELECT pg_terminate_backend(pg_backend_pid())",
}


@service(threads_max=1)
class Reads:
    @job(attempts_max=1)
    def read(self, breaks: bool) -> str:
        was_open = connection.connection is not None
        with connection.cursor() as cursor:
            cursor.execute(BREAKS[connection.vendor] if breaks else "SELECT 1")
        return f"{threading.current_thread().name} {was_open}"


async def scene():
    async with running([Reads]) as app:
        reads = app.client(Reads)
        for age_seconds in (0, None):
            connections.databases["default"]["CONN_MAX_AGE"] = age_seconds
            for breaks in (False, False, True, False):
                handle = await enqueue(reads.read, breaks)
                try:
                    print(await handle.result())
                except Exception as problem:
                    print(type(problem).__name__)


asyncio.run(scene())
""")
    assert printed.splitlines() == [
        *("outgrow-reads_0 False", "outgrow-reads_0 False"),
        *("JobEndedError", "outgrow-reads_0 False"),
        # The connection is kept now, and let go of once it has failed and works no more.
        *("outgrow-reads_0 False", "outgrow-reads_0 True"),
        *("JobEndedError", f"outgrow-reads_0 {shop.url.startswith('sqlite')}"),
    ]
