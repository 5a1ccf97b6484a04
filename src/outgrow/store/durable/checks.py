"""What may come into the store: everything has a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outgrow.store.durable.errors import MessageSizeError, TopicChangedError
from outgrow.store.durable.records import (
    BODY_BYTES_MAX,
    HEADERS_MAX,
    PRIORITY_MAX,
    TEXT_CHARACTERS_MAX,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outgrow.store.durable.records import NewJob, Publication

_CONTROL = {chr(number) for number in range(32)}
CALL_COUNT_MAX = 10_000
CALL_BYTES_MAX = 8 * 1024 * 1024
FAR_MS_MAX = 100 * 365 * 86_400_000


def check_events(events: Sequence[Publication]) -> None:
    """Refuse events that the log cannot hold, or too many at once.

    Raises:
        MessageSizeError: Names the part.
    """
    _check_count(len(events))
    for one in events:
        check_publication(one)


def check_jobs(jobs: Sequence[NewJob]) -> None:
    """Refuse jobs that no queue can hold, or too many at once.

    Raises:
        MessageSizeError: Names the part.
    """
    _check_count(len(jobs))
    for one in jobs:
        check_job(one)


def check_batch(jobs: Sequence[NewJob]) -> None:
    """Refuse jobs that are too much for one transaction, or for one message to the keeper.

    Raises:
        MessageSizeError: They are.
    """
    _check_count(len(jobs))
    size_bytes = sum(len(one.body) for one in jobs)
    if size_bytes > CALL_BYTES_MAX and len(jobs) > 1:
        raise MessageSizeError(
            f"one call has {size_bytes} bytes of arguments, more than {CALL_BYTES_MAX}",
            hint="Make several calls",
        )


def check_publication(one: Publication) -> None:
    """Refuse an event that the log cannot hold.

    Raises:
        MessageSizeError: Names the part.
    """
    shown = f"the event {one.id} of `{one.topic}`"
    _check_body(shown, one.body, one.headers)
    _check_text(shown, "topic", one.topic)
    _check_text(shown, "key", one.key)
    _check_text(shown, "schema", one.schema)


def check_job(one: NewJob) -> None:
    """Refuse a job that no queue can hold.

    Raises:
        MessageSizeError: Names the part.
    """
    shown = f"the job {one.id} of `{one.kind}`"
    _check_body(shown, one.body, one.headers)
    for part, text in (
        *(("kind", one.kind), ("queue", one.queue), ("schema", one.schema)),
        *(("unique", one.unique), ("key", one.key)),
    ):
        _check_text(shown, part, text)
    for part, number, low, high in (
        ("priority", one.priority, -PRIORITY_MAX, PRIORITY_MAX),
        ("attempts_max", one.attempts_max, 1, 10_000),
        ("delay_ms", one.delay_ms, 0, FAR_MS_MAX),
        ("expires_after_ms", one.expires_after_ms, 0, FAR_MS_MAX),
        ("unique_for_ms", one.unique_for_ms, 0, FAR_MS_MAX),
        ("key_slots", one.key_slots, 1, 10_000),
        ("timeout_ms", one.timeout_ms, 1, FAR_MS_MAX),
    ):
        if number is not None and not low <= number <= high:
            raise MessageSizeError(
                f"`{part}` of {shown} is {number}", hint=f"Give it {low} to {high}"
            )


def check_name(what: str, name: str) -> None:
    """Refuse a name that no table can hold.

    Raises:
        MessageSizeError: It is too long, empty, or has control characters.
    """
    _check_text(f"`{name[:40]}`", what, name)
    if not name:
        raise MessageSizeError(f"a {what} has an empty name", hint="Give it one")


def check_topic(subscription: str, known: str, wanted: str) -> None:
    """Refuse to go on with another topic: what was read of one says nothing of another.

    Raises:
        TopicChangedError: It is another.
    """
    if known != wanted:
        raise TopicChangedError(
            f"the subscription `{subscription}` stands in the events `{known}`, and is now to read "
            f"`{wanted}`"
        )


def check_result(shown: str, encoded: bytes) -> None:
    """Refuse what a job or a step of it returned, where it is too large to be kept.

    Raises:
        MessageSizeError: It is.
    """
    if len(encoded) > BODY_BYTES_MAX:
        raise MessageSizeError(f"{shown} has {len(encoded)} bytes, more than {BODY_BYTES_MAX}")


def _check_count(count: int) -> None:
    if count > CALL_COUNT_MAX:
        raise MessageSizeError(
            f"one call has {count} messages, more than {CALL_COUNT_MAX}", hint="Make several calls"
        )


def _check_body(shown: str, body: bytes, headers: dict[str, str]) -> None:
    if len(body) > BODY_BYTES_MAX:
        raise MessageSizeError(
            f"the body of {shown} has {len(body)} bytes, more than {BODY_BYTES_MAX}"
        )
    if len(headers) > HEADERS_MAX:
        raise MessageSizeError(f"{shown} has {len(headers)} headers, more than {HEADERS_MAX}")
    if sum(len(name) + len(text) for name, text in headers.items()) > BODY_BYTES_MAX:
        raise MessageSizeError(f"the headers of {shown} have more than {BODY_BYTES_MAX} characters")


def _check_text(shown: str, part: str, text: str | None) -> None:
    if text is None:
        return
    if len(text) > TEXT_CHARACTERS_MAX:
        raise MessageSizeError(
            f"`{part}` of {shown} has {len(text)} characters, more than {TEXT_CHARACTERS_MAX}",
            hint="Make it shorter, or take a hash of it",
        )
    # PostgreSQL holds no NUL, and lone surrogates cannot be written at all.
    if not text.isprintable() and (_CONTROL & set(text) or not _is_writable(text)):
        raise MessageSizeError(
            f"`{part}` of {shown} has characters that cannot be stored", hint="Take them out"
        )


def _is_writable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
