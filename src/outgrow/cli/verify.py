"""`outgrow verify`: drive the app up to the limit that was foretold, and score the forecast."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outgrow.cli.baseline import TOLERANCE_PERCENT
from outgrow.cli.show import EXIT_FAILED, ms_shown, out, out_json, table, talk
from outgrow.cli.verdict import verdict
from outgrow.cli.verifying import Wanted, verified

if TYPE_CHECKING:
    from outgrow.cli.verifying import Answers

ENDLESS_MS = 60_000
"""A minute of the API stands for longer, and for no end."""
_NUMBERS = {"sent/s", "served/s", "badly", "p99 ms", "foretold p99 ms"}
_ENDS = {
    "bound": "the limit was not reached at {rate:,.0f} requests/s: allow more by `--rate-max`",
    "time": "the time was up before the limit was reached: allow more by `--seconds`",
    "turned down": "the app turns down what is sent (4xx): a `--header` or other `--requests`?",
    "late": "requests could not be sent in time: this machine is too busy to drive the app",
}


_Folder = Annotated[str, typer.Option(help="The supervisor's folder.")]
_Since = Annotated[
    str, typer.Option(metavar="TIME", help="The forecast rests on what was measured since.")
]
_Yes = Annotated[bool, typer.Option("--yes", help="The app may be loaded until its limit binds.")]
_At = Annotated[
    str | None,
    typer.Option(
        metavar="3x|120/s", help="Ask whether so much traffic is borne, and send no more."
    ),
]
_BaselineFile = Annotated[
    Path | None,
    typer.Option("--baseline", metavar="FILE", help="Fail if the knee is lower than there."),
]
_Tolerance = Annotated[
    float,
    typer.Option(min=0.0, max=90.0, metavar="PERCENT", help="By so much it may be lower."),
]
_Save = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write the knee, to be a baseline."),
]
_Plan = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Score what that plan foretold, once it is applied."),
]
_RateMax = Annotated[
    float | None,
    typer.Option(min=1.0, help="Send no more a second; not set: 1.5 times the foretold limit."),
]
_Seconds = Annotated[float, typer.Option(min=30.0, max=1800.0, help="How long it may take.")]
_Requests = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Examples, a line `METHOD PATH [BODY]` each."),
]
_Scenario = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Python with `visitor`, who says what is sent next."),
]
_WarmUp = Annotated[
    float | None,
    typer.Option(
        min=1.0,
        metavar="RATE",
        help="With a scenario: first send so much a second, as the traffic of now.",
    ),
]
_Header = Annotated[
    list[str] | None, typer.Option(metavar="'NAME: VALUE'", help="Sent with each request.")
]
_Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


def verify(
    folder: _Folder = ".outgrow",
    since: _Since = "-1h",
    yes: _Yes = False,
    at: _At = None,
    baseline_file: _BaselineFile = None,
    tolerance: _Tolerance = TOLERANCE_PERCENT,
    save: _Save = None,
    plan: _Plan = None,
    rate_max: _RateMax = None,
    seconds: _Seconds = 90.0,
    requests: _Requests = None,
    scenario: _Scenario = None,
    warm_up: _WarmUp = None,
    header: _Header = None,
    json: _Json = False,
) -> None:
    """Score the forecast: send the mix of now, ever more of it, until the first limit binds.

    Requests come by chance and do not wait for one another (an open loop), and their time counts
    from when they were due. Examples are taken from the access log and traces, of GET and HEAD
    alone, or from a file; or a scenario says what is sent. It loads the app that runs, so it asks
    for `--yes`. The result is kept in the folder, shown by `outgrow forecast`, and what was sent
    is no evidence for later forecasts.

    Exit code 1 says that the forecast did not hold; with `--at`, that so much is not borne; with
    `--baseline`, that the knee has fallen; or that this is not known.
    """
    answers = verified(
        folder,
        since,
        Wanted(
            yes=yes,
            at=at,
            baseline=baseline_file,
            tolerance_percent=tolerance,
            save=save,
            plan=plan,
            rate_max=rate_max,
            seconds=seconds,
            requests=requests,
            scenario=scenario,
            warm_up=warm_up,
            headers=tuple(header or ()),
        ),
    )
    if json:
        out_json(answers.told)
    else:
        _print(answers)
    if not answers.is_good:
        raise typer.Exit(EXIT_FAILED)


def _print(answers: Answers) -> None:
    told, end = answers.found.told, answers.found.end
    for line in table([_row(step) for step in told["steps"]], _NUMBERS):
        out(line)
    out(f"(times of `{told['route']}`)")
    out()
    if answers.bearing is None:
        for line in verdict(told):
            out(line)
    for answer in (answers.bearing, answers.compared):
        if answer is not None:
            out(answer.sentence)
    if end in _ENDS and not (end == "bound" and answers.bearing):
        talk(_ENDS[end].format(rate=answers.rate_max))
    else:
        talk("it is kept, and `outgrow forecast 10` tells of it")


def _row(step: dict[str, Any]) -> dict[str, str]:
    return {
        "sent/s": f"{step['sent_per_second']:,.1f}",
        "served/s": f"{step['good_per_second']:,.1f}",
        "badly": f"{step['bad_percent']:.1f} %",
        "p99 ms": ms_shown(step["p99_ms"]),
        "foretold p99 ms": _interval_ms(step["foretold_p99_ms"]),
    }


def _interval_ms(one: dict[str, float] | None) -> str:
    if one is None:
        return "-"
    best, low, high = (
        ms_shown(one[name]) if one[name] < ENDLESS_MS else "over 1 min"
        for name in ("best", "low", "high")
    )
    return f"{best} ({low} to {high})"
