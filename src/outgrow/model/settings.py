"""Every setting of `outgrow run`: its name, meaning, unit and default.

One table serves the command line, outgrow.toml, the environment, `--explain` and the reference
in the docs. The field's name is the key in the file, `--its-name` the flag and `OUTGROW_ITS_NAME`
the variable. A limit of 0 means that there is none.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

Interface = Literal["auto", "asgi3", "asgi2", "wsgi"]
Lifespan = Literal["auto", "on", "off"]
ForkMode = Literal["auto", "never"]
LogLevel = Literal["critical", "error", "warning", "info", "debug", "trace"]
ObserveMode = Literal["auto", "never"]

_MEBIBYTE_BYTES = 1024 * 1024

T = TypeVar("T")


@dataclass(frozen=True)
class Replicas:
    """How many workers may run: `min` always, up to `max` when they are busy.

    Attributes:
        min: At least this many; >= 1.
        max: At most this many; >= min. Equal to `min` means that nothing scales by itself.
    """

    min: int
    max: int

    def __str__(self) -> str:
        return str(self.min) if self.min == self.max else f"{self.min}:{self.max}"


def setting(
    default: T, text: str, *, env: tuple[str, ...] = (), short: str = "", secret: bool = False
) -> T:
    """A field of `Settings`.

    Args:
        default: Its value where nobody says another.
        text: What it means, in one line, with its unit where the name does not tell.
        env: Further environment variables that set it, after `OUTGROW_NAME`.
        short: The kind of value as the help shows it.
        secret: Its value is never printed.
    """
    metadata = {"help": text, "env": env, "short": short, "secret": secret}
    return cast("Any", dataclasses.field(default=default, metadata=metadata))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How one app is run on one machine. Field by field: `outgrow run --explain`."""

    app: str | None = setting(
        None, "the app: MODULE:NAME, MODULE or FILE.py", short="APP", env=("OUTGROW_APP",)
    )
    name: str = setting("", "name of the app, for people; not set: what `app` is")
    host: str = setting("127.0.0.1", "address to listen on")
    port: int = setting(8000, "port to listen on; 0 takes any free one", env=("PORT",))
    unix_socket: str | None = setting(None, "listen on this Unix socket instead", short="PATH")
    fd: int | None = setting(None, "listen on this inherited file descriptor instead")
    backlog: int = setting(2048, "connections that may wait to be accepted, for each socket")

    workers: Replicas = setting(
        Replicas(1, 1),
        "how many workers: N, MIN:MAX (scaled by busy share) or auto (1 to one per CPU)",
        env=("WEB_CONCURRENCY",),
        short="N|MIN:MAX|auto",
    )
    busy_percent: float = setting(60.0, "busy share of workers that scaling aims at")
    fork: ForkMode = setting("auto", "fork workers from one import of the app, where that is safe")
    before_fork: str | None = setting(None, "hook before each fork", short="MODULE:FUNCTION")
    after_fork: str | None = setting(None, "hook in each new worker", short="MODULE:FUNCTION")
    before_exit: str | None = setting(None, "hook before a worker exits", short="MODULE:FUNCTION")

    interface: Interface = setting("auto", "the app's interface; auto looks at the app")
    factory: bool = setting(False, "the app is what calling it returns (found by looking, too)")
    lifespan: Lifespan = setting("auto", "run the app's start-up and shut-down code")
    threads: int = setting(16, "threads for each worker of a WSGI app")
    app_dir: str = setting(".", "folder to import the app from", short="FOLDER")
    root_path: str = setting("", "path under which a proxy serves the app", short="PATH")

    proxy_headers: bool = setting(
        True, "take scheme and client from X-Forwarded-* of trusted proxies"
    )
    trusted_proxies: str = setting(
        "127.0.0.1,::1",
        "addresses and networks to trust, separated by commas; * trusts all",
        env=("FORWARDED_ALLOW_IPS",),
        short="LIST",
    )
    tls_certificate: str | None = setting(
        None, "certificate chain (PEM); turns TLS on", short="FILE"
    )
    tls_key: str | None = setting(None, "private key of the certificate (PEM)", short="FILE")
    tls_key_password: str | None = setting(None, "password of the private key", secret=True)
    tls_client_ca: str | None = setting(
        None, "accept only clients with a certificate signed by these (PEM)", short="FILE"
    )

    access_log: bool = setting(True, "log a line for each request")
    log_level: LogLevel = setting("info", "least severity that is logged")
    log_config: str | None = setting(
        None, "logging configuration (.ini, .json, .yaml)", short="FILE"
    )
    server_header: bool = setting(True, "send a Server header")
    date_header: bool = setting(True, "send a Date header")
    providers: tuple[str, ...] = setting(
        (), "import this function, which makes what services need", short="MODULE:NAME"
    )
    services: tuple[str, ...] = setting(
        (), "import this service, which no code of the app asks for", short="MODULE:NAME"
    )
    header: tuple[str, ...] = setting(
        (), "add this header to every response", short="'NAME: VALUE'"
    )

    keep_alive_seconds: float = setting(
        5.0, "how long an idle connection is kept for its next request"
    )
    drain_seconds: float = setting(
        30.0, "how long a worker that leaves may finish what it has begun"
    )
    startup_seconds: float = setting(60.0, "how long the app may take to start")
    stuck_seconds: float = setting(
        30.0, "a worker whose event loop stands still this long is replaced"
    )
    header_seconds: float = setting(10.0, "how long a client may take to send a request's headers")
    body_idle_seconds: float = setting(30.0, "how long a client may pause while it sends a body")
    write_idle_seconds: float = setting(60.0, "how long a client may read nothing of its response")
    header_bytes_max: int = setting(65_536, "size of request line and headers together")
    body_bytes_max: int = setting(0, "size of a request body; 0: no limit")
    concurrency_max: int = setting(0, "requests at once in one worker, past it 503; 0: no limit")
    wait_seconds_max: float | None = setting(
        None,
        "how long a request may wait for its turn, past it 503; 0: no limit;"
        " not set: 0.5 where services run, else 0",
    )
    requests_max: int = setting(0, "replace a worker after this many requests; 0: never")
    requests_jitter: int = setting(
        0, "random number of requests, up to this, added to requests_max"
    )

    ws_message_bytes_max: int = setting(16 * _MEBIBYTE_BYTES, "size of a WebSocket message")
    ws_ping_seconds: float = setting(20.0, "time between WebSocket pings; 0: none")
    ws_ping_timeout_seconds: float = setting(20.0, "how long a pong may take; 0: for ever")
    ws_deflate: bool = setting(True, "compress WebSocket messages where the client can")

    durable_url: str | None = setting(
        None,
        "where events and jobs are kept, sqlite:///FILE or postgresql://...; with ?pgbouncer=true"
        " through PgBouncer in transaction mode, with ?fast=true without waiting for the disk; not"
        " set: on the server that DATABASE_URL names, else in a file in the folder",
        short="URL",
        secret=True,
    )
    queue: tuple[str, ...] = setting(
        (),
        "bound a queue of jobs: how many at once over all machines, how many in one worker (10"
        " unless said), how many may start in so many seconds",
        short="'NAME: concurrency=8, slots=4, rate=100/60'",
    )
    leave_unreadable: bool = setting(
        False, "start although events or jobs wait that this version cannot read"
    )
    folder: str = setting(".outgrow", "folder for state: control socket and log", short="FOLDER")
    control_port: int | None = setting(
        None, "also answer /-/live and /-/ready on this port, on the host address"
    )

    observe: ObserveMode = setting(
        "auto", "keep and show what happens, where `outgrow[watch]` is installed"
    )
    page_host: str = setting(
        "127.0.0.1", "address of the page; one that others can reach needs tokens"
    )
    page_port: int | None = setting(
        None, "port of the page; 0 takes any free one; not set: 7788, or a free one if it is taken"
    )
    page_hosts: tuple[str, ...] = setting(
        (), "a name under which the page is asked for, besides loopback ones", short="NAME"
    )
    tokens_file: str | None = setting(
        None,
        "who may ask the page: a line `NAME ROLE TOKEN` each; not set: those in OUTGROW_TOKENS",
        short="FILE",
    )
    observe_days: int = setting(15, "how many days of what happened are kept; 0: no limit")
    observe_bytes_max: int = setting(
        2048 * _MEBIBYTE_BYTES, "size of all that is kept of them; 0: no limit"
    )
    observe_records: bool = setting(
        True, "keep traces and log lines; if not, they are counted, and sent on to `forward` alone"
    )
    forward: str | None = setting(
        None, "send what is kept on, as OTLP/HTTP, to what comes before /v1/traces", short="URL"
    )
    forward_headers: tuple[str, ...] = setting(
        (), "add this header to what is sent on", short="'NAME: VALUE'", secret=True
    )
    observer: str | None = setting(
        None, "report to this observer, over TLS, instead of starting one", short="HOST:PORT"
    )
    observer_token: str | None = setting(None, "token for that observer", secret=True)
    observer_ca: str | None = setting(
        None,
        "who signs that observer's certificate (PEM); not set: those whom the system trusts",
        short="FILE",
    )
    commit: str = setting(
        "", "commit that runs, to mark deploys; not set: that of the git repository"
    )
