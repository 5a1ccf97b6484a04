"""`outgrow signs`: measured warnings, and what their removal would bring."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from outgrow.cli.show import EXIT_FAILED, out, out_json, talk
from outgrow.cli.verdict import numbers
from outgrow.placement import ApiClient

ANSWER_SECONDS = 60.0


def signs(
    folder: Annotated[str, typer.Option(help="The supervisor's folder.")] = ".outgrow",
    since: Annotated[
        str, typer.Option(metavar="TIME", help="Measured since then, such as -30m or -2h.")
    ] = "-1h",
    missing: Annotated[
        bool, typer.Option("--missing", help="Also say which could not be looked for.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Look for the signs of limits that come nearer, those with the largest gain first.

    Those that [[signs.silenced]] in outgrow.toml names stand apart until the day that it names, and
    come back then. Exit code 1 says that there are some that are not silenced.
    """
    query = urlencode({"from": since})
    told = ApiClient(folder, seconds=ANSWER_SECONDS).get(f"signs?{query}")
    if json:
        out_json(told)
    else:
        _print(told, missing=missing)
    if told["signs"]:
        raise typer.Exit(EXIT_FAILED)


def _print(told: dict[str, Any], *, missing: bool) -> None:
    for one in told["signs"]:
        _print_sign(one)
    if told["silenced"]:
        out(("\n" if told["signs"] else "") + "Silenced:")
        for one in told["silenced"]:
            _print_sign(one)
    if missing:
        out()
        for one in told["missing"]:
            out(f"-  {one['sign']}: not looked for, it takes {one['needs']}")
    counts = [f"{len(told['signs'])} signs"]
    counts += [f"{len(told['silenced'])} silenced"] if told["silenced"] else []
    counts += [f"{len(told['missing'])} could not be looked for"]
    talk("; ".join(counts) + ("" if missing else " (--missing)"))
    talk("what breaks first: outgrow forecast 10")


def _print_sign(one: dict[str, Any]) -> None:
    gain = f", its removal: {one['gain']:.1f} times the limit" if one["gain"] else ""
    out(f"{'!!' if one['severity'] == 'severe' else '! '} {one['sign']}  {one['subject']}")
    out(f"   {one['text']}{gain}")
    if one["numbers"]:
        out(f"   {numbers(one['numbers'])}")
    if one["traces"]:
        out(f"   such as: outgrow logs --trace {one['traces'][0]}")
    silence = one["silence"]
    if silence:
        word = "was silenced" if silence["is_over"] else "silenced"
        out(f"   {word} until {silence['until']}: {silence['reason']}")
