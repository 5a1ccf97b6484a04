"""Placement, as a supervisor tells it over its control socket."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar

import pytest

from outgrow.dashboard.placing import Supervision
from outgrow.placement import Wish

STATUS = {
    "state": "running",
    "version": 4,
    "restarts": 2,
    "groups": [
        {"name": "web", "runs": ["web"], "min": 1, "max": 3, "ready": 2, "busy_percent": 41.5}
    ],
}


class Supervisor(BaseHTTPRequestHandler):
    """Speaks as a supervisor does, and says what it was told to say."""

    lines: ClassVar[list[dict[str, Any]]] = []
    asked: ClassVar[list[Any]] = []

    def do_GET(self) -> None:
        self._say(STATUS)

    def do_POST(self) -> None:
        self.asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self._say(*self.lines)

    def _say(self, *lines: dict[str, Any]) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))

    def address_string(self) -> str:
        return "a Unix socket"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "control.sock"
    with socketserver.ThreadingUnixStreamServer(str(path), Supervisor) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        Supervisor.asked.clear()
        yield tmp_path
        server.shutdown()
        thread.join()


def test_groups_are_told_with_what_they_run(folder: Path) -> None:
    found = Supervision(folder).placement(may_change=True)
    (group,) = found.groups
    assert (found.state, found.version, found.restarts, found.may_change) == (
        *("running", 4, 2, True),
    )
    assert (group.replicas_min, group.replicas_max, group.ready) == (1, 3, 2)


def test_a_change_is_carried_out_step_by_step(folder: Path) -> None:
    Supervisor.lines = [
        {"step": "move"},
        {"step": "say it without `--dry-run` to have it done"},
        {"done": True},
    ]
    outcome = Supervision(folder).change(Wish(moves=["stock=desk"]))
    assert (outcome.is_done, outcome.steps) == (True, ["move"])
    assert Supervisor.asked[0]["moves"] == ["stock=desk"]


def test_a_refusal_is_told_with_its_hint(folder: Path) -> None:
    error = {"code": "OG405", "text": "there is no group `attic`", "hint": "Groups: web"}
    Supervisor.lines = [{"step": "look"}, {"error": error}]
    outcome = Supervision(folder).change(Wish(merges=["attic=web"]))
    assert not outcome.is_done
    assert outcome.problem
    assert (outcome.problem.text, outcome.problem.hint) == (error["text"], error["hint"])


def test_a_supervisor_that_dies_meanwhile_has_done_nothing_that_is_known(folder: Path) -> None:
    Supervisor.lines = [{"step": "starting"}]
    outcome = Supervision(folder).change(Wish(reload=True))
    assert not outcome.is_done
    assert outcome.problem
    assert "before the change was done" in outcome.problem.text
