"""The owner's report: each night, what the day before brought."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from examples.shop.orders import Orders
from examples.shop.sales import Sales
from outgrow import Clock, Database, database, job, operation, schedule, service

ZONE = "Europe/Berlin"
# Days that are made up for after nights in which nothing ran.
DAYS_MAX = 7
SHOWN_MAX = 31


@dataclass(frozen=True, kw_only=True)
class Report:
    """What one day brought, from midnight to midnight where the shop is.

    `best` is the product of which most pieces were sold, "" where none was; `written_at` is UTC,
    without its zone.
    """

    day: str
    written_at: datetime
    orders_count: int
    pieces: int
    cents: int
    best: str


class Table(DeclarativeBase):
    """Parent of the reports' tables."""


class ReportRow(Table):
    """See `Report`."""

    __tablename__ = "reports"

    day: Mapped[str] = mapped_column(primary_key=True)
    written_at: Mapped[datetime]
    orders_count: Mapped[int]
    pieces: Mapped[int]
    cents: Mapped[int]
    best: Mapped[str]


@service
class Reports:
    """Whoever writes down what was sold."""

    orders: Orders
    clock: Clock
    db: Database = database(tables=Table.metadata)

    @schedule("0 3 * * *", zone=ZONE, catch_up="once")
    @job(timeout=300)
    async def write_nightly(self) -> int:
        """Report each of the last days that has no report yet; returns how many it wrote.

        It asks what is missing instead of what night it is: so one run makes up for all nights in
        which nothing ran, and one that comes late or again writes no day twice.
        """
        today = self.clock.now().astimezone(ZoneInfo(ZONE)).date()
        days = [today - timedelta(days=ago) for ago in range(DAYS_MAX, 0, -1)]
        async with self.db.read() as session:
            written = set(await session.scalars(select(ReportRow.day)))
        rows = [await self._row(day) for day in days if day.isoformat() not in written]
        async with self.db.begin() as session:
            session.add_all(rows)
        return len(rows)

    @operation(idempotent=True)
    async def reports(self) -> tuple[Report, ...]:
        """The last reports, the newest first."""
        newest = select(ReportRow).order_by(ReportRow.day.desc()).limit(SHOWN_MAX)
        async with self.db.read() as session:
            return tuple(_report(row) for row in await session.scalars(newest))

    async def _row(self, day: date) -> ReportRow:
        sales = await self.orders.sales_between(_midnight(day), _midnight(day + timedelta(days=1)))
        return ReportRow(
            day=day.isoformat(),
            written_at=self.clock.now().replace(tzinfo=None),
            orders_count=sales.orders_count,
            pieces=sum(category.pieces for category in sales.categories),
            cents=sales.cents,
            best=_best(sales),
        )


def _midnight(day: date) -> datetime:
    """When a day begins where the shop is, in UTC without its zone, as orders have it."""
    begins = datetime.combine(day, time.min, ZoneInfo(ZONE))
    return begins.astimezone(UTC).replace(tzinfo=None)


def _best(sales: Sales) -> str:
    sold = [best for category in sales.categories for best in category.best]
    return max(sold, key=lambda best: best.pieces).name if sold else ""


def _report(row: ReportRow) -> Report:
    return Report(
        day=row.day,
        written_at=row.written_at,
        orders_count=row.orders_count,
        pieces=row.pieces,
        cents=row.cents,
        best=row.best,
    )
