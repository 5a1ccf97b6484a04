import { useSignal } from "@preact/signals";
import { get, useAsked } from "../api";
import { clock, moment, severity } from "../format";
import { Empty, Panel, Shown } from "../parts/panel";
import { ask, place, to } from "../place";
import type { LogLine, Logs, Workers } from "../shapes";
import { period } from "../time";

const LIMIT = 200;

export function LogsPage() {
  const query = () => {
    const asked = place.value.query;
    return {
      text: asked.get("text"),
      severity_min: asked.get("severity_min"),
      worker: asked.get("worker"),
      trace_id: asked.get("trace_id"),
      limit: LIMIT,
    };
  };
  const asked = useAsked<Logs>(() => "logs", query);
  const workers = useAsked<Workers>(() => "workers");
  const older = useSignal<LogLine[]>([]);
  const next = useSignal<number | null | undefined>(undefined);
  const change = (changes: Record<string, string>) => {
    older.value = [];
    next.value = undefined;
    ask(changes);
  };
  const more = async (before_ms: number) => {
    const found = await get<Logs>("logs", { ...query(), from: period.value.from, to: period.value.to, before: before_ms });
    older.value = [...older.value, ...found.lines];
    next.value = found.before_ms;
  };
  const now = query();
  return (
    <Panel title="Log lines" note="newest first" flush>
      <div class="search">
        <label class="grow">
          <span>Text</span>
          <input type="search" value={now.text ?? ""} placeholder="any" onChange={(event) => change({ text: event.currentTarget.value })} />
        </label>
        <label>
          <span>At least</span>
          <select value={now.severity_min ?? ""} onChange={(event) => change({ severity_min: event.currentTarget.value })}>
            <option value="">any</option>
            <option value="9">info</option>
            <option value="13">warning</option>
            <option value="17">error</option>
          </select>
        </label>
        <label>
          <span>Worker</span>
          <select value={now.worker ?? ""} onChange={(event) => change({ worker: event.currentTarget.value })}>
            <option value="">any</option>
            {[...new Set(workers.value.value?.workers.map((each) => each.name) ?? [])].map((each) => <option key={each}>{each}</option>)}
          </select>
        </label>
        <label class="grow">
          <span>Trace id</span>
          <input type="search" value={now.trace_id ?? ""} placeholder="any" onChange={(event) => change({ trace_id: event.currentTarget.value.trim().toLowerCase() })} />
        </label>
      </div>
      <Shown asked={asked.value}>
        {(found) => {
          const lines = [...found.lines, ...older.value];
          const before = next.value === undefined ? found.before_ms : next.value;
          return (
            <>
              {lines.length ? (
                <div role="list" aria-label="Log lines">
                  {lines.map((line, index) => <Line key={`${line.at_ms}${index}`} line={line} />)}
                </div>
              ) : (
                <Empty title={before ? "No line fits so far" : "No line fits"}>What the app logs with <code>logging</code> comes here; take back a part of the search, or choose a longer period above.</Empty>
              )}
              {before ? (
                <p class="more"><button type="button" class="button" onClick={() => void more(before)}>{lines.length ? "Show older ones" : "Search further back"}</button></p>
              ) : null}
            </>
          );
        }}
      </Shown>
    </Panel>
  );
}

export function SeverityTag(props: { severity: number }) {
  const bad = props.severity >= 17 ? "is-bad" : props.severity >= 13 ? "is-warn" : "note";
  return <span class={`severity ${bad}`}>{severity(props.severity)}</span>;
}

function Line(props: { line: LogLine }) {
  const { line } = props;
  return (
    <div class="log" role="listitem">
      <time dateTime={new Date(line.at_ms).toISOString()} title={moment(line.at_ms)}>{clock(line.at_ms, true)}</time>
      <SeverityTag severity={line.severity} />
      <span class="by" title={line.logger}>{line.worker || line.service} {line.logger}</span>
      <span class="text">{line.text}</span>
      <span>{line.trace_id ? <a href={to("traces", line.trace_id)}>trace</a> : null}</span>
      {line.traceback ? (
        <details>
          <summary>{line.exception}</summary>
          <pre>{line.traceback}</pre>
        </details>
      ) : null}
    </div>
  );
}
