// The same as the map, as two tables: for narrow screens, and for who would rather read.
import { ms, percent, rate } from "../format";
import type { Link, Node } from "../shapes";
import { where } from "./map";
import { Failing, Share, signed, tone } from "./panel";
import { type Column, Table } from "./table";

const KINDS: Record<Node["kind"], string> = { edge: "HTTP", service: "service", database: "database", outside: "outside" };

export function ServiceList(props: { nodes: Node[]; links: Link[] }) {
  return (
    <>
      <Table caption="Parts" columns={PARTS} rows={props.nodes} id={(row) => row.name} first="Busy" />
      <div class="rule" />
      <Table caption="Links" columns={LINKS} rows={props.links} id={(row) => `${row.caller} ${row.callee}`} first="Rate" />
    </>
  );
}

const PARTS: Column<Node>[] = [
  { name: "Part", by: (row) => row.name, cell: (row) => <><a href={where(row)}>{row.name === "edge" ? "HTTP edge" : row.name}</a><span class="under">{KINDS[row.kind]}</span></> },
  { name: "Rate", n: true, by: (row) => row.requests_per_second, cell: (row) => `${rate(row.requests_per_second)}/s` },
  { name: "Errors", n: true, by: (row) => row.error_percent, cell: (row) => <Failing percent={row.error_percent} /> },
  { name: "p95", n: true, by: (row) => row.p95_ms, cell: (row) => ms(row.p95_ms) },
  {
    name: "Busy",
    title: "Of the busiest worker that runs it",
    n: true,
    by: (row) => row.busy_percent,
    cell: (row) => {
      const kind = tone(row.busy_percent, 60, 80);
      return row.busy_percent === null ? "" : <Share percent={row.busy_percent} text={signed(kind, percent(row.busy_percent))} kind={kind} />;
    },
  },
];

const LINKS: Column<Link>[] = [
  { name: "From", by: (row) => row.caller, cell: (row) => row.caller },
  { name: "To", by: (row) => row.callee, cell: (row) => row.callee },
  { name: "Rate", n: true, by: (row) => row.requests_per_second, cell: (row) => `${rate(row.requests_per_second)}/s` },
  { name: "Errors", n: true, by: (row) => row.error_percent, cell: (row) => <Failing percent={row.error_percent} /> },
  { name: "p95", n: true, by: (row) => row.p95_ms, cell: (row) => ms(row.p95_ms) },
];
