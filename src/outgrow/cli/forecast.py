"""`outgrow forecast`: what breaks first, and at how much traffic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from outgrow.cli.calibrating import calibrate_once
from outgrow.cli.costs_shown import print_costs
from outgrow.cli.report import report
from outgrow.cli.show import EXIT_FAILED, out, out_json, table, talk
from outgrow.cli.verdict import interval, last_verified, learned
from outgrow.errors import FolderError
from outgrow.placement import ApiClient

ANSWER_SECONDS = 60.0
PLACES_MAX = 3
NEVER_IN_IT = "memory, open files and sockets, disks, networks, quotas of others"
_NUMBERS = {"requests/s", "low", "high", "times now", "first"}


def forecast(
    times: Annotated[float, typer.Argument(min=0.1, help="At so many times the traffic of now.")],
    folder: Annotated[str, typer.Option(help="The supervisor's folder.")] = ".outgrow",
    since: Annotated[
        str, typer.Option(metavar="TIME", help="Measured since then, such as -30m or -2h.")
    ] = "-1h",
    mix: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=TIMES",
            help="A route or an operation that grows so many times as fast as the rest.",
        ),
    ] = None,
    data: Annotated[
        float, typer.Option(min=0.1, max=1000.0, help="So many times the rows of now.")
    ] = 1.0,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="First measure how the cores of this machine slow one another down, unless that "
            "is kept in the folder: 20 s of all cores, so at a quiet time.",
        ),
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write it to a file to be sent to somebody."),
    ] = None,
    costs: Annotated[
        bool, typer.Option("--costs", help="Also what requests take, and what a month costs.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Foresee which limit binds first as traffic grows, and how sure that is.

    It rests on what the observer has measured: what each call took of each loop, pool, lock and
    core, in windows of 10 s. Each number has an interval that holds 90 of 100 draws. With `--costs`
    it tells what requests take of CPU, databases and workers, by service, and what a month takes
    now and at that traffic; in money where outgrow.toml has [prices]. Exit code 1 says that a limit
    binds below the traffic that was asked about, or that there is no forecast.
    """
    if calibrate:
        calibrate_once(Path(folder))
    asked: dict[str, Any] = {"from": since}
    if mix:
        asked["mix"] = ";".join(mix)
    if data != 1:
        asked["data"] = f"{data:.9g}"
    api = ApiClient(folder, seconds=ANSWER_SECONDS)
    told = api.get(f"forecast?{urlencode({'times': times, **asked})}")
    if html is not None and not told["refusal"]:
        _write(html, api, told, asked)
    spending = api.get(f"costs?{urlencode({'times': times, **asked})}") if costs else None
    if json:
        out_json(told if spending is None else {**told, "costs": spending})
    else:
        _print(told)
        if spending is not None:
            print_costs(spending)
    if told["refusal"] or any(rung["binds"] for rung in told["ladder"]):
        raise typer.Exit(EXIT_FAILED)


def _write(path: Path, api: ApiClient, told: dict[str, Any], asked: dict[str, Any]) -> None:
    """Write all that is foreseen as one file.

    Raises:
        FolderError: There can be no such file.
    """
    query, period = urlencode(asked), urlencode({"from": asked["from"]})
    content = report(
        api.get("now")["app"],
        told,
        api.get(f"forecast/response?{query}"),
        api.get(f"plan?{query}&times={told['times']:g}"),
        api.get(f"signs?{period}"),
        api.get(f"costs?{query}&times={told['times']:g}"),
    )
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as problem:
        raise FolderError(f"cannot write {path}: {problem.strerror}") from None
    talk(f"written: {path}")


def _print(told: dict[str, Any]) -> None:
    out(told["sentence"])
    if told["refusal"]:
        talk(f"hint: {told['refusal']['hint']}")
        return
    times = told["times"]
    binding = [rung for rung in told["ladder"] if rung["binds"]]
    out()
    if binding:
        out(f"At {times:g} times the traffic of now, in the order in which they bind:")
    else:
        out(f"At {times:g} times the traffic of now nothing binds. The nearest limits:")
    out()
    rows = [_row(rung) for rung in (binding or told["ladder"][:3])]
    for line in table(rows, _NUMBERS):
        out(line)
    out()
    knee = told["knee_by_objective_per_second"]
    if knee:
        kept = f"kept up to {interval(knee)} requests/s" if knee["best"] else "not kept now"
        out(f"Objective: {told['objective']}, {kept}")
    out(f"The mean time doubles at {interval(told['knee_by_doubling_per_second'])} requests/s")
    if told["besides"]:
        _print_besides(told["besides"])
    in_mix = " in that mix" if told["besides"] and told["besides"]["mix"] else ""
    now = f"{told['now_per_second']:.1f} requests/s{in_mix}"
    talk(
        f"from {told['windows']} windows of 10 s at {now}; "
        f"{told['unmeasured_percent']:.0f} % of the time of calls passes where nothing is measured"
    )
    for line in not_known(told["unknown_percent"]):
        talk(line)
    if told["record"]:
        out(last_verified(told["record"][0]))
        if line := learned(told["ladder"][0]):
            out(line)
    else:
        talk("never verified: outgrow verify")
    talk(f"look for the causes: outgrow signs; for a way past them: outgrow plan {times:g}")


def not_known(unknown_percent: dict[str, float]) -> list[str]:
    """Where limits may hide that nobody measured, in words."""
    places = sorted(unknown_percent.items(), key=lambda pair: -pair[1])[:PLACES_MAX]
    named = ", ".join(f"{percent:.0f} % of it in `{name}`" for name, percent in places)
    lines = [f"a limit may hide where time of calls is not explained: {named}"] if named else []
    return [*lines, f"never in it: {NEVER_IN_IT}"]


def _print_besides(besides: dict[str, Any]) -> None:
    if besides["mix"]:
        grows = ", ".join(f"{one['name']} {one['times']:g} times" for one in besides["mix"])
        out(f"As fast as the rest grow: {grows}; `times now` is that of the rest")
    if not besides["note"]:
        return
    out()
    out(f"With {besides['data_times']:g} times the rows, {besides['note']}:")
    for one in besides["rows"]:
        cost = one["ms_per_row"]
        span = f"{cost['best']:.3g} ms ({cost['low']:.3g} to {cost['high']:.3g})"
        out(f"  {one['subject']}: {span} a row, {one['rows']:.3g} rows now, in {one['operation']}")
    for one in besides["unknown"]:
        out(f"  {one['subject']}: taken as it is, since {one['why']}")


def _row(rung: dict[str, Any]) -> dict[str, str]:
    bears, headroom = rung["calls_per_second"], rung["headroom"]
    return {
        "limit": rung["station"],
        "kind": rung["kind"],
        "requests/s": f"{bears['best']:,.0f}",
        "low": f"{bears['low']:,.0f}",
        "high": f"{bears['high']:,.0f}",
        "times now": f"{headroom['best']:.1f}",
        "first": f"{rung['first_percent']:.0f} %",
    }
