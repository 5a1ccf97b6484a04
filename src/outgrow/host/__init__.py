"""One process at work: it loads the app, serves it on sockets handed to it, and leaves softly."""

from importlib import import_module
from typing import TYPE_CHECKING

from outgrow.host.bridge import call, wait
from outgrow.host.clock import Clock
from outgrow.host.durable.durable import Durable
from outgrow.host.durable.forms import forms_of
from outgrow.host.durable.here import (
    EnqueuedJob,
    active,
    carry_by,
    committed,
    enqueue,
    enqueue_many,
    progress,
    publish,
    step,
)
from outgrow.host.durable.hints import ALL, Hints
from outgrow.host.durable.names import is_gone
from outgrow.host.durable.newcomer import kept_catalogs
from outgrow.host.durable.plain import Outbox
from outgrow.host.durable.source import DurableSource, kept_source
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
    from outgrow.host.coupling import (
        SHARERS_MIN,
        WRITERS_MIN,
        Coupling,
        Shared,
        coupling_of,
        reached,
        shared_of,
    )
    from outgrow.host.durable.keeper import KeeperHints, keeping
    from outgrow.host.durable.kept import KeptStore
    from outgrow.host.review import (
        Code,
        DatabaseEntry,
        EdgeEntry,
        FieldEntry,
        Finding,
        JobEntry,
        Link,
        OperationEntry,
        ParameterEntry,
        Picture,
        ProviderEntry,
        ServiceEntry,
        SubscriptionEntry,
        code_of,
        findings_of,
        picture_of,
    )
    from outgrow.host.serving import WebServer

__all__ = [
    "ALL",
    "SHARERS_MIN",
    "WRITERS_MIN",
    "Beat",
    "Begin",
    "Clock",
    "Code",
    "Coupling",
    "DatabaseEntry",
    "Directory",
    "Drain",
    "Dump",
    "Durable",
    "DurableSource",
    "EdgeEntry",
    "EnqueuedJob",
    "Exchange",
    "Failed",
    "FieldEntry",
    "Finding",
    "Fork",
    "Hints",
    "Host",
    "JobEntry",
    "KeeperHints",
    "KeptStore",
    "Link",
    "Listen",
    "Loaded",
    "Makeup",
    "OperationEntry",
    "Order",
    "Outbox",
    "ParameterEntry",
    "Part",
    "Picture",
    "ProviderEntry",
    "Ready",
    "Release",
    "Report",
    "ServiceEntry",
    "Shared",
    "Started",
    "SubscriptionEntry",
    "Watch",
    "WebServer",
    "Worn",
    "active",
    "app_of",
    "call",
    "carry_by",
    "client",
    "code_of",
    "committed",
    "coupling_of",
    "enqueue",
    "enqueue_many",
    "findings_of",
    "forms_of",
    "is_gone",
    "keeping",
    "kept_catalogs",
    "kept_source",
    "lifespan",
    "picture_of",
    "progress",
    "publish",
    "reached",
    "see_through",
    "shared_of",
    "step",
    "uses",
    "wait",
]


_COUPLING = "outgrow.host.coupling"
_HOMES = {
    "Coupling": _COUPLING,
    "KeeperHints": "outgrow.host.durable.keeper",
    "KeptStore": "outgrow.host.durable.kept",
    "SHARERS_MIN": _COUPLING,
    "Shared": _COUPLING,
    "WRITERS_MIN": _COUPLING,
    "WebServer": "outgrow.host.serving",
    "coupling_of": _COUPLING,
    "keeping": "outgrow.host.durable.keeper",
    "reached": _COUPLING,
    "shared_of": _COUPLING,
}


def __getattr__(name: str) -> object:
    """What no worker needs is imported when it is asked for."""
    if name not in __all__:
        raise AttributeError(f"module 'outgrow.host' has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "outgrow.host.review")), name)
