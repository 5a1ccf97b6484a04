// What surrounds every page: where one can go, which period is looked at, whether it is live.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { connection, needsToken, now, post, type Refusal, refusal } from "./api";
import { clock } from "./format";
import { Choices, Problem } from "./parts/panel";
import { Twin } from "./parts/twin";
import { ask, place, subject, to } from "./place";
import { type Choice, choice, choose } from "./theme";
import { live, look, period, PERIODS, tick } from "./time";

const PAGES: [string, string][] = [
  ["now", "Now"],
  ["growth", "Growth"],
  ["operations", "Operations"],
  ["traces", "Traces"],
  ["logs", "Logs"],
  ["exceptions", "Exceptions"],
  ["databases", "Databases"],
  ["jobs", "Jobs"],
  ["workers", "Workers"],
  ["measured", "Metrics"],
  ["objectives", "Objectives"],
  ["audit", "Changes"],
];

export function titleOf(page: string): string {
  return PAGES.find(([name]) => name === page)?.[1] ?? "Not found";
}

export function Frame(props: { children: ComponentChildren }) {
  const { page, argument } = place.value;
  const app = now.value?.app ?? "";
  useEffect(() => document.querySelector(".nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" }), [page]);
  const about = subject.value || argument;
  document.title = `${about || titleOf(page)}${app ? ` · ${app}` : ""} · Outgrow`;
  return (
    <div class="frame">
      <a class="skip" href="#title" onClick={(event) => { event.preventDefault(); document.getElementById("title")?.focus(); }}>Skip to the page</a>
      <header class="side">
        <a class="brand" href={to("now")} aria-label={`Outgrow${app ? `, ${app}` : ""}`}>
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <rect width="16" height="16" rx="3.5" style={{ fill: "var(--accent)" }} />
            <path d="M3.5 12.5h2.2V9.4H3.5zM6.9 12.5h2.2V6.6H6.9zM10.3 12.5h2.2v-9h-2.2z" style={{ fill: "var(--paper)" }} />
          </svg>
          <span class="app">{app || "Outgrow"}</span>
        </a>
        <nav class="nav" aria-label="Pages">
          {PAGES.map(([name, title]) => (
            <a key={name} href={to(name)} aria-current={name === page ? "page" : undefined}>{title}</a>
          ))}
        </nav>
        <div class="foot">
          <Live />
          <label>
            <span class="hidden">Colours</span>
            <select value={choice.value} onChange={(event) => choose(event.currentTarget.value as Choice)}>
              <option value="system">As system</option>
              <option value="light">Light</option>
              <option value="dark">Dark</option>
            </select>
          </label>
        </div>
      </header>
      <main class="main">
        <div class="bar">
          <h1 id="title" tabindex={-1}>
            {argument ? <><a class="back" href={to(page)}>{titleOf(page)}</a> <span class="note">/</span> {page === "traces" ? <span class="mono">{about}</span> : about}</> : titleOf(page)}
          </h1>
          {["objectives", "growth"].includes(page) || (page === "traces" && argument) ? null : <Tools hasPeriod={page !== "jobs"} />}
        </div>
        {needsToken.value ? <SignIn /> : <><Lost />{props.children}<Twin /></>}
      </main>
    </div>
  );
}

/** Told once, whatever was asked for. */
function Lost() {
  if (connection.value !== "lost") return null;
  const from = now.value ? `. What you see is from ${clock(now.value.at_ms)}` : "";
  return (
    <div class="alarm" role="alert">
      <Problem text={`the observer does not answer${from}`} hint="It starts with `outgrow run`; this page goes on by itself" />
    </div>
  );
}

function Live() {
  const state = !live.value ? "idle" : connection.value === "lost" ? "bad" : connection.value === "open" ? "" : "idle";
  const word = !live.value ? "paused" : connection.value === "lost" ? "no answer" : connection.value === "open" ? "live" : "waiting";
  return (
    <span class="live">
      <span class={`state ${state}`} role="status">{word}</span>
      <span class="said">{connection.value === "open" && now.value ? clock(now.value.at_ms) : ""}</span>
    </span>
  );
}

function Tools(props: { hasPeriod: boolean }) {
  const { last, from, to: until } = period.value;
  return (
    <div class="tools">
      {last ? null : (
        <span class="note">
          {clock(Number(from))} to {clock(Number(until))}{" "}
          <button type="button" class="button" onClick={() => ask({ from: "", to: "" })}>Back to live</button>
        </span>
      )}
      {props.hasPeriod ? <Choices label="Period" options={PERIODS} value={last} onChoose={look} /> : null}
      <button type="button" class="button" aria-pressed={!live.value} onClick={() => (live.value = !live.value)}>
        {live.value ? "Pause" : "Resume"}{props.hasPeriod ? "" : " updates"}
      </button>
    </div>
  );
}

function SignIn() {
  const token = useSignal("");
  const problem = useSignal<Refusal | null>(null);
  const send = async () => {
    try {
      await post("session", { token: token.value });
      needsToken.value = false;
      tick.value += 1;
    } catch (found) {
      problem.value = refusal(found);
    }
  };
  return (
    <section class="panel" aria-label="Sign in">
      <header><h2>A token is needed</h2><span class="note">ask whoever runs this observer</span></header>
      <div class="body">
        <form class="form" onSubmit={(event) => { event.preventDefault(); void send(); }}>
          <label>
            <span>Token</span>
            <input type="password" autocomplete="current-password" value={token.value} onInput={(event) => (token.value = event.currentTarget.value)} />
          </label>
          <button type="submit" class="button main-action">Open</button>
        </form>
        {problem.value ? <p class="is-bad outcome" role="alert">■ <Problem text={problem.value.text} hint={problem.value.hint} /></p> : null}
      </div>
    </section>
  );
}
