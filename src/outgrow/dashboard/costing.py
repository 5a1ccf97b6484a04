"""Says what the app takes and costs, by request, by service and in a month, as the API answers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from outgrow.dashboard import shapes
from outgrow.dashboard.advising import Adviser
from outgrow.dashboard.growing import between

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outgrow.capacity import (
        Bill,
        Forecast,
        Prices,
        Recorded,
        Spent,
        StatementWindow,
        Traits,
    )

MILLION = 1e6


def costs_of(
    told: Forecast,
    evidence: Recorded,
    statements: Sequence[StatementWindow],
    times: float,
    groups: Sequence[shapes.Group],
    *,
    traits: Traits | None = None,
    prices: Prices | None = None,
    worker_memory_bytes: int = 0,
) -> shapes.Costs:
    """What the app takes and costs, now and at a multiple of the traffic, after a plan to it.

    Args:
        told: The forecast.
        evidence: That it rests on.
        statements: Of the same time.
        times: The multiple.
        groups: Who runs where.
        traits: What else was seen of the app.
        prices: None where nobody said any.
        worker_memory_bytes: That one worker takes; 0 where that is not known.
    """
    from outgrow.capacity import WORKER_MEMORY_BYTES, bill_of, grow, spending_of

    taken = spending_of(evidence, statements)
    plan = grow(told, times, allows=Adviser(groups).allows, traits=traits)
    bill = partial(
        bill_of,
        taken=taken,
        worker_memory_bytes=worker_memory_bytes or WORKER_MEMORY_BYTES,
        prices=prices,
    )
    bills = [
        bill(one, times=many, calls_per_second=many * told.now_per_second)
        for one, many in ((grow(told, 1.0, allows=lambda _: False), 1.0), (plan, times))
    ]
    workers = taken.whole.worker_seconds * taken.requests_per_second
    each_bytes = taken.memory_bytes / workers if workers else 0.0
    return shapes.Costs(
        times=times,
        requests_per_second=taken.requests_per_second,
        elasticity=None if taken.elasticity is None else between(taken.elasticity),
        stuck=plan.stuck,
        currency="" if prices is None else prices.currency,
        whole=_spent(taken.whole, each_bytes, prices),
        services=[_spent(one, each_bytes, prices) for one in taken.services],
        bills=[_bill(one) for one in bills],
    )


def _spent(one: Spent, worker_bytes: float, prices: Prices | None) -> shapes.Spent:
    hours = one.worker_seconds * MILLION / 3600
    money = None
    if prices is not None:
        memory_gb_hours = hours * worker_bytes / 2**30
        money = one.cpu_seconds * MILLION / 3600 * prices.cpu_hour
        money += memory_gb_hours * prices.memory_gb_hour
    return shapes.Spent(
        name=one.name,
        share_percent=100 * one.share_ratio,
        cpu_ms=one.cpu_seconds * 1e3,
        database_ms=one.database_seconds * 1e3,
        worker_ms=one.worker_seconds * 1e3,
        worker_hours_per_million=hours,
        money_per_million=money,
    )


def _bill(one: Bill) -> shapes.Bill:
    return shapes.Bill(
        times=one.times,
        cores=between(one.cores),
        workers_added=one.workers_added,
        memory_bytes=one.memory_bytes,
        databases=one.databases,
        money_per_month=None if one.money_per_month is None else between(one.money_per_month),
    )
