import { useEffect } from "preact/hooks";
import { useAsked } from "../api";
import { ago, count, moment } from "../format";
import { Empty, Figures, Panel, Shown } from "../parts/panel";
import { Table } from "../parts/table";
import { subject, to } from "../place";
import type { Exceptions } from "../shapes";

export function ExceptionsPage(props: { fingerprint: string }) {
  const asked = useAsked<Exceptions>(() => "exceptions", () => ({ limit: 100 }));
  return (
    <Shown asked={asked.value}>
      {(found) => {
        const chosen = found.exceptions.find((each) => each.fingerprint === props.fingerprint);
        return (
          <>
            {chosen ? <One group={chosen} /> : props.fingerprint ? <p class="empty">It did not come in this period; choose a longer one above.</p> : null}
            <Panel title={chosen ? "All exceptions" : "Exceptions"} note="the same type at the same lines of code is one" flush>
              {found.exceptions.length ? (
                <Table
                  caption="Exceptions"
                  rows={found.exceptions}
                  id={(row) => row.fingerprint}
                  first="Times"
                  chosen={props.fingerprint}
                  columns={[
                    {
                      name: "Exception",
                      wide: true,
                      by: (row) => row.exception,
                      cell: (row) => (
                        <>
                          <a href={to("exceptions", row.fingerprint)}>{row.exception}</a>
                          <span class="under">{row.text.split("\n")[0]}</span>
                        </>
                      ),
                    },
                    { name: "Times", n: true, by: (row) => row.count, cell: (row) => count(row.count) },
                    { name: "Last", n: true, by: (row) => row.last_at_ms, cell: (row) => ago(row.last_at_ms, Date.now()) },
                    { name: "First", n: true, by: (row) => row.first_at_ms, cell: (row) => ago(row.first_at_ms, Date.now()) },
                    { name: "Services", cell: (row) => row.services.join(", ") },
                    { name: "Trace", cell: (row) => (row.trace_id ? <a href={to("traces", row.trace_id)}>trace</a> : null) },
                  ]}
                />
              ) : (
                <Empty title="No exception in this period">Those that are logged with a traceback, or that end a request, are grouped here.</Empty>
              )}
            </Panel>
          </>
        );
      }}
    </Shown>
  );
}

function One(props: { group: Exceptions["exceptions"][number] }) {
  const { group } = props;
  useEffect(() => {
    subject.value = group.exception;
  }, [group.exception]);
  return (
    <>
      <Figures
        items={[
          { name: "Times", value: count(group.count) },
          { name: "First", value: moment(group.first_at_ms) },
          { name: "Last", value: moment(group.last_at_ms) },
        ]}
      />
      <Panel title={group.exception} note={group.services.join(", ")} tools={group.trace_id ? <a class="button" href={to("traces", group.trace_id)}>Open a trace</a> : null}>
        <p>{group.text}</p>
        <pre>{group.traceback}</pre>
      </Panel>
    </>
  );
}
