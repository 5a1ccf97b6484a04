"""What the app is and how it shall run, as values; no input or output."""

from outgrow.model.app import App
from outgrow.model.declare import (
    OperationOptions,
    ServiceOptions,
    all_providers,
    all_services,
    from_env,
    on_start,
    on_stop,
    operation,
    provides,
    service,
)
from outgrow.model.described import (
    Field,
    Operation,
    Parameter,
    ServiceModel,
    describe,
    is_service,
)
from outgrow.model.graph import Graph, graph_of
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
    "App",
    "Field",
    "ForkMode",
    "Graph",
    "Interface",
    "Lifespan",
    "LogLevel",
    "Operation",
    "OperationOptions",
    "Parameter",
    "Replicas",
    "ServiceModel",
    "ServiceOptions",
    "Settings",
    "all_providers",
    "all_services",
    "describe",
    "from_env",
    "graph_of",
    "is_service",
    "on_start",
    "on_stop",
    "operation",
    "provides",
    "service",
    "setting",
]
