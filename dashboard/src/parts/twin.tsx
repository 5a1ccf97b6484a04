// The same in a terminal: the verb that tells it, or the request that the page made.
import { useSignal } from "@preact/signals";
import { target } from "../api";
import { place, TIMES } from "../place";
import { period } from "../time";

/** What each page asks first, below /api; {} stands for its argument. */
const ASKED: Record<string, [list: string, one?: string]> = {
  now: ["now"],
  operations: ["operations", "operations/{}/series"],
  traces: ["traces", "traces/{}"],
  logs: ["logs"],
  exceptions: ["exceptions", "exceptions"],
  databases: ["statements"],
  growth: ["forecast"],
  jobs: ["queues", "jobs/{}"],
  measured: ["metrics", "metrics/{}"],
  workers: ["workers"],
  objectives: ["objectives"],
  audit: ["audit"],
};
/** What the API understands of the page's query. */
const PASSED: Record<string, string[]> = {
  traces: ["operation", "text", "min_ms", "error"],
  logs: ["text", "severity_min", "worker", "trace_id"],
};

const SEVERITIES: Record<string, string> = { 9: "info", 13: "warning", 17: "error" };

function asked(): string {
  const { page, argument, query } = place.value;
  const [list = "now", one = list] = ASKED[page] ?? [];
  const { from, to } = period.value;
  const passed = Object.fromEntries((PASSED[page] ?? []).map((name) => [name, query.get(name)]));
  if (page === "growth") return target(list, { times: query.get("times") ?? TIMES });
  if (page === "jobs") return target(argument.startsWith("dead/") ? argument : argument ? `jobs/${argument}` : list);
  return target((argument ? one : list).replace("{}", encodeURIComponent(argument)), page === "now" ? {} : { from, to, ...(argument ? {} : passed) });
}

function verb(): string {
  const { page, argument, query } = place.value;
  const quoted = (name: string, value: string | null) => (value ? ` --${name} ${quote(value)}` : "");
  if (page === "now") return "outgrow status --watch";
  if (page === "workers") return "outgrow status";
  if (page === "growth") return `outgrow forecast ${quote(query.get("times") ?? TIMES)}`;
  if (page === "logs") {
    const severity = SEVERITIES[query.get("severity_min") ?? ""] ?? "";
    return `outgrow logs${quoted("text", query.get("text"))}${quoted("severity", severity)}${quoted("worker", query.get("worker"))}${quoted("trace", query.get("trace_id"))}`;
  }
  if (page === "jobs") return jobsVerb(argument, query);
  if (page === "traces" && argument) return `outgrow logs --trace ${quote(argument)}`;
  return "";
}

/** A list of jobs where one was searched for, or the whole. */
function jobsVerb(argument: string, query: URLSearchParams): string {
  if (argument.startsWith("dead/")) return `outgrow jobs dead ${quote(argument.slice(5))}`;
  if (argument) return `outgrow jobs show ${quote(argument)}`;
  const asked = ["state", "queue", "after"].map((name) => (query.get(name) ? ` --${name} ${quote(query.get(name) ?? "")}` : "")).join("");
  return asked ? `outgrow jobs list${asked}` : "outgrow jobs";
}

export function quote(value: string): string {
  return /^[\w@%+=:,./-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;
}

export function Twin() {
  const path = asked();
  return (
    <footer class="twin">
      <span>In a terminal</span>
      <Command text={verb() || `curl -s ${quote(location.origin + path)}`} />
      {verb() ? <a href={path}>as JSON</a> : null}
    </footer>
  );
}

/** A command to take along. */
export function Command(props: { text: string }) {
  const copied = useSignal("");
  const copy = async () => {
    await navigator.clipboard.writeText(props.text);
    copied.value = props.text;
  };
  return (
    <span class="command">
      <code>{props.text}</code>
      {navigator.clipboard ? (
        <button type="button" class="button" onClick={() => void copy()}>
          {copied.value === props.text ? "Copied" : "Copy"}<span class="hidden"> the command</span>
        </button>
      ) : null}
    </span>
  );
}
