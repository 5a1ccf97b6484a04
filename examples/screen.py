"""Shows a status again and again: a live table on a terminal, now and then a line elsewhere."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

LINE_SECONDS = 3.0
ROUTES_MAX = 8
EVENTS_MAX = 4


class Screen:
    """A place to show statuses on, for the length of a `with` block."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live = Live(console=Console(file=stream)) if stream.isatty() else None
        self._line_at = float("-inf")

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, status: Mapping[str, Any]) -> None:
        """Show the newest status."""
        if self._live:
            self._live.update(Group(_workers(status), _routes(status), *_events(status)))
        elif time.monotonic() - self._line_at >= LINE_SECONDS:
            self._line_at = time.monotonic()
            self._stream.write(line(status) + "\n")
            self._stream.flush()


def line(status: Mapping[str, Any]) -> str:
    """A status in one line: each worker, then the whole."""
    workers = [
        f"{worker['name']} {worker['state']} {worker['busy_percent']:.0f} % busy"
        for worker in status["workers"]
    ]
    routes = status["routes"]
    whole = sum(route["requests_per_second"] for route in routes)
    slowest = max((route["latency_p99_ms"] or 0.0 for route in routes), default=0.0)
    return f"{' | '.join(workers)} | {whole:.0f} requests/s | slowest route p99 {slowest:.0f} ms"


def _workers(status: Mapping[str, Any]) -> Table:
    table = Table(title=f"{status['app']}, version {status['version']}", title_justify="left")
    table.add_column("worker")
    table.add_column("state")
    for heading in ("busy", "requests/s", "in flight", "memory", "restarts"):
        table.add_column(heading, justify="right")
    for worker in status["workers"]:
        table.add_row(
            worker["name"],
            worker["state"],
            f"{worker['busy_percent']:.0f} %",
            f"{worker['requests_per_second']:.1f}",
            str(worker["in_flight"]),
            f"{worker['memory_bytes'] / 2**20:.0f} MiB",
            str(worker["restarts"]),
        )
    return table


def _routes(status: Mapping[str, Any]) -> Table:
    table = Table()
    table.add_column("route")
    for heading in ("requests/s", "p50 ms", "p95 ms", "p99 ms", "of a core"):
        table.add_column(heading, justify="right")
    routes = sorted(status["routes"], key=lambda route: -route["loop_percent"])
    for route in routes[:ROUTES_MAX]:
        table.add_row(
            f"{route['method']} {route['route']}",
            f"{route['requests_per_second']:.1f}",
            *(_time(route[f"latency_p{name}_ms"]) for name in (50, 95, 99)),
            f"{route['loop_percent']:.1f} %",
        )
    return table


def _time(milliseconds: float | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds:.1f}"


def _events(status: Mapping[str, Any]) -> list[str]:
    return [
        f"{time.strftime('%H:%M:%S', time.localtime(event['at']))} {event['text']}"
        for event in status["events"][-EVENTS_MAX:]
    ]
