// Exports spans, log lines and metrics with OpenTelemetry's SDK, and prints what the SDK had of
// them: `node export.mjs URL proto|http`.
import { context, SpanKind, SpanStatusCode, TraceFlags, trace } from "@opentelemetry/api";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { LoggerProvider, SimpleLogRecordProcessor } from "@opentelemetry/sdk-logs";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor, InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";

const [url, format] = process.argv.slice(2);
const { OTLPTraceExporter } = await import(`@opentelemetry/exporter-trace-otlp-${format}`);
const { OTLPLogExporter } = await import(`@opentelemetry/exporter-logs-otlp-${format}`);
const { OTLPMetricExporter } = await import(`@opentelemetry/exporter-metrics-otlp-${format}`);

const resource = resourceFromAttributes({
  "service.name": "js-shop",
  "service.instance.id": "js/1",
  "deployment.environment.name": "test",
});
const told = { spans: [], logs: [], metrics: [] };
const nanos = ([seconds, rest]) => String(BigInt(seconds) * 1000000000n + BigInt(rest));

const remembered = new InMemorySpanExporter();
const tracers = new TracerProvider({
  resource,
  spanProcessors: [
    new BatchSpanProcessor({
      exporter: new OTLPTraceExporter({ url: `${url}/v1/traces`, compression: "gzip" }),
    }),
    new SimpleSpanProcessor({ exporter: remembered }),
  ],
});
const tracer = tracers.getTracer("shop-library", "2.3");
for (let number = 0; number < 20; number += 1) {
  const attributes = {
    "http.request.method": "GET",
    "order.number": number,
    ratio: number / 3,
    "is.new": number % 2 === 0,
    "tags": ["a", "b", "é"],
    "large": 2 ** 40 + number,
  };
  const parent = tracer.startSpan(`GET /orders/{id} ${number % 3}`, { kind: SpanKind.SERVER, attributes });
  const within = trace.setSpan(context.active(), parent);
  const child = tracer.startSpan("Orders.find", { links: [{ context: parent.spanContext(), attributes: { why: "test" } }] }, within);
  child.addEvent("cache miss", { key: `order ${number}` });
  if (number % 5 === 0) {
    child.recordException(new TypeError("no such order"));
    child.setStatus({ code: SpanStatusCode.ERROR, message: "no such order" });
  }
  child.end();
  parent.end();
}
for (const span of remembered.getFinishedSpans()) {
  told.spans.push({
    trace_id: span.spanContext().traceId,
    span_id: span.spanContext().spanId,
    parent_id: span.parentSpanContext?.spanId ?? "",
    name: span.name,
    kind: span.kind + 1,
    at_ns: nanos(span.startTime),
    ended_ns: nanos(span.endTime),
    status: span.status.code,
    message: span.status.message ?? "",
    attributes: span.attributes,
    events: span.events.map((event) => [nanos(event.time), event.name, event.attributes ?? {}]),
    links: span.links.map((link) => [link.context.traceId, link.context.spanId, link.attributes]),
  });
}

const keeps = {
  onEmit(record) {
    told.logs.push({
      at_ns: nanos(record.hrTime),
      severity: record.severityNumber,
      text: record.body,
      attributes: record.attributes,
      trace_id: record.spanContext?.traceId ?? "",
      span_id: record.spanContext?.spanId ?? "",
    });
  },
  forceFlush: async () => {},
  shutdown: async () => {},
};
const loggers = new LoggerProvider({
  resource,
  processors: [
    keeps,
    new SimpleLogRecordProcessor({ exporter: new OTLPLogExporter({ url: `${url}/v1/logs` }) }),
  ],
});
const logger = loggers.getLogger("shop.payments", "1");
for (const severity of [5, 9, 13, 17, 21]) {
  logger.emit({
    severityNumber: severity,
    severityText: "custom",
    body: `line of ${severity}`,
    attributes: { cents: severity * 100, card: "declined" },
    context: trace.setSpanContext(context.active(), {
      traceId: "5b8efff798038103d269b633813fc60c",
      spanId: "eee19b7ec3c1b174",
      traceFlags: TraceFlags.SAMPLED,
    }),
  });
}

const meters = new MeterProvider({
  resource,
  readers: [
    new PeriodicExportingMetricReader({
      exporter: new OTLPMetricExporter({ url: `${url}/v1/metrics` }),
      exportIntervalMillis: 3600000,
    }),
  ],
});
const meter = meters.getMeter("shop-meter");
const orders = meter.createCounter("orders", { unit: "{order}" });
const depth = meter.createUpDownCounter("queue.depth");
const sizes = meter.createHistogram("basket.size", {
  unit: "By",
  advice: { explicitBucketBoundaries: [1, 10, 100] },
});
meter.createObservableGauge("temperature").addCallback((seen) => seen.observe(21.5, { room: "a" }));
for (const size of [0.5, 5, 50, 500, 7]) {
  orders.add(2, { kind: "web" });
  depth.add(size > 10 ? -1 : 3);
  sizes.record(size);
}

await tracers.forceFlush();
await loggers.forceFlush();
await meters.forceFlush();
await Promise.all([tracers.shutdown(), loggers.shutdown(), meters.shutdown()]);
console.log(JSON.stringify(told));
