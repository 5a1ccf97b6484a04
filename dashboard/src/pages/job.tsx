// One job, and the dead letters that died of the same.
import { useEffect } from "preact/hooks";
import { useAsked } from "../api";
import { ago, moment, NONE } from "../format";
import { Ask, Asking, type Change, useCourse } from "../parts/change";
import { Empty, Figures, Panel, Shown } from "../parts/panel";
import { type Column, Table } from "../parts/table";
import { place, subject, to } from "../place";
import type { Job, JobFound, Letter, Letters } from "../shapes";
import { Ago, ALWAYS, IsAway, MayNot } from "./jobs";

const TONES: Record<string, string> = { dead: "is-bad", expired: "is-warn", cancelled: "is-warn" };
const STOPPABLE = ["ready", "running", "held", "later"];

export function JobPage(props: { id: string }) {
  const asked = useAsked<JobFound>(() => `jobs/${encodeURIComponent(props.id)}`, ALWAYS);
  return (
    <Shown asked={asked.value}>
      {(found) => (
        <>
          <IsAway problem={found.problem} />
          {found.job ? <One job={found.job} may={found.may_change} /> : null}
        </>
      )}
    </Shown>
  );
}

function cancelling(job: Job): Change {
  return {
    path: "jobs",
    body: { id: job.id },
    text: job.state === "running" ? "It runs, and will be asked to stop; its result then no longer counts." : "It waits, and will not be started.",
    command: `outgrow jobs cancel ${job.id}`,
  };
}

function One(props: { job: Job; may: boolean }) {
  const { job, may } = props;
  const course = useCourse();
  useEffect(() => {
    subject.value = job.kind;
  }, [job.kind]);
  const isOpen = STOPPABLE.includes(job.state);
  const facts: [string, string][] = [
    ["Id", job.id],
    ["Queue", job.queue],
    ["Key", job.key ?? ""],
    ["Priority", job.priority ? String(job.priority) : ""],
    ["Came", when(job.enqueued_at_ms)],
    ["May start", isOpen ? when(job.run_at_ms) : ""],
    ["Last attempt", when(job.started_at_ms)],
    ["Ended", when(job.finished_at_ms)],
  ];
  return (
    <>
      <Figures
        items={[
          { name: "State", value: job.state, tone: TONES[job.state] ?? "" },
          { name: "Attempt", value: String(job.attempt), unit: job.attempts_max ? `of ${job.attempts_max}` : "" },
          job.finished_at_ms === null ? { name: "Came", value: passed(job.enqueued_at_ms) } : { name: "Ended", value: passed(job.finished_at_ms) },
          { name: "Progress", value: share(job.progress) ?? (job.progress === null ? NONE : "below") },
        ]}
      />
      <Panel
        title="Job"
        note={job.is_cancelled && isOpen ? "somebody has asked it to stop" : ""}
        tools={isOpen && may && !job.is_cancelled ? <Ask course={course} change={cancelling(job)}>Cancel the job</Ask> : null}
      >
        <dl class="facts">
          {facts.filter(([, value]) => value).map(([name, value]) => [<dt key={name}>{name}</dt>, <dd key={`${name} is`}>{value}</dd>])}
        </dl>
        <Asking course={course} />
        {isOpen ? <MayNot may={may} /> : null}
      </Panel>
      {job.failure ? (
        <Panel title="What the last attempt failed with" tools={job.state === "dead" ? <a class="button" href={to("jobs", `dead/${job.fingerprint}`)}>Its dead letters</a> : null}>
          <p><code>{job.failure}</code></p>
          <pre>{job.text}</pre>
        </Panel>
      ) : null}
      {job.progress === null || share(job.progress) ? null : <Panel title="Progress"><pre>{job.progress}</pre></Panel>}
      {job.result === null ? null : <Panel title="Result"><pre>{job.result}</pre></Panel>}
    </>
  );
}

function when(atMs: number | null): string {
  return atMs === null ? "" : moment(atMs);
}

function passed(atMs: number | null): string {
  return atMs === null ? NONE : ago(atMs, Date.now());
}

/** A number from 0 to 1 as a share; null for anything else. */
function share(progress: string | null): string | null {
  const value = progress === null ? Number.NaN : Number(progress);
  return value >= 0 && value <= 1 ? `${Math.round(100 * value)} %` : null;
}

export function DeadPage(props: { fingerprint: string }) {
  const { fingerprint } = props;
  const course = useCourse();
  const before = place.value.query.get("before") ?? "";
  const asked = useAsked<Letters>(() => `dead/${encodeURIComponent(fingerprint)}`, () => ({ ...ALWAYS(), before: place.value.query.get("before") }));
  const last = asked.value.value?.letters[0];
  useEffect(() => {
    subject.value = last?.failure ?? "Dead letters";
  }, [last?.failure]);
  return (
    <Shown asked={asked.value}>
      {(found) => (
        <>
          <IsAway problem={found.problem} />
          {last ? <Panel title={last.failure}><pre>{last.text}</pre></Panel> : null}
          <Panel
            title="Dead letters"
            note="the last first"
            tools={found.may_change && found.letters.length ? (
              <>
                <Ask course={course} change={clearing("replay", fingerprint)}>Try all again</Ask>{" "}
                <Ask course={course} change={clearing("discard", fingerprint)}>Discard all</Ask>
              </>
            ) : null}
            flush
          >
            <Asking course={course} />
            {found.letters.length ? <Table caption="Dead letters" rows={found.letters} id={(row) => String(row.number)} columns={columns(found.may_change, course)} /> : found.problem ? null : <Empty title="There are none">They were tried again or discarded.</Empty>}
            {before || found.before !== null ? (
              <p class="more">
                {before ? <a class="button" href={to("jobs", `dead/${fingerprint}`)}>The last</a> : null}{" "}
                {found.before === null ? null : <a class="button" href={to("jobs", `dead/${fingerprint}`, { before: String(found.before) })}>Older ones</a>}
              </p>
            ) : null}
            {found.letters.length ? <MayNot may={found.may_change} /> : null}
          </Panel>
        </>
      )}
    </Shown>
  );
}

type Verb = "replay" | "discard";

function clearing(verb: Verb, fingerprint: string, number?: number): Change {
  const what = number === undefined ? "All dead letters that died of this" : `The dead letter ${number}`;
  return {
    path: "dead",
    body: number === undefined ? { do: verb, fingerprint } : { do: verb, numbers: [number] },
    text: `${what} will be ${verb === "replay" ? "tried again, with all attempts" : "forgotten, and cannot be tried again"}.`,
    command: `outgrow jobs ${verb} ${number ?? fingerprint}`,
  };
}

function columns(may: boolean, course: ReturnType<typeof useCourse>): Column<Letter>[] {
  const found: Column<Letter>[] = [
    {
      name: "What",
      wide: true,
      by: (row) => row.name,
      cell: (row) => (
        <>
          {row.kind === "job" ? <a href={to("jobs", row.id)}>{row.name}</a> : row.name} <span class="mono note">{row.id.slice(-8)}</span>
          <span class="under">{row.text.split("\n")[0]}</span>
        </>
      ),
    },
    { name: "Number", n: true, by: (row) => row.number, cell: (row) => row.number },
    { name: "From", title: "Queue or subscription", by: (row) => row.source, cell: (row) => row.source },
    { name: "Attempts", n: true, by: (row) => row.attempts, cell: (row) => row.attempts },
    { name: "Died", n: true, by: (row) => row.died_at_ms, cell: (row) => <Ago at={row.died_at_ms} /> },
  ];
  if (may) {
    found.push({
      name: "Change",
      cell: (row) => (
        <span class="pair">
          <Ask course={course} change={clearing("replay", "", row.number)} about={`number ${row.number}`}>Try again</Ask>{" "}
          <Ask course={course} change={clearing("discard", "", row.number)} about={`number ${row.number}`}>Discard</Ask>
        </span>
      ),
    });
  }
  return found;
}
