"""One launch, written in the flags of either server.

A `Launch` speaks outgrow's names of settings; `command` and `environment` translate them for
uvicorn.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["uvicorn", "outgrow"]
KINDS: tuple[Kind, ...] = ("uvicorn", "outgrow")
PROBES = Path(__file__).parent / "probes"
UVICORN_FLAGS = {
    "unix_socket": "uds",
    "keep_alive_seconds": "timeout-keep-alive",
    "drain_seconds": "timeout-graceful-shutdown",
    "concurrency_max": "limit-concurrency",
    "requests_max": "limit-max-requests",
    "trusted_proxies": "forwarded-allow-ips",
    "tls_certificate": "ssl-certfile",
    "tls_key": "ssl-keyfile",
    "tls_key_password": "ssl-keyfile-password",
    "tls_client_ca": "ssl-ca-certs",
    "ws_message_bytes_max": "ws-max-size",
    "ws_ping_seconds": "ws-ping-interval",
    "ws_ping_timeout_seconds": "ws-ping-timeout",
    "ws_deflate": "ws-per-message-deflate",
}
SETTINGS_IN_ENVIRONMENT = ("OUTGROW_", "UVICORN_", "WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS", "PORT")

Value = str | bool
Options = dict[str, Value]
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How to start a server, in outgrow's names of settings.

    Attributes:
        app: The import string.
        options: Names and values of settings. `{folder}` and `{certificates}` in a value are paths.
        environ: Environment variables; `{SERVER}` in a name is OUTGROW or UVICORN.
        files: Names and texts of files to write in the server's folder.
        silent: The server says nothing when it is ready, so the test chooses the port.
        inherit: Kind of listening socket to pass as an open file descriptor.
    """

    app: str = "probe_app:app"
    options: tuple[tuple[str, Value], ...] = ()
    environ: Pairs = ()
    files: Pairs = ()
    silent: bool = False
    inherit: Literal["tcp", "unix"] | None = None


def launch(
    app: str = "probe_app:app",
    *,
    environ: dict[str, str] | None = None,
    files: dict[str, str] | None = None,
    silent: bool = False,
    inherit: Literal["tcp", "unix"] | None = None,
    **options: Value,
) -> Launch:
    """A launch from keywords."""
    return Launch(
        app=app,
        options=tuple(options.items()),
        environ=tuple((environ or {}).items()),
        files=tuple((files or {}).items()),
        silent=silent,
        inherit=inherit,
    )


PLAIN = launch()


def command(kind: Kind, app: str, options: Options) -> list[str]:
    """The command line of one server."""
    listens = {"unix_socket", "fd", "port"} & set(options)
    wanted: Options = {} if listens else {"port": "0"}
    wanted |= {"app_dir": str(PROBES), **options}
    verb = ["run"] if kind == "outgrow" else []
    flags = [flag for item in wanted.items() for flag in _flags(kind, *item)]
    return [sys.executable, "-m", kind, *verb, app, *flags]


def _flags(kind: Kind, name: str, value: Value) -> list[str]:
    if kind == "uvicorn":
        if name == "ws_deflate":
            return ["--ws-per-message-deflate", str(value).lower()]
        if name == "tls_client_ca":
            return ["--ssl-ca-certs", str(value), "--ssl-cert-reqs", "2"]
        name = UVICORN_FLAGS.get(name, name)
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    if name == "header":
        return [part for each in value.split("\n") for part in (f"--{flag}", each)]
    return [f"--{flag}", value]


def environment(kind: Kind, wanted: Pairs, folder: Path) -> dict[str, str]:
    """This process's environment without settings of either server, and the launch's own."""
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(SETTINGS_IN_ENVIRONMENT)
    }
    environ |= {"PROBE_RECORD": str(folder / "record"), "OUTGROW_OBSERVE": "never"}
    environ.update({name.format(SERVER=kind.upper()): value for name, value in wanted})
    return environ
