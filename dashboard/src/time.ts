// The period that is looked at, and when to look again. Nothing is asked for while the tab is hidden.
import { computed, effect, signal } from "@preact/signals";
import { ask, place } from "./place";

export const PERIODS = ["15m", "1h", "6h", "24h", "7d"] as const;
const SECONDS: Record<string, number> = { "15m": 900, "1h": 3600, "6h": 21_600, "24h": 86_400, "7d": 604_800 };

export interface Period {
  from: string;
  to: string;
  /** One of PERIODS; empty where the reader chose two moments. */
  last: string;
  seconds: number;
}

// As text first, so that another change of the address does not look like another period.
const said = computed(() => ["from", "to", "last"].map((name) => place.value.query.get(name) ?? "").join(" "));

export const period = computed<Period>(() => {
  const [first = "", second = "", last = ""] = said.value.split(" ");
  const [from, to] = [Number(first), Number(second)];
  if (from > 0 && to > from) return { from: first, to: second, last: "", seconds: (to - from) / 1000 };
  const seconds = SECONDS[last];
  if (!seconds) return { from: "-15m", to: "now", last: "15m", seconds: 900 };
  return { from: `-${last}`, to: "now", last, seconds };
});

export function look(last: string): void {
  ask({ last: last === "15m" ? "" : last, from: "", to: "" });
}

export function lookBetween(fromMs: number, toMs: number): void {
  ask({ last: "", from: String(Math.floor(fromMs)), to: String(Math.ceil(toMs)) });
}

export const visible = signal(!document.hidden);
document.addEventListener("visibilitychange", () => (visible.value = !document.hidden));

/** False when the reader has stopped the updates. */
export const live = signal(true);

/** Counts up each time that what is shown should be asked for again. */
export const tick = signal(0);

effect(() => {
  const { last, seconds } = period.value;
  if (!visible.value || !live.value || !last) return;
  tick.value = tick.peek() + 1;
  const every = seconds <= 900 ? 5000 : seconds <= 21_600 ? 15_000 : 60_000;
  const timer = setInterval(() => (tick.value = tick.peek() + 1), every);
  return () => clearInterval(timer);
});
