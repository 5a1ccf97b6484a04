// A change in two steps: what it would do and how it is typed in a terminal, then the change itself.
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { post, refusal } from "../api";
import type { Outcome } from "../shapes";
import { tick } from "../time";
import { Problem, Words } from "./panel";
import { Command } from "./twin";

export interface Change {
  /** Where it is sent to, below /api. */
  path: string;
  body: unknown;
  /** What it will do, as a sentence. */
  text: string;
  /** The same in a terminal. */
  command: string;
}

export interface Course {
  change: Change | null;
  isBusy: boolean;
  done: Outcome | null;
}

const IDLE: Course = { change: null, isBusy: false, done: null };

export function useCourse(): Signal<Course> {
  return useSignal<Course>(IDLE);
}

/** Asks for a change; nothing happens before the reader says so once more, in `Asking`. */
export function Ask(props: { course: Signal<Course>; change: Change; children: string; about?: string }) {
  const { course, change } = props;
  return (
    <button type="button" class="button" disabled={course.value.isBusy} onClick={() => (course.value = { ...IDLE, change })}>
      {props.children} …{props.about ? <span class="hidden"> {props.about}</span> : null}
    </button>
  );
}

async function send(course: Signal<Course>, change: Change): Promise<void> {
  course.value = { change, isBusy: true, done: null };
  let done: Outcome;
  try {
    done = await post<Outcome>(change.path, change.body);
  } catch (problem) {
    const { text, hint } = refusal(problem);
    done = { is_done: false, steps: [], problem: { text, hint } };
  }
  course.value = { change, isBusy: false, done };
  tick.value += 1;
}

/** What is asked for, where the keyboard goes on, and what became of it. */
export function Asking(props: { course: Signal<Course> }) {
  const { change, isBusy, done } = props.course.value;
  const here = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (change) here.current?.focus();
  }, [change, isBusy, done]);
  const leave = () => {
    here.current?.focus();
    props.course.value = IDLE;
  };
  return (
    <div class={change ? "changes" : ""} role="status" tabindex={-1} ref={here}>
      {change ? (
        <div class="outcome">
          {done ? null : <p><Words text={change.text} /></p>}
          {isBusy ? <p>Changing …</p> : null}
          {done?.steps.map((step) => <p key={step}><Words text={step} /></p>)}
          {done?.problem ? <p class="is-bad">■ <Problem text={done.problem.text} hint={done.problem.hint} /></p> : null}
          {done || isBusy ? null : <p class="state">nothing has been changed yet</p>}
          {done && !done.problem ? <p class="state">done</p> : null}
          {isBusy || (done && !done.problem) ? null : (
            <p class="offer">
              <button type="button" class="button main-action" onClick={() => void send(props.course, change)}>{done ? "Try again" : "Do it"}</button>
              <button type="button" class="button" onClick={leave}>Leave it</button>
              <Command text={change.command} />
            </p>
          )}
        </div>
      ) : null}
    </div>
  );
}
