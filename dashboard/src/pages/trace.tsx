// One trace: its spans as a waterfall, the chain that made it last so long, logs in their place.
import { useSignal } from "@preact/signals";
import { Fragment } from "preact";
import { useAsked } from "../api";
import { count, moment, ms, severity } from "../format";
import { Empty, Figures, Panel, Shown } from "../parts/panel";
import { to } from "../place";
import type { LogLine, Span, Trace } from "../shapes";
import { SeverityTag } from "./logs";

const SPANS_MAX = 500;

export function TracePage(props: { id: string }) {
  const asked = useAsked<Trace>(() => `traces/${props.id}`);
  return (
    <Shown asked={asked.value}>
      {(trace) =>
        trace.spans.length ? (
          <Whole trace={trace} />
        ) : (
          <Empty title="This trace is not kept">Errors, the slowest and samples are kept for some days; the rest is only counted.</Empty>
        )
      }
    </Shown>
  );
}

function Whole(props: { trace: Trace }) {
  const { trace } = props;
  const open = useSignal<string>("");
  const errors = trace.spans.filter((span) => span.is_error).length;
  const sql = trace.spans.filter((span) => kindOf(span) === "database");
  const first = trace.spans[0];
  const toggle = (id: string) => (open.value = open.value === id ? "" : id);
  const shown = trace.spans.slice(0, SPANS_MAX);
  return (
    <>
      <Figures
        items={[
          { name: "Began", value: moment(trace.at_ms) },
          { name: "Duration", value: ms(trace.duration_ms) },
          { name: "Spans", value: count(trace.spans.length) },
          { name: "Errors", value: count(errors), tone: errors ? "is-bad" : "" },
          { name: "SQL", value: count(sql.length), ...(sql.length ? { unit: `in ${ms(sql.reduce((sum, span) => sum + span.duration_ms, 0))}` } : {}) },
          { name: "Log lines", value: count(trace.logs.length) },
        ]}
      />
      <Panel title="Waterfall" note="the dark line is the critical path: what the answer waited for" tools={<Keys />} flush>
        <div class="falls">
          <div class="scale" aria-hidden="true">
            <span />
            <span class="ticks"><span>0</span><span>{ms(trace.duration_ms / 4)}</span><span>{ms(trace.duration_ms / 2)}</span><span>{ms((trace.duration_ms * 3) / 4)}</span><span>{ms(trace.duration_ms)}</span></span>
            <span />
          </div>
          {shown.map((span) => (
            <Fragment key={span.span_id}>
              <Row span={span} total={trace.duration_ms} open={open.value === span.span_id} onOpen={() => toggle(span.span_id)} />
              {open.value === span.span_id ? <Detail span={span} logs={trace.logs.filter((line) => line.span_id === span.span_id)} /> : null}
              {open.value === span.span_id ? null : trace.logs.filter((line) => line.span_id === span.span_id).map((line, index) => <Line key={index} line={line} span={span} start={trace.at_ms} />)}
            </Fragment>
          ))}
          {trace.logs.filter((line) => !shown.some((span) => span.span_id === line.span_id)).map((line, index) => (
            <Line key={index} line={line} start={trace.at_ms} />
          ))}
        </div>
        {trace.spans.length > SPANS_MAX ? <p class="more note">{count(trace.spans.length - SPANS_MAX)} more spans are not drawn.</p> : null}
      </Panel>
      <p class="note">
        <a href={to("logs", "", { trace_id: trace.trace_id })}>Its log lines</a>
        {first ? <> · <a href={to("operations", first.name)}>{first.name} over time</a></> : null}
        {first?.kept_for ? ` · kept as ${first.kept_for}` : ""}
      </p>
    </>
  );
}

const KEYS: [string, string][] = [["in the app", "series-1"], ["SQL", "series-2"], ["outside", "series-3"], ["■ failed", "bad"]];

function Keys() {
  return (
    <span class="legend">
      {KEYS.map(([name, ink]) => (
        <span class="key" key={name}>
          <svg viewBox="0 0 18 8" aria-hidden="true"><rect width="18" height="8" opacity="0.5" style={{ fill: `var(--${ink})` }} /></svg>
          {name}
        </span>
      ))}
    </span>
  );
}

function kindOf(span: Span): "database" | "outside" | "" {
  if ("db.query.text" in span.attributes || "db.statement" in span.attributes || "db.system.name" in span.attributes || "db.system" in span.attributes) return "database";
  return span.kind === 3 && ["server.address", "url.full", "http.request.method"].some((name) => name in span.attributes) ? "outside" : "";
}

function Row(props: { span: Span; total: number; open: boolean; onOpen: () => void }) {
  const { span, total } = props;
  const part = (value: number) => `${(100 * value) / (total || 1)}%`;
  const key = (event: KeyboardEvent) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    props.onOpen();
  };
  const critical = span.critical.reduce((sum, [from, until]) => sum + until - from, 0);
  const spoken = [`after ${ms(span.offset_ms)}`, critical ? `${ms(critical)} on the critical path` : "", span.is_error ? "failed" : ""];
  return (
    <div class={`row ${props.open ? "open" : ""}`} role="button" tabindex={0} aria-expanded={props.open} onClick={props.onOpen} onKeyDown={key}>
      <div class="what" style={{ paddingLeft: `${12 + Math.min(span.depth, 12) * 14}px` }}>
        {span.is_error ? <span class="is-bad">■ </span> : null}
        {span.name}
        <span class="where">{span.service}{span.worker ? ` · ${span.worker}` : ""}</span>
      </div>
      <div class="track">
        <svg aria-hidden="true">
          <rect class={`span ${kindOf(span)} ${span.is_error ? "error" : ""}`} x={part(span.offset_ms)} y="22%" height="56%" style={{ width: `max(2px, ${part(span.duration_ms)})` }} />
          {span.critical.map(([from, until]) => (
            <rect key={from} class="critical" x={part(from)} y="70%" height="2.5" style={{ width: `max(1px, ${part(until - from)})` }} />
          ))}
        </svg>
      </div>
      <div class="time">{ms(span.duration_ms)}<span class="hidden"> {spoken.filter(Boolean).join(", ")}</span></div>
    </div>
  );
}

function Line(props: { line: LogLine; span?: Span; start: number }) {
  return (
    <div class="row said">
      <div class="logline" style={{ paddingLeft: `${26 + Math.min(props.span?.depth ?? 0, 12) * 14}px` }}>
        <SeverityTag severity={props.line.severity} /> +{ms(props.line.at_ms - props.start)} {props.line.text}
      </div>
    </div>
  );
}

function Detail(props: { span: Span; logs: LogLine[] }) {
  const { span } = props;
  const sql = span.attributes["db.query.text"] ?? span.attributes["db.statement"];
  const rest = Object.entries(span.attributes).filter(([name]) => name !== "db.query.text" && name !== "db.statement");
  return (
    <div class="detail">
      {span.message ? <p class="is-bad">{span.message}</p> : null}
      {sql ? <pre>{String(sql)}</pre> : null}
      <dl class="facts">
        <dt>Span</dt><dd class="mono">{span.span_id}</dd>
        <dt>After</dt><dd>{ms(span.offset_ms)}</dd>
        {rest.map(([name, value]) => (
          <Fragment key={name}>
            <dt>{name}</dt><dd>{String(value)}</dd>
          </Fragment>
        ))}
      </dl>
      {span.events.map((event) => (
        <div key={event.name + event.offset_ms}>
          <p><b>{event.name}</b> <span class="note">+{ms(event.offset_ms)}</span></p>
          {Object.entries(event.attributes).map(([name, value]) => <pre key={name}>{name === "exception.stacktrace" ? "" : `${name}: `}{String(value)}</pre>)}
        </div>
      ))}
      {props.logs.map((line, index) => (
        <p key={index}>{severity(line.severity)} {line.text}</p>
      ))}
    </div>
  );
}
