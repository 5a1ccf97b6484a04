"""Queues, jobs, subscriptions and dead letters, as whoever keeps them tells; and changes of them.

That nobody answers is part of the answer, so that a page can say so and go on by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import msgspec

from outgrow.dashboard import shapes
from outgrow.dashboard.asking import AskingError
from outgrow.dashboard.reaching import CHANGE_SECONDS, AwayError
from outgrow.store import SubscriptionMissingError
from outgrow.telemetry import Backlog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outgrow.dashboard.asking import Asked
    from outgrow.dashboard.placing import Supervision
    from outgrow.dashboard.reaching import Reach
    from outgrow.store import (
        DeadGroup,
        DeadLetter,
        DurableStore,
        JobView,
        QueueView,
        SubscriptionView,
    )

EACH = 1_000
# As many letters as one change moves: 100 rounds of a thousand each.
ROUNDS_MAX = 100
VALUE_CHARACTERS_MAX = 10_000
FAILURE_CHARACTERS_MAX = 2_000
_CANCELLED = {"cancelled": "it will not run", "asked": "it runs, and is asked to stop"}


class Tending:
    """Looks after durable work for who asks here; asked from any thread.

    Args:
        reach: Asks whoever keeps it; None where nobody here knows who does.
        supervision: Knows whether the app has any; None where no supervisor is near.
    """

    def __init__(self, reach: Reach | None, supervision: Supervision | None = None) -> None:
        self._given = reach
        self._supervision = supervision
        self._is_known = False

    # What only looks.

    def queues(self, asked: Asked) -> shapes.Queues:
        """Durable work as a whole."""

        async def look(store: DurableStore) -> shapes.Queues:
            return shapes.Queues(
                state="open",
                may_change=asked.may_change,
                queues=[_queue(one) for one in await store.queue.queues()],
                subscriptions=[_subscription(one) for one in await store.log.subscriptions()],
                dead=[_group(one) for one in await store.dead.groups()],
            )

        try:
            return self._reach().ask(look)
        except _NoneError as problem:
            return shapes.Queues(state="none", may_change=False, problem=_told(problem))
        except AwayError as problem:
            return shapes.Queues(state="away", may_change=False, problem=_told(problem))

    def backlogs(self, at_ns: int) -> list[Backlog]:
        """How much waits where; nothing where nobody answers."""

        async def look(store: DurableStore) -> list[Backlog]:
            return backlogs_at(
                at_ns,
                await store.queue.queues(),
                await store.log.subscriptions(),
                await store.dead.groups(),
            )

        try:
            return self._reach().ask(look)
        except AwayError:
            return []

    def jobs(self, asked: Asked) -> shapes.Jobs:
        """A page of jobs in one state."""
        state = cast("shapes.JobState", asked.text("state"))
        queue, limit = asked.text("queue") or None, asked.whole("limit")
        after = _id_in(asked.text("after")) if asked.text("after") else None
        try:
            found = self._reach().ask(
                lambda store: store.queue.jobs(state, queue=queue, after=after, limit=limit)
            )
        except AwayError as problem:
            return shapes.Jobs(problem=_told(problem))
        last = str(found[-1].id) if len(found) == limit else None
        return shapes.Jobs(jobs=[_job(one) for one in found], after=last)

    def job(self, asked: Asked) -> shapes.JobFound:
        """One job.

        Raises:
            AskingError: It is not known.
        """
        id = _id_in(asked.name)
        try:
            found = self._reach().ask(lambda store: store.queue.find(id))
        except AwayError as problem:
            return shapes.JobFound(may_change=False, problem=_told(problem))
        if found is None:
            raise AskingError(
                "there is no such job, or it ended so long ago that it is forgotten",
                "`outgrow jobs list` tells those that there are",
                status=404,
            )
        return shapes.JobFound(may_change=asked.may_change, job=_job(found))

    def letters(self, asked: Asked) -> shapes.Letters:
        """A page of dead letters with one fingerprint."""
        before, limit = asked.values["before"], asked.whole("limit")
        try:
            found = self._reach().ask(
                lambda store: store.dead.letters(fingerprint=asked.name, before=before, limit=limit)
            )
        except AwayError as problem:
            return shapes.Letters(may_change=False, problem=_told(problem))
        return shapes.Letters(
            may_change=asked.may_change,
            letters=[_letter(one) for one in found],
            before=found[-1].number if len(found) == limit else None,
        )

    # What changes something: what was asked for, in words for the audit, and what came of it.

    def pause(self, wish: shapes.Pausing) -> tuple[str, shapes.Outcome]:
        """Start nothing more of a queue or a subscription, or go on."""
        name, is_paused = wish.name, wish.is_paused

        async def change(store: DurableStore) -> shapes.Outcome:
            if wish.kind == "subscription":
                await store.log.pause_subscription(name, paused=is_paused)
            elif name in {one.name for one in await store.queue.queues()}:
                await store.queue.pause_queue(name, paused=is_paused)
            else:
                return _refused(f"there is no queue `{name}`")
            return _done(f"`{name}` is {'paused' if is_paused else 'resumed'}")

        what = f"{'pause' if is_paused else 'resume'} the {wish.kind} `{name}`"
        try:
            return what, self._reach().ask(change, CHANGE_SECONDS)
        except SubscriptionMissingError:
            return what, _refused(f"there is no subscription `{name}`")
        except AwayError as problem:
            return what, _refused_by(problem)

    def cancel(self, wish: shapes.Cancelling) -> tuple[str, shapes.Outcome]:
        """End a job that waits, or ask one that runs to stop.

        Raises:
            AskingError: It has no such id.
        """
        id = _id_in(wish.id)
        what = f"cancel the job {id}"
        try:
            how = self._reach().ask(lambda store: store.queue.cancel(id), CHANGE_SECONDS)
        except AwayError as problem:
            return what, _refused_by(problem)
        told = _CANCELLED.get(how)
        return what, _done(told) if told else _refused("the job has ended, or is not known")

    def clear(self, wish: shapes.Clearing) -> tuple[str, shapes.Outcome]:
        """Try dead letters again with all attempts, or forget them.

        Raises:
            AskingError: Neither a fingerprint nor numbers are given, or both, or too many.
        """
        if bool(wish.fingerprint) == bool(wish.numbers) or len(wish.numbers) > EACH:
            raise AskingError(
                "dead letters are meant by a fingerprint, or by numbers",
                f"Send one of both, and at most {EACH} numbers",
            )
        letters = (
            f"numbers {', '.join(map(str, wish.numbers[:20]))}"
            if wish.numbers
            else f"with fingerprint {wish.fingerprint}"
        )
        what = f"{wish.do} dead letters {letters}"
        count = 0
        try:
            for _ in range(ROUNDS_MAX):
                some = self._reach().ask(lambda store: _cleared(store, wish), CHANGE_SECONDS)
                count += some
                if some < EACH or wish.numbers:
                    break
        except AwayError as problem:
            return what, _refused_by(problem, f"; {count} were done before" if count else "")
        if not count:
            return what, _refused("there are no such dead letters")
        return what, _done(f"{count} {'tried again' if wish.do == 'replay' else 'discarded'}")

    def _reach(self) -> Reach:
        """Who keeps it.

        Raises:
            AwayError: Nobody here knows, or the app has none.
        """
        if self._given is None:
            raise _NoneError(
                "this observer does not know where events and jobs are kept",
                "Use `outgrow jobs` beside the app",
            )
        if not self._is_known:
            # A server is not even looked at for an app without events and jobs: its tables would
            # be made there.
            is_durable = self._supervision.is_durable() if self._supervision else True
            if is_durable is None:
                raise AwayError("the supervisor does not answer", "`outgrow status` tells more")
            if not is_durable:
                raise _NoneError(
                    "the app has neither events nor jobs",
                    "Mark a method with `@job`, or with `@subscribe`",
                )
            self._is_known = True
        return self._given


class _NoneError(AwayError):
    """There is no durable work."""


async def _cleared(store: DurableStore, wish: shapes.Clearing) -> int:
    do = store.dead.replay if wish.do == "replay" else store.dead.discard
    return await do(fingerprint=wish.fingerprint or None, numbers=wish.numbers, limit=EACH)


def _id_in(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise AskingError(
            f"`{text[:40]}` is no id of a job", "Copy it from a list of jobs"
        ) from None


def _told(problem: AwayError) -> shapes.Problem:
    return shapes.Problem(text=problem.text, hint=problem.hint)


def _done(step: str) -> shapes.Outcome:
    return shapes.Outcome(is_done=True, steps=[step])


def _refused(text: str, hint: str = "Look again: it may have changed meanwhile") -> shapes.Outcome:
    problem = shapes.Problem(text=text, hint=hint)
    return shapes.Outcome(is_done=False, steps=[], problem=problem)


def _refused_by(problem: AwayError, more: str = "") -> shapes.Outcome:
    if isinstance(problem, _NoneError):
        return _refused(problem.text, problem.hint)
    return _refused(
        f"{problem.text}{more}", "Look before you ask again: it may have been done all the same"
    )


def backlogs_at(
    at_ns: int,
    queues: Sequence[QueueView],
    subscriptions: Sequence[SubscriptionView],
    dead: Sequence[DeadGroup],
) -> list[Backlog]:
    """How much waits where, as the store tells it at a moment."""
    died: dict[str, int] = {}
    for group in dead:
        kind = "queue" if group.sample.kind == "job" else "subscription"
        name = f"{kind} {group.sample.source}"
        died[name] = died.get(name, 0) + group.count
    jobs = [
        Backlog(
            at_ns=at_ns,
            queue=f"queue {one.name}",
            waiting=one.ready_count,
            oldest_seconds=0.0
            if one.oldest_ready_ms is None
            else max(0.0, at_ns / 1e9 - one.oldest_ready_ms / 1e3),
            dead_letters=died.get(f"queue {one.name}", 0),
            concurrency=one.limits.slots or 0,
        )
        for one in queues
    ]
    events = [
        Backlog(
            at_ns=at_ns,
            queue=f"subscription {one.name}",
            waiting=one.unread_count + one.parked_count,
            dead_letters=died.get(f"subscription {one.name}", 0),
        )
        for one in subscriptions
    ]
    return [*jobs, *events]


# As the API tells it.


def _queue(one: QueueView) -> shapes.Queue:
    return shapes.Queue(
        name=one.name,
        is_paused=one.is_paused,
        slots=one.limits.slots,
        ready_count=one.ready_count,
        running_count=one.running_count,
        held_count=one.held_count,
        later_count=one.later_count,
        oldest_at_ms=one.oldest_ready_ms,
    )


def _subscription(one: SubscriptionView) -> shapes.Subscription:
    return shapes.Subscription(
        name=one.name,
        event=one.topic,
        is_paused=one.is_paused,
        unread_count=one.unread_count,
        parked_count=one.parked_count,
        next_try_at_ms=one.next_try_ms,
    )


def _group(one: DeadGroup) -> shapes.DeadLetters:
    return shapes.DeadLetters(
        fingerprint=one.fingerprint,
        count=one.count,
        first_at_ms=one.first_ms,
        last_at_ms=one.last_ms,
        name=one.sample.name,
        failure=one.sample.failure.type,
        text=one.sample.failure.text[:FAILURE_CHARACTERS_MAX],
    )


def _letter(one: DeadLetter) -> shapes.Letter:
    return shapes.Letter(
        number=one.number,
        kind=one.kind,
        id=str(one.id),
        source=one.source,
        name=one.name,
        attempts=one.attempts,
        died_at_ms=one.died_ms,
        failure=one.failure.type,
        text=one.failure.text[:FAILURE_CHARACTERS_MAX],
    )


def _job(one: JobView) -> shapes.Job:
    failure = one.failure
    return shapes.Job(
        id=str(one.id),
        kind=one.kind,
        queue=one.queue,
        state=one.state,
        attempt=one.attempt,
        attempts_max=one.attempts_max,
        priority=one.priority,
        key=one.key,
        enqueued_at_ms=one.enqueued_ms or None,
        run_at_ms=one.run_at_ms,
        started_at_ms=one.started_ms,
        finished_at_ms=one.finished_ms,
        is_cancelled=one.is_cancelled,
        progress=_value(one.progress),
        result=_value(one.result),
        failure=failure.type if failure else "",
        text=failure.text[:FAILURE_CHARACTERS_MAX] if failure else "",
        fingerprint=failure.fingerprint if failure else "",
    )


def _value(encoded: bytes | None) -> str | None:
    """As JSON; where it cannot be that, as Python writes it."""
    if encoded is None:
        return None
    value: Any = msgspec.msgpack.decode(encoded)
    try:
        text = msgspec.json.encode(value).decode()
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= VALUE_CHARACTERS_MAX else f"{text[: VALUE_CHARACTERS_MAX - 3]}..."
