"""All that a review looks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outgrow.host.review.blocking import blocking_calls
from outgrow.host.review.clients import asked_for_no_service, reached_through, wrong_calls
from outgrow.host.review.crossing import narrowed, uncrossable
from outgrow.host.review.finding import Finding, Place
from outgrow.host.review.hidden import hidden_imports
from outgrow.host.review.narrowing import narrowed_values
from outgrow.host.review.reading import Reading
from outgrow.host.review.wiring import (
    circles,
    fields_of_no_service,
    unmarked_services,
    unprovided_fields,
)

if TYPE_CHECKING:
    from outgrow.host.review.code import Code


def findings_of(code: Code) -> list[Finding]:
    """All that is wrong in the files that were asked for, in the order of their lines."""
    reading = Reading(code)
    found: set[Finding] = set()
    for rule in (uncrossable, narrowed, unmarked_services, fields_of_no_service, unprovided_fields):
        found.update(rule(code))
    for rule in (
        *(hidden_imports, circles, reached_through, wrong_calls, asked_for_no_service),
        *(blocking_calls, narrowed_values),
    ):
        found.update(rule(reading))
    return sorted(each for each in found if code.is_wanted(Place(each.file, each.line)))
