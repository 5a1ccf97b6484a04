import { useAsked } from "../api";
import { ago, bytes, clock, count, ms, percent, plain } from "../format";
import { Chart } from "../parts/chart";
import { Empty, Panel, Shown } from "../parts/panel";
import { type Column, Table } from "../parts/table";
import { to } from "../place";
import type { Metric, MetricLine, MetricSeries, Metrics } from "../shapes";

export function MeasuredPage(props: { name: string }) {
  const asked = useAsked<Metrics>(() => "metrics");
  return (
    <>
      {props.name ? <One key={props.name} name={props.name} /> : null}
      <Panel title={props.name ? "All metrics" : "Metrics"} note="what other services measured, and sent here by OTLP" flush>
        <Shown asked={asked.value}>
          {(found) =>
            found.metrics.length ? (
              <Table caption="Metrics" columns={METRICS} rows={found.metrics} id={(row) => `${row.name} ${row.service}`} />
            ) : (
              <Empty title="No metric was sent in this period">
                Set <code>OTEL_EXPORTER_OTLP_ENDPOINT={location.origin}</code> where another service runs, and what it measures comes here. What this app does is counted by itself: see Operations and Workers.
              </Empty>
            )
          }
        </Shown>
      </Panel>
    </>
  );
}

function One(props: { name: string }) {
  const asked = useAsked<MetricSeries>(() => `metrics/${encodeURIComponent(props.name)}`, () => ({ limit: INKS.length }));
  return (
    <Shown asked={asked.value}>
      {(found) =>
        found.lines.length ? (
          <Panel title={found.name} note={noteOf(found)}>
            <Chart
              title={found.name}
              times_ms={found.times_ms}
              show={shownIn(found.unit)}
              lines={found.lines.map((line, number) => ({ ...INKS[number]!, name: nameOf(line), values: line.values }))}
            />
          </Panel>
        ) : (
          <p class="empty">Nothing was sent of it in this period; choose a longer one above.</p>
        )
      }
    </Shown>
  );
}

function nameOf(line: MetricLine): string {
  return [line.service, ...Object.entries(line.attributes).map(([name, value]) => `${name}=${value}`)].filter(Boolean).join(" ");
}

function noteOf(series: MetricSeries): string {
  const { lines, lines_count, times_ms } = series;
  const first = series.is_cut ? lines.map((line) => line.values.findIndex((value) => value !== null)).reduce((one, other) => Math.min(one, other)) : 0;
  return [
    series.kind === "histogram" ? "mean of each step" : series.kind,
    lines_count > lines.length ? `the ${lines.length} of ${lines_count} that were told of last` : "",
    first > 0 ? `the newest points, since ${clock(times_ms[first] ?? 0)}` : "",
  ].filter(Boolean).join("; ");
}

/** How values of a unit are shown, as OpenTelemetry writes units. */
function shownIn(unit: string): (value: number | null) => string {
  const factor = SECONDS[unit];
  if (factor) return (value) => (value === null ? ms(value) : ms(value * factor));
  if (unit === "By") return bytes;
  if (unit === "%") return percent;
  const word = unit === "1" ? "" : unit.replace(/[{}]/g, "");
  return (value) => (value === null || !word ? plain(value) : `${plain(value)} ${word}`);
}

/** Milliseconds in each. */
const SECONDS: Record<string, number> = { s: 1000, ms: 1, us: 1e-3, ns: 1e-6 };

const INKS = ["series-1", "series-2", "series-3"].flatMap((ink) => [{ ink }, { ink, dash: [5, 3] }]);

const METRICS: Column<Metric>[] = [
  { name: "Metric", wide: true, by: (row) => row.name, cell: (row) => <a href={to("measured", row.name)}>{row.name}</a> },
  { name: "Service", by: (row) => row.service, cell: (row) => row.service },
  { name: "Points", n: true, by: (row) => row.points_count, cell: (row) => count(row.points_count) },
  { name: "Last", n: true, by: (row) => row.last_at_ms, cell: (row) => ago(row.last_at_ms, Date.now()) },
];
