"""A Starlette app with an OpenTelemetry provider of its own, exporting to a file a process."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


class FileExporter(SpanExporter):
    """Append one line a span to `spans-PID.log`."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write the names of the spans."""
        path = Path(os.environ["LEDGER_FOLDER"]) / f"spans-{os.getpid()}.log"
        with path.open("a") as lines:
            lines.writelines(f"{span.name}\n" for span in spans)
        return SpanExportResult.SUCCESS


provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(FileExporter()))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("shop")


async def traced(request: Request) -> JSONResponse:
    """One span, and whether the global provider is still the app's own."""
    with tracer.start_as_current_span("place-order"):
        return JSONResponse({"own": trace.get_tracer_provider() is provider})


app = Starlette(routes=[Route("/traced", traced)])
