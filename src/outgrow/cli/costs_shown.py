"""What an app takes and costs, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from outgrow.cli.show import bytes_shown, out, table, talk

if TYPE_CHECKING:
    from collections.abc import Sequence

_NUMBERS = {"CPU ms", "share", "database ms", "worker h/million", "money/million"}


def print_costs(told: dict[str, Any]) -> None:
    """Print what requests take by service, and what a month takes now and at a multiple."""
    if told["refusal"]:
        return
    out()
    out(f"Each request takes, at {told['requests_per_second']:.1f} requests/s:")
    out()
    for line in table([_row(one, told["currency"]) for one in _spent(told)], _NUMBERS):
        out(line)
    out()
    slope = told["elasticity"]
    if slope is not None:
        span = f"{slope['best']:.2f} ({slope['low']:.2f} to {slope['high']:.2f})"
        out(f"1 % more requests take {span} % more CPU time")
    for bill in told["bills"]:
        out(bill_in_words(bill, told))
    if told["stuck"]:
        talk(f"no plan gets to {told['times']:g} times: `{told['stuck']}` is in the way")
    if not told["currency"] and all(one["money_per_month"] is None for one in told["bills"]):
        talk("for money: write [prices] in outgrow.toml")


def _spent(told: dict[str, Any]) -> Sequence[dict[str, Any]]:
    return [*told["services"], told["whole"]]


def _row(one: dict[str, Any], currency: str) -> dict[str, str]:
    row = {
        "service": one["name"],
        "share": f"{one['share_percent']:.0f} %",
        "CPU ms": f"{one['cpu_ms']:.2f}",
        "database ms": f"{one['database_ms']:.2f}",
        "worker h/million": f"{one['worker_hours_per_million']:.1f}",
    }
    if one["money_per_million"] is not None:
        row["money/million"] = f"{one['money_per_million']:,.3f} {currency}".strip()
    return row


def bill_in_words(bill: dict[str, Any], told: dict[str, Any]) -> str:
    """What a month takes at some traffic."""
    currency = told["currency"]
    cores = bill["cores"]
    when = "now" if bill["times"] == 1 else f"at {bill['times']:g} times the traffic"
    parts = [f"{cores['best']:.2f} ({cores['low']:.2f} to {cores['high']:.2f}) cores at work"]
    if bill["memory_bytes"]:
        parts.append(f"{bytes_shown(bill['memory_bytes'])} of memory")
    if bill["workers_added"]:
        plural = "worker" if bill["workers_added"] == 1 else "workers"
        parts.append(f"{bill['workers_added']} {plural} more")
    if bill["databases"]:
        plural = "database" if bill["databases"] == 1 else "databases"
        parts.append(f"{bill['databases']} {plural}")
    line = f"{when}: {', '.join(parts)}"
    money = bill["money_per_month"]
    if money is None:
        return line
    span = f"{money['best']:,.2f} ({money['low']:,.2f} to {money['high']:,.2f}) {currency}".strip()
    return f"{line}; {span} a month"
