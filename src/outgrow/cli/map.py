"""`outgrow map`: the services, their operations, who calls whom, and in which group each runs."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from typing import Annotated, Any

import typer

from outgrow.cli import homes
from outgrow.cli.homes import EDGE, Homes
from outgrow.cli.show import out, out_json, talk
from outgrow.host import (
    DatabaseEntry,
    FieldEntry,
    JobEntry,
    Link,
    OperationEntry,
    ParameterEntry,
    Picture,
    ServiceEntry,
    code_of,
    picture_of,
)


def map_(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="TARGET",
            help="A module, an app (`shop.api:app`) or a folder; the app of outgrow.toml if none.",
            show_default=False,
        ),
    ] = None,
    app_dir: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Import modules from here.", show_default=False),
    ] = None,
    folder: Annotated[
        str | None,
        typer.Option(
            help="Show groups as they run in this supervisor's folder. [default: those that run in "
            ".outgrow, or else those of outgrow.toml]",
            show_default=False,
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show edges and services, what each needs, which operation calls which, and in what group.

    It imports the code and reads the rest from it: nothing is started.

    No value from the environment is shown.
    """
    with contextlib.redirect_stdout(sys.stderr):  # what the code prints while it is imported
        picture = picture_of(code_of([target] if target else (), app_dir))
    found = homes.homes_of([each.name for each in picture.services], folder)
    if found.problem:
        talk(found.problem)
    if json:
        out_json(_content(picture, found))
        return
    for line in lines_of(picture, found):
        out(line)
    talk("find mistakes in it: outgrow check")


def _content(picture: Picture, found: Homes) -> dict[str, Any]:
    content = dataclasses.asdict(picture)
    for edge in content["edges"]:
        edge["group"] = found.of(EDGE) if edge["app"] else None
    for service in content["services"]:
        service["group"] = found.of(service["name"])
    groups = [dataclasses.asdict(each) for each in found.groups]
    source = {"groups_from": found.source or None, "groups_run": found.is_running}
    return {**content, "groups": groups, **source}


def lines_of(picture: Picture, found: Homes) -> list[str]:
    """The picture as lines of text."""
    lines = [_headline(picture, found), *homes.lines_of(found)]
    for edge in picture.edges:
        calls = _calls_of(picture, edge.name, is_service=False)
        home = _home(found.of(EDGE) if edge.app else None)
        lines += ["", f"{edge.name}  {edge.app}".rstrip() + home]
        lines += [f"  {name or 'at import'}{_arrow(called)}" for name, called in calls.items()]
    for service in picture.services:
        first, *rest = _service_lines(service, picture)
        lines += ["", first + _home(found.of(service.name)), *rest]
    return lines


def _home(group: str | None) -> str:
    return f"  in {group}" if group else ""


def _headline(picture: Picture, found: Homes) -> str:
    edges = [each for each in picture.edges if each.app]
    counts = [
        f"{len(each)} {word}{'' if len(each) == 1 else 's'}"
        for each, word in (
            (edges, "edge"),
            (picture.services, "service"),
            (picture.providers, "provider"),
            (found.groups, "group"),
        )
        if each or word == "service"
    ]
    return f"{picture.app or 'app'}: {', '.join(counts)}"


def _calls_of(picture: Picture, caller: str, *, is_service: bool) -> dict[str, list[str]]:
    """The operations that each function of a caller calls, in the order of the code."""
    shown = {each.name: each.cls.rpartition(".")[2] for each in picture.services}
    found: dict[str, list[str]] = {}
    for link in picture.links:
        is_caller = link.caller == caller and (link.caller_kind == "service") is is_service
        if is_caller and link.kind in ("call", "enqueue"):
            called = f"{shown.get(link.called, link.called)}.{link.operation}"
            found.setdefault(link.function, []).append(called)
    return found


def _arrow(called: list[str]) -> str:
    return f" ──▶ {', '.join(called)}" if called else ""


def _service_lines(service: ServiceEntry, picture: Picture) -> list[str]:
    calls = _calls_of(picture, service.name, is_service=True)
    cls = service.cls.rpartition(".")[2]
    named = "" if cls.lower() == service.name else f" as {service.name}"
    lines = [f"{cls}{named}  {service.file}:{service.line}"]
    for operation in service.operations:
        called = calls.pop(operation.name, [])
        lines.append(f"  {_operation(operation)}{_arrow(called)}")
    for subscription in service.subscriptions:
        called = calls.pop(subscription.name, [])
        order = f", in order by {subscription.key}" if subscription.key else ""
        lines.append(f"  on {subscription.event}: {subscription.name}{order}{_arrow(called)}")
    for job in service.jobs:
        called = calls.pop(job.name, [])
        lines.append(f"  job {_job(job)}{_arrow(called)}")
    lines += [f"  {name}{_arrow(called)}" for name, called in calls.items()]
    needs = [_field(field, service.database) for field in service.fields]
    needs += [
        f"{link.called}, asked for in {link.function}" for link in _asked(service, picture.links)
    ]
    lines += [
        f"  {'needs' if number == 0 else '     '}  {need}" for number, need in enumerate(needs)
    ]
    if service.problem_count:
        lines.append("  not all of it can be read: outgrow check says why")
    return lines


def _asked(service: ServiceEntry, links: tuple[Link, ...]) -> list[Link]:
    return [link for link in links if link.kind == "client" and link.caller == service.name]


def _job(job: JobEntry) -> str:
    notes = [f"queue {job.queue}", *(f"at {each}" for each in job.schedules)]
    if job.kind != "async":
        notes.append(job.kind)
    return f"{job.name}({_parameters(job.parameters)}) -> {job.result}  [{', '.join(notes)}]"


def _parameters(entries: tuple[ParameterEntry, ...]) -> str:
    parameters: list[str] = []
    for each in entries:
        if each.is_keyword_only and "*" not in parameters:
            parameters.append("*")
        default = "" if each.default is None else f" = {each.default}"
        parameters.append(f"{each.name}: {each.type}{default}")
    return ", ".join(parameters)


def _operation(operation: OperationEntry) -> str:
    notes = [] if operation.kind == "async" else [operation.kind]
    if operation.timeout_seconds is not None:
        notes.append(f"timeout {operation.timeout_seconds:g} s")
    if operation.idempotent:
        notes.append("idempotent")
    if operation.concurrent_calls_max is not None:
        notes.append(f"{operation.concurrent_calls_max} at once")
    if operation.queue_max is not None:
        notes.append(f"{operation.queue_max} in line")
    text = f"{operation.name}({_parameters(operation.parameters)}) -> {operation.result}"
    return f"{text}  [{', '.join(notes)}]" if notes else text


def _field(field: FieldEntry, database: DatabaseEntry | None) -> str:
    text = f"{field.name}: {field.type}"
    if field.default is not None:
        text += f" = {field.default}"
    if field.variable is not None:
        text += f", from {field.variable}{' (secret)' if field.is_secret else ''}"
    if field.kind == "provided":
        text += f", made by {field.provider}" if field.provider else ", made by nobody"
    if database is not None and database.field == field.name:
        text += f", {database.kind} unless {database.variable} says otherwise"
        if database.tables:
            text += f"; tables {', '.join(database.tables)}"
        if database.migrations:
            text += f"; migrations in {database.migrations}"
    return text
