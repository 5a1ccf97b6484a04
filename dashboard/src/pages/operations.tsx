import { useAsked } from "../api";
import { Charts } from "./operation";
import { count, ms, percent, rate } from "../format";
import { Choices, Empty, Failing, Panel, Share, Shown } from "../parts/panel";
import { numbers, Table } from "../parts/table";
import { ask, place, to } from "../place";
import type { Operation, Operations, Series } from "../shapes";

export function OperationsPage() {
  const query = place.value.query;
  const kind = query.get("kind") ?? "";
  const service = query.get("service") ?? "";
  const text = query.get("text") ?? "";
  const asked = useAsked<Operations>(() => "operations");
  const series = useAsked<Series>(() => "series");
  return (
    <>
      <Shown asked={series.value}>{(found) => <Charts series={found} />}</Shown>
      <Shown asked={asked.value}>
        {(found) => {
          const rows = found.operations.filter(
            (each) =>
              (!kind || each.kind === kind) &&
              (!service || each.service === service) &&
              (!text || each.name.toLowerCase().includes(text.toLowerCase())),
          );
          return (
            <Panel
              title="Operations"
              note={`${rows.length} of ${found.operations.length}`}
              flush
            >
              <div class="search">
                <label class="grow">
                  <span>Name</span>
                  <input type="search" value={text} placeholder="any" onInput={(event) => ask({ text: event.currentTarget.value })} />
                </label>
                <label>
                  <span>Service</span>
                  <select value={service} onChange={(event) => ask({ service: event.currentTarget.value })}>
                    <option value="">any</option>
                    {[...new Set(found.operations.map((each) => each.service))].sort().map((each) => (
                      <option key={each} value={each}>{each}</option>
                    ))}
                  </select>
                </label>
                <Choices label="Kind" options={["", "route", "operation"]} names={{ "": "all", route: "routes", operation: "of services" }} value={kind} onChoose={(value) => ask({ kind: value })} />
              </div>
              {rows.length ? (
                <Table caption="Operations" columns={COLUMNS} rows={rows} id={(row) => row.name} first="Impact" />
              ) : (
                <Empty title="Nothing was called">
                  {found.operations.length ? "Take back a part of the search above." : "Send the app a request, or choose a longer period above."}
                </Empty>
              )}
            </Panel>
          );
        }}
      </Shown>
    </>
  );
}

const COLUMNS = [
  {
    name: "Operation",
    by: (row: Operation) => row.name,
    cell: (row: Operation) => <a href={to("operations", row.name)}>{row.name}</a>,
    wide: true,
  },
  {
    name: "Impact",
    title: "Its share of the time that all routes, or all operations of services, took",
    n: true,
    by: (row: Operation) => row.impact_percent,
    cell: (row: Operation) => <Share percent={row.impact_percent} text={percent(row.impact_percent)} />,
  },
  { name: "Rate", title: "Calls a second", n: true, by: (row: Operation) => row.requests_per_second, cell: (row: Operation) => `${rate(row.requests_per_second)}/s` },
  numbers("Calls", (row: Operation) => row.calls, count),
  {
    name: "Errors",
    n: true,
    by: (row: Operation) => row.error_percent,
    cell: (row: Operation) => <Failing percent={row.error_percent} />,
  },
  numbers("p50", (row: Operation) => row.p50_ms, ms),
  numbers("p95", (row: Operation) => row.p95_ms, ms),
  numbers("p99", (row: Operation) => row.p99_ms, ms),
  numbers("At once", (row: Operation) => row.in_flight_mean, rate, "How many were under way at the same time: the mean"),
  numbers("CPU per call", (row: Operation) => row.cpu_ms_per_call, ms, "Time on the event loop, by sample"),
];
