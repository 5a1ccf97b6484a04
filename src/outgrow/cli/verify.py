"""`outgrow verify`: drive the app up to the limit that was foretold, and score the forecast."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

import typer

from outgrow.cli import mixing
from outgrow.cli.loading import LoadTest
from outgrow.cli.sending import Sender
from outgrow.cli.show import EXIT_FAILED, ms_shown, out, out_json, table, talk
from outgrow.cli.verdict import verdict
from outgrow.errors import RefusedError, SettingValueError
from outgrow.placement import ApiClient, ControlClient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outgrow.cli.mixing import Mixed

ANSWER_SECONDS = 60.0
LOG_LINES = 5000
ENDLESS_MS = 60_000
"""A minute of the API stands for longer, and for no end."""
RATE_RATIO_MAX = 1.5
"""Where nobody says how many requests a second may be sent: so much of the forecast's upper end."""
_NUMBERS = {"sent/s", "served/s", "badly", "p99 ms", "foretold p99 ms"}
_ENDS = {
    "bound": "the limit was not reached at {rate:,.0f} requests/s: allow more by `--rate-max`",
    "time": "the time was up before the limit was reached: allow more by `--seconds`",
    "turned down": "the app turns down what is sent (4xx): a `--header` or other `--requests`?",
    "late": "requests could not be sent in time: this machine is too busy to drive the app",
}


def verify(
    folder: Annotated[str, typer.Option(help="The supervisor's folder.")] = ".outgrow",
    since: Annotated[
        str, typer.Option(metavar="TIME", help="The forecast rests on what was measured since.")
    ] = "-1h",
    yes: Annotated[
        bool, typer.Option("--yes", help="The app may be loaded until its limit binds.")
    ] = False,
    rate_max: Annotated[
        float | None,
        typer.Option(min=1.0, help="Send no more a second; not set: 1.5 times the foretold limit."),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=30.0, max=1800.0, help="How long it may take.")
    ] = 90.0,
    requests: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Examples, a line `METHOD PATH [BODY]` each."),
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option(metavar="'NAME: VALUE'", help="Sent with each request.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Score the forecast: send the mix of now, ever more of it, until the first limit binds.

    Requests come by chance and do not wait for one another (an open loop), and their time counts
    from when they were due. Examples are taken from the access log, of GET and HEAD alone, or from
    a file. It loads the app that runs, so it asks for `--yes`. The result is kept in the folder,
    shown by `outgrow forecast`, and what was sent is no evidence for later forecasts. Exit code 1
    says that the forecast did not hold, or that this is not known.
    """
    api = ApiClient(folder, seconds=ANSWER_SECONDS)
    told = api.get(f"forecast?{urlencode({'times': 1, 'from': since})}")
    if told["refusal"]:
        raise RefusedError(
            f"there is no forecast to verify: {told['refusal']['text']}",
            hint=told["refusal"]["hint"],
        )
    control = ControlClient(folder)
    calls = _calls(api, since)
    mix = _mix(calls, control, requests)
    limit = told["saturation_per_second"]
    bound = float(rate_max or RATE_RATIO_MAX * limit["high"])
    _announce(told, mix, bound, seconds)
    left_out = sorted(calls.keys() - {one.route for one in mix})
    if left_out:
        talk(f"  left out, without an example: {', '.join(left_out)}")
    sender = Sender(control.status()["addresses"][0], header or ())
    if not yes:
        raise SettingValueError(
            "verify loads the app that runs, and slows down what others ask of it",
            hint="Say `--yes` where that may be; `--rate-max` and `--seconds` bound it",
        )
    test = LoadTest(api=api, sender=sender, mix=mix, told=told, since=since, folder=Path(folder))
    found = asyncio.run(test.run(bound, seconds, talk))
    if json:
        out_json({**found.told, "end": found.end})
    else:
        _print(found.told, found.end, bound)
    if not found.told["is_held"]:
        raise typer.Exit(EXIT_FAILED)


def _calls(api: ApiClient, since: str) -> dict[str, float]:
    """How often each route was called."""
    called = api.get(f"operations?{urlencode({'from': since})}")["operations"]
    return {
        one["name"]: float(one["calls"])
        for one in called
        if one["kind"] == "route" and not one["name"].startswith("WEBSOCKET ")
    }


def _mix(calls: dict[str, float], control: ControlClient, file: Path | None) -> tuple[Mixed, ...]:
    """What is sent: written examples before those of the log."""
    written = mixing.from_file(file) if file is not None else []
    entries = control.logs(urlencode({"lines": LOG_LINES, "follow": 0}), follows=False)
    return mixing.mix_of(calls, [*written, *mixing.from_log(one["text"] for one in entries)])


def _announce(told: dict[str, Any], mix: Sequence[Mixed], rate_max: float, seconds: float) -> None:
    limit = told["saturation_per_second"]
    talk(
        f"foretold: `{told['first'][0]}` binds at {limit['best']:,.0f} requests/s "
        f"({limit['low']:,.0f} to {limit['high']:,.0f})"
    )
    talk(f"to send: up to {rate_max:,.0f} requests/s, for {seconds:.0f} s at the most")
    for one in mix:
        talk(f"  {100 * one.share:3.0f} %  {one.route}  ({_shown_count(len(one.examples))})")


def _shown_count(count: int) -> str:
    return "1 example" if count == 1 else f"{count} examples"


def _print(told: dict[str, Any], end: str, rate_max: float) -> None:
    rows = [
        {
            "sent/s": f"{step['sent_per_second']:,.1f}",
            "served/s": f"{step['good_per_second']:,.1f}",
            "badly": f"{step['bad_percent']:.1f} %",
            "p99 ms": ms_shown(step["p99_ms"]),
            "foretold p99 ms": _interval_ms(step["foretold_p99_ms"]),
        }
        for step in told["steps"]
    ]
    for line in table(rows, _NUMBERS):
        out(line)
    out(f"(times of `{told['route']}`)")
    out()
    for line in verdict(told):
        out(line)
    if end in _ENDS:
        talk(_ENDS[end].format(rate=rate_max))
    else:
        talk("it is kept, and `outgrow forecast 10` tells of it")


def _interval_ms(one: dict[str, float] | None) -> str:
    if one is None:
        return "-"
    best, low, high = (
        ms_shown(one[name]) if one[name] < ENDLESS_MS else "over 1 min"
        for name in ("best", "low", "high")
    )
    return f"{best} ({low} to {high})"
