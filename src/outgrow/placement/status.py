"""What runs and how it fares, as plain values for the verbs, the page and other programs."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outgrow.placement.crew import Worker
    from outgrow.placement.fleet import Fleet
    from outgrow.placement.plan import Group
    from outgrow.placement.supervisor import Supervisor

_DIGITS = 3


def status_of(supervisor: Supervisor) -> dict[str, Any]:
    """The whole status. Times are epoch seconds, rates are over `window_seconds`."""
    now = asyncio.get_running_loop().time()
    fleet = supervisor.fleet
    loaded = fleet.in_service.load.loaded if fleet.in_service else None
    edge = fleet.plan.edge
    machine = supervisor.machine
    return {
        "app": supervisor.settings.app,
        "interface": loaded.interface if loaded else None,
        "framework": loaded.framework if loaded else None,
        "version": fleet.in_service.load.version if fleet.in_service else 0,
        "state": _state(fleet),
        "pid": os.getpid(),
        "started_at": supervisor.started_at,
        "up_seconds": round(time.time() - supervisor.started_at, _DIGITS),
        "addresses": [supervisor.listeners.address],
        "page": supervisor.page,
        "is_durable": supervisor.is_durable,
        "keeper": supervisor.keeping.told(),
        "machine": {
            "cpus": machine.cpus,
            "memory_bytes": machine.memory_bytes,
            "container": machine.is_container,
        },
        "replicas": {
            "min": edge.replicas.min,
            "max": edge.replicas.max,
            "wanted": fleet.sizes[edge.name].wanted,
            "busy_percent": edge.busy_percent,
        },
        "groups": [_group(fleet, group) for group in fleet.plan.groups],
        "window_seconds": fleet.window.seconds,
        "restarts": sum(fleet.restarts.values()),
        "workers": [_worker(fleet, worker, now) for worker in _in_order(fleet)],
        "routes": [_rounded(asdict(route)) for route in fleet.window.routes(now)],
        "links": [_rounded(asdict(link)) for link in fleet.links.links(now)],
        "events": [{"at": at, "text": text} for at, text in fleet.events],
    }


def _state(fleet: Fleet) -> str:
    if fleet.is_stopping:
        return "stopping"
    if fleet.in_service is None:
        return "starting"
    return "reloading" if fleet.change is not None else "running"


def _group(fleet: Fleet, group: Group) -> dict[str, Any]:
    ready = fleet.ready_in(group)
    busy = sum(worker.busy_percent for worker in ready)
    return {
        "name": group.name,
        "runs": [*group.runs],
        "min": group.replicas.min,
        "max": group.replicas.max,
        "wanted": fleet.sizes[group.name].wanted,
        "ready": len(ready),
        "busy_percent": round(busy / max(len(ready), 1), 1),
        "busy_percent_aim": group.busy_percent,
    }


def _in_order(fleet: Fleet) -> list[Worker]:
    names = [group.name for group in fleet.plan.groups]
    places = {name: place for place, name in enumerate(names)}
    return sorted(
        fleet.workers.values(),
        key=lambda worker: (
            places.get(worker.group, len(places)),
            -worker.load.version,
            len(worker.name),
            worker.name,
        ),
    )


def _worker(fleet: Fleet, worker: Worker, now: float) -> dict[str, Any]:
    beat = worker.beat
    return {
        "name": worker.name,
        "group": worker.group,
        "pid": worker.pid,
        "version": worker.load.version,
        "state": worker.state(now),
        "busy_percent": round(worker.busy_percent, 1),
        "requests_per_second": round(fleet.window.requests_per_second(worker.key, now), _DIGITS),
        "requests_total": beat.requests_total if beat else 0,
        "in_flight": beat.in_flight if beat else 0,
        "connections": beat.connections if beat else 0,
        "memory_bytes": worker.memory_bytes,
        "restarts": fleet.restarts.get(worker.name, 0),
        "up_seconds": round(now - worker.started_at, _DIGITS),
    }


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: round(value, _DIGITS) if isinstance(value, float) else value
        for name, value in values.items()
    }
