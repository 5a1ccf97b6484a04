"""The demo's one measured sentence, computed from the JSON of `outgrow status --json`."""

from collections.abc import Mapping
from typing import Any

NAMED_MAX = 3
NAMED_SHARE_MIN_PERCENT = 10


def busiest(status: Mapping[str, Any]) -> str:
    """Names the busiest worker, its busy share and what the time goes to; "" if not measured."""
    workers = [worker for worker in status["workers"] if worker["busy_percent"] > 0]
    shares = route_shares(status["routes"])
    if not workers or not shares:
        return ""
    worker = max(workers, key=lambda each: each["busy_percent"])
    whose = "its" if len(status["workers"]) == 1 else "all workers'"
    named = [
        f"{share:.0f} % {'goes' if place == 0 else ''} to {route}".replace("  ", " ")
        for place, (route, share) in enumerate(shares[:NAMED_MAX])
        if place == 0 or share >= NAMED_SHARE_MIN_PERCENT
    ]
    return (
        f"Busiest: {worker['name']}, {worker['busy_percent']:.0f} % busy; "
        f"of {whose} time in routes, {', '.join(named)} "
        f"(measured over the last {measured_seconds(status):.0f} s, "
        f"{requests_count(status):.0f} requests)."
    )


def route_shares(routes: list[dict[str, Any]]) -> list[tuple[str, float]]:
    """Routes and the percentage of all routes' loop time that each uses, the largest first."""
    used = [
        (f"{route['method']} {route['route']}", float(route["loop_percent"])) for route in routes
    ]
    whole = sum(percent for _, percent in used)
    shares = [(name, 100 * percent / whole) for name, percent in used if percent > 0]
    return sorted(shares, key=lambda pair: -pair[1])


def requests_count(status: Mapping[str, Any]) -> float:
    """Requests in the measured time, of all routes."""
    per_second = sum(route["requests_per_second"] for route in status["routes"])
    return per_second * measured_seconds(status)


def measured_seconds(status: Mapping[str, Any]) -> float:
    """The window that rates are of, or how long workers run where that is less."""
    oldest = max((worker["up_seconds"] for worker in status["workers"]), default=0.0)
    return min(status["window_seconds"], oldest)
