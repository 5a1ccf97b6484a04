"""The status tells the whole truth, in plain values that any program can read."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from outgrow.host import Drain
from outgrow.model import Replicas, Settings
from outgrow.placement.leftovers import clear_live_gauges
from outgrow.placement.machine import Machine
from outgrow.placement.status import status_of
from outgrow.telemetry import RouteTotals
from tests.unit.placement.troupe import Play, Troupe, play

if TYPE_CHECKING:
    from outgrow.placement.supervisor import Supervisor


class FakeSupervisor:
    """What the status asks of a supervisor."""

    def __init__(self, troupe: Troupe) -> None:
        self.fleet = troupe.fleet
        self.settings = troupe.settings
        self.listeners = troupe.listeners
        self.machine = Machine(cpus=2.0, memory_bytes=1000, is_container=True)
        self.started_at = time.time() - 5
        self.page = "http://127.0.0.1:7788"
        self.keeping = SimpleNamespace(told=lambda: None)
        self.is_durable = False


def status(troupe: Troupe) -> dict[str, Any]:
    found = status_of(cast("Supervisor", FakeSupervisor(troupe)))
    assert json.loads(json.dumps(found)) == found
    return found


def staged(monkeypatch: pytest.MonkeyPatch, piece: Play) -> None:
    settings = Settings(app="main:app", port=0, workers=Replicas(2, 4), busy_percent=70)
    play(monkeypatch, settings, piece)


def test_the_state_follows_what_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    async def piece(troupe: Troupe) -> None:
        assert (status(troupe)["state"], status(troupe)["version"]) == ("starting", 0)
        await troupe.serve()
        assert (status(troupe)["state"], status(troupe)["interface"]) == ("running", "asgi3")
        troupe.fleet.load(troupe.settings)
        assert (status(troupe)["state"], status(troupe)["version"]) == ("reloading", 1)
        troupe.fleet.stop()
        assert status(troupe)["state"] == "stopping"

    staged(monkeypatch, piece)


def test_workers_routes_and_events_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        one, two = troupe.workers()
        beat = one.beat(busy_percent=33.333)
        beat.in_flight, beat.connections, beat.requests_total = 2, 3, 7
        beat.changed = [RouteTotals("GET", "/", calls=7)]
        one.say(beat)
        await troupe.settle(beats=False)
        two.dies()
        await troupe.settle(beats=False)
        found = status(troupe)
        assert found["replicas"] == {"min": 2, "max": 4, "wanted": 2, "busy_percent": 70}
        assert found["machine"] == {"cpus": 2.0, "memory_bytes": 1000, "container": True}
        assert found["addresses"] == [troupe.listeners.address]
        first, second = found["workers"]
        assert (first["name"], first["state"], first["pid"]) == ("web/1", "ready", one.pid)
        assert (first["busy_percent"], first["in_flight"], first["connections"]) == (33.3, 2, 3)
        assert (second["name"], second["state"], second["restarts"]) == ("web/2", "starting", 1)
        assert found["restarts"] == 1
        assert [(r["method"], r["route"], r["requests_total"]) for r in found["routes"]] == [
            ("GET", "/", 7)
        ]
        assert "was killed by SIGKILL" in found["events"][-1]["text"]

    staged(monkeypatch, piece)


def test_a_worker_that_leaves_is_shown_until_it_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        troupe.fleet.resize("web", Replicas(1, 1))
        await troupe.settle()
        (left,) = [actor for actor in troupe.workers() if actor.told(Drain)]
        assert [worker["state"] for worker in status(troupe)["workers"]] == ["ready", "draining"]
        left.dies(0)
        assert [worker["name"] for worker in status(troupe)["workers"]] == ["web/1"]

    staged(monkeypatch, piece)


def test_live_gauges_of_a_worker_that_ended_are_removed_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["gauge_liveall_7.db", "gauge_livesum_7.db", "gauge_all_7.db", "counter_7.db"]
    for name in [*names, "gauge_liveall_77.db"]:
        (tmp_path / name).write_bytes(b"")
    clear_live_gauges(7)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    clear_live_gauges(0)
    assert len(list(tmp_path.iterdir())) == 5
    clear_live_gauges(7)
    left = sorted(file.name for file in tmp_path.iterdir())
    assert left == ["counter_7.db", "gauge_all_7.db", "gauge_liveall_77.db"]
