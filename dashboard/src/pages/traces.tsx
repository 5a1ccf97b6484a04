import { useSignal } from "@preact/signals";
import { get, useAsked } from "../api";
import { ago, count, moment, ms } from "../format";
import { Empty, Panel, Share, Shown } from "../parts/panel";
import { Table } from "../parts/table";
import { ask, place, to } from "../place";
import type { Operations, TraceRow, Traces } from "../shapes";
import { period } from "../time";

const LIMIT = 50;

export function TracesPage() {
  const query = () => {
    const asked = place.value.query;
    return {
      operation: asked.get("operation"),
      text: asked.get("text"),
      min_ms: asked.get("min_ms"),
      error: asked.get("error"),
      limit: LIMIT,
    };
  };
  const asked = useAsked<Traces>(() => "traces", query);
  const operations = useAsked<Operations>(() => "operations");
  const older = useSignal<TraceRow[]>([]);
  const next = useSignal<number | null | undefined>(undefined);
  const change = (changes: Record<string, string>) => {
    older.value = [];
    next.value = undefined;
    ask(changes);
  };
  const more = async (before_ms: number) => {
    const found = await get<Traces>("traces", { ...query(), from: period.value.from, to: period.value.to, before: before_ms });
    older.value = [...older.value, ...found.traces];
    next.value = found.before_ms;
  };
  const now = query();
  const id = (now.text ?? "").trim().toLowerCase();
  return (
    <Panel title="Kept traces" note="errors, the slowest of each operation, one a second, and those that a caller asked for" flush>
      <div class="search">
        <label>
          <span>Operation</span>
          <select value={now.operation ?? ""} onChange={(event) => change({ operation: event.currentTarget.value })}>
            <option value="">any</option>
            {names(operations.value.value, now.operation).map((each) => <option key={each}>{each}</option>)}
          </select>
        </label>
        <label class="grow">
          <span>Text in names, attributes and SQL, or a trace id</span>
          <input type="search" value={now.text ?? ""} placeholder="any" onChange={(event) => change({ text: event.currentTarget.value })} />
        </label>
        <label>
          <span>At least, ms</span>
          <input type="number" min="0" max="3600000" value={now.min_ms ?? ""} placeholder="0" onChange={(event) => change({ min_ms: event.currentTarget.value })} />
        </label>
        <label class="check">
          <input type="checkbox" checked={now.error === "1"} onChange={(event) => change({ error: event.currentTarget.checked ? "1" : "" })} />
          with errors only
        </label>
      </div>
      {/^[0-9a-f]{32}$/.test(id) ? (
        <p class="search"><a class="button" href={to("traces", id)}>Open the trace {id}</a></p>
      ) : null}
      <Shown asked={asked.value}>
        {(found) => {
          const rows = [...found.traces, ...older.value];
          const before = next.value === undefined ? found.before_ms : next.value;
          return (
            <>
              {rows.length ? <TraceTable rows={rows} /> : <Empty title={before ? "No kept trace fits so far" : "No kept trace fits"}>Take back a part of the search, or choose a longer period above.</Empty>}
              {before ? (
                <p class="more"><button type="button" class="button" onClick={() => void more(before)}>{rows.length ? "Show older ones" : "Search further back"}</button></p>
              ) : null}
            </>
          );
        }}
      </Shown>
    </Panel>
  );
}

function names(found: Operations | null, chosen: string | null): string[] {
  const all = new Set(found?.operations.map((each) => each.name) ?? []);
  if (chosen) all.add(chosen);
  return [...all].sort();
}

const WHY: Record<string, string> = { slow: "slow", sampled: "sample", asked: "asked for", received: "received", error: "error" };

export function TraceTable(props: { rows: TraceRow[] }) {
  const most = Math.max(1e-9, ...props.rows.map((row) => row.duration_ms));
  return (
    <Table
      caption="Traces"
      rows={props.rows}
      rows_max={500}
      id={(row) => row.trace_id}
      columns={[
        {
          name: "Trace",
          wide: true,
          by: (row) => row.name,
          cell: (row) => (
            <a href={to("traces", row.trace_id)}>
              {row.name} <span class="mono note">{row.trace_id.slice(0, 8)}</span>
            </a>
          ),
        },
        { name: "When", by: (row) => row.at_ms, cell: (row) => <span title={moment(row.at_ms)}>{ago(row.at_ms, Date.now())}</span> },
        { name: "Duration", n: true, by: (row) => row.duration_ms, cell: (row) => <Share percent={(100 * row.duration_ms) / most} text={ms(row.duration_ms)} /> },
        { name: "Kept for", by: (row) => row.kept_for, cell: (row) => (row.errors_count ? <span class="tag bad">■ error</span> : <span class="tag">{WHY[row.kept_for] ?? row.kept_for}</span>) },
        { name: "Spans", n: true, by: (row) => row.spans_count, cell: (row) => count(row.spans_count) },
        { name: "Services", cell: (row) => row.services.join(", ") },
      ]}
    />
  );
}
