"""What the supervisor tells its nurseries and workers, and what they report.

Orders go down, reports come up, each kind over the channel of the one process it concerns.
"""

from __future__ import annotations

import msgspec

from outgrow.host.makeup import Makeup
from outgrow.model import Settings
from outgrow.telemetry import LinkTotals, ObserverAddress, RouteTotals


class Part(msgspec.Struct):
    """What a worker runs of an app whose services are split over several groups.

    Attributes:
        runs: Names of services, and `web` where it has the edge.
        meeting: Where it answers calls of other workers.
    """

    runs: list[str]
    meeting: str


class Watch(msgspec.Struct, frozen=True):
    """Who observes a worker, and as what.

    Attributes:
        address: Where to report.
        app: Name of the app.
        labels: Told with each worker, such as the commit (`commit`) that it runs.
    """

    address: ObserverAddress
    app: str
    labels: dict[str, str] = {}


class Begin(msgspec.Struct, tag="begin"):
    """First order to a process that was started: what to be, and with which settings.

    Attributes:
        name: The worker's name, such as `web/1`; empty for a nursery.
        version: Which load of the app this is; 1 at first, one more with each reload.
        settings: How to run.
        has_colors: Its log goes to a terminal that shows colours.
        part: What it runs; None for all of the app.
        observer: Who observes it; None where nobody does, and nothing is recorded.
        durable: Where its events and jobs are kept: the keeper's socket, or a server's URL.
        is_proven: Whether another worker of its version and group has started.
    """

    name: str
    version: int
    settings: Settings
    has_colors: bool = False
    part: Part | None = None
    observer: Watch | None = None
    durable: str = ""
    is_proven: bool = False


class Fork(msgspec.Struct, tag="fork"):
    """To a nursery: fork a worker; its channel comes along as a descriptor."""

    name: str
    part: Part | None = None
    is_proven: bool = False


class Listen(msgspec.Struct, tag="listen"):
    """To a worker: accept connections from these sockets, which come along in this order."""

    sockets: list[int]


class Release(msgspec.Struct, tag="release"):
    """To a worker: stop accepting from these sockets."""

    sockets: list[int]


class Directory(msgspec.Struct, tag="directory"):
    """To a worker: where the services run that it calls and does not run.

    Attributes:
        meetings: Addresses of workers, by service.
    """

    meetings: dict[str, list[str]]


class Drain(msgspec.Struct, tag="drain"):
    """To a worker: accept no more, finish what is begun, and exit.

    Attributes:
        closes_idle: Close idle connections at once, as nobody will serve their next request.
        seconds: How long streams and slow requests may go on.
    """

    closes_idle: bool
    seconds: float


class Dump(msgspec.Struct, tag="dump"):
    """To a worker: write the stacks of all threads and tasks to stderr."""


Order = Begin | Fork | Listen | Release | Directory | Drain | Dump


class Loaded(msgspec.Struct, tag="loaded"):
    """From a nursery: the app is imported.

    Attributes:
        interface: `asgi3`, `asgi2` or `wsgi`.
        framework: Such as `fastapi`; empty where unknown.
        culprits: Why it can't fork; empty where it can.
        seconds: How long the import took.
        services: Names of all services of the app.
        makeup: What these are made of; None where that is not known.
        is_durable: Whether they publish or run jobs, or older versions of them did.
        shared_queues: The services whose jobs wait in one queue, for each that is of several.
    """

    interface: str
    framework: str
    culprits: list[str]
    seconds: float
    services: list[str] = []
    makeup: Makeup | None = None
    is_durable: bool = False
    shared_queues: dict[str, list[str]] = {}


class Failed(msgspec.Struct, tag="failed"):
    """From either: it cannot go on. The error as `errors.error_from` takes it."""

    code: str
    text: str
    hint: str


class Started(msgspec.Struct, tag="started"):
    """From a worker: it lives, under this process id."""

    pid: int


class Ready(msgspec.Struct, tag="ready"):
    """From a worker: the app has started up; it takes connections from now on."""

    interface: str
    framework: str


class Beat(msgspec.Struct, tag="beat"):
    """From a worker's heartbeat thread, about four times a second.

    Attributes:
        tick_age_seconds: How long ago the event loop last turned.
        in_flight: Requests begun and not ended.
        connections: Open connections.
        requests_total: Requests begun since the worker started.
        busy_percent: Busy share since the last beat that had one; sent once a second.
        memory_bytes: Resident memory; with `busy_percent`.
        changed: Routes whose totals changed; with `busy_percent`.
        waits_for: Where start-up stands still, while the app starts.
        links: Links whose totals changed; with `busy_percent`.
        work_in_hand: Jobs and events that are worked on.
    """

    tick_age_seconds: float
    in_flight: int
    connections: int
    requests_total: int
    busy_percent: float | None = None
    memory_bytes: int = 0
    changed: list[RouteTotals] = []
    waits_for: str = ""
    links: list[LinkTotals] = []
    work_in_hand: int = 0


class Worn(msgspec.Struct, tag="worn"):
    """From a worker: it has served as many requests as it may, and wants to be replaced."""


Report = Loaded | Failed | Started | Ready | Beat | Worn
