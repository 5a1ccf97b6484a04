// Numbers and times as people read them. A value that is not known is a dash, never a zero.

export const NONE = "–";

type Maybe = number | null | undefined;

function known(value: Maybe): value is number {
  return value !== null && value !== undefined && Number.isFinite(value);
}

function digits(value: number): string {
  const size = Math.abs(value);
  if (value === 0) return "0";
  if (size >= 1000) return Math.round(value).toLocaleString("en-US");
  if (size >= 100) return value.toFixed(0);
  if (size >= 10) return value.toFixed(1);
  return value.toFixed(2);
}

export function count(value: Maybe): string {
  if (!known(value)) return NONE;
  if (Math.abs(value) < 10_000) return Math.round(value).toLocaleString("en-US");
  if (Math.abs(value) < 1e6) return `${digits(value / 1e3)}k`;
  if (Math.abs(value) < 1e9) return `${digits(value / 1e6)}M`;
  return `${digits(value / 1e9)}G`;
}

/** Whole numbers as they are, others with three digits. */
export function plain(value: Maybe): string {
  if (!known(value)) return NONE;
  return Number.isInteger(value) && Math.abs(value) < 10_000 ? value.toLocaleString("en-US") : digits(value);
}

export function rate(value: Maybe): string {
  if (!known(value)) return NONE;
  if (value > 0 && value < 0.01) return "<0.01";
  return value >= 10_000 ? `${digits(value / 1e3)}k` : digits(value);
}

export function ms(value: Maybe): string {
  if (!known(value)) return NONE;
  if (value >= 60_000) return `${digits(value / 60_000)} min`;
  if (value >= 1000) return `${digits(value / 1000)} s`;
  if (value >= 1) return `${digits(value)} ms`;
  return value === 0 ? "0 ms" : `${(value * 1000).toFixed(0)} µs`;
}

export function percent(value: Maybe): string {
  if (!known(value)) return NONE;
  if (value > 0 && value < 0.01) return "<0.01 %";
  if (value > 99.995 && value < 100) return ">99.99 %";
  if (value < 0) return `−${percent(-value)}`;
  if (value >= 1000) return `${digits(value)} %`;
  return `${value >= 10 ? value.toFixed(value === 100 ? 0 : 1) : value.toFixed(value === 0 ? 0 : 2)} %`;
}

const UNITS: Record<string, string> = { ms: " ms", seconds: " s", percent: " %", bytes: " bytes", count: "" };

/** A number of the API in words, its unit from the end of its name: `mean_ms` is `mean 3.1 ms`. */
export function measured(name: string, value: number): string {
  const at = name.lastIndexOf("_");
  const unit = UNITS[name.slice(at + 1)];
  const words = unit === undefined ? name : name.slice(0, at);
  return `${words.replaceAll("_", " ")} ${plain(value)}${unit ?? ""}`;
}

export function bytes(value: Maybe): string {
  if (!known(value)) return NONE;
  const units = ["B", "kB", "MB", "GB", "TB"];
  let left = value;
  let unit = 0;
  while (left >= 1000 && unit < units.length - 1) {
    left /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? left : digits(left)} ${units[unit]}`;
}

export function seconds(value: Maybe): string {
  if (!known(value)) return NONE;
  if (value < 60) return `${Math.round(value)} s`;
  if (value < 3600) return `${Math.floor(value / 60)} min`;
  if (value < 86_400) return `${Math.floor(value / 3600)} h ${Math.floor((value % 3600) / 60)} min`;
  const hours = Math.floor((value % 86_400) / 3600);
  return `${Math.floor(value / 86_400)} d${hours ? ` ${hours} h` : ""}`;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}

export function clock(atMs: number, withMs = false): string {
  const at = new Date(atMs);
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return withMs ? `${time}.${String(at.getMilliseconds()).padStart(3, "0")}` : time;
}

export function moment(atMs: number): string {
  const at = new Date(atMs);
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return at.toDateString() === new Date().toDateString() ? clock(atMs) : `${day} ${clock(atMs)}`;
}

export function ago(atMs: number, nowMs: number): string {
  const passed = Math.max(0, (nowMs - atMs) / 1000);
  return passed < 2 ? "now" : `${seconds(passed)} ago`;
}

export function severity(number: number): string {
  if (number >= 21) return "FATAL";
  if (number >= 17) return "ERROR";
  if (number >= 13) return "WARN";
  if (number >= 9) return "INFO";
  return number >= 5 ? "DEBUG" : "TRACE";
}

/** A sentence of the API where it cannot be set in type: without the backticks round its names. */
export function unquoted(text: string): string {
  return text.replaceAll("`", "");
}
