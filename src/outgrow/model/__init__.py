"""What the app is and how it shall run, as values; no input or output."""

from outgrow.model.settings import (
    ForkMode,
    Interface,
    Lifespan,
    LogLevel,
    Replicas,
    Settings,
    setting,
)

__all__ = [
    "ForkMode",
    "Interface",
    "Lifespan",
    "LogLevel",
    "Replicas",
    "Settings",
    "setting",
]
