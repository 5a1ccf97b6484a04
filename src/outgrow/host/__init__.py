"""One process at work: it loads the app, serves it on sockets handed to it, and leaves softly."""

from importlib import import_module
from typing import TYPE_CHECKING

from outgrow.host.bridge import call, wait
from outgrow.host.clock import Clock
from outgrow.host.exchange import Exchange
from outgrow.host.house import client, lifespan, uses
from outgrow.host.makeup import Makeup
from outgrow.host.orders import (
    Beat,
    Begin,
    Directory,
    Drain,
    Dump,
    Failed,
    Fork,
    Listen,
    Loaded,
    Order,
    Part,
    Ready,
    Release,
    Report,
    Started,
    Watch,
    Worn,
)
from outgrow.host.seeing import see_through
from outgrow.host.services import Host, app_of

if TYPE_CHECKING:
    from outgrow.host.review import (
        DatabaseEntry,
        EdgeEntry,
        FieldEntry,
        Finding,
        Link,
        OperationEntry,
        ParameterEntry,
        Picture,
        ProviderEntry,
        ServiceEntry,
        code_of,
        findings_of,
        picture_of,
    )
    from outgrow.host.serving import WebServer

__all__ = [
    "Beat",
    "Begin",
    "Clock",
    "DatabaseEntry",
    "Directory",
    "Drain",
    "Dump",
    "EdgeEntry",
    "Exchange",
    "Failed",
    "FieldEntry",
    "Finding",
    "Fork",
    "Host",
    "Link",
    "Listen",
    "Loaded",
    "Makeup",
    "OperationEntry",
    "Order",
    "ParameterEntry",
    "Part",
    "Picture",
    "ProviderEntry",
    "Ready",
    "Release",
    "Report",
    "ServiceEntry",
    "Started",
    "Watch",
    "WebServer",
    "Worn",
    "app_of",
    "call",
    "client",
    "code_of",
    "findings_of",
    "lifespan",
    "picture_of",
    "see_through",
    "uses",
    "wait",
]


def __getattr__(name: str) -> object:
    """What no worker needs is imported when it is asked for."""
    if name not in __all__:
        raise AttributeError(f"module 'outgrow.host' has no attribute {name!r}")
    home = "outgrow.host.serving" if name == "WebServer" else "outgrow.host.review"
    return getattr(import_module(home), name)
