import { useAsked } from "../api";
import { moment } from "../format";
import { Empty, Panel, Shown, Words } from "../parts/panel";
import { Table } from "../parts/table";
import type { Audit } from "../shapes";

export function AuditPage() {
  const asked = useAsked<Audit>(() => "audit", () => ({ limit: 200 }));
  return (
    <Panel title="Changes" note="who asked for what, on this page or by a verb, newest first" flush>
      <Shown asked={asked.value}>
        {(found) =>
          found.entries.length ? (
            <Table
              caption="Changes"
              rows={found.entries}
              id={(row) => `${row.at_ms} ${row.text}`}
              columns={[
                { name: "When", by: (row) => row.at_ms, cell: (row) => moment(row.at_ms) },
                { name: "Who", by: (row) => row.who, cell: (row) => row.who },
                { name: "What", wide: true, cell: (row) => <Words text={row.text} /> },
              ]}
            />
          ) : (
            <Empty title="Nobody changed anything in this period">Services are moved under Workers, or by <code>outgrow apply</code>; who did it is written here.</Empty>
          )
        }
      </Shown>
    </Panel>
  );
}
