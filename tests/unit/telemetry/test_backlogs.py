"""What waited in queues is kept as metrics, and read back."""

from __future__ import annotations

from outgrow.telemetry import Backlog, MetricPoint, backlogs_of


def test_what_is_kept_of_a_backlog_is_read_back() -> None:
    one = Backlog(
        at_ns=20, queue="queue mail", waiting=7, oldest_seconds=1.5, dead_letters=2, concurrency=4
    )
    other = Backlog(at_ns=10, queue="subscription mail.on_paid", waiting=1)
    strange = MetricPoint("queue.depth", "gauge", 5, 3.0)
    assert backlogs_of([*one.points(), strange, *other.points()]) == [other, one]
