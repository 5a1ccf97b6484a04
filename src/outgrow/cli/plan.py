"""`outgrow plan`: what carries the app to so many times its traffic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from outgrow.cli.show import EXIT_FAILED, bytes_shown, out, out_json, talk
from outgrow.cli.verdict import applied_in_words, interval
from outgrow.placement import ApiClient, write_plan

ANSWER_SECONDS = 120.0
CORES_TOLD_MIN = 0.01
APPLIED_SHOWN = 3
BETTER_PERCENT_MIN = 50.0
"""Where fewer draws gain, there is no gain."""
_BY = {"apply": "apply", "hand": "by hand", "itself": "by itself"}


def plan(
    times: Annotated[float, typer.Argument(min=0.1, help="At so many times the traffic of now.")],
    folder: Annotated[str, typer.Option(help="The supervisor's folder.")] = ".outgrow",
    since: Annotated[
        str, typer.Option(metavar="TIME", help="Measured since then, such as -30m or -2h.")
    ] = "-1h",
    only_placement: Annotated[
        bool,
        typer.Option("--only-placement", help="Only steps that `outgrow apply` carries out."),
    ] = False,
    file: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write it, for `outgrow apply FILE`."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Find the steps that carry the app to so many times the traffic of now.

    Each moves what binds first by the pattern that is worth the most for its effort: more workers,
    a service in workers of its own, more slots, one call instead of many. What `outgrow apply`
    cannot carry out is told as a step by hand. Below them stands every way past the first limit,
    ranked. It changes nothing. Exit code 1 says that the steps do not get there, or that there is
    no forecast.
    """
    query = urlencode({"times": times, "from": since, "only_placement": int(only_placement)})
    told = ApiClient(folder, seconds=ANSWER_SECONDS).get(f"plan?{query}")
    if file is not None and not told["refusal"]:
        write_plan(file, told)
    if json:
        out_json(told)
    else:
        _print(told, file)
    if told["refusal"] or told["stuck"]:
        raise typer.Exit(EXIT_FAILED)


def _print(told: dict[str, Any], file: Path | None) -> None:
    out(told["sentence"])
    if told["refusal"]:
        _print_applied(told)
        talk(f"hint: {told['refusal']['hint']}")
        return
    for number, step in enumerate(told["steps"], 1):
        _print_step(number, step, told["currency"])
    if money := sum(step["money_per_month"] or 0.0 for step in told["steps"]):
        out()
        out(f"All steps: {money:,.2f} {told['currency']} a month more, at the traffic of now")
    _print_ways(told)
    if told["stuck"]:
        what = told["by_hand"]
        out()
        out(f"In the way: `{told['stuck']}`" + (f": {what}" if what else ""))
    _print_applied(told)
    talk(f"{told['sure_percent']:.0f} of 100 draws bear it then")
    talk(_next(told, file))


def _print_applied(told: dict[str, Any]) -> None:
    """Plans that were carried out before, and what came of them."""
    if told["applied"]:
        out()
    for one in told["applied"][:APPLIED_SHOWN]:
        out(applied_in_words(one))


def _print_step(number: int, step: dict[str, Any], currency: str) -> None:
    pattern, before, after = step["pattern"], step["limit_per_second"], step["knee_after"]
    out()
    out(f"{number}. {pattern['title']}")
    out(f"   {_BY[step['by']]}: {pattern['how']}")
    out(
        f"   `{step['limit']}` binds at {interval(pattern['calls_per_second'])} requests/s"
        f" instead of {interval(before)}"
    )
    out(f"   all of it then bears {interval(after)}, where `{step['first_after']}` binds")
    if cost := _cost(step, currency):
        out(f"   costs: {cost}")
    for need in pattern["needs"]:
        out(f"   needs: {need}")


def _print_ways(told: dict[str, Any]) -> None:
    """Every pattern by what it brings by itself."""
    for limit in dict.fromkeys(way["limit"] for way in told["ways"]):
        mine = [way for way in told["ways"] if way["limit"] == limit]
        kept = f", while {told['objective']}" if told["objective"] else ""
        out()
        out(f"Ways past `{limit}`, each by itself{kept}:")
        for way in mine:
            out(f"- {way['title']} ({way['effort']}): {way_in_words(way)}")
            if way["better_percent"] < BETTER_PERCENT_MIN:
                continue
            if cost := _cost(way, told["currency"]):
                out(f"    costs: {cost}")
            for need in way["needs"]:
                out(f"    needs: {need}")


def way_in_words(way: dict[str, Any]) -> str:
    """What a way brings."""
    if way["better_percent"] < BETTER_PERCENT_MIN:
        return f"no gain, `{way['first_after']}` binds at {interval(way['after'])} requests/s"
    gain = way["gain"]
    told = (
        f"{gain['best']:.1f} times ({gain['low']:.1f} to {gain['high']:.1f}), "
        f"{interval(way['after'])} requests/s, then `{way['first_after']}` binds"
    )
    return f"{told}, if {way['assumes']}" if way["assumes"] else told


def _cost(step: dict[str, Any], currency: str) -> str:
    parts: list[str] = []
    if step["workers"]:
        plural = "worker" if abs(step["workers"]) == 1 else "workers"
        word = "more" if step["workers"] > 0 else "fewer"
        memory = bytes_shown(abs(step["memory_bytes"]))
        parts.append(f"{abs(step['workers'])} {plural} {word}, about {memory}")
    if abs(step["cores"]) >= CORES_TOLD_MIN:
        parts.append(f"{step['cores']:.2f} cores at the traffic of now")
    if step["money_per_month"]:
        parts.append(f"{step['money_per_month']:,.2f} {currency} a month".replace("  ", " "))
    return "; ".join(parts)


def _next(told: dict[str, Any], file: Path | None) -> str:
    change, times = told["change"], f"{told['times']:g}"
    if not (change["moves"] or change["merges"] or change["sizes"]):
        return f"after each step, and some minutes of traffic: outgrow forecast {times}"
    if file is None:
        return f"to carry it out: outgrow plan {times} --out plan.json; outgrow apply plan.json"
    return f"to carry it out: outgrow apply {file}"
