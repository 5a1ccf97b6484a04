"""Command-line options made from the table of settings, so that no setting is written twice."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable
from typing import Annotated, Any

import typer

from outgrow.model import Replicas, Settings


def with_settings(
    verb: Callable[..., None], *, left_out: tuple[str, ...] = ()
) -> Callable[..., None]:
    """Give a verb an option for each setting; it gets them as `flags`, None where not given.

    Args:
        verb: Takes `flags`, a dictionary by setting, beside its own options.
        left_out: Settings that it does not take.
    """
    own = inspect.signature(verb, eval_str=True).parameters
    settings = [field for field in dataclasses.fields(Settings) if field.name not in left_out]
    kinds = typing.get_type_hints(Settings)

    def called(**given: Any) -> None:
        flags = {field.name: given.pop(field.name) for field in settings}
        verb(flags=flags, **given)

    parameters = [_parameter(field, kinds[field.name]) for field in settings]
    parameters += [
        one.replace(kind=one.KEYWORD_ONLY) for name, one in own.items() if name != "flags"
    ]
    called.__name__, called.__doc__ = verb.__name__, verb.__doc__
    setattr(called, "__signature__", inspect.Signature(parameters))  # noqa: B010
    called.__annotations__ = {one.name: one.annotation for one in parameters}
    return called


def _parameter(field: dataclasses.Field[Any], kind: Any) -> inspect.Parameter:
    text = f"{field.metadata['help'][0].upper()}{field.metadata['help'][1:]}{_default(field)}."
    plain = bool if kind is bool else (list[str] if kind == tuple[str, ...] else str)
    if field.name == "app":
        option: Any = typer.Argument(help=text, metavar="APP", show_default=False)
    else:
        flag = "--" + field.name.replace("_", "-")
        names = f"{flag}/--no-{flag[2:]}" if kind is bool else flag
        metavar = None if kind is bool else field.metadata["short"] or _metavar(kind)
        option = typer.Option(
            names,
            help=text,
            metavar=metavar,
            show_default=False,
            rich_help_panel=_panel(field.name),
        )
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[plain | None, option],
    )


def _default(field: dataclasses.Field[Any]) -> str:
    value = field.default
    if value is None or value == () or value == "" or isinstance(value, bool):
        return " (default)" if value is True else ""
    return f" [{value}]"


def _metavar(kind: Any) -> str:
    choices = typing.get_args(kind)
    if typing.get_origin(kind) is typing.Literal:
        return "|".join(choices)
    options = {int: "NUMBER", float: "NUMBER", str: "TEXT", Replicas: "N"}
    return next((options[one] for one in (kind, *choices) if one in options), "TEXT")


_PANELS = {
    "Where": (
        "host",
        "port",
        "unix_socket",
        "fd",
        "backlog",
        "root_path",
        "control_port",
        "folder",
    ),
    "Workers": (
        "workers",
        "busy_percent",
        "fork",
        "before_fork",
        "after_fork",
        "before_exit",
        "requests_max",
        "requests_jitter",
        "threads",
    ),
    "App": ("name", "interface", "factory", "lifespan", "app_dir"),
    "Proxy and TLS": (
        "proxy_headers",
        "trusted_proxies",
        "tls_certificate",
        "tls_key",
        "tls_key_password",
        "tls_client_ca",
    ),
    "Log and headers": (
        "access_log",
        "log_level",
        "log_config",
        "server_header",
        "date_header",
        "header",
    ),
    "What is seen": (
        "observe",
        "page_host",
        "page_port",
        "page_hosts",
        "tokens_file",
        "observe_days",
        "observe_bytes_max",
        "observe_records",
        "forward",
        "forward_headers",
        "observer",
        "observer_token",
        "observer_ca",
        "commit",
    ),
}


def _panel(name: str) -> str:
    return next((panel for panel, names in _PANELS.items() if name in names), "Limits and times")
