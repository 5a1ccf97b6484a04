// The pieces every page is made of.
import type { ComponentChildren } from "preact";
import { type Asked, connection } from "../api";
import { percent } from "../format";

export function Panel(props: {
  title: string;
  note?: ComponentChildren;
  tools?: ComponentChildren;
  flush?: boolean;
  children: ComponentChildren;
}) {
  return (
    <section class={props.flush ? "panel flush" : "panel"} aria-label={props.title}>
      <header>
        <h2>{props.title}</h2>
        {props.note ? <span class="note">{props.note}</span> : null}
        {props.tools ? <span class="push">{props.tools}</span> : null}
      </header>
      <div class="body">{props.children}</div>
    </section>
  );
}

/** Says what is missing and what to do about it. */
export function Empty(props: { title: string; children: ComponentChildren }) {
  return (
    <p class="empty">
      <b>{props.title}</b>
      {props.children}
    </p>
  );
}

/** A sentence of the API: what stands between backticks is code. */
export function Words(props: { text: string }) {
  return <>{props.text.split("`").map((part, index) => (index % 2 ? <code key={index}>{part}</code> : part))}</>;
}

/** What went wrong, and one thing to do. */
export function Problem(props: { text: string; hint: string }) {
  const first = props.text.charAt(0).toUpperCase() + props.text.slice(1);
  return (
    <>
      <b><Words text={first} />.</b> <Words text={props.hint} />{props.hint && !props.hint.endsWith("`") ? "." : ""}
    </>
  );
}

/**
 * What was asked for, or why it is not there. What was there before stays while it is asked again.
 * That nobody answers at all is told once, above the page.
 */
export function Shown<T>(props: { asked: Asked<T>; children: (value: T) => ComponentChildren }) {
  const { value, problem } = props.asked;
  const told = problem && !(problem.status === 0 && connection.value === "lost");
  return (
    <>
      {told ? <div class="alarm" role="alert"><Problem text={problem.text} hint={problem.hint} /></div> : null}
      {value !== null ? props.children(value) : problem ? null : <p class="loading" role="status">Asking …</p>}
    </>
  );
}

export function Figures(props: { items: { name: string; value: string; unit?: string; tone?: string; href?: string }[] }) {
  return (
    <dl class="figures">
      {props.items.map((item) => (
        <div key={item.name}>
          <dt>{item.name}</dt>
          <dd class={item.tone ?? ""}>
            {item.tone === "is-bad" ? "■ " : item.tone === "is-warn" ? "▲ " : ""}
            {item.href ? <a href={item.href}>{item.value}</a> : item.value}
            {item.unit ? <small>{item.unit}</small> : null}
          </dd>
        </div>
      ))}
    </dl>
  );
}

export function Choices<T extends string>(props: {
  label: string;
  options: readonly T[];
  names?: Partial<Record<T, string>>;
  value: string;
  onChoose: (value: T) => void;
}) {
  return (
    <span class="choices" role="group" aria-label={props.label}>
      {props.options.map((option) => (
        <button type="button" key={option} aria-pressed={option === props.value} onClick={() => props.onChoose(option)}>
          {props.names?.[option] ?? option}
        </button>
      ))}
    </span>
  );
}

export function tone(value: number | null | undefined, warn: number, bad: number): "" | "warn" | "bad" {
  if (value === null || value === undefined) return "";
  return value >= bad ? "bad" : value >= warn ? "warn" : "";
}

/** The sign before a number that is too high, so that its colour is not all that tells it. */
export function signed(kind: "" | "warn" | "bad", text: string): ComponentChildren {
  return kind ? <span class={`is-${kind}`}>{kind === "bad" ? "■ " : "▲ "}{text}</span> : text;
}

/** The share of calls that failed. */
export function Failing(props: { percent: number | null }) {
  return <>{signed(tone(props.percent, 1, 5), percent(props.percent))}</>;
}

/** A number with a bar beside it, so that the eye finds the large ones. */
export function Share(props: { percent: number | null; text: ComponentChildren; kind?: string }) {
  const width = Math.max(0, Math.min(100, props.percent ?? 0));
  if (props.percent === null) return <>{props.text}</>;
  return (
    <>
      {props.text}
      <span class={`share ${props.kind ?? ""}`} aria-hidden="true">
        <i style={{ width: `${width}%` }} />
      </span>
    </>
  );
}
