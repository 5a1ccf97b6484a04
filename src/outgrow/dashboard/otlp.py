"""The receiver of OTLP/HTTP: other services send their traces, metrics and logs here.

A body is read on the loop, within limits, and unpacked and decoded in one thread of its own, so
that the page answers meanwhile. Whoever may ask for the page may send.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route

from outgrow.dashboard.access import Access, AccessError, check_origin
from outgrow.telemetry import SENT_BYTES_MAX, OtlpRefusedError, encoding_in, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from outgrow.telemetry import OtlpReceiver, Signal

PATHS: dict[str, Signal] = {
    "/v1/traces": "traces",
    "/v1/metrics": "metrics",
    "/v1/logs": "logs",
}
REQUESTS_MAX = 256
HELD_BYTES_MAX = 64 * 1024**2
BODY_SECONDS = 30.0
RETRY_SECONDS = 2
# As google.rpc.Code numbers them.
_UNAUTHENTICATED, _PERMISSION_DENIED, _UNAVAILABLE, _INTERNAL = 16, 7, 14, 13
_DEADLINE_EXCEEDED = 4

_log = logging.getLogger(__name__)


class OtlpDesk:
    """Takes requests for a receiver, whichever address they come by.

    Args:
        receiver: Reads and keeps.
        is_full: Says that what was kept so far is not written yet, and no more should come.
        body_seconds: In which a body must have come.

    Attributes:
        receiver: With its counts.
    """

    def __init__(
        self,
        receiver: OtlpReceiver,
        *,
        is_full: Callable[[], bool] = lambda: False,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        self.receiver = receiver
        self._is_full = is_full
        self._body_seconds = body_seconds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="outgrow-otlp")
        self._requests = 0
        self._held_bytes = 0

    def routes(self, access: Access) -> list[Route]:
        """The routes, for those that may send."""
        return [
            Route(path, self._endpoint(signal, access), methods=["POST"])
            for path, signal in PATHS.items()
        ]

    def close(self) -> None:
        """Take no more; what is being read is finished."""
        self._thread.shutdown()

    def _endpoint(self, signal: Signal, access: Access) -> Callable[[Request], object]:
        async def endpoint(request: Request) -> Response:
            try:
                answer = await self._answer(request, signal, access)
            except OtlpRefusedError as problem:
                self.receiver.refuse(signal, problem.reason)
                content, headers = refusal(request.headers, problem)
                if problem.status == 401:
                    headers["www-authenticate"] = "Bearer"
                answer = Response(content, problem.status, headers)
            self.receiver.counts.answer(signal, answer.status_code)
            return answer

        return endpoint

    async def _answer(self, request: Request, signal: Signal, access: Access) -> Response:
        _check_sender(request, access)
        form = self.receiver.format_of(request.headers)
        if self._requests >= REQUESTS_MAX or self._is_full():
            raise _pressed()
        self._requests += 1
        pieces: list[bytes] = []
        try:
            await self._read(request, pieces)
            loop = asyncio.get_running_loop()
            content = await loop.run_in_executor(
                self._thread, self._taken, signal, form, encoding_in(request.headers), pieces
            )
        finally:
            self._requests -= 1
            self._held_bytes -= sum(len(piece) for piece in pieces)
        media_type = request.headers["content-type"].partition(";")[0].strip()
        return Response(content, headers={"content-type": media_type})

    async def _read(self, request: Request, pieces: list[bytes]) -> None:
        """Read the body, as long as it comes in time and all bodies together are not too much."""
        size = 0
        try:
            async with asyncio.timeout(self._body_seconds):
                async for piece in request.stream():
                    size += len(piece)
                    if size > SENT_BYTES_MAX:
                        raise OtlpRefusedError(
                            "size",
                            f"the body is larger than {SENT_BYTES_MAX} bytes; send smaller batches",
                            status=413,
                        )
                    if self._held_bytes + len(piece) > HELD_BYTES_MAX:
                        raise _pressed()
                    self._held_bytes += len(piece)
                    pieces.append(piece)
        except (TimeoutError, ClientDisconnect):
            raise OtlpRefusedError(
                "unfinished",
                "the body did not come to its end in time; send it again",
                status=408,
                code=_DEADLINE_EXCEEDED,
            ) from None

    def _taken(self, signal: Signal, form: str, encoding: str, pieces: list[bytes]) -> bytes:
        try:
            return self.receiver.take(
                signal, "json" if form == "json" else "protobuf", encoding, pieces
            )
        except OtlpRefusedError:
            raise
        except Exception:
            _log.exception("/v1/%s could not be taken", signal)
            raise OtlpRefusedError(
                "fault",
                "the observer could not take it; see its log",
                status=500,
                code=_INTERNAL,
            ) from None


def _check_sender(request: Request, access: Access) -> None:
    try:
        access.admit(request.headers, request.cookies)
        check_origin(request.headers)
    except AccessError as problem:
        code = _UNAUTHENTICATED if problem.status == 401 else _PERMISSION_DENIED
        raise OtlpRefusedError(
            "access", f"{problem.text}: {problem.hint}", status=problem.status, code=code
        ) from None


def _pressed() -> OtlpRefusedError:
    return OtlpRefusedError(
        "pressure",
        "too much waits to be taken; send it again in a moment",
        status=503,
        code=_UNAVAILABLE,
        retry_seconds=RETRY_SECONDS,
    )
