import { useAsked } from "../api";
import { ago, bytes, clock, count, ms, percent, rate, seconds } from "../format";
import { Chart } from "../parts/chart";
import { Empty, Panel, Share, Shown, signed, tone } from "../parts/panel";
import { type Column, numbers, Table } from "../parts/table";
import type { Gap, Placement, Station, Stations, Worker, WorkerLine, Workers, WorkerSeries } from "../shapes";
import { PlacementPanel } from "./placement";

export function WorkersPage() {
  const workers = useAsked<Workers>(() => "workers");
  const series = useAsked<WorkerSeries>(() => "workers/series", () => ({ limit: LINES_MAX }));
  const stations = useAsked<Stations>(() => "stations", () => ({ limit: 100 }));
  const placement = useAsked<Placement>(() => "placement");
  return (
    <>
      <Panel title="Workers" flush>
        <Shown asked={workers.value}>
          {(found) => (
            <>
              {found.workers.length ? (
                <>
                  <Table caption="Workers" columns={WORKERS} rows={found.workers} id={(row) => `${row.name} ${row.pid} ${row.began_at_ms}`} />
                  <Gaps gaps={found.gaps} />
                </>
              ) : (
                <Empty title="No worker has reported">Start the app with <code>outgrow run</code>; its workers report by themselves.</Empty>
              )}
              <Dropped lost={found.lost} />
            </>
          )}
        </Shown>
      </Panel>
      <Shown asked={series.value}>{(found) => (found.workers.length ? <Over series={found} /> : null)}</Shown>
      <Shown asked={placement.value}>{(found) => <PlacementPanel placement={found} />}</Shown>
      <Panel title="Stations" note="what has a limit, the busiest first" flush>
        <Shown asked={stations.value}>
          {(found) =>
            found.stations.length ? (
              <Table caption="Stations" columns={STATIONS} rows={found.stations} id={(row) => `${row.worker} ${row.name}`} first="Busy" rows_max={20} />
            ) : (
              <Empty title="Nothing used yet">Loops, pools, locks and bulkheads appear with the first request.</Empty>
            )
          }
        </Shown>
      </Panel>
    </>
  );
}

/** The workers that use most, a line each. */
function Over(props: { series: WorkerSeries }) {
  const { workers, workers_count } = props.series;
  const first = begin(workers);
  const times_ms = props.series.times_ms.slice(first);
  const note = [
    workers_count > workers.length ? `the ${workers.length} of ${workers_count} that use most CPU` : "",
    first ? `since ${clock(times_ms[0] ?? 0)}` : "",
  ].filter(Boolean).join(", ");
  return (
    <div class="grid">
      {MEASURES.map(([title, text, values, show, max = 0]) => (
        <Panel key={title} title={title} note={[text, note].filter(Boolean).join("; ")}>
          <Chart
            title={`${title} by worker`}
            times_ms={times_ms}
            marks={props.series.marks}
            show={show}
            max={max}
            lines={workers.map((worker, number) => ({ ...INKS[number % INKS.length]!, name: worker.name, values: values(worker).slice(first) }))}
          />
        </Panel>
      ))}
    </div>
  );
}

/** The step before the first of which something is known; 0 where that is none. */
function begin(workers: WorkerLine[]): number {
  const firsts = workers.map((worker) => worker.busy_percent.findIndex((value) => value !== null)).filter((first) => first >= 0);
  return firsts.length ? Math.max(0, Math.min(...firsts) - 1) : 0;
}

/** Where what a worker did is not known; where it told later in sums, only for who asks. */
function Gaps(props: { gaps: Gap[] }) {
  const counted = props.gaps.filter((gap) => gap.is_counted);
  const unknown = props.gaps.filter((gap) => !gap.is_counted);
  const when = (gap: Gap) => `${gap.worker} told nothing from ${clock(gap.from_ms)} to ${clock(gap.to_ms)}`;
  return (
    <>
      {unknown.slice(-GAPS_MAX).map((gap) => (
        <p class="more is-warn" key={gap.worker + gap.from_ms}>▲ {when(gap)}: it vanished without a last word, and what it did then is not known.</p>
      ))}
      {unknown.length > GAPS_MAX ? <p class="more note">{unknown.length - GAPS_MAX} earlier ones are not shown.</p> : null}
      {counted.length ? (
        <details class="more">
          <summary>{counted.length === 1 ? "One gap" : `${counted.length} gaps`} in what was told, all counted</summary>
          {counted.slice(-GAPS_MAX).map((gap) => <p class="note" key={gap.worker + gap.from_ms}>{when(gap)}; what it did meanwhile is counted at the end.</p>)}
        </details>
      ) : null}
    </>
  );
}

/** What found no room, and what others sent that was refused; the sums are exact all the same. */
function Dropped(props: { lost: Record<string, number> }) {
  const kinds = Object.entries(props.lost).filter(([, number]) => number > 0);
  if (kinds.length === 0) return null;
  return <p class="more is-warn">▲ Not kept in this period: {kinds.map(([kind, number]) => `${count(number)} ${kind}`).join(", ")}. Calls are counted all the same.</p>;
}

const GAPS_MAX = 8;
const LINES_MAX = 6;

/** Three colours, each as a line and dashed. */
const INKS = ["series-1", "series-2", "series-3"].flatMap((ink) => [{ ink }, { ink, dash: [5, 3] }]);

/** Title, what it is, its values, how they are shown, and how far the axis reaches at least. */
const MEASURES: [string, string, (worker: WorkerLine) => (number | null)[], (value: number | null) => string, number?][] = [
  ["Busy", "", (worker) => worker.busy_percent, percent, 100],
  ["Loop lag", "p99: how late the event loop turned", (worker) => worker.loop_lag_p99_ms, ms],
  ["GIL wait", "p99: how long a thread waited for the interpreter", (worker) => worker.gil_wait_p99_ms, ms],
  ["Memory", "resident", (worker) => worker.memory_bytes, bytes],
];

/** Of what its machine lacks, the most; null where the kernel does not say. */
function worst(row: Worker): number | null {
  const told = [row.cpu_stall_percent, row.io_stall_percent, row.memory_stall_percent].filter((one) => one !== null);
  return told.length ? Math.max(...told) : null;
}

const STATES = { reporting: "", gone: "idle", lost: "bad" };

const WORKERS: Column<Worker>[] = [
  { name: "Worker", by: (row) => row.name, cell: (row) => <>{row.name}<span class="under">{row.machine} · {row.pid}</span></> },
  { name: "State", by: (row) => row.state, cell: (row) => <><span class={`state ${STATES[row.state]}`}>{row.state}</span><span class="under">{row.state === "reporting" ? `up ${seconds((Date.now() - row.began_at_ms) / 1000)}` : ago(row.seen_at_ms, Date.now())}</span></> },
  { name: "Busy", n: true, by: (row) => row.busy_percent, cell: (row) => <Share percent={row.busy_percent} text={signed(tone(row.busy_percent, 60, 80), percent(row.busy_percent))} kind={tone(row.busy_percent, 60, 80)} /> },
  numbers("CPU", (row) => row.cpu_percent, percent),
  { name: "Loop lag p99", title: "How late the event loop turned", n: true, by: (row) => row.loop_lag_p99_ms, cell: (row) => signed(tone(row.loop_lag_p99_ms, 50, 200), ms(row.loop_lag_p99_ms)) },
  { name: "GIL wait p99", title: "How long a thread waited for the interpreter", n: true, by: (row) => row.gil_wait_p99_ms, cell: (row) => signed(tone(row.gil_wait_p99_ms, 10, 50), ms(row.gil_wait_p99_ms)) },
  numbers("Core wait", (row) => row.run_queue_percent, percent, "Share of time in which a thread was ready and no core was free, summed over its threads: above 100 % several waited"),
  numbers("GC", (row) => row.gc_percent, percent),
  numbers("Steal", (row) => row.steal_percent, percent, "Share of its machine's cores that others of the host took"),
  numbers("Stalls", (row) => worst(row), percent, "Share of time in which something on its machine waited for a core, a disk or memory: the largest of the three"),
  numbers("Memory", (row) => row.memory_bytes, bytes),
  numbers("Threads", (row) => row.threads, count),
  numbers("Under way", (row) => row.in_flight, count),
  { name: "Version", by: (row) => row.version, cell: (row) => <>{row.version}{row.commit ? <span class="under mono">{row.commit.slice(0, 8)}</span> : null}</> },
];

const STATIONS: Column<Station>[] = [
  { name: "Station", by: (row) => row.name, cell: (row) => <>{row.name}{row.name.startsWith(row.kind) ? null : <span class="note"> {row.kind}</span>}</> },
  { name: "Worker", by: (row) => row.worker, cell: (row) => row.worker },
  { name: "Busy", n: true, by: (row) => row.busy_percent, cell: (row) => <Share percent={row.busy_percent} text={signed(tone(row.busy_percent, 60, 80), percent(row.busy_percent))} kind={tone(row.busy_percent, 60, 80)} /> },
  numbers("Of", (row) => row.capacity, count, "How many can be served at once"),
  { name: "Uses", n: true, by: (row) => row.served_per_second, cell: (row) => `${rate(row.served_per_second)}/s` },
  numbers("Held for", (row) => row.hold_ms, ms, "Mean"),
  numbers("Wait p95", (row) => row.wait_p95_ms, ms),
  numbers("Longest line", (row) => row.queue_max, count, "The most that ever waited at once"),
  { name: "Turned away", n: true, by: (row) => row.rejected, cell: (row) => (row.rejected ? <span class="is-bad">■ {count(row.rejected)}</span> : "0") },
];
