"""A forecast and a load test meet on a real app with a planted limit: four places of 50 ms each."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.adopt.serving import ROOT, Served, served
from tests.adopt.test_watch import OBSERVE
from tests.faults.harness import LONG

pytest.importorskip("duckdb")
pytest.importorskip("numpy")

PLANTED_PER_SECOND = 4 / 0.05
APP = """
import asyncio
from typing import Annotated

from fastapi import Depends, FastAPI

from outgrow import operation, service, uses


@service(concurrent_calls_max=4)
class Stock:
    @operation
    async def reserve(self, sku: str) -> int:
        await asyncio.sleep(0.05)
        return 1


app = FastAPI()


@app.get("/buy/{sku}")
async def buy(sku: str, stock: Annotated[Stock, Depends(uses(Stock))]) -> int:
    return await stock.reserve(sku)
"""
LOAD = """
from outgrow.testing import Request


def visitor(dice):
    answer = yield Request("GET", f"/buy/{dice.choice(['tea', 'cups'])}")
    if answer.status == 200:
        yield Request("GET", f"/buy/spoon-{answer.json()}")
"""

pytestmark = [
    pytest.mark.skipif(not LONG, reason="a load test of two to three minutes: OUTGROW_FAULTS=long"),
    pytest.mark.timeout(600),
]


def asked(running: Served, *words: str) -> tuple[int, dict[str, Any]]:
    """A verb's exit code and answer."""
    command = [sys.executable, "-m", "outgrow", *words, "--json"]
    ended = subprocess.run(
        [*command, "--folder", str(running.folder / "state")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ended.stdout, ended.stderr
    return ended.returncode, json.loads(ended.stdout)


def test_a_planted_limit_is_foretold_found_and_learned_from(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(APP)
    load = tmp_path / "load.py"
    load.write_text(LOAD)
    with served(
        "main:app",
        server="outgrow",
        cwd=tmp_path,
        folder=tmp_path / "run",
        environment=OBSERVE,
    ) as running:
        warm = ("--scenario", str(load), "--warm-up", "12")
        _, told = asked(running, "verify", "--yes", "--seconds", "60", *warm)
        assert told["first_foretold"] == ["bulkhead Stock"]
        assert (told["end"], told["first_measured"]) == ("limit", "bulkhead Stock")
        # Nothing gets more out of it than what was planted; a busy machine gets less.
        assert told["measured"]["low"] < PLANTED_PER_SECOND
        assert told["foretold"]["low"] < PLANTED_PER_SECOND
        assert told["is_held"] is not False
        _, foreseen = asked(running, "forecast", "2")
        assert foreseen["record"][0]["to_ms"] == told["to_ms"]
        has_taught = told.get("limit_foretold_per_second") is not None
        assert foreseen["grade"] == ("verified" if has_taught else "exact")
        code, borne = asked(running, "verify", "--yes", "--at", "2x", "--scenario", str(load))
        assert (code, borne["at"]["is_borne"]) == (0, True), borne
