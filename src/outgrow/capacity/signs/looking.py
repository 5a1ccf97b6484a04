"""Looks for all signs at once, and puts first what it pays to remove."""

from __future__ import annotations

from dataclasses import dataclass, replace

from outgrow.capacity.signs import (
    background,
    backlog,
    blocked_loop,
    burning_objective,
    calls_in_a_row,
    chatty_link,
    contended_gil,
    dead_letters,
    deployed_together,
    exhausted_pool,
    full_station,
    growing_payload,
    headroom,
    hot_key,
    latency_with_load,
    long_chain,
    many_owners,
    repeated_statement,
    retries,
    rising_cost,
    rising_errors,
    slow_statement,
    slowing_statement,
    tight_coupling,
    waiting,
    write_lock,
)
from outgrow.capacity.signs.examples import traces_of_operation
from outgrow.capacity.signs.sign import Finding, Look, Missing, Seen

_MODULES = (
    *(latency_with_load, headroom, full_station, waiting, blocked_loop, contended_gil),
    *(repeated_statement, slow_statement, slowing_statement, calls_in_a_row, backlog),
    *(exhausted_pool, write_lock, many_owners, chatty_link, tight_coupling, long_chain),
    *(rising_cost, retries, background, growing_payload, burning_objective, hot_key),
    deployed_together,
    dead_letters,
    rising_errors,
)
SIGNS: dict[str, Look] = {module.NAME: module.look for module in _MODULES}
"""Each sign by its name, W1 to W26."""
SIGN_NAMES = frozenset(SIGNS)


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What was found, what it takes to look for the rest.

    Attributes:
        findings: Those with the largest gain first, then severe ones, then by share.
        missing: By sign.
    """

    findings: tuple[Finding, ...]
    missing: dict[str, str]


def look_for_signs(seen: Seen) -> Looked:
    """Look for every sign."""
    findings: list[Finding] = []
    missing: dict[str, str] = {}
    for name, look in SIGNS.items():
        found = look(seen)
        if isinstance(found, Missing):
            missing[name] = found.needs
        else:
            findings += found
    findings = [_with_examples(seen, one) for one in findings]
    findings.sort(
        key=lambda one: (-(one.gain_ratio or 1), one.severity == "warn", -(one.share_ratio or 0))
    )
    return Looked(findings=tuple(findings), missing=missing)


def _with_examples(seen: Seen, one: Finding) -> Finding:
    """What is said of an operation is shown by its slowest calls."""
    return one if one.traces else replace(one, traces=traces_of_operation(seen, one.subject))
