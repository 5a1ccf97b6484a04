"""What services are made of: their files, and all that these import, told apart by content."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from outgrow.host import Makeup

FILES = {
    "shop/__init__.py": "",
    "shop/money.py": "RATE = 2\n",
    "shop/later.py": "WORD = 'x'\n",
    "shop/stock.py": (
        "from outgrow import operation, service\n"
        "from shop import money\n"
        "@service\n"
        "class Stock:\n"
        "    @operation\n"
        "    async def count(self) -> int:\n"
        "        from shop.later import WORD\n"
        "        return len(WORD)\n"
    ),
    "shop/mail.py": (
        "from outgrow import operation, service\n"
        "from .stock import Stock\n"
        "@service\n"
        "class Mail:\n"
        "    stock: Stock\n"
        "    @operation\n"
        "    async def send(self) -> None: ...\n"
    ),
    "shop/letters.py": (
        "from outgrow import operation, service\n"
        "@service\n"
        "class Letters:\n"
        "    @operation\n"
        "    async def send(self) -> None: ...\n"
    ),
}
PROGRAM = """
import sys, time
began_ns = time.time_ns() + int(sys.argv[1])
import msgspec
from outgrow import client
from outgrow.host.house import app_graph
from outgrow.host.makeup import makeup_of
from shop.mail import Mail
from shop.letters import Letters
client(Mail), client(Letters)
sys.stdout.buffer.write(msgspec.json.encode(makeup_of(app_graph(), began_ns)))
"""
HOUR_NS = 3600 * 10**9


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        os.utime(tmp_path / name, (1000, 1000))
    return tmp_path


def made(shop: Path, after_ns: int = 0) -> Makeup:
    """Of a process of its own: an import is made once."""
    run = [sys.executable, "-c", PROGRAM, str(after_ns)]
    done = subprocess.run(run, cwd=shop, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return msgspec.json.decode(done.stdout, type=Makeup)


def names(makeup: Makeup, service: str) -> set[str]:
    return {Path(file).name for file in makeup.code_of(service)}


def test_a_service_is_made_of_its_file_and_of_all_that_this_imports(shop: Path) -> None:
    makeup = made(shop)
    assert names(makeup, "letters") == {"__init__.py", "letters.py"}
    assert names(makeup, "stock") == {"__init__.py", "stock.py", "money.py", "later.py"}
    assert names(makeup, "mail") == names(makeup, "stock") | {"mail.py"}


def test_what_a_service_calls_is_told(shop: Path) -> None:
    assert made(shop).needs == {"letters": [], "mail": ["stock"], "stock": []}


def test_packages_are_told_with_their_versions(shop: Path) -> None:
    assert any(name.startswith("msgspec-") for name in made(shop).packages)


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("shop/money.py", {"stock", "mail"}),
        ("shop/later.py", {"stock", "mail"}),
        ("shop/mail.py", {"mail"}),
        ("shop/letters.py", {"letters"}),
    ],
    ids=["what two import", "what is imported in a function", "the file itself", "another's"],
)
def test_a_change_of_a_file_changes_those_that_are_made_of_it(
    shop: Path, file: str, changed: set[str]
) -> None:
    before = made(shop)
    with (shop / file).open("a") as more:
        more.write("MORE = 1\n")
    os.utime(shop / file, (1000, 1000))
    after = made(shop)
    found = {name for name in before.parts if before.code_of(name) != after.code_of(name)}
    assert found == changed


def test_what_is_written_while_the_app_is_imported_is_never_taken_for_the_same(shop: Path) -> None:
    sure, unsure = made(shop), made(shop, after_ns=-(10**18) * 2)
    assert sure.code_of("letters") == made(shop, after_ns=HOUR_NS).code_of("letters")
    assert sure.code_of("letters") != unsure.code_of("letters")
