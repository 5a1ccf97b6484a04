// Asking the observer: one request for each thing shown, the newest wins, errors in its own words.
import { signal, type Signal, useSignal, useSignalEffect } from "@preact/signals";
import type { Now } from "./shapes";
import { live, period, tick, visible } from "./time";

export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly text: string,
    readonly hint: string,
  ) {
    super(text);
  }
}

/** True once the observer wants a token that the browser does not have. */
export const needsToken = signal(false);

/** The object of this second, and whether it still comes. */
export const now = signal<Now | null>(null);
export const connection = signal<"waiting" | "open" | "lost">("waiting");

export type Query = Record<string, string | number | boolean | null | undefined>;

export function target(path: string, query: Query = {}): string {
  const text = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "" && value !== false) text.set(name, String(value));
  }
  const found = text.toString();
  return `/api/${path}${found ? `?${found}` : ""}`;
}

export async function get<T>(path: string, query: Query = {}, stop?: AbortSignal): Promise<T> {
  return (await answered(await fetch(target(path, query), stop ? { signal: stop } : {}))) as T;
}

export async function post<T>(path: string, content: unknown): Promise<T> {
  const answer = await fetch(`/api/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(content),
  });
  return (await answered(answer)) as T;
}

async function answered(answer: Response): Promise<unknown> {
  if (answer.status === 401) needsToken.value = true;
  const isJson = answer.headers.get("content-type")?.startsWith("application/json");
  const content: unknown = isJson ? await answer.json() : null;
  if (answer.ok) {
    if (connection.peek() === "lost" && !live.peek()) connection.value = "waiting";
    return content;
  }
  const refused = content as { text?: string; hint?: string } | null;
  throw new Refusal(answer.status, refused?.text ?? `the observer answered ${answer.status}`, refused?.hint ?? "");
}

export interface Asked<T> {
  value: T | null;
  problem: Refusal | null;
}

/**
 * What the observer answers, asked again with every tick and every change of the period.
 * `query` is read inside an effect: signals in it are followed.
 */
export function useAsked<T>(path: () => string, query: () => Query = () => ({})): Signal<Asked<T>> {
  const asked = useSignal<Asked<T>>({ value: null, problem: null });
  const last = useSignal("");
  useSignalEffect(() => {
    void tick.value;
    const { from, to } = period.value;
    const where = path();
    const what = { from, to, ...query() };
    const name = target(where, what);
    const stop = new AbortController();
    if (last.peek() !== name && last.peek().split("?")[0] !== name.split("?")[0]) asked.value = { value: null, problem: null };
    last.value = name;
    get<T>(where, what, stop.signal).then(
      (value) => (asked.value = { value, problem: null }),
      (problem: unknown) => {
        if (stop.signal.aborted) return;
        asked.value = { value: asked.peek().value, problem: refusal(problem) };
        if (asked.value.problem?.status === 0) connection.value = "lost";
      },
    );
    return () => stop.abort();
  });
  return asked;
}

export function refusal(problem: unknown): Refusal {
  if (problem instanceof Refusal) return problem;
  return new Refusal(0, "the observer does not answer", "Is it running? It starts with `outgrow run`");
}

/** So long without a word and the observer counts as lost; it speaks once a second. */
const SILENCE_MS = 6000;
const AGAIN_MS = 3000;

export function follow(): void {
  useSignalEffect(() => {
    if (!visible.value || !live.value || needsToken.value) return;
    let source: EventSource | undefined;
    let again = 0;
    let heardAt = performance.now();
    const take = (seen: Now) => {
      heardAt = performance.now();
      const wasLost = connection.peek() === "lost";
      connection.value = "open";
      now.value = seen;
      if (wasLost) tick.value = tick.peek() + 1;
    };
    const listen = () => {
      source = new EventSource("/api/live");
      source.onmessage = (event: MessageEvent<string>) => take(JSON.parse(event.data) as Now);
      source.onerror = () => {
        // A stream that was refused is not opened again by the browser: ask, which also says why.
        if (source?.readyState === EventSource.CLOSED) again = setTimeout(listen, AGAIN_MS);
        get<Now>("now").then(take, lost);
      };
    };
    const watch = setInterval(() => performance.now() - heardAt > SILENCE_MS && lost(null), 1000);
    listen();
    return () => {
      source?.close();
      clearInterval(watch);
      clearTimeout(again);
    };
  });
}

function lost(problem: unknown): void {
  if (!(problem instanceof Refusal && problem.status === 401)) connection.value = "lost";
}
