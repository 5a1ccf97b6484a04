"""What people and programs see of an app: the JSON API and the page that shows all of it."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from outgrow.dashboard.access import Access, access_from, check_address
    from outgrow.dashboard.app import page_app
    from outgrow.dashboard.grafana import alert_rules, grafana_dashboard
    from outgrow.dashboard.learning import keep_applied
    from outgrow.dashboard.objectives import Promise, promises_in
    from outgrow.dashboard.observer import Observer
    from outgrow.dashboard.posts import stand_alone
    from outgrow.dashboard.pricing import prices_in
    from outgrow.dashboard.record import keep_verified, machine_path
    from outgrow.dashboard.shapes import Applied, Between, Verified
    from outgrow.dashboard.silencing import Silence, silences_in

_HOMES = {
    "Access": "access",
    "Applied": "shapes",
    "Between": "shapes",
    "Observer": "observer",
    "Promise": "objectives",
    "Silence": "silencing",
    "Verified": "shapes",
    "access_from": "access",
    "alert_rules": "grafana",
    "check_address": "access",
    "grafana_dashboard": "grafana",
    "keep_applied": "learning",
    "keep_verified": "record",
    "machine_path": "record",
    "page_app": "app",
    "prices_in": "pricing",
    "promises_in": "objectives",
    "silences_in": "silencing",
    "stand_alone": "posts",
}

__all__ = [
    "Access",
    "Applied",
    "Between",
    "Observer",
    "Promise",
    "Silence",
    "Verified",
    "access_from",
    "alert_rules",
    "check_address",
    "grafana_dashboard",
    "keep_applied",
    "keep_verified",
    "machine_path",
    "page_app",
    "prices_in",
    "promises_in",
    "silences_in",
    "stand_alone",
]


def __getattr__(name: str) -> object:
    """Each is imported when it is asked for: most of it needs what `outgrow[watch]` brings."""
    if name not in _HOMES:
        raise AttributeError(f"module 'outgrow.dashboard' has no attribute {name!r}")
    return getattr(import_module(f"outgrow.dashboard.{_HOMES[name]}"), name)
