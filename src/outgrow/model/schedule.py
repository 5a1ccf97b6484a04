"""When jobs are enqueued by themselves: cron, in a time zone.

A time that the change to summer time skips runs at the next valid time; one that the change back
repeats runs once. That goes for times of the day, where both minute and hour are named; what is
written as an interval (`*/15 * * * *`, `30 * * * *`) follows real time, so that on those days it
runs as often as hours pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from outgrow.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from outgrow.model.jobs import Job

P = ParamSpec("P")
R = TypeVar("R")

CatchUp = Literal["skip", "once", "all"]

# Who looks a little late has missed nothing.
LATE_SECONDS = 60.0
TICKS_MAX = 1_000


@dataclass(frozen=True)
class Schedule:
    """When a job is enqueued by itself.

    Attributes:
        cron: Minute, hour, day of the month, month, day of the week.
        zone: Of these times, such as `Europe/Berlin`.
        catch_up: What happens to ticks that nobody was there for: none runs, the last one does, or
            all do.
    """

    cron: str
    zone: str = "UTC"
    catch_up: CatchUp = "skip"

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ServiceError(
                f"the time zone `{self.zone}` is not known here",
                hint="Name one as `Europe/Berlin`; where the system has none, install tzdata",
            ) from None
        next(self.ticks_after(datetime(2000, 1, 1, tzinfo=UTC)), None)

    def ticks_after(self, moment: datetime) -> Iterator[datetime]:
        """Its ticks after a moment, in order, in UTC.

        Raises:
            ServiceError: The cron expression is none.
        """
        from cronsim import CronSim, CronSimError

        if len(self.cron.split()) != 5:
            raise _no_cron(self.cron, "it has not five fields")
        last = moment.astimezone(UTC)
        try:
            for local in CronSim(self.cron, last.astimezone(self._local)):
                tick = local.astimezone(UTC)
                # A time that was skipped falls on one that may be named as well.
                if tick > last:
                    yield tick
                    last = tick
        except CronSimError as problem:
            raise _no_cron(self.cron, str(problem)) from None

    def due(self, last: datetime, now: datetime) -> list[datetime]:
        """The ticks to enqueue now, after the last one that was; at most `TICKS_MAX`."""
        missed: list[datetime] = []
        for tick in self.ticks_after(last):
            if tick > now or (self.catch_up == "all" and len(missed) >= TICKS_MAX):
                break
            missed.append(tick)
        if self.catch_up == "all":
            return missed
        if self.catch_up == "once":
            return missed[-1:]
        return [tick for tick in missed[-1:] if now - tick <= timedelta(seconds=LATE_SECONDS)]

    @cached_property
    def _local(self) -> ZoneInfo:
        return ZoneInfo(self.zone)


def _no_cron(cron: str, problem: str) -> ServiceError:
    return ServiceError(
        f"`{cron}` is no cron expression: {problem}",
        hint="Write minute, hour, day of the month, month, day of the week: `0 3 * * *`",
    )


def schedule(
    cron: str, *, zone: str = "UTC", catch_up: CatchUp = "skip"
) -> Callable[[Job[P, R]], Job[P, R]]:
    """Enqueue a job at these times, once for each, however many machines there are.

    Stands above `@job`; a job may have several. It needs no arguments, or has defaults for them.

    Args:
        cron: Minute, hour, day of the month, month, day of the week: `0 3 * * *`.
        zone: The time zone that is meant.
        catch_up: What happens to ticks that nobody was there for: `skip` them, run `once` for all
            of them, or run `all`.

    Raises:
        ServiceError: An argument makes no sense.
    """
    when = Schedule(cron, zone, catch_up)

    def scheduled(one: Job[P, R]) -> Job[P, R]:
        from outgrow.model.jobs import Job

        found: Any = one
        if not isinstance(found, Job):
            raise ServiceError(
                f"`@schedule` stands on `{getattr(found, '__qualname__', found)}`, which is no job",
                hint="Write `@schedule(...)` above `@job`",
            )
        one.schedules = (*one.schedules, when)
        return one

    return scheduled
