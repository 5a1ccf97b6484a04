"""What an observer needs before it can start: packages, a seat, and a socket for its page."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from outgrow.errors import AddressError, AddressInUseError
from outgrow.placement.seat import API_NAME, STORE_NAME, Seat
from outgrow.placement.sockets import bound
from outgrow.placement.sources import HOST_AND_PORT
from outgrow.telemetry import ObserverAddress

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from outgrow.model import Settings
    from outgrow.placement.folder import Folder

PAGE_PORT = 7788
PAGE_BACKLOG = 128
REPORTS_NAME = "observer.sock"
LINGER_SECONDS = 5.0
# What `outgrow[watch]` brings, by the names under which it is imported.
PACKAGES = ("duckdb", "starlette", "opentelemetry.proto")


def missing_packages() -> list[str]:
    """What an observer needs and is not installed, by the names under which it is imported."""
    return [name for name in PACKAGES if not _is_there(name)]


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def remote_address(settings: Settings) -> ObserverAddress:
    """Where the observer is that another machine runs."""
    found = HOST_AND_PORT.fullmatch(settings.observer or "")
    assert found is not None, "`resolve` has looked at it"
    return ObserverAddress(
        host=found[1],
        port=int(found[2]),
        token=settings.observer_token or "",
        authority=str(settings.observer_ca or ""),
    )


def seat_of(
    settings: Settings,
    folder: Folder,
    objectives: Mapping[str, object],
    signs: Mapping[str, object],
    prices: Mapping[str, object],
    durable: str,
) -> Seat:
    """What an observer in a supervisor's folder keeps, and whom it answers."""
    return Seat(
        app=settings.name or settings.app or "app",
        store=str(folder.path / STORE_NAME),
        supervisor=str(folder.path),
        reports=str(folder.calls_path() / REPORTS_NAME),
        api=str(folder.path / API_NAME),
        durable=durable,
        page_hosts=settings.page_hosts,
        tokens_file=settings.tokens_file or "",
        days_max=settings.observe_days,
        bytes_max=settings.observe_bytes_max,
        keeps_records=settings.observe_records,
        objectives=dict(objectives),
        signs=dict(signs),
        prices=dict(prices),
        forward=settings.forward or "",
        forward_headers=settings.forward_headers,
        linger_seconds=settings.drain_seconds + LINGER_SECONDS,
    )


def page_socket(settings: Settings, say: Callable[[str], None]) -> socket.socket | None:
    """Where the page is asked for; None where that cannot be, which is said."""
    try:
        sock = _bound(settings, say)
        sock.listen(PAGE_BACKLOG)
    except (AddressError, AddressInUseError, OSError) as problem:
        say(f"there will be no page: {getattr(problem, 'text', problem)}")
        return None
    return sock


def _bound(settings: Settings, say: Callable[[str], None]) -> socket.socket:
    if settings.page_port is not None:
        return bound(settings.page_host, settings.page_port)
    try:
        return bound(settings.page_host, PAGE_PORT)
    except AddressInUseError:
        say(f"port {PAGE_PORT} is taken: the page has another")
        return bound(settings.page_host, 0)
