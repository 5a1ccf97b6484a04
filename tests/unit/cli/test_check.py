"""`outgrow check`: a line for each finding, a hint below it, and exit codes for scripts."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.blocks import blocks_of
from tests.tidy.source import ROOT
from tests.unit.cli.typing_verbs import Outgrow
from tests.unit.host.review.reviewing import IMPORTS, imports_undone, write_files

STOCK = (
    IMPORTS
    + """
print("imported")

@service
class Stock:
    size: int = 3

    @operation
    async def reserve(self, sku: str) -> int: return 1
"""
)
ORDERS = (
    IMPORTS
    + """
from stock import Stock

@service
class Orders:
    stock: Stock

    @operation
    async def place(self, sku: str) -> int:
        {body}
"""
)


@pytest.fixture(autouse=True)
def _forget_imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield from imports_undone(monkeypatch)


def write_shop(folder: Path, body: str) -> None:
    write_files(folder, {"stock.py": STOCK, "orders.py": ORDERS.format(body=body)})


def test_a_finding_is_a_line_with_a_hint_and_the_exit_code_1(
    outgrow: Outgrow, tmp_path: Path
) -> None:
    write_shop(tmp_path, "return self.stock.size")
    ended = outgrow("check", "orders")
    assert ended.code == 1
    assert re.sub(r"\d\.\d s", "0.1 s", ended.out).splitlines() == [
        "orders.py:11  OG204  `Orders.place` uses `self.stock.size`: `size` is not an operation of "
        "`Stock`",
        "              hint: Add an operation to `Stock` that gives what is needed, or call one "
        "of: reserve",
        "1 finding in 2 files (0.1 s)",
    ]


def test_what_the_code_prints_goes_to_the_other_output(outgrow: Outgrow, tmp_path: Path) -> None:
    write_shop(tmp_path, "return 1")
    assert "imported" in outgrow("check", "orders").err


def test_nothing_found_is_said_with_the_exit_code_0(outgrow: Outgrow, tmp_path: Path) -> None:
    write_shop(tmp_path, "return await self.stock.reserve(sku)")
    ended = outgrow("check", ".")
    assert ended.code == 0
    assert re.fullmatch(r"no findings in 2 files \(\d\.\d s\)\n", ended.out)


def test_places_stand_in_one_column(outgrow: Outgrow, tmp_path: Path) -> None:
    body = "\n        ".join(["self.stock.size"] * 3)
    write_shop(tmp_path, body.replace("self.stock.size", "", 1).strip() + "\n        return 1")
    (tmp_path / "a.py").write_text(IMPORTS + "def view(): client(int)\n")
    shown = outgrow("check", ".").out.splitlines()
    codes = {line.index("  OG") for line in shown if "  OG" in line}
    assert len(codes) == 1


def test_findings_can_be_had_as_json(outgrow: Outgrow, tmp_path: Path) -> None:
    write_shop(tmp_path, "return self.stock.size")
    ended = outgrow("check", "orders", "--json")
    assert ended.code == 1
    report = json.loads(ended.out)
    assert report["files"] == 2
    assert report["seconds"] >= 0
    (found,) = report["findings"]
    assert (found["file"], found["line"], found["code"]) == ("orders.py", 11, "OG204")
    assert set(found) == {"file", "line", "code", "text", "hint"}


def test_several_targets_are_checked_together(outgrow: Outgrow, tmp_path: Path) -> None:
    write_shop(tmp_path, "return 1")
    write_files(
        tmp_path,
        {
            "other/more.py": IMPORTS + "class Lost:\n    @operation\n"
            "    async def a(self) -> None: ...\n"
        },
    )
    ended = outgrow("check", "orders", "other")
    assert ended.code == 1
    assert "other/more.py:2" in ended.out
    assert "in 3 files" in ended.out


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        pytest.param([], 2, "OG101: nothing to look at", id="nothing named"),
        pytest.param(["nowhere"], 2, "OG102: no module `nowhere`", id="no such module"),
        pytest.param(["broken"], 2, "OG104: importing `broken` raised", id="a broken module"),
        pytest.param(["stock:nothing"], 2, "OG103: module `stock` has no", id="no such name"),
        pytest.param(["--folly"], 2, "No such option", id="no such option"),
    ],
)
def test_what_cannot_be_looked_at_is_said(
    outgrow: Outgrow, tmp_path: Path, words: list[str], code: int, error: str
) -> None:
    write_shop(tmp_path, "return 1")
    (tmp_path / "broken.py").write_text("1 / 0\n")
    ended = outgrow("check", *words)
    assert (ended.code, ended.out) == (code, "")
    assert error in ended.err


@pytest.mark.parametrize("verb", ["check", "map"])
def test_the_verb_explains_itself(outgrow: Outgrow, verb: str) -> None:
    shown = outgrow(verb, "--help")
    assert shown.code == 0
    for word in ("TARGET", "--app-dir", "--json"):
        assert word in shown.out
    assert verb in outgrow("--help").out


def test_the_guide_shows_what_is_printed(outgrow: Outgrow, tmp_path: Path) -> None:
    blocks = blocks_of(ROOT / "docs" / "guides" / "check.md")
    for block in blocks:
        if block.file:
            write_files(tmp_path, {block.file: block.text})
    shown = [block.text.splitlines() for block in blocks if block.exit_codes == (1,)]
    assert len(shown) == 5
    for command, *printed in shown:
        ended = outgrow(*command.split()[2:])
        assert ended.code == 1
        assert re.sub(r"\d\.\d s", "0.1 s", ended.out).splitlines() == printed


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "command", [["pyright", "--pythonpath", sys.executable], ["mypy", "-p", "shop"]]
)
def test_type_checkers_accept_the_examples_of_the_guide(tmp_path: Path, command: list[str]) -> None:
    if importlib.util.find_spec(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    for block in blocks_of(ROOT / "docs" / "guides" / "check.md"):
        if block.file:
            write_files(tmp_path, {block.file: block.text})
    (tmp_path / "pyproject.toml").write_text(
        '[tool.pyright]\ntypeCheckingMode = "strict"\n[tool.mypy]\nstrict = true\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=tmp_path, capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_coupling_is_told_of_code_that_is_not_imported(outgrow: Outgrow, tmp_path: Path) -> None:
    files = {"orders/a.py": "import stock.a\n1 / 0\n", "stock/a.py": "import orders.a\n"}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    ended = outgrow("check", "--coupling", str(tmp_path))
    assert ended.code == 1
    first, hint, missing, last = ended.out.splitlines()
    assert "orders/a.py:1  import circle  `orders` and `stock` import each other; " in first
    assert hint.strip().startswith("hint: Cut it there: ")
    assert missing.startswith("not looked at: what changes together: not a git repository")
    assert re.fullmatch(r"1 finding in 2 files \(\d\.\d s\), 2 parts", last)


def test_coupling_as_json_says_what_was_not_looked_at(outgrow: Outgrow, tmp_path: Path) -> None:
    (tmp_path / "alone.py").write_text("")
    ended = outgrow("check", "--coupling", str(tmp_path), "--json")
    told = json.loads(ended.out)
    assert (ended.code, told["findings"], told["files"], told["parts"]) == (0, [], 1, 1)
    assert told["missing"][0].startswith("what changes together: ")


@pytest.mark.parametrize("target", ["nowhere", "."])
def test_coupling_of_nothing_is_a_misuse(outgrow: Outgrow, tmp_path: Path, target: str) -> None:
    assert outgrow("check", "--coupling", str(tmp_path / target)).code == 2
