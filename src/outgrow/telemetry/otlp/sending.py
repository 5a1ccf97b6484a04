"""One request at a time to another's receiver, and what became of it."""

from __future__ import annotations

import contextlib
import email.utils
import gzip
import http.client
import re
import ssl
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from outgrow.errors import SettingValueError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outgrow.telemetry.otlp.limits import Signal

# Says who sends on, so that an observer that is told to send to itself notices.
VIA_HEADER = "outgrow-via"
ANSWER_SECONDS = 10.0
ANSWER_BYTES_MAX = 64 * 1024
RETRY_AFTER_SECONDS_MAX = 300.0
_GZIP_BYTES_MIN = 1024
# These alone, says the protocol, are worth another try.
_AGAIN = {429, 502, 503, 504}
_FORM = "Give an address such as http://localhost:4318"


@dataclass(frozen=True, kw_only=True)
class ForwardTarget:
    """Another's receiver of OTLP/HTTP.

    Attributes:
        url: What comes before /v1/traces.
        headers: Sent with each request; may hold secrets, so they are never shown.
        is_packed: Bodies are sent as gzip.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    is_packed: bool = True

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        try:
            is_whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            is_whole = False
        if not is_whole or parts.query or parts.fragment or parts.username:
            raise SettingValueError(f"`{self.url[:200]}` is no address to send to", hint=_FORM)
        for name, value in self.headers.items():
            if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or not value.isprintable():
                raise SettingValueError(
                    f"`{name[:80]}` is no header that can be sent", hint="Check name and value"
                )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a request.

    Attributes:
        kind: `sent`; `again` where another try may help; `refused` where none will.
        text: In words.
        refused: Items that the receiver did not take.
        retry_seconds: It asks for so much patience.
    """

    kind: Literal["sent", "again", "refused"]
    text: str
    refused: int = 0
    retry_seconds: float | None = None


class Sender:
    """Keeps one connection; for one thread.

    Args:
        target: Where to.
        via: Told apart from every other observer; empty where none needs to notice.
    """

    def __init__(self, target: ForwardTarget, via: str = "") -> None:
        self._target = target
        self._via = via
        parts = urlsplit(target.url)
        self._path = parts.path.rstrip("/")
        host, port = parts.hostname or "", parts.port
        if parts.scheme == "https":
            self._connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=ANSWER_SECONDS, context=ssl.create_default_context()
            )
        else:
            self._connection = http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)

    def send(self, signal: Signal, body: bytes) -> Outcome:
        """Send a body; never raises for what the network does."""
        headers = {**self._target.headers, "Content-Type": "application/x-protobuf"}
        if self._via:
            headers[VIA_HEADER] = self._via
        if self._target.is_packed and len(body) >= _GZIP_BYTES_MIN:
            body = gzip.compress(body, compresslevel=1)
            headers["Content-Encoding"] = "gzip"
        try:
            self._connection.request("POST", f"{self._path}/v1/{signal}", body, headers)
            answer = self._connection.getresponse()
            content = answer.read(ANSWER_BYTES_MAX)
            if answer.length:  # more than is wanted: the connection cannot be used again
                self.close()
        except (OSError, http.client.HTTPException) as problem:
            self.close()
            return Outcome(kind="again", text=f"{type(problem).__name__}: {problem}"[:200])
        if answer.status in _AGAIN:
            seconds = retry_seconds(answer.getheader("Retry-After"))
            return Outcome(kind="again", text=f"status {answer.status}", retry_seconds=seconds)
        if not 200 <= answer.status < 300:
            return Outcome(kind="refused", text=f"status {answer.status}")
        return _taken(content)

    def close(self) -> None:
        """Close the connection; the next request opens it again."""
        with contextlib.suppress(OSError):
            self._connection.close()


def _taken(content: bytes) -> Outcome:
    """What an answer says of a request that was taken; the three signals answer alike."""
    try:
        partial = ExportTraceServiceResponse.FromString(content).partial_success
    except DecodeError:
        return Outcome(kind="sent", text="the answer is not understood")
    return Outcome(
        kind="sent", text=partial.error_message[:200], refused=max(0, partial.rejected_spans)
    )


def retry_seconds(header: str | None) -> float | None:
    """How long `Retry-After` asks to wait, as seconds or a date; at most 300."""
    if not header:
        return None
    if re.fullmatch(r"\d{1,9}", header.strip()):
        return min(float(header), RETRY_AFTER_SECONDS_MAX)
    try:
        moment = email.utils.parsedate_to_datetime(header).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(0.0, moment - time.time()), RETRY_AFTER_SECONDS_MAX)
