"""`outgrow run` and `outgrow dev`: start an app under a supervisor."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from outgrow.cli.options import with_settings
from outgrow.cli.show import out, out_json, table
from outgrow.errors import AppMissingError, PlatformError
from outgrow.model import Replicas, Settings
from outgrow.placement import (
    Resolved,
    Supervisor,
    changed_files,
    missing_packages,
    resolve,
    this_machine,
)
from outgrow.store import check_not_moved, url_of_durable

if TYPE_CHECKING:
    from collections.abc import Mapping


def _run(
    flags: dict[str, object],
    explain: Annotated[
        bool, typer.Option("--explain", help="Show each setting and its source; run nothing.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="With --explain: as JSON.")] = False,
) -> None:
    """Run an app in supervised workers, with every call counted.

    Each setting can also stand in outgrow.toml under [run], in pyproject.toml under
    [tool.outgrow.run], or in the environment as OUTGROW_NAME.
    """
    resolved = resolve(flags, this_machine())
    if explain:
        _explain(resolved, as_json=json)
        return
    typed = resolved.settings.workers if flags.get("workers") else None
    _supervise(resolved, flags, typed=typed, watches=False)


def _dev(flags: dict[str, object]) -> None:
    """Run an app in one worker, and reload it whenever its files change."""
    flags = {"workers": "1", "drain_seconds": "2", **_given(flags)}
    _supervise(resolve(flags, this_machine()), flags, typed=None, watches=True)


def _given(flags: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in flags.items() if value is not None}


def _supervise(
    resolved: Resolved, flags: Mapping[str, object], *, typed: Replicas | None, watches: bool
) -> None:
    if os.name != "posix":
        raise PlatformError("`outgrow run` needs a Unix system", hint="Use WSL on Windows")
    settings, plan = resolved.settings, resolved.plan
    if not settings.app:
        raise AppMissingError("no app was named")

    _check_for_observer(resolved)
    check_not_moved(settings.durable_url or url_of_durable(os.environ, settings.folder))

    def reread() -> Resolved:
        again = resolve(flags, this_machine())
        _check_for_observer(again)
        return again

    async def supervise() -> int:
        watch = changed_files if watches else None
        return await Supervisor(
            settings,
            reread,
            plan=plan,
            typed=typed,
            watch=watch,
            objectives=resolved.objectives,
            signs=resolved.signs,
            prices=resolved.prices,
        ).run()

    sys.exit(asyncio.run(supervise()))


def _check_for_observer(resolved: Resolved) -> None:
    """Refuse what the observer would not start with, before anything else is started.

    Raises:
        SettingValueError: An objective, a price, a silence or a token is not understood, or
            strangers could look.
    """
    if resolved.objectives:
        from outgrow.dashboard import promises_in

        promises_in(resolved.objectives, "outgrow.toml")
    settings = resolved.settings
    if settings.observe != "never" and not settings.observer and not missing_packages():
        from outgrow.dashboard import access_from, check_address

        tokens_file = Path(settings.tokens_file) if settings.tokens_file else None
        check_address(settings.page_host, access_from(tokens_file))
    if resolved.prices:
        from outgrow.dashboard import prices_in

        prices_in(resolved.prices, "outgrow.toml")
    if resolved.signs:
        from outgrow.dashboard import silences_in

        silences_in(resolved.signs, "outgrow.toml")


def _explain(resolved: Resolved, *, as_json: bool) -> None:
    rows: list[dict[str, Any]] = []
    secrets = {
        name for name, field in Settings.__dataclass_fields__.items() if field.metadata["secret"]
    }
    for one in resolved.chosen:
        value = "(secret)" if one.name in secrets and one.value else one.value
        if isinstance(value, Replicas):
            value = str(value)
        rows.append({"setting": one.name, "value": value, "source": one.source})
    if as_json:
        out_json(rows)
        return
    shown = [{name: _shown(value) for name, value in row.items()} for row in rows]
    for line in table(shown, set()):
        out(line)


def _shown(value: object) -> str:
    if value is None or value in ("", ()):
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "; ".join(cast("tuple[str, ...]", value))
    return f"{value:g}" if isinstance(value, float) else str(value)


_run.__name__, _dev.__name__ = "run", "dev"
run = with_settings(_run)
dev = with_settings(_dev, left_out=("workers", "busy_percent"))
