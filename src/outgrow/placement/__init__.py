"""Where the app runs: settings, the supervisor with its workers, and how to speak to it."""

from outgrow.placement.changes import Wish
from outgrow.placement.client import ControlClient
from outgrow.placement.control import log_entry
from outgrow.placement.folder import LOG_NAME
from outgrow.placement.logbook import last_lines
from outgrow.placement.machine import Machine, this_machine
from outgrow.placement.sources import Chosen, Resolved, resolve
from outgrow.placement.supervisor import Supervisor
from outgrow.placement.watch import changed_files

__all__ = [
    "LOG_NAME",
    "Chosen",
    "ControlClient",
    "Machine",
    "Resolved",
    "Supervisor",
    "Wish",
    "changed_files",
    "last_lines",
    "log_entry",
    "resolve",
    "this_machine",
]
