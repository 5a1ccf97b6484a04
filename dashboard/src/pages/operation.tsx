// One operation over time, and the same charts for all routes together.
import { now, useAsked } from "../api";
import { Chart } from "../parts/chart";
import { Heat } from "../parts/heat";
import { bytes, clock, count, ms, percent, rate } from "../format";
import { Empty, Figures, Panel, Shown, tone } from "../parts/panel";
import { to } from "../place";
import type { Heatmap, Operations, Series, Statements, Traces } from "../shapes";
import { StatementTable } from "./databases";
import { TraceTable } from "./traces";

/** Workers report once a second: so long the newest numbers are not all there. */
const LATE_MS = 2000;

/** From where something is known, and without the last step while it goes on: it would look like a fall. */
function known(series: Series): Series {
  const { times_ms, step_seconds } = series;
  const first = begin(series);
  const last = times_ms[times_ms.length - 1] ?? 0;
  const isOver = last + step_seconds * 1000 + LATE_MS <= (now.peek()?.at_ms ?? Date.now());
  const end = isOver || times_ms.length < 3 ? times_ms.length : times_ms.length - 1;
  const part = <T,>(values: T[]) => values.slice(first, end);
  return {
    ...series,
    times_ms: part(times_ms),
    requests_per_second: part(series.requests_per_second),
    errors_per_second: part(series.errors_per_second),
    p50_ms: part(series.p50_ms),
    p95_ms: part(series.p95_ms),
    p99_ms: part(series.p99_ms),
  };
}

/** The step before the first of which something is known; 0 where that is none. */
function begin(series: Series): number {
  const first = series.requests_per_second.findIndex((rate) => rate !== null);
  return first <= 1 ? 0 : first - 1;
}

/** When charts begin later than the period. */
function since(series: Series): string {
  const first = begin(series);
  return first ? `since ${clock(series.times_ms[first] ?? 0)}` : "";
}

/** A heat map as far as its columns are charted. */
function within(map: Heatmap, series: Series | null): Heatmap {
  const from = series?.times_ms[begin(series)] ?? 0;
  const first = Math.max(0, map.times_ms.findIndex((time) => time >= from));
  return first ? { ...map, times_ms: map.times_ms.slice(first), counts: map.counts.slice(first) } : map;
}

/** Rate, errors and latency of an operation, or of all routes together. */
export function Charts(props: { series: Series }) {
  const series = known(props.series);
  const note = since(props.series);
  return (
    <div class="grid">
      <Panel title="Rate and errors" note={note ? `a second, ${note}` : "a second"}>
        <Chart
          title="Rate and errors a second"
          times_ms={series.times_ms}
          marks={series.marks}
          show={rate}
          lines={[
            { name: "requests", values: series.requests_per_second, ink: "series-1", filled: true },
            { name: "errors", values: series.errors_per_second, ink: "bad", dash: [4, 3] },
          ]}
        />
      </Panel>
      <Panel title="Latency" note={note}>
        <Chart
          title="Latency"
          times_ms={series.times_ms}
          marks={series.marks}
          show={ms}
          lines={[
            { name: "p50", values: series.p50_ms, ink: "series-1" },
            { name: "p95", values: series.p95_ms, ink: "series-2", dash: [6, 3] },
            { name: "p99", values: series.p99_ms, ink: "series-3", dash: [2, 3] },
          ]}
        />
      </Panel>
    </div>
  );
}

export function All() {
  const asked = useAsked<Series>(() => "series");
  return <Shown asked={asked.value}>{(series) => <Charts series={series} />}</Shown>;
}

export function OperationPage(props: { name: string }) {
  const path = `operations/${encodeURIComponent(props.name)}`;
  const series = useAsked<Series>(() => `${path}/series`);
  const heat = useAsked<Heatmap>(() => `${path}/heatmap`);
  const list = useAsked<Operations>(() => "operations", () => ({ name: props.name }));
  const traces = useAsked<Traces>(() => "traces", () => ({ operation: props.name, limit: 12 }));
  const statements = useAsked<Statements>(() => "statements", () => ({ caller: props.name, limit: 12 }));
  const found = list.value.value?.operations.find((each) => each.name === props.name);
  const bad = tone(found?.error_percent, 1, 5);
  return (
    <>
      {found ? (
        <Figures
          items={[
            { name: "Calls", value: count(found.calls) },
            { name: "Rate", value: rate(found.requests_per_second), unit: "/s" },
            { name: "Errors", value: percent(found.error_percent), tone: bad ? `is-${bad}` : "", href: to("traces", "", { operation: props.name, error: "1" }) },
            { name: "p50", value: ms(found.p50_ms) },
            { name: "p95", value: ms(found.p95_ms) },
            { name: "p99", value: ms(found.p99_ms) },
            { name: "Impact", value: percent(found.impact_percent) },
            { name: "CPU per call", value: ms(found.cpu_ms_per_call) },
            { name: "Wait before", value: ms(found.wait_ms) },
            { name: "4xx", value: count(found.client_errors) },
            { name: "Timed out", value: count(found.timeouts) },
            { name: "In", value: bytes(found.received_bytes_per_call) },
            { name: "Out", value: bytes(found.sent_bytes_per_call) },
          ]}
        />
      ) : null}
      <Shown asked={series.value}>{(each) => <Charts series={each} />}</Shown>
      <Panel title="How long calls took" note="colour: how many; marks: traces to open">
        <Shown asked={heat.value}>
          {(map) => (map.edges_ms.length ? <Heat map={within(map, series.value.value)} /> : <Empty title="No call in this period">Choose a longer one above.</Empty>)}
        </Shown>
      </Panel>
      <Panel title="Kept traces" tools={<a href={to("traces", "", { operation: props.name })}>Search</a>} flush>
        <Shown asked={traces.value}>
          {(rows) =>
            rows.traces.length ? (
              <TraceTable rows={rows.traces} />
            ) : (
              <Empty title="No trace kept in this period">Errors, the slowest and one a second are kept of what is called.</Empty>
            )
          }
        </Shown>
      </Panel>
      <Shown asked={statements.value}>
        {(rows) =>
          rows.statements.length ? (
            <Panel title="SQL that it ran" flush>
              <StatementTable rows={rows.statements} />
            </Panel>
          ) : null
        }
      </Shown>
    </>
  );
}
