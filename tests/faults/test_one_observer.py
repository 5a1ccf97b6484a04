"""One observer for a whole deployment: supervisors report over TLS, and replicas are summed."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from outgrow.placement import ApiClient

from .conftest import Start
from .harness import Supervised, wait_until
from .ledger import Load
from .test_observer import ROUTE

pytest.importorskip("duckdb")

pytestmark = pytest.mark.timeout(90)

TOKEN = "the-workers-own-token"
READER, OPERATOR = "a-token-that-only-reads", "a-token-that-may-change"
TOKENS = f"ann read {READER}; bob operate {OPERATOR}"


@dataclass
class Tower:
    """An observer that stands alone.

    Attributes:
        page: Address of its page.
        reports_port: Where supervisors report.
        authority: File with who signed its certificate.
    """

    page: str
    reports_port: int
    authority: Path
    api: ApiClient
    process: subprocess.Popen[bytes]

    def client(self, token: str = "") -> httpx.Client:
        """One who asks over the network."""
        context = ssl.create_default_context(cafile=str(self.authority))
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.page, verify=context, headers=headers, trust_env=False)

    def sums(self) -> dict[str, int]:
        found = self.api.get("operations?from=-1h")["operations"]
        return {one["name"]: one["calls"] for one in found}


@contextmanager
def _tower(folder: Path, *words: str) -> Iterator[Tower]:
    folder.mkdir()
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(folder / "tower.pem")
    authority.cert_pem.write_to_path(folder / "authority.pem")
    environment = {
        **os.environ,
        "OUTGROW_OBSERVER_TOKEN": TOKEN,
        "OUTGROW_TOKENS": TOKENS,
    }
    command = [sys.executable, "-m", "outgrow", "observe", "--json", "--port", "0"]
    command += ["--report-host", "127.0.0.1", "--report-port", "0", "--folder", str(folder / "own")]
    command += ["--tls-certificate", str(folder / "tower.pem"), *words]
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=said)
    try:
        wait_until(lambda: _line_of(folder), 30, "the observer's address")
        line = _line_of(folder)
        assert line, (folder / "said").read_text()
        yield Tower(
            page=line["page"],
            reports_port=int(line["reports"].rpartition(":")[2]),
            authority=folder / "authority.pem",
            api=ApiClient(folder / "own", seconds=5),
            process=process,
        )
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(20)
    assert code == 0, (folder / "said").read_text()


def _line_of(folder: Path) -> dict[str, Any] | None:
    text = (folder / "said").read_text()
    return json.loads(text) if text.endswith("}\n") else None


@pytest.fixture
def tower(tmp_path: Path) -> Iterator[Tower]:
    with _tower(tmp_path / "tower") as tower:
        yield tower


def _reporting_to(
    tower: Tower, start: Start, workspace: Path, app: str = "ledger_app:app", **more: str
) -> Supervised:
    workspace.mkdir()
    environment = {
        "OUTGROW_OBSERVE": "auto",
        "OUTGROW_OBSERVER": f"localhost:{tower.reports_port}",
        "OUTGROW_OBSERVER_TOKEN": TOKEN,
        "OUTGROW_OBSERVER_CA": str(tower.authority),
        "OUTGROW_NAME": "ledger",
        **more,
    }
    started = start("--no-access-log", app=app, workspace=workspace, env=environment)
    return started.until_ready(1)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_replicas_of_two_supervisors_are_summed(start: Start, tower: Tower, tmp_path: Path) -> None:
    east = _reporting_to(tower, start, tmp_path / "east", OUTGROW_COMMIT="a" * 40)
    west = _reporting_to(tower, start, tmp_path / "west", OUTGROW_COMMIT="a" * 40)
    with Load(east.port) as eastern, Load(west.port) as western:
        for load in (eastern, western):
            wait_until(lambda load=load: load.count > 200, 30, "200 answers")
    loads = (eastern, western)
    assert not any(load.outcome.failed for load in loads)
    whole = sum(len(load.outcome.entries) for load in loads)
    wait_until(lambda: tower.sums().get(ROUTE, 0) >= whole, 30, f"{whole} calls")
    assert tower.sums()[ROUTE] == whole
    workers = tower.api.get("workers")["workers"]
    assert {(one["name"], one["state"]) for one in workers} == {("web/1", "reporting")}
    assert {one["pid"] for one in workers} == {*east.workers(), *west.workers()}
    assert [one["text"] for one in tower.api.get("marks")["marks"]] == [
        f"version 1, commit {'a' * 12}"
    ]
    assert east.stop() == west.stop() == 0
    assert not (tmp_path / "east" / ".outgrow" / "telemetry").exists()

    def states() -> set[str]:
        return {one["state"] for one in tower.api.get("workers")["workers"]}

    wait_until(lambda: states() == {"gone"}, 20, "both to have left with a last word")
    assert tower.sums()[ROUTE] == whole


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_database_that_two_supervisors_share_is_one_node_with_both_as_users(
    start: Start, tower: Tower, tmp_path: Path
) -> None:
    shared = {"app": "shared_app:app", "SHARED_FILE": str(tmp_path / "shared.sqlite3")}
    east = _reporting_to(tower, start, tmp_path / "east", OUTGROW_NAME="east", **shared)
    west = _reporting_to(tower, start, tmp_path / "west", OUTGROW_NAME="west", **shared)
    with Load(east.port) as eastern, Load(west.port) as western:
        for load in (eastern, western):
            wait_until(lambda load=load: load.count > 50, 30, "50 answers")
        wait_until(lambda: _databases_drawn(tower), 30, "a database on the map")
        assert _databases_drawn(tower) == ["sql sqlite:shared.sqlite3"]
    assert not any(load.outcome.failed for load in (eastern, western))
    whole = sum(len(load.outcome.entries) for load in (eastern, western))
    wait_until(lambda: tower.sums().get(ROUTE, 0) >= whole, 30, f"{whole} calls")
    (database,) = tower.api.get("databases?from=-1h")["databases"]
    statements = tower.api.get("statements?from=-1h")["statements"]
    written = [one for one in statements if one["text"].startswith("INSERT INTO orders")]
    assert [(one["database"], one["calls"]) for one in written] == [(database["name"], whole)]
    assert [(one["table"], one["calls"]) for one in database["tables"]] == [("orders", whole)]


def _databases_drawn(tower: Tower) -> list[str]:
    return [one["name"] for one in tower.api.get("now")["nodes"] if one["kind"] == "database"]


@pytest.mark.timeout(60)
def test_who_shows_another_token_is_refused_and_serves_on(
    start: Start, tower: Tower, tmp_path: Path
) -> None:
    server = _reporting_to(
        tower, start, tmp_path / "east", OUTGROW_OBSERVER_TOKEN="quite-another-token"
    )
    wait_until(lambda: "refuses this worker" in server.text(), 20, "the refusal in the log")
    assert server.get("/pid")["pid"]
    assert tower.api.get("workers")["workers"] == []


def test_others_see_nothing_without_a_token_and_change_nothing_by_one_that_reads(
    tower: Tower,
) -> None:
    with tower.client() as stranger:
        assert stranger.get("/api/now").status_code == 401
        assert stranger.get("/metrics").status_code == 401
        assert stranger.post("/v1/traces", content=b"").status_code == 401
        assert stranger.get("/").status_code == 200  # the page, which asks for the token
        assert stranger.get("/", headers={"host": "evil.example"}).status_code == 200
    with tower.client(READER) as reader:
        assert reader.get("/api/now").status_code == 200
        assert reader.post("/api/placement", json={"reload": True}).status_code == 403
    with tower.client(OPERATOR) as operator:
        answer = operator.post("/api/placement", json={"reload": True}).json()
        assert "no supervisor" in answer["problem"]["text"]
        origin = {"origin": "https://evil.example"}
        evil = operator.post("/api/placement", json={"reload": True}, headers=origin)
        assert evil.status_code == 403


def test_an_observer_without_a_token_for_reports_does_not_start(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "outgrow", "observe", "--port", "0", "--tls-certificate", "x"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert run.returncode == 2
    assert "OUTGROW_OBSERVER_TOKEN" in run.stderr


def test_an_observer_that_others_can_reach_wants_tokens(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "outgrow", "observe", "--port", "0", "--host", "0.0.0.0"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert run.returncode == 2
    assert "nobody needs a token" in run.stderr
