"""Where the app runs: settings, the supervisor with its workers, and how to speak to it."""

from importlib import import_module
from typing import TYPE_CHECKING

from outgrow.placement.changes import Wish
from outgrow.placement.client import ApiClient, ControlClient
from outgrow.placement.control import log_entry
from outgrow.placement.folder import LOG_NAME, short_path
from outgrow.placement.logbook import last_lines
from outgrow.placement.machine import Machine, this_machine
from outgrow.placement.plan_file import (
    PlanFile,
    PlannedChange,
    PlannedGroup,
    read_plan,
    write_plan,
)
from outgrow.placement.seat import (
    API_NAME,
    AUDIT,
    HELD_SIGNALS,
    STORE_NAME,
    Asked,
    Leave,
    Observe,
    Remark,
    Seat,
    ToObserver,
    Watching,
)
from outgrow.placement.sockets import bound, name_of
from outgrow.placement.sources import Chosen, Resolved, resolve

if TYPE_CHECKING:
    from outgrow.placement.seating import missing_packages
    from outgrow.placement.supervisor import Supervisor
    from outgrow.placement.watch import changed_files

_HOMES = {"Supervisor": "supervisor", "changed_files": "watch", "missing_packages": "seating"}

__all__ = [
    "API_NAME",
    "AUDIT",
    "HELD_SIGNALS",
    "LOG_NAME",
    "STORE_NAME",
    "ApiClient",
    "Asked",
    "Chosen",
    "ControlClient",
    "Leave",
    "Machine",
    "Observe",
    "PlanFile",
    "PlannedChange",
    "PlannedGroup",
    "Remark",
    "Resolved",
    "Seat",
    "Supervisor",
    "ToObserver",
    "Watching",
    "Wish",
    "bound",
    "changed_files",
    "last_lines",
    "log_entry",
    "missing_packages",
    "name_of",
    "read_plan",
    "resolve",
    "short_path",
    "this_machine",
    "write_plan",
]


def __getattr__(name: str) -> object:
    """What only the supervisor needs is imported when it is asked for: all else speaks to it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'outgrow.placement' has no attribute {name!r}")
    return getattr(import_module(f"outgrow.placement.{_HOMES[name]}"), name)
