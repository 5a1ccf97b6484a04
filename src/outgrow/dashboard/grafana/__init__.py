"""A dashboard for Grafana and alert rules for Prometheus, over what /metrics has."""

from __future__ import annotations

from importlib import resources

__all__ = ["alert_rules", "grafana_dashboard"]


def grafana_dashboard() -> str:
    """The dashboard: JSON to import in Grafana, which asks for the Prometheus to read from."""
    return _text("dashboard.json")


def alert_rules() -> str:
    """The alert rules: YAML to name under `rule_files` in Prometheus."""
    return _text("alerts.yml")


def _text(name: str) -> str:
    return (resources.files(__name__) / name).read_text(encoding="utf-8")
