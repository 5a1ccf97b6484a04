"""`outgrow status`: what runs and how it fares."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from outgrow.cli import observed
from outgrow.cli.show import bytes_shown, ms_shown, out, out_json, table
from outgrow.placement import ControlClient

_ROUTES_SHOWN = 15
_LINKS_SHOWN = 15
_EVENTS_SHOWN = 3
_NUMBERS = {
    "busy",
    "requests/s",
    "in flight",
    "connections",
    "memory",
    "restarts",
    "up",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "errors/s",
    "calls/s",
    "refused/s",
    "of a core",
    "version",
}


def status(
    folder: Annotated[str, typer.Option(help="The supervisor's folder.")] = ".outgrow",
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on, once a second.")] = False,
    json: Annotated[bool, typer.Option("--json", help="As JSON, a line each time.")] = False,
) -> None:
    """Show groups and workers, their busy share, requests, memory; routes and links by latency.

    Where an observer runs, it is asked for operations and links, as the page does.
    """
    client = ControlClient(folder)
    if not watch:
        _print_once(_found(client), as_json=json)
        return
    try:
        _follow(client, as_json=json)
    except KeyboardInterrupt:
        return


def _found(client: ControlClient) -> dict[str, Any]:
    found = client.status()
    seen = observed.look(str(client.folder)) if found.get("page") else None
    return {**found, "observed": seen} if seen else found


def _print_once(found: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        out_json(found)
        return
    for line in lines_of(found):
        out(line)


def _follow(client: ControlClient, *, as_json: bool) -> None:
    console = Console()
    if as_json or not console.is_terminal:
        while True:
            _print_once(_found(client), as_json=as_json)
            time.sleep(1.0)
    with Live(console=console, screen=False, auto_refresh=False) as live:
        while True:
            shown = [
                Text(line, no_wrap=True, overflow="ellipsis") for line in lines_of(_found(client))
            ]
            live.update(Group(*shown), refresh=True)
            time.sleep(1.0)


def lines_of(found: Mapping[str, Any]) -> list[str]:
    """The status as lines of text.

    Args:
        found: As the control socket gives it.
    """
    lines = [_headline(found), ""]
    if len(found["groups"]) > 1:
        lines += [*table([_group_row(group) for group in found["groups"]], _NUMBERS), ""]
    lines += table([_worker_row(worker) for worker in found["workers"]], _NUMBERS)
    seen = found.get("observed")
    lines += observed.lines_of(seen) if seen else _counted(found)
    lines += _links(found["links"], found["window_seconds"])
    for event in found["events"][-_EVENTS_SHOWN:]:
        at = time.strftime("%H:%M:%S", time.localtime(event["at"]))
        lines += [f"{at}  {event['text'].splitlines()[0]}"]
    return [*lines, f"look: {found['page']}"] if found.get("page") else lines


def _counted(found: Mapping[str, Any]) -> list[str]:
    """What the supervisor itself has counted."""
    lines: list[str] = []
    routes = found["routes"]
    if routes:
        lines += ["", f"routes, last {found['window_seconds']:g} s"]
        lines += table([_route_row(route) for route in routes[:_ROUTES_SHOWN]], _NUMBERS)
        if len(routes) > _ROUTES_SHOWN:
            lines.append(f"and {len(routes) - _ROUTES_SHOWN} more: --json shows all")
    else:
        lines += ["", "no request yet"]
    return lines


def _links(links: Sequence[Mapping[str, Any]], seconds: float) -> list[str]:
    if not links:
        return []
    lines = ["", f"links, last {seconds:g} s"]
    lines += table([_link_row(link) for link in links[:_LINKS_SHOWN]], _NUMBERS)
    if len(links) > _LINKS_SHOWN:
        lines.append(f"and {len(links) - _LINKS_SHOWN} more: --json shows all")
    return lines


def _headline(found: Mapping[str, Any]) -> str:
    wanted = sum(group["wanted"] for group in found["groups"])
    scale = _scale(found["groups"][0]) if len(found["groups"]) == 1 else ""
    kind = found["framework"] or found["interface"] or "?"
    return (
        f"{found['app']} ({kind}), version {found['version']}, {found['state']} on "
        f"{', '.join(found['addresses'])}; {_workers(wanted, scale)} wanted"
    )


def _workers(count: int, scale: str) -> str:
    return f"{count}{scale} worker{'' if count == 1 and not scale else 's'}"


def _scale(group: Mapping[str, Any]) -> str:
    if group["min"] == group["max"]:
        return ""
    return f" of {group['min']} to {group['max']}"


def _group_row(group: Mapping[str, Any]) -> dict[str, str]:
    return {
        "group": group["name"],
        "runs": ", ".join(group["runs"]),
        "workers": f"{group['ready']}{_scale(group)}",
        "busy": f"{group['busy_percent']:.0f} %",
    }


def _link_row(link: Mapping[str, Any]) -> dict[str, str]:
    return {
        "link": f"{link['caller']} -> {link['callee']}",
        "calls/s": f"{link['calls_per_second']:.1f}",
        "errors/s": f"{link['errors_per_second']:.1f}",
        "refused/s": f"{link['refused_per_second']:.1f}",
        "p50 ms": ms_shown(link["latency_p50_ms"]),
        "p99 ms": ms_shown(link["latency_p99_ms"]),
    }


def _worker_row(worker: Mapping[str, Any]) -> dict[str, str]:
    return {
        "worker": worker["name"],
        "pid": str(worker["pid"] or "-"),
        "version": str(worker["version"]),
        "state": worker["state"],
        "busy": f"{worker['busy_percent']:.0f} %",
        "requests/s": f"{worker['requests_per_second']:.1f}",
        "in flight": str(worker["in_flight"]),
        "connections": str(worker["connections"]),
        "memory": bytes_shown(worker["memory_bytes"]),
        "restarts": str(worker["restarts"]),
        "up": _duration(worker["up_seconds"]),
    }


def _route_row(route: Mapping[str, Any]) -> dict[str, str]:
    return {
        "route": f"{route['method']} {route['route']}",
        "requests/s": f"{route['requests_per_second']:.1f}",
        "errors/s": f"{route['errors_per_second']:.1f}",
        "p50 ms": ms_shown(route["latency_p50_ms"]),
        "p95 ms": ms_shown(route["latency_p95_ms"]),
        "p99 ms": ms_shown(route["latency_p99_ms"]),
        "of a core": f"{route['loop_percent']:.1f} %",
    }


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} d"
