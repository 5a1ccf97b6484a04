"""The shop's time: UTC, stored without its zone, as SQLite has none."""

from datetime import UTC, datetime


def now() -> datetime:
    """This moment in UTC, naive."""
    return datetime.now(UTC).replace(tzinfo=None)
