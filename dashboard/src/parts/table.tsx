// A table that sorts by what its reader clicks. Sorting keeps its place through updates.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";

export interface Column<Row> {
  name: string;
  /** Explains the name; shown on hover and read aloud. */
  title?: string;
  cell: (row: Row) => ComponentChildren;
  /** What to sort by; without it the column does not sort. */
  by?: (row: Row) => number | string | null;
  /** A number: to the right, equal digits. */
  n?: boolean;
  wide?: boolean;
}

/** A column of numbers, each shown in the same way. */
export function numbers<Row>(name: string, by: (row: Row) => number | null, show: (value: number | null) => string, title = ""): Column<Row> {
  return { name, title, n: true, by, cell: (row) => show(by(row)) };
}

export function Table<Row>(props: {
  caption: string;
  columns: Column<Row>[];
  rows: Row[];
  id: (row: Row) => string;
  /** Name of the column that is sorted by at first, highest on top. */
  first?: string;
  chosen?: string;
  rows_max?: number;
}) {
  const sorted = useSignal<{ name: string; up: boolean }>({ name: props.first ?? "", up: false });
  const all = useSignal(false);
  const column = props.columns.find((each) => each.name === sorted.value.name);
  const rows = column?.by ? inOrder(props.rows, column.by, sorted.value.up) : props.rows;
  const most = props.rows_max ?? 100;
  const shown = all.value ? rows : rows.slice(0, most);
  return (
    <>
      <div class="scroll" tabindex={0} role="region" aria-label={props.caption}>
        <table>
          <caption class="hidden">{props.caption}</caption>
          <thead>
            <tr>{props.columns.map((each) => heading(each, sorted))}</tr>
          </thead>
          <tbody>
            {shown.map((row) => (
              <tr key={props.id(row)} class={props.chosen === props.id(row) ? "chosen" : ""}>
                {props.columns.map((each) => (
                  <td key={each.name} class={`${each.n ? "n" : ""} ${each.wide ? "wide" : ""}`}>
                    {each.cell(row)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {rows.length > shown.length ? (
        <p class="more">
          <button type="button" class="button" onClick={() => (all.value = true)}>
            Show all {rows.length}
          </button>
        </p>
      ) : null}
    </>
  );
}

function heading<Row>(column: Column<Row>, sorted: { value: { name: string; up: boolean } }) {
  const here = sorted.value.name === column.name;
  const order = here ? { "aria-sort": sorted.value.up ? ("ascending" as const) : ("descending" as const) } : {};
  const arrow = here ? (sorted.value.up ? "↑" : "↓") : "";
  return (
    <th key={column.name} scope="col" class={`${column.n ? "n" : ""} ${column.wide ? "wide" : ""}`} {...order}>
      {column.by ? (
        <button
          type="button"
          class="sort"
          title={column.title ?? ""}
          onClick={() => (sorted.value = { name: column.name, up: here && !sorted.value.up })}
        >
          {column.n ? <span class="arrow" aria-hidden="true">{arrow}</span> : null}
          {column.name}
          {column.n ? null : <span class="arrow" aria-hidden="true">{arrow}</span>}
        </button>
      ) : (
        <span title={column.title ?? ""}>{column.name}</span>
      )}
    </th>
  );
}

function inOrder<Row>(rows: Row[], by: (row: Row) => number | string | null, up: boolean): Row[] {
  const sign = up ? 1 : -1;
  return [...rows].sort((one, other) => {
    const [a, b] = [by(one), by(other)];
    if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
    return (a < b ? -1 : a > b ? 1 : 0) * sign;
  });
}
