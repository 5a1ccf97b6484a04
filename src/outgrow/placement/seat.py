"""What an observer is told to be, and what it and the supervisor say to each other."""

from __future__ import annotations

import signal
from typing import Any

import msgspec

API_NAME = "observer.sock"
STORE_NAME = "telemetry"
# The kind of a remark that says who changed what; no chart shows it.
AUDIT = "audit"
# They reach all of a terminal's processes; an observer has them held until it can let them pass by.
HELD_SIGNALS = (signal.SIGINT, signal.SIGHUP)


class Seat(msgspec.Struct, frozen=True, kw_only=True):
    """What an observer keeps, and whom it answers.

    Attributes:
        app: Name of what it observes, for people.
        store: Folder of its files.
        supervisor: Folder of the supervisor whom the page may ask for changes; empty for none.
        reports: Unix socket on which it hears workers of this machine; empty for none.
        api: Unix socket on which it answers its owner, who needs no token; empty for none.
        durable: Where events and jobs are kept: the keeper's socket, or a server's URL, which is
            shown nowhere, as it may hold a password; empty for nowhere.
        page_hosts: Further names under which the page is asked for.
        tokens_file: Who may ask; empty for those of the environment.
        days_max: How long things are kept; 0 has no limit.
        bytes_max: How much is kept; 0 has no limit.
        keeps_records: Traces and log lines are kept; else they only go on.
        objectives: What is promised of operations.
        signs: Which signs are silenced.
        prices: What things cost.
        objectives_from: Where objectives, signs and prices are written.
        forward: Address to which all that is kept goes on as OTLP/HTTP; empty for none.
        forward_headers: `NAME: VALUE` each, sent along.
        reports_host: Address on which it hears workers of other machines.
        reports_port: Likewise; 0 hears none.
        reports_token: That those have to show.
        certificate: File with its certificate chain (PEM), for the page and for reports.
        key: File with the certificate's private key (PEM).
        linger_seconds: How long it hears on once its supervisor is gone.
    """

    app: str
    store: str
    supervisor: str = ""
    reports: str = ""
    api: str = ""
    durable: str = ""
    page_hosts: tuple[str, ...] = ()
    tokens_file: str = ""
    days_max: int = 0
    bytes_max: int = 0
    keeps_records: bool = True
    objectives: dict[str, Any] = {}
    signs: dict[str, Any] = {}
    prices: dict[str, Any] = {}
    objectives_from: str = ""
    forward: str = ""
    forward_headers: tuple[str, ...] = ()
    reports_host: str = ""
    reports_port: int = 0
    reports_token: str = ""
    certificate: str = ""
    key: str = ""
    linger_seconds: float = 5.0


class Observe(msgspec.Struct, frozen=True, tag="observe"):
    """First order to an observer; the socket of the page comes along, where there is one."""

    seat: Seat


class Remark(msgspec.Struct, frozen=True, tag="remark"):
    """To an observer: mark a moment, which charts show.

    Attributes:
        kind: Such as `placement`.
    """

    at_ns: int
    kind: str
    text: str


class Watching(msgspec.Struct, frozen=True, tag="watching"):
    """From an observer, once it hears and answers, and every second from then on."""


class Asked(msgspec.Struct, frozen=True, tag="asked"):
    """From an observer: somebody asks it to end; it does once it is told to leave."""


class Leave(msgspec.Struct, frozen=True, tag="leave"):
    """To an observer: write all that waits, and end."""


ToObserver = Observe | Remark | Leave
FromObserver = Watching | Asked
