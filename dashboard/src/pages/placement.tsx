// Who runs where, and the form that changes it: a plan first, then the change, then what it did.
import { type Signal, useSignal } from "@preact/signals";
import { post, refusal } from "../api";
import { percent } from "../format";
import { Empty, Panel, Problem, Share, signed, tone, Words } from "../parts/panel";
import { Command, quote } from "../parts/twin";
import type { Group, Outcome, Placement } from "../shapes";
import { tick } from "../time";

interface Wish {
  moves?: string[];
  workers?: string;
  undo?: boolean;
  reload?: boolean;
}

/** What was asked for: `shown` is the plan, `done` what became of it. */
interface Course {
  wish: Wish | null;
  busy: "" | "planning" | "changing";
  shown: Outcome | null;
  done: Outcome | null;
}

const IDLE: Course = { wish: null, busy: "", shown: null, done: null };

export function PlacementPanel(props: { placement: Placement }) {
  const { placement } = props;
  if (placement.state === "none") {
    return (
      <Panel title="Placement" flush>
        <Empty title="No supervisor answers here">
          These workers were started elsewhere. Services are moved there, by <code>outgrow apply --move SERVICE=GROUP</code>.
        </Empty>
      </Panel>
    );
  }
  const restarts = placement.restarts === 1 ? "1 restart" : `${placement.restarts} restarts`;
  return (
    <Panel title="Placement" note={`version ${placement.version}, ${placement.state}, ${restarts}`} flush>
      <div class="scroll" tabindex={0} role="region" aria-label="Groups">
        <table>
          <thead>
            <tr><th scope="col">Group</th><th scope="col" class="wide">Runs</th><th scope="col" class="n">Workers</th><th scope="col" class="n">Busy</th></tr>
          </thead>
          <tbody>{placement.groups.map((group) => <Row key={group.name} group={group} />)}</tbody>
        </table>
      </div>
      {placement.may_change ? <Changes groups={placement.groups} /> : <p class="more note">Your token may look, not change.</p>}
    </Panel>
  );
}

function Row(props: { group: Group }) {
  const { group } = props;
  const [least, most] = [group.replicas_min, group.replicas_max];
  const kind = tone(group.busy_percent, 60, 80);
  return (
    <tr>
      <th scope="row">{group.name}</th>
      <td class="wide">{group.runs.join(", ")}</td>
      <td class="n">{group.ready}{least === most ? (group.ready === most ? "" : ` of ${most}`) : <span class="note"> ({least} to {most})</span>}</td>
      <td class="n"><Share percent={group.busy_percent} text={signed(kind, percent(group.busy_percent))} kind={kind} /></td>
    </tr>
  );
}

async function send(course: Signal<Course>, wish: Wish, is_only_shown: boolean): Promise<void> {
  course.value = { ...IDLE, wish, busy: is_only_shown ? "planning" : "changing", shown: is_only_shown ? null : course.value.shown };
  let outcome: Outcome;
  try {
    outcome = await post<Outcome>("placement", { ...wish, is_only_shown });
  } catch (problem) {
    const { text, hint } = refusal(problem);
    outcome = { is_done: false, steps: [], problem: { text, hint } };
  }
  course.value = { ...course.value, busy: "", [is_only_shown ? "shown" : "done"]: outcome };
  tick.value += 1;
}

function Changes(props: { groups: Group[] }) {
  const { groups } = props;
  const course = useSignal<Course>(IDLE);
  const services = groups.flatMap((group) => group.runs.map((name) => ({ name, group: group.name }))).filter((each) => each.name !== "web");
  const service = useSignal(services[0]?.name ?? "");
  const target = useSignal("");
  const sized = useSignal(groups[0]?.name ?? "");
  const size = useSignal("");
  const busy = course.value.busy !== "";
  const plan = (wish: Wish) => void send(course, wish, true);
  const again = () => (course.value = IDLE);
  return (
    <div class="changes">
      {services.length ? (
        <form class="form" aria-label="Move a service" onInput={again} onSubmit={(event) => { event.preventDefault(); plan({ moves: [`${service.value}=${target.value.trim()}`] }); }}>
          <label>
            <span>Move the service</span>
            <select value={service.value} onChange={(event) => (service.value = event.currentTarget.value)}>
              {services.map((each) => <option key={each.name} value={each.name}>{each.name} (in {each.group})</option>)}
            </select>
          </label>
          <label>
            <span>into a group, or a new one</span>
            <input type="text" list="groups" maxLength={60} required value={target.value} onInput={(event) => (target.value = event.currentTarget.value)} />
            <datalist id="groups">{groups.map((group) => <option key={group.name} value={group.name} />)}</datalist>
          </label>
          <button type="submit" class="button" disabled={busy || !target.value.trim()}>Show the plan</button>
        </form>
      ) : null}
      <form class="form" aria-label="Change the number of workers" onInput={again} onSubmit={(event) => { event.preventDefault(); plan({ workers: `${sized.value}=${size.value.trim()}` }); }}>
        <label>
          <span>Workers of the group</span>
          <select value={sized.value} onChange={(event) => (sized.value = event.currentTarget.value)}>
            {groups.map((group) => <option key={group.name}>{group.name}</option>)}
          </select>
        </label>
        <label>
          <span>2, 1:4 or auto</span>
          <input type="text" maxLength={12} required value={size.value} onInput={(event) => (size.value = event.currentTarget.value)} />
        </label>
        <button type="submit" class="button" disabled={busy || !size.value.trim()}>Show the plan</button>
      </form>
      <div class="form">
        <button type="button" class="button" disabled={busy} onClick={() => plan({ reload: true })}>Reload the app …</button>
        <button type="button" class="button" disabled={busy} onClick={() => plan({ undo: true })}>Undo the last change …</button>
      </div>
      <div role="status"><Progress course={course} /></div>
    </div>
  );
}

function Progress(props: { course: Signal<Course> }) {
  const { wish, busy, shown, done } = props.course.value;
  if (!wish) return null;
  if (busy === "planning") return <p class="outcome">Asking what would change …</p>;
  if (busy === "changing") return <p class="outcome">Changing … new workers start beside the old ones, and no call is lost meanwhile.</p>;
  const told = done ?? shown;
  if (!told) return null;
  const steps = told.steps.length || told.problem ? told.steps : ["new workers load the app and its settings, beside the old ones"];
  const isOffered = !done && !told.problem && !told.steps.includes("nothing changes");
  return (
    <div class="outcome">
      {steps.map((step, index) => <p key={index}><Words text={step} /></p>)}
      {told.problem ? (
        <p class="is-bad">■ <Problem text={told.problem.text} hint={told.problem.hint} /></p>
      ) : (
        <p class="state">{done ? "done" : "nothing has been changed yet"}</p>
      )}
      {isOffered ? (
        <p class="offer">
          <button type="button" class="button main-action" onClick={() => void send(props.course, wish, false)}>Do it</button>
          <button type="button" class="button" onClick={() => (props.course.value = IDLE)}>Leave it</button>
          <Command text={command(wish)} />
        </p>
      ) : null}
    </div>
  );
}

function command(wish: Wish): string {
  const moves = (wish.moves ?? []).map((move) => ` --move ${quote(move)}`).join("");
  return `outgrow apply${moves}${wish.workers ? ` --workers ${quote(wish.workers)}` : ""}${wish.undo ? " --undo" : ""}${wish.reload ? " --reload" : ""}`;
}
