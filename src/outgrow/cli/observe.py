"""`outgrow observe`: one observer for supervisors on any machine, which report to it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from outgrow.cli.show import out, out_json, talk
from outgrow.errors import PackageMissingError, SettingValueError
from outgrow.model import Settings
from outgrow.placement import (
    API_NAME,
    STORE_NAME,
    Seat,
    bound,
    missing_packages,
    name_of,
    resolve,
    this_machine,
)

if TYPE_CHECKING:
    import socket

    from outgrow.dashboard import Observer

PAGE_PORT, REPORT_PORT = 7788, 7789
REPORT_HOST = "0.0.0.0"
TOKEN_VARIABLE = "OUTGROW_OBSERVER_TOKEN"
_TOKEN_CHARACTERS_MIN = 16

_Host = Annotated[str, typer.Option(help="Address of the page.")]
_Port = Annotated[int, typer.Option(help="Port of the page; 0 takes any free one.")]
_ReportHost = Annotated[
    str | None,
    typer.Option(
        help=f"Address on which supervisors report, over TLS. [{REPORT_HOST}]", show_default=False
    ),
]
_ReportPort = Annotated[
    int | None,
    typer.Option(
        help=f"Port on which they report; 0 takes any free one. [{REPORT_PORT}]",
        show_default=False,
    ),
]
_Certificate = Annotated[
    str | None,
    typer.Option(
        "--tls-certificate",
        metavar="FILE",
        help="Certificate chain (PEM), for reports and for the page.",
        show_default=False,
    ),
]
_Key = Annotated[
    str | None,
    typer.Option("--tls-key", metavar="FILE", help="Its private key (PEM).", show_default=False),
]
_Name = Annotated[
    str | None, typer.Option(help="Name of what is observed, for people.", show_default=False)
]
_Folder = Annotated[str, typer.Option(help="Folder for all that is kept.")]
_Grafana = Annotated[
    bool, typer.Option("--grafana", help="Print a Grafana dashboard for /metrics, and end.")
]
_Alerts = Annotated[
    bool, typer.Option("--alerts", help="Print Prometheus alert rules for /metrics, and end.")
]
_Json = Annotated[bool, typer.Option("--json", help="Say where it is as a line of JSON.")]


def observe(
    host: _Host = "127.0.0.1",
    port: _Port = PAGE_PORT,
    report_host: _ReportHost = None,
    report_port: _ReportPort = None,
    certificate: _Certificate = None,
    key: _Key = None,
    name: _Name = None,
    folder: _Folder = ".outgrow/observer",
    grafana: _Grafana = False,
    alerts: _Alerts = False,
    json: _Json = False,
) -> None:
    """Observe many supervisors at once: `outgrow run --observer HOST:PORT` reports to this.

    They show OUTGROW_OBSERVER_TOKEN, which both sides have in their environment. Objectives, who
    may ask, and how much is kept are taken from outgrow.toml and the environment, as by `run`.
    """
    _check_packages()
    if grafana or alerts:
        _print_files(grafana=grafana, alerts=alerts)
        return
    if certificate is None:
        _check_unheard(report_host, report_port)
    seat = _seat(name, Path(folder).absolute(), report_host, report_port, certificate, key)
    with bound(host, port) as page:
        asyncio.run(_stand(seat, page, as_json=json))


def _check_packages() -> None:
    missing = missing_packages()
    if missing:
        raise PackageMissingError(
            f"an observer needs {', '.join(missing)}", hint="Run `pip install 'outgrow[watch]'`"
        )


def _check_unheard(report_host: str | None, report_port: int | None) -> None:
    """Refuse to be told where supervisors report while none can.

    Raises:
        SettingValueError: An address or a port for reports is named.
    """
    named = {"--report-host": report_host, "--report-port": report_port}
    for option, value in named.items():
        if value is not None:
            raise SettingValueError(
                f"`{option} {value}` without a certificate: reports are heard over TLS alone",
                hint="Give a certificate, `--tls-certificate FILE --tls-key FILE`; without one, "
                f"leave `{option}` out",
            )


def _print_files(*, grafana: bool, alerts: bool) -> None:
    from outgrow.dashboard import alert_rules, grafana_dashboard

    if grafana:
        out(grafana_dashboard().rstrip())
    if alerts:
        out(alert_rules().rstrip())


def _seat(
    name: str | None,
    place: Path,
    report_host: str | None,
    report_port: int | None,
    certificate: str | None,
    key: str | None,
) -> Seat:
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    resolved = resolve({}, this_machine())
    settings: Settings = resolved.settings
    return Seat(
        app=name or settings.name or "app",
        store=str(place / STORE_NAME),
        api=str(place / API_NAME),
        page_hosts=settings.page_hosts,
        tokens_file=settings.tokens_file or "",
        days_max=settings.observe_days,
        bytes_max=settings.observe_bytes_max,
        keeps_records=settings.observe_records,
        objectives=dict(resolved.objectives),
        signs=dict(resolved.signs),
        prices=dict(resolved.prices),
        objectives_from="outgrow.toml",
        forward=settings.forward or "",
        forward_headers=settings.forward_headers,
        reports_host=(report_host or REPORT_HOST) if certificate else "",
        reports_port=REPORT_PORT if report_port is None else report_port,
        reports_token=_token() if certificate else "",
        certificate=certificate or "",
        key=key or "",
    )


def _token() -> str:
    token = os.environ.get(TOKEN_VARIABLE, "")
    if len(token) < _TOKEN_CHARACTERS_MIN:
        raise SettingValueError(
            f"{TOKEN_VARIABLE} has {len(token)} characters; those who report must show it",
            hint=f"Set it to {_TOKEN_CHARACTERS_MIN} or more that nobody can guess",
        )
    return token


async def _stand(seat: Seat, page: socket.socket, *, as_json: bool) -> None:
    from outgrow.dashboard import stand_alone

    def say(observer: Observer) -> None:
        address = f"{'https' if seat.certificate else 'http'}://{name_of(page)}"
        reports = f"{seat.reports_host}:{observer.reports_port}" if observer.reports_port else None
        if as_json:
            out_json({"page": address, "reports": reports, "folder": str(Path(seat.api).parent)})
            return
        talk(f"outgrow: look: {address}")
        if reports:
            talk(f"outgrow: reports are heard on {reports}: outgrow run --observer HOST:PORT")
        else:
            talk("outgrow: no supervisor can report here: that takes --tls-certificate")

    await stand_alone(seat, page, say)
