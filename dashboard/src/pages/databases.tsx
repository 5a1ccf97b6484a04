import { useAsked } from "../api";
import { count, ms, NONE, plain } from "../format";
import { Empty, Panel, Share, Shown, signed, tone } from "../parts/panel";
import { type Column, numbers, Table } from "../parts/table";
import { to } from "../place";
import type { Databases, DatabaseUse, Statement, Statements, TableUse } from "../shapes";

export function DatabasesPage() {
  const statements = useAsked<Statements>(() => "statements", () => ({ limit: 200 }));
  const databases = useAsked<Databases>(() => "databases");
  return (
    <>
      <Panel title="Statements" note="literals are taken out; those that took most time are on top" flush>
        <Shown asked={statements.value}>
          {(found) =>
            found.statements.length ? (
              <StatementTable rows={found.statements} />
            ) : (
              <Empty title="No SQL seen in this period">
                Statements of SQLAlchemy, Django, asyncpg, psycopg and sqlite3 are seen by themselves; other drivers as spans of OpenTelemetry.
              </Empty>
            )
          }
        </Shown>
      </Panel>
      <Shown asked={databases.value}>
        {(found) => {
          const bare = found.databases.filter((each) => each.tables.length === 0);
          return (
            <>
              {found.databases.filter((each) => each.tables.length).map((each) => <Owners key={each.name} use={each} />)}
              {bare.length ? <p class="note after">No table is named in the statements of {bare.map((each) => each.name).join(", ")}.</p> : null}
            </>
          );
        }}
      </Shown>
    </>
  );
}

const COLUMNS: Column<Statement>[] = [
  {
    name: "Statement",
    wide: true,
    cell: (row) => (
      <>
        <details class="sql"><summary><code>{row.text}</code></summary></details>
        <span class="under">
          {row.database} · {row.callers.slice(0, 3).map((caller, index) => <>{index ? ", " : ""}<a href={to("operations", caller)}>{caller}</a></>)}
          {row.callers.length > 3 ? ` and ${row.callers.length - 3} more` : ""}
        </span>
      </>
    ),
  },
  { name: "Total", title: "Share of the time of all statements", n: true, by: (row) => row.total_ms, cell: (row) => <Share percent={row.share_percent} text={ms(row.total_ms)} /> },
  numbers("Calls", (row) => row.calls, count),
  numbers("Mean", (row) => row.mean_ms, ms),
  numbers("p95", (row) => row.p95_ms, ms),
  numbers("Rows per call", (row) => (row.calls ? row.rows / row.calls : null), plain),
  {
    name: "Per request",
    title: "How often one run of its caller ran it, in 95 of 100 runs at most",
    n: true,
    by: (row) => row.calls_per_request_p95,
    cell: (row) => {
      const kind = tone(row.calls_per_request_p95, 5, 20);
      return signed(kind, `${plain(row.calls_per_request_p95)} ×`);
    },
  },
  { name: "Errors", n: true, by: (row) => row.errors, cell: (row) => (row.errors ? <span class="is-bad">■ {count(row.errors)}</span> : "0") },
];

export function StatementTable(props: { rows: Statement[] }) {
  return <Table caption="Statements" columns={COLUMNS} rows={props.rows} id={(row) => row.database + row.fingerprint} first="Total" rows_max={20} />;
}

/** Who reads and who writes each table: one that several write has no owner. */
function Owners(props: { use: DatabaseUse }) {
  const { use } = props;
  const shared = use.tables.filter((table) => owners(table).length > 1).length;
  const users = `${use.services.length} ${use.services.length === 1 ? "user" : "users"}: ${use.services.join(", ") || NONE}`;
  return (
    <Panel
      title={use.name}
      note={`${users} · ${count(use.calls)} statements · ${ms(use.total_ms)}`}
      tools={shared ? <span class="tag warn">▲ {shared} {shared === 1 ? "table" : "tables"} with several writers</span> : null}
      flush
    >
      <Table caption={`Tables of ${use.name}`} columns={TABLES} rows={use.tables.map((table) => ({ ...table, whole_ms: use.total_ms }))} id={(row) => row.table} first="Time" rows_max={20} />
    </Panel>
  );
}

/** Services that write a table; what makes tables or fills them at the start, outside of services, owns none. */
function owners(table: TableUse): string[] {
  const services = table.writers.filter((writer) => writer !== "edge");
  return services.length ? services : table.writers;
}

const TABLES: Column<TableUse & { whole_ms: number }>[] = [
  { name: "Table", by: (row) => row.table, cell: (row) => <code>{row.table}</code> },
  {
    name: "Owner",
    title: "The only service that writes it",
    wide: true,
    by: (row) => owners(row).length,
    cell: (row) =>
      owners(row).length > 1 ? (
        <>{signed("warn", "none")}: {owners(row).join(" and ")} write it</>
      ) : (
        owners(row)[0] ?? <span class="note">only read</span>
      ),
  },
  { name: "Read by", wide: true, cell: (row) => row.readers.join(", ") || <span class="note">nobody</span> },
  numbers("Statements", (row) => row.calls, count),
  { name: "Time", n: true, by: (row) => row.total_ms, cell: (row) => <Share percent={(100 * row.total_ms) / (row.whole_ms || 1)} text={ms(row.total_ms)} /> },
];
