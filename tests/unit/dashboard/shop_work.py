"""Durable work of the shop: queues, jobs, subscriptions and dead letters, the same at every run."""

from __future__ import annotations

from typing import Any, ClassVar

from outgrow.dashboard import shapes
from outgrow.dashboard.asking import Asked, AskingError
from tests.unit.dashboard.shop_growth import swing

RUNNING = "01a230f8-d43b-7be4-8936-12f99bbd2d17"
FINGERPRINT = "9882064824db5194"
_REFUSED = "smtplib.SMTPServerDisconnected"
_TEXT = "the mail server hung up on ann@example.org"
_KINDS = (("mail.send_receipt", "mail"), ("reports.print_catalogue", "printing"))


def _job(number: int, state: shapes.JobState, at_ms: float) -> shapes.Job:
    kind, queue = _KINDS[number % 2]
    is_over = state in ("done", "cancelled", "expired", "dead")
    has_failed = state in ("later", "dead")
    return shapes.Job(
        id=RUNNING if state == "running" and number == 0 else f"{RUNNING[:24]}{number:012x}",
        kind=kind,
        queue=queue,
        state=state,
        attempt=0 if state == "ready" else 2,
        attempts_max=5,
        priority=0,
        key="ann" if state == "held" else None,
        enqueued_at_ms=None if is_over else at_ms - 90_000 + number,
        run_at_ms=None if is_over else at_ms - 90_000 + number,
        started_at_ms=None if state == "ready" else at_ms - 42_000,
        finished_at_ms=at_ms - 12_000 if is_over else None,
        is_cancelled=state == "cancelled",
        progress="0.42" if state == "running" else None,
        result='{"pages": 64}' if state == "done" else None,
        failure=_REFUSED if has_failed else "",
        text=_TEXT if has_failed else "",
        fingerprint=FINGERPRINT if has_failed else "",
    )


class Working:
    """Answers of the shop on its durable work; changes are remembered."""

    changes: list[shapes.Pausing | shapes.Cancelling | shapes.Clearing]
    away: shapes.Problem | None = None
    counts: ClassVar[dict[str, int]] = {"ready": 120, "running": 3, "dead": 7}

    def queues(self, asked: Asked) -> shapes.Queues:
        at_ms = asked.now_ns / 1e6
        if self.away:
            return shapes.Queues(state="away", may_change=False, problem=self.away)
        paused = {
            one.name: one.is_paused for one in self.changes if isinstance(one, shapes.Pausing)
        }
        return shapes.Queues(
            state="open",
            may_change=asked.may_change,
            queues=[
                shapes.Queue(
                    name=name,
                    is_paused=paused.get(name, is_paused),
                    slots=slots,
                    ready_count=ready,
                    running_count=running,
                    held_count=held,
                    later_count=later,
                    oldest_at_ms=at_ms - 41_000 if ready else None,
                )
                for name, is_paused, slots, ready, running, held, later in (
                    ("mail", False, None, 118, 2, 3, 14),
                    ("printing", False, 1, 2, 1, 0, 0),
                    ("thumbnails", True, None, 0, 0, 0, 0),
                )
            ],
            subscriptions=[
                shapes.Subscription(
                    name=name,
                    event=event,
                    is_paused=paused.get(name, False),
                    unread_count=unread,
                    parked_count=parked,
                    next_try_at_ms=at_ms + 4_000 if parked else None,
                )
                for name, event, unread, parked in (
                    ("mail.on_order_placed", "OrderPlaced", 12, 2),
                    ("stock.on_order_placed", "OrderPlaced", 0, 0),
                )
            ],
            dead=[
                shapes.DeadLetters(
                    fingerprint=FINGERPRINT,
                    count=7,
                    first_at_ms=at_ms - 3_700_000,
                    last_at_ms=at_ms - 90_000,
                    name="mail.send_receipt",
                    failure=_REFUSED,
                    text=_TEXT,
                )
            ],
        )

    def queue_series(self, asked: Asked) -> shapes.QueueSeries:
        step_ms = 40_000
        times = list(range(int(asked.from_ns // 1e6), int(asked.to_ns // 1e6), step_ms))
        by = [swing(at) for at in times]

        def line(name: str, slots: int, busy: float, wait_ms: float, ready: int, dead: int) -> Any:
            return shapes.QueueLine(
                name=name,
                slots=slots,
                busy_percent=[min(100.0, busy * each) for each in by],
                wait_p95_ms=[wait_ms * each for each in by],
                waiting=[int(ready * each) for each in by],
                dead=[int(dead * number / len(by)) for number in range(len(by))],
            )

        return shapes.QueueSeries(
            step_seconds=step_ms / 1e3,
            times_ms=[float(at) for at in times],
            queues=[
                line("queue mail", 10, 82.0, 39_000.0, 118, 7),
                line("queue printing", 10, 12.0, 2_100.0, 2, 0),
                line("subscription mail.on_order_placed", 10, 8.0, 35.0, 12, 0),
            ],
            queues_count=3,
        )

    def jobs(self, asked: Asked) -> shapes.Jobs:
        if self.away:
            return shapes.Jobs(problem=self.away)
        state, queue = asked.text("state"), asked.text("queue")
        at_ms, limit = asked.now_ns / 1e6, asked.whole("limit")
        whole = [_job(number, state, at_ms) for number in range(self.counts.get(state, 0))]  # pyright: ignore[reportArgumentType]
        found = [one for one in whole if queue in ("", one.queue) and one.id > asked.text("after")]
        return shapes.Jobs(
            jobs=found[:limit], after=found[limit - 1].id if len(found) >= limit else None
        )

    def job(self, asked: Asked) -> shapes.JobFound:
        if asked.name != RUNNING:
            raise AskingError("there is no such job", "Look", status=404)
        job = _job(0, "running", asked.now_ns / 1e6)
        return shapes.JobFound(may_change=asked.may_change, job=job)

    def letters(self, asked: Asked) -> shapes.Letters:
        at_ms = asked.now_ns / 1e6
        is_gone = any(isinstance(one, shapes.Clearing) and one.fingerprint for one in self.changes)
        letters = [
            shapes.Letter(
                number=number,
                kind="job",
                id=f"{RUNNING[:24]}{number:012x}",
                source="mail",
                name="mail.send_receipt",
                attempts=5,
                died_at_ms=at_ms - 90_000 * (8 - number),
                failure=_REFUSED,
                text=_TEXT,
            )
            for number in range(7, 0, -1)
            if not is_gone and asked.name == FINGERPRINT
        ]
        return shapes.Letters(may_change=asked.may_change, letters=letters)

    def pause(self, asked: Asked) -> shapes.Outcome:
        return self._changed(asked, "it is so")

    def cancel(self, asked: Asked) -> shapes.Outcome:
        return self._changed(asked, "it runs, and is asked to stop")

    def clear(self, asked: Asked) -> shapes.Outcome:
        return self._changed(asked, "7 tried again")

    def _changed(self, asked: Asked, step: str) -> shapes.Outcome:
        self.changes.append(asked.body)
        return shapes.Outcome(is_done=True, steps=[step])
