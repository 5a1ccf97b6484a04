"""How values stand in columns of bytes, the same on every engine."""

from __future__ import annotations

import msgspec

from outgrow.store.durable.records import Failure, NewJob, Publication

_encoder = msgspec.msgpack.Encoder()
_headers = msgspec.msgpack.Decoder(dict[str, str])
_failure = msgspec.msgpack.Decoder(Failure)
_job = msgspec.msgpack.Decoder(NewJob)
_event = msgspec.msgpack.Decoder(tuple[int, int, Publication])


def packed(value: object) -> bytes | None:
    """A value in bytes; None for None and for what is empty."""
    return _encoder.encode(value) if value else None


def headers_of(column: bytes | None) -> dict[str, str]:
    """The headers that were packed."""
    return _headers.decode(column) if column else {}


def failure_in(column: bytes | None) -> Failure | None:
    """The failure that was packed."""
    return _failure.decode(column) if column else None


def job_of(copy: bytes) -> NewJob:
    """The job of a dead letter."""
    return _job.decode(copy)


def event_of(copy: bytes) -> tuple[int, int, Publication]:
    """Partition, offset and event of a dead letter."""
    return _event.decode(copy)
