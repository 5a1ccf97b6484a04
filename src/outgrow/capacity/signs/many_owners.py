"""W14: several services write a table, or share a database.

Formula: services that write one table: 2; services with 10 % or more of the time of one database:
severe from 4.
"""

from __future__ import annotations

from collections import defaultdict

from outgrow.capacity.signs.sign import Finding, Missing, Seen
from outgrow.host import SHARERS_MIN, WRITERS_MIN

NAME = "many owners"
SHARE = 0.1


def look(seen: Seen) -> list[Finding] | Missing:
    """Each table with several writers, and each database with many users."""
    writers: dict[tuple[str, str], set[str]] = defaultdict(set)
    spent: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for one in seen.statements:
        service = one.service or seen.service_of.get(one.caller, "")
        if not service:
            continue
        spent[one.database][service] += one.duration_seconds
        for table in one.writes:
            writers[one.database, table].add(service)
    if not spent:
        return Missing("statements with the services that run them")
    found = [
        Finding(
            sign=NAME,
            severity="warn",
            subject=f"{database} {table}",
            value=len(services),
            threshold=WRITERS_MIN,
            text=f"{', '.join(sorted(services))} all write it",
        )
        for (database, table), services in writers.items()
        if len(services) >= WRITERS_MIN
    ]
    for database, by_service in spent.items():
        total = sum(by_service.values()) or 1.0
        large = [name for name, seconds in by_service.items() if seconds / total >= SHARE]
        if len(large) >= SHARERS_MIN:
            found.append(
                Finding(
                    sign=NAME,
                    severity="severe",
                    subject=database,
                    value=len(large),
                    threshold=SHARERS_MIN,
                    text=f"{', '.join(sorted(large))} each take a tenth of its time or more",
                )
            )
    return found
