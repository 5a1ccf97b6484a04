"""The page of all verbs, read from the command line itself."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any, cast

import typer

from outgrow.cli import app
from outgrow.model import Settings
from scripts.markdown import table

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = [field.name for field in dataclasses.fields(Settings)]
HEAD = """
# Command line

Every verb takes `--help`. What a program should read goes to standard output, all talk to
standard error. Exit codes: 0 fine, 1 it failed or found something, 2 wrong use.
"""


def verbs() -> dict[str, Any]:
    """Every verb that the help shows, by name."""
    commands: dict[str, Any] = cast("Any", typer.main.get_command(app)).commands
    return {name: verb for name, verb in sorted(commands.items()) if not verb.hidden}


def cli_page() -> str:
    """Each verb with its usage, arguments and options."""
    return "\n".join([HEAD, *(verb_part(verb) for verb in verbs().values())]).rstrip() + "\n"


def setting_flags() -> dict[str, str]:
    """Each setting's flag, as the help of `outgrow run` writes it."""
    run = verbs()["run"]
    context = run.make_context("run", [], resilient_parsing=True)
    flags = {one.name: name_and_text(one, context)[0] for one in run.params}
    return {**flags, "app": "APP"}


def verb_part(verb: Any) -> str:
    """The part of one verb."""
    context = verb.make_context(verb.name, [], resilient_parsing=True)
    usage = " ".join(["outgrow", verb.name, *verb.collect_usage_pieces(context)])
    settings = [one for one in verb.params if takes_settings(verb) and one.name in SETTINGS]
    rest = [one for one in verb.params if one not in settings]
    part = [f"## outgrow {verb.name}\n", *paragraphs(verb), f"```text\n{usage}\n```\n"]
    if settings:
        missing = sorted(set(SETTINGS) - {one.name for one in settings})
        flags = [f"`--{name.replace('_', '-')}`" for name in missing]
        but = f" but {' and '.join(flags)}" if flags else ""
        part.append(f"Every [setting](settings.md){but} is an option of it.\n")
    rows = [name_and_text(one, context) for one in rest if "--help" not in one.opts]
    if shown := [(f"`{name}`", text) for name, text in rows if name]:
        part += table(("Option", "Meaning"), shown)
    return "\n".join(part)


def takes_settings(verb: Any) -> bool:
    """Whether its options were made from the table of settings."""
    return any(one.name == "keep_alive_seconds" for one in verb.params)


def paragraphs(verb: Any) -> Iterator[str]:
    """What the verb's docstring says."""
    for text in str(verb.help or "").split("\f")[0].split("\n\n"):
        yield " ".join(text.split()) + "\n"


def name_and_text(parameter: Any, context: Any) -> tuple[str, str]:
    """An option or argument and its meaning, as the help shows them, without colour."""
    record = parameter.get_help_record(context) or ("", "")
    name, text = (" ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(one)).split()) for one in record)
    return name, text
