// Durable work: queues, subscriptions, jobs by state, and what used up its attempts.
import { useAsked } from "../api";
import { ago, clock, count, moment, ms, NONE, percent, seconds } from "../format";
import { Chart } from "../parts/chart";
import { Ask, Asking, type Change, useCourse } from "../parts/change";
import { Empty, Panel, Problem, Shown, signed, Words } from "../parts/panel";
import { type Column, Table } from "../parts/table";
import { quote } from "../parts/twin";
import { ask, place, to } from "../place";
import type { DeadLetters, Job, Jobs, Problem as Away, Queue, QueueLine, Queues, QueueSeries, Subscription } from "../shapes";

/** Of what is, not of a period. */
export const ALWAYS = () => ({ from: "", to: "" });
const STATES: Job["state"][] = ["ready", "running", "held", "later", "done", "cancelled", "expired", "dead"];
const PAGE = 50;

export function JobsPage() {
  const asked = useAsked<Queues>(() => "queues", ALWAYS);
  return (
    <Shown asked={asked.value}>
      {(found) => {
        if (found.state === "none") return <Panel title="Events and jobs" flush><None problem={found.problem} /></Panel>;
        if (found.state === "away") return <IsAway problem={found.problem} />;
        return (
          <>
            <QueuesPanel found={found} />
            <Over />
            <Dead found={found} />
            <Subscriptions found={found} />
            <List queues={found.queues} />
          </>
        );
      }}
    </Shown>
  );
}

function None(props: { problem: Away | null }) {
  const { text = "", hint = "" } = props.problem ?? {};
  return <Empty title={text.charAt(0).toUpperCase() + text.slice(1)}><Words text={hint} />.</Empty>;
}

/** Whoever keeps durable work does not answer; the page goes on asking. */
export function IsAway(props: { problem: Away | null }) {
  return props.problem ? <div class="alarm" role="alert"><Problem text={props.problem.text} hint={props.problem.hint} /></div> : null;
}

export function Ago(props: { at: number | null }) {
  return props.at === null ? <>{NONE}</> : <span title={moment(props.at)}>{ago(props.at, Date.now())}</span>;
}

export function MayNot(props: { may: boolean }) {
  return props.may ? null : <p class="more note">Your token may look, not change.</p>;
}

function pausing(kind: "queue" | "subscription", name: string, isPaused: boolean): Change {
  const effect = kind === "queue" ? "No job of" : "No event is given to";
  return {
    path: "queues",
    body: { kind, name, is_paused: isPaused },
    text: isPaused
      ? kind === "queue" ? `${effect} \`${name}\` will be started. What runs goes on.` : `${effect} \`${name}\` any more. What it has goes on.`
      : `\`${name}\` goes on where it was paused.`,
    command: `outgrow jobs ${isPaused ? "pause" : "resume"} ${quote(name)}`,
  };
}

function State(props: { isPaused: boolean }) {
  return props.isPaused ? signed("warn", "paused") : <>open</>;
}

function QueuesPanel(props: { found: Queues }) {
  const { found } = props;
  const course = useCourse();
  const columns: Column<Queue>[] = [
    {
      name: "Queue",
      wide: true,
      by: (row) => row.name,
      cell: (row) => <><a href={to("jobs", "", { queue: row.name })}>{row.name}</a>{row.slots === null ? null : <span class="under">{row.slots} at once</span>}</>,
    },
    { name: "Waiting", title: "Could start", n: true, by: (row) => row.ready_count, cell: (row) => count(row.ready_count) },
    { name: "Oldest", title: "For how long the first of these has waited", n: true, by: (row) => row.oldest_at_ms && -row.oldest_at_ms, cell: (row) => (row.oldest_at_ms === null ? "" : seconds(Math.max(0, Date.now() - row.oldest_at_ms) / 1000)) },
    { name: "Running", n: true, by: (row) => row.running_count, cell: (row) => count(row.running_count) },
    { name: "Held", title: "Wait for the limit of their key", n: true, by: (row) => row.held_count, cell: (row) => count(row.held_count) },
    { name: "Later", title: "Their time has not come", n: true, by: (row) => row.later_count, cell: (row) => count(row.later_count) },
    { name: "State", cell: (row) => <State isPaused={row.is_paused} /> },
  ];
  if (found.may_change) columns.push({ name: "Change", cell: (row) => <Ask course={course} change={pausing("queue", row.name, !row.is_paused)} about={row.name}>{row.is_paused ? "Resume" : "Pause"}</Ask> });
  return (
    <Panel title="Queues" note="counts stop at 10,000" flush>
      {found.queues.length ? <Table caption="Queues" rows={found.queues} id={(row) => row.name} first="Waiting" columns={columns} /> : <Empty title="Nothing was enqueued so far">A queue is here once it has had a job.</Empty>}
      <Asking course={course} />
      <MayNot may={found.may_change} />
    </Panel>
  );
}

/** The last hour of the queues and subscriptions of which most waited, a line each. */
function Over() {
  const asked = useAsked<QueueSeries>(() => "queues/series", () => ({ from: "-1h", to: "", limit: INKS.length }));
  return <Shown asked={asked.value}>{(found) => (found.queues.length ? <Lines series={found} /> : null)}</Shown>;
}

function Lines(props: { series: QueueSeries }) {
  const { queues, queues_count } = props.series;
  const first = begin(queues);
  const times_ms = props.series.times_ms.slice(first);
  const note = [
    queues_count > queues.length ? `the ${queues.length} of ${queues_count} of which most waited` : "",
    first ? `since ${clock(times_ms[0] ?? 0)}` : "the last hour",
  ].filter(Boolean).join(", ");
  return (
    <div class="grid">
      {MEASURES.map(([title, text, values, show, max = 0]) => (
        <Panel key={title} title={title} note={`${text}; ${note}`}>
          <Chart
            title={`${title} by queue`}
            times_ms={times_ms}
            marks={props.series.marks}
            show={show}
            max={max}
            lines={queues.map((queue, number) => ({ ...INKS[number % INKS.length]!, name: queue.name, values: values(queue).slice(first) }))}
          />
        </Panel>
      ))}
    </div>
  );
}

/** The step before the first of which something is known; 0 where that is none. */
function begin(queues: QueueLine[]): number {
  const known = queues.flatMap((queue) => [queue.busy_percent, queue.waiting].map((values) => values.findIndex((value) => value !== null)));
  const firsts = known.filter((first) => first >= 0);
  return firsts.length ? Math.max(0, Math.min(...firsts) - 1) : 0;
}

/** Three colours, each as a line and dashed. */
const INKS = ["series-1", "series-2", "series-3"].flatMap((ink) => [{ ink }, { ink, dash: [5, 3] }]);

/** Title, what it is, its values, how they are shown, and how far the axis reaches at least. */
const MEASURES: [string, string, (queue: QueueLine) => (number | null)[], (value: number | null) => string, number?][] = [
  ["Slots taken", "of all workers", (queue) => queue.busy_percent, percent, 100],
  ["Late", "p95: from when work was due to when it began", (queue) => queue.wait_p95_ms, ms],
  ["Backlog", "what could start and waits", (queue) => queue.waiting, (value) => (value === null ? NONE : count(value))],
  ["Dead", "dead letters that are there", (queue) => queue.dead, (value) => (value === null ? NONE : count(value))],
];

function Subscriptions(props: { found: Queues }) {
  const { found } = props;
  const course = useCourse();
  if (!found.subscriptions.length) return null;
  const columns: Column<Subscription>[] = [
    { name: "Subscription", wide: true, by: (row) => row.name, cell: (row) => row.name },
    { name: "Event", by: (row) => row.event, cell: (row) => row.event },
    { name: "Unread", n: true, by: (row) => row.unread_count, cell: (row) => count(row.unread_count) },
    { name: "Parked", title: "Wait for another try, or behind one that does", n: true, by: (row) => row.parked_count, cell: (row) => count(row.parked_count) },
    { name: "State", cell: (row) => <State isPaused={row.is_paused} /> },
  ];
  if (found.may_change) columns.push({ name: "Change", cell: (row) => <Ask course={course} change={pausing("subscription", row.name, !row.is_paused)} about={row.name}>{row.is_paused ? "Resume" : "Pause"}</Ask> });
  return (
    <Panel title="Subscriptions" note="each receives every event of its kind" flush>
      <Table caption="Subscriptions" rows={found.subscriptions} id={(row) => row.name} first="Unread" columns={columns} />
      <Asking course={course} />
    </Panel>
  );
}

const GROUPS: Column<DeadLetters>[] = [
  {
    name: "Died of",
    wide: true,
    by: (row) => row.failure,
    cell: (row) => <><a href={to("jobs", `dead/${row.fingerprint}`)}>{row.failure}</a><span class="under">{row.text.split("\n")[0]}</span></>,
  },
  { name: "Letters", n: true, by: (row) => row.count, cell: (row) => count(row.count) },
  { name: "What", by: (row) => row.name, cell: (row) => row.name },
  { name: "Last", n: true, by: (row) => row.last_at_ms, cell: (row) => <Ago at={row.last_at_ms} /> },
  { name: "First", n: true, by: (row) => row.first_at_ms, cell: (row) => <Ago at={row.first_at_ms} /> },
];

function Dead(props: { found: Queues }) {
  const { dead } = props.found;
  if (!dead.length) return null;
  return (
    <Panel title="Dead letters" note="used up their attempts; the same failure at the same place is one" flush>
      <Table caption="Dead letters" rows={dead} id={(row) => row.fingerprint} first="Letters" columns={GROUPS} />
    </Panel>
  );
}

function List(props: { queues: Queue[] }) {
  const query = place.value.query;
  const state = query.get("state") ?? "ready";
  const queue = query.get("queue") ?? "";
  const after = query.get("after") ?? "";
  const asked = useAsked<Jobs>(() => "jobs", () => ({
    ...ALWAYS(),
    state: place.value.query.get("state"),
    queue: place.value.query.get("queue"),
    after: place.value.query.get("after"),
    limit: PAGE,
  }));
  const names = [...new Set([...props.queues.map((each) => each.name), ...(queue ? [queue] : [])])].sort();
  const here = { state: state === "ready" ? "" : state, queue };
  return (
    <Panel title="Jobs" note="those that came first before others" flush>
      <div class="search">
        <label>
          <span>State</span>
          <select value={state} onChange={(event) => ask({ state: event.currentTarget.value === "ready" ? "" : event.currentTarget.value, after: "" })}>
            {STATES.map((name) => <option key={name}>{name}</option>)}
          </select>
        </label>
        <label>
          <span>Queue</span>
          <select value={queue} onChange={(event) => ask({ queue: event.currentTarget.value, after: "" })}>
            <option value="">All</option>
            {names.map((name) => <option key={name}>{name}</option>)}
          </select>
        </label>
      </div>
      <Shown asked={asked.value}>
        {(found) => (
          <>
            <IsAway problem={found.problem} />
            {found.jobs.length ? <Table caption="Jobs" rows={found.jobs} id={(row) => row.id} columns={COLUMNS} /> : found.problem ? null : <Empty title={`No ${after ? "more " : ""}jobs are ${state}${queue ? ` in ${queue}` : ""}`}>{after ? "Go back to the first." : "Choose another state above."}</Empty>}
            {after || found.after ? (
              <p class="more paging">
                {after ? <a class="button" href={to("jobs", "", here)}>The first</a> : null}{" "}
                {found.after ? <a class="button" href={to("jobs", "", { ...here, after: found.after })}>The next {PAGE}</a> : null}
              </p>
            ) : null}
          </>
        )}
      </Shown>
    </Panel>
  );
}

/** When the state that it is in began. */
function since(job: Job): number | null {
  return job.finished_at_ms ?? (job.state === "running" ? job.started_at_ms : null) ?? job.enqueued_at_ms;
}

const COLUMNS: Column<Job>[] = [
  {
    name: "Job",
    wide: true,
    by: (row) => row.kind,
    cell: (row) => (
      <>
        <a href={to("jobs", row.id)}>{row.kind} <span class="mono note">{row.id.slice(-8)}</span></a>
        {row.text ? <span class="under">{row.text.split("\n")[0]}</span> : null}
      </>
    ),
  },
  { name: "Queue", by: (row) => row.queue, cell: (row) => row.queue },
  { name: "Attempt", n: true, by: (row) => row.attempt, cell: (row) => (row.attempts_max ? `${row.attempt} of ${row.attempts_max}` : row.attempt) },
  { name: "Since", n: true, by: since, cell: (row) => <Ago at={since(row)} /> },
];
