"""Takes requests of the protocol over HTTP, whoever serves it: checks, reads, keeps and answers."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Protocol

from outgrow.telemetry.otlp.bodies import check_encoding, inflated, too_large
from outgrow.telemetry.otlp.decoding import OtlpDecoder
from outgrow.telemetry.otlp.limits import SENT_BYTES_MAX, Signal
from outgrow.telemetry.otlp.refusing import OtlpRefusedError, ReceivedCounts
from outgrow.telemetry.otlp.replies import MEDIA_TYPE_OF, MEDIA_TYPES, failure, success
from outgrow.telemetry.otlp.sending import VIA_HEADER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from outgrow.telemetry.otlp.decoding import Format
    from outgrow.telemetry.otlp.refusing import Reason
    from outgrow.telemetry.records import LogRecord, MetricPoint, SpanRecord

NOUNS: dict[Signal, str] = {"traces": "spans", "metrics": "points", "logs": "lines"}


class Keeping(Protocol):
    """Where records go; may be called from any thread, and does not block for long."""

    def keep(
        self,
        *,
        spans: Sequence[SpanRecord] = (),
        logs: Sequence[LogRecord] = (),
        points: Sequence[MetricPoint] = (),
    ) -> None:
        """Keep what others sent."""
        ...

    def lose(self, what: str, count: int) -> None:
        """Remember that so much was not kept, and why."""
        ...


class OtlpReceiver:
    """Receives all three signals.

    Args:
        keeping: Where records go, such as the archive.

    Attributes:
        counts: What was received and refused.
        via: Told apart from every other observer; for the `Forwarder` of this one.
    """

    def __init__(self, keeping: Keeping) -> None:
        self.counts = ReceivedCounts()
        self.via = secrets.token_hex(8)
        self._keeping = keeping
        self._decoder = OtlpDecoder()

    def format_of(self, headers: Mapping[str, str]) -> Format:
        """The format of a body, of which nothing is read yet.

        Args:
            headers: Of the request, looked up by lower-case names.

        Raises:
            OtlpRefusedError: Its type or its encoding is not understood, it is too large, or it
                is our own.
        """
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        form = MEDIA_TYPES.get(media_type)
        if form is None:
            raise OtlpRefusedError(
                "encoding",
                f"the type `{media_type[:80]}` is not understood; send application/x-protobuf or "
                "application/json",
                status=415,
            )
        if headers.get(VIA_HEADER) == self.via:
            raise OtlpRefusedError("loop", "this observer is told to send on to itself")
        check_encoding(encoding_in(headers))
        size = headers.get("content-length", "")
        if size.isdigit() and (len(size) > 12 or int(size) > SENT_BYTES_MAX):
            raise too_large("", SENT_BYTES_MAX)
        return form

    def take(self, signal: Signal, form: Format, encoding: str, pieces: Sequence[bytes]) -> bytes:
        """Keep what a body holds; one at a time.

        Returns:
            The body of the answer, of status 200.

        Raises:
            OtlpRefusedError: The body is broken, or too large.
        """
        received = self._decoder.decode(signal, form, inflated(pieces, encoding))
        self.counts.take(signal, received.items, received.refused)
        for reason, count in received.refused.items():
            self._keeping.lose(f"{NOUNS[signal]} by OTLP ({reason})", count)
        if received.items:
            self._keeping.keep(spans=received.spans, logs=received.logs, points=received.points)
        return success(signal, form, sum(received.refused.values()), received.refused_text)

    def refuse(self, signal: Signal, reason: Reason) -> None:
        """Count a request that is refused as a whole."""
        self.counts.refuse(signal, reason)
        self._keeping.lose(f"requests of {signal} by OTLP ({reason})", 1)


def encoding_in(headers: Mapping[str, str]) -> str:
    """The content encoding that headers name, in lower case."""
    return headers.get("content-encoding", "").strip().lower()


def media_type_of(headers: Mapping[str, str]) -> tuple[Format, str]:
    """The format, and its name, that a request is answered in: its own, or else JSON."""
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    form = MEDIA_TYPES.get(media_type, "json")
    return form, MEDIA_TYPE_OF[form]


def refusal(headers: Mapping[str, str], problem: OtlpRefusedError) -> tuple[bytes, dict[str, str]]:
    """The body and the headers of the answer to a request that is not taken."""
    form, media_type = media_type_of(headers)
    answered = {"content-type": media_type}
    if problem.reason in ("size", "unfinished"):
        answered["connection"] = "close"  # or the rest would be read, however much it is
    if problem.retry_seconds is not None:
        answered["retry-after"] = str(problem.retry_seconds)
    if problem.reason == "encoding":
        answered["accept-encoding"] = "gzip, identity"
    return failure(form, problem.code, problem.text), answered
