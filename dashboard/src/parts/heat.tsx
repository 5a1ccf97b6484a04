// How often an operation took how long, over time. Colour says how often; dots are kept traces.
// The arrow keys move over the cells, Enter opens the trace that is next to the cell.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { clock, count, moment, ms, unquoted } from "../format";
import { go, to } from "../place";
import type { Exemplar, Heatmap, Mark } from "../shapes";
import { colour, theme } from "../theme";
import { flag } from "./chart";

const LEFT = 62;
const BOTTOM = 20;
const TOP = 6;
const HEIGHT = 190;
const TABLE_ROWS_MAX = 40;
const TICKS = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];

interface Cell {
  column: number;
  row: number;
}

export function Heat(props: { map: Heatmap }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const cell = useSignal<Cell | null>(null);
  const { map } = props;

  useEffect(() => {
    const element = canvas.current;
    if (!element) return;
    const again = () => draw(element, map, cell.value);
    const watch = new ResizeObserver(again);
    watch.observe(element);
    return () => watch.disconnect();
  }, [map, cell.value, theme.value]);

  const found = cell.value ? exemplar(map, cell.value) : undefined;
  const open = () => {
    if (found) go(to("traces", found.trace_id));
  };
  const key = (event: KeyboardEvent) => {
    const moves: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const move = moves[event.key];
    if (event.key === "Enter") open();
    if (event.key === "Escape") cell.value = null;
    if (!move) return;
    event.preventDefault();
    const here = cell.value ?? { column: map.times_ms.length - 1, row: Math.floor(map.edges_ms.length / 2) };
    cell.value = {
      column: clamp(here.column + move[0], map.times_ms.length),
      row: clamp(here.row + move[1], map.edges_ms.length),
    };
  };
  const point = (event: MouseEvent) => {
    const box = canvas.current?.getBoundingClientRect();
    if (!box) return;
    const across = (event.clientX - box.left - LEFT) / (box.width - LEFT - 8);
    const up = (HEIGHT - BOTTOM - (event.clientY - box.top)) / (HEIGHT - BOTTOM - TOP);
    if (across < 0 || across >= 1 || up < 0 || up >= 1) cell.value = null;
    else cell.value = { column: Math.floor(across * map.times_ms.length), row: Math.floor(up * map.edges_ms.length) };
  };
  return (
    <figure class="chart heat" aria-label={`Latency of ${map.name}`}>
      <div class="legend" aria-live={cell.value ? "polite" : "off"}>{told(map, cell.value, found)}</div>
      <div class="plot" tabindex={0} role="group" aria-roledescription="heat map" aria-label="Latency over time: arrow keys move, Enter opens a trace, a table follows" onKeyDown={key}>
        <canvas ref={canvas} height={HEIGHT} aria-hidden="true" onMouseMove={point} onMouseLeave={() => (cell.value = null)} onClick={open} />
      </div>
      <Twin map={map} />
    </figure>
  );
}

function clamp(value: number, length: number): number {
  return Math.max(0, Math.min(length - 1, value));
}

function told(map: Heatmap, cell: Cell | null, found: Exemplar | undefined) {
  if (!cell) {
    return (
      <>
        <span class="key">
          <svg viewBox="0 0 18 8" aria-hidden="true"><rect width="6" height="8" style={{ fill: "rgba(var(--heat), .2)" }} /><rect x="6" width="6" height="8" style={{ fill: "rgba(var(--heat), .55)" }} /><rect x="12" width="6" height="8" style={{ fill: "rgba(var(--heat), 1)" }} /></svg>
          few to many calls
        </span>
        <span class="key">
          <svg viewBox="0 0 18 8" aria-hidden="true"><circle cx="9" cy="4" r="3" style={{ fill: "var(--paper)", stroke: "var(--ink)" }} stroke-width="1.5" /></svg>
          kept trace
        </span>
        <span class="key">
          <svg viewBox="0 0 18 8" aria-hidden="true"><path d="M6 1 L12 7 M12 1 L6 7" style={{ stroke: "var(--bad)" }} stroke-width="2" /></svg>
          with an error
        </span>
      </>
    );
  }
  const upper = map.edges_ms[cell.row + 1];
  return (
    <>
      <span class="key">{moment(map.times_ms[cell.column] ?? 0)}</span>
      <span class="key">{ms(map.edges_ms[cell.row])}{upper === undefined ? " and more" : ` to ${ms(upper)}`}</span>
      <span class="key"><b>{count(map.counts[cell.column]?.[cell.row] ?? 0)}</b> calls</span>
      {found ? <span class="key">a click opens a trace of {ms(found.duration_ms)}</span> : null}
      {passed(map, cell.column).map((mark) => <span class="key at" key={mark.at_ms}>{unquoted(mark.text)}</span>)}
    </>
  );
}

/** What was marked next to a column. */
function passed(map: Heatmap, column: number): Mark[] {
  const at = map.times_ms[column] ?? 0;
  return map.marks.filter((mark) => Math.abs(mark.at_ms - at) <= map.step_seconds * 1500);
}

/** The row that a duration falls into, with the part of the row. */
function height(map: Heatmap, duration_ms: number): number {
  const edges = map.edges_ms;
  let row = edges.findIndex((edge) => edge > duration_ms);
  if (row === -1) row = edges.length;
  const lower = edges[row - 1] ?? 0;
  const upper = edges[row] ?? lower * 2;
  return Math.max(0, row - 1) + Math.min(1, (duration_ms - lower) / (upper - lower || 1));
}

function exemplar(map: Heatmap, cell: Cell): Exemplar | undefined {
  const step = map.step_seconds * 1000;
  const begin = map.times_ms[0] ?? 0;
  let best: Exemplar | undefined;
  let nearest = 3;
  for (const each of map.exemplars) {
    const across = Math.abs((each.at_ms - begin) / step - cell.column - 0.5);
    const up = Math.abs(height(map, each.duration_ms) - cell.row - 0.5);
    const far = across + up;
    if (far < nearest) [nearest, best] = [far, each];
  }
  return best;
}

function draw(canvas: HTMLCanvasElement, map: Heatmap, cell: Cell | null): void {
  const scale = devicePixelRatio || 1;
  const width = canvas.clientWidth;
  canvas.width = width * scale;
  canvas.height = HEIGHT * scale;
  canvas.style.height = `${HEIGHT}px`;
  const pen = canvas.getContext("2d");
  if (!pen) return;
  pen.scale(scale, scale);
  const columns = map.times_ms.length;
  const rows = map.edges_ms.length;
  const [cw, rh] = [(width - LEFT - 8) / columns, (HEIGHT - BOTTOM - TOP) / rows];
  const most = Math.max(1, ...map.counts.flat());
  const x = (column: number) => LEFT + column * cw;
  const y = (row: number) => HEIGHT - BOTTOM - row * rh;
  const heat = colour("heat");
  map.counts.forEach((counts, column) =>
    counts.forEach((calls, row) => {
      if (!calls) return;
      pen.fillStyle = `rgba(${heat}, ${0.12 + 0.88 * (Math.log1p(calls) / Math.log1p(most))})`;
      pen.fillRect(x(column), y(row + 1), Math.max(1, cw - (cw > 4 ? 1 : 0)), rh - (rh > 4 ? 1 : 0));
    }),
  );
  axes(pen, map, x, y, width);
  marks(pen, map, x, y);
  dots(pen, map, x, y);
  if (cell) {
    pen.strokeStyle = colour("ink");
    pen.lineWidth = 1;
    pen.strokeRect(x(cell.column) - 0.5, y(cell.row + 1) - 0.5, cw, rh);
  }
}

type Scale = (value: number) => number;

function axes(pen: CanvasRenderingContext2D, map: Heatmap, x: Scale, y: Scale, width: number): void {
  pen.font = `11px ${colour("text")}`;
  pen.fillStyle = colour("ink-3");
  pen.strokeStyle = colour("line");
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  let above = Infinity;
  for (const duration of round(map)) {
    const at = y(height(map, duration));
    if (above - at < 16) continue;
    above = at;
    pen.fillText(ms(duration).replace(/\.0+ /, " "), LEFT - 6, at);
  }
  pen.textBaseline = "top";
  pen.textAlign = "center";
  const [begin = 0] = map.times_ms;
  const whole = map.step_seconds * map.times_ms.length;
  const every = TICKS.find((seconds) => (whole / seconds) * 80 <= width - LEFT) ?? 86_400;
  const far = every >= 43_200;
  // Local midnights and full hours, not those of Greenwich.
  const shift = new Date(begin).getTimezoneOffset() * 60_000;
  for (let time = Math.ceil((begin - shift) / (every * 1000)) * every * 1000 + shift; time < begin + whole * 1000; time += every * 1000) {
    const text = far ? moment(time).slice(5, 10) : every < 60 ? clock(time) : clock(time).slice(0, 5);
    pen.fillText(text, x((time - begin) / (map.step_seconds * 1000)), HEIGHT - BOTTOM + 5);
  }
  pen.beginPath();
  pen.moveTo(LEFT, HEIGHT - BOTTOM + 0.5);
  pen.lineTo(width - 8, HEIGHT - BOTTOM + 0.5);
  pen.stroke();
}

/** 1, 2 and 5 of each power of ten that the map reaches, lowest first. */
function round(map: Heatmap): number[] {
  const first = map.edges_ms[0] ?? 0;
  const last = (map.edges_ms[map.edges_ms.length - 1] ?? 0) * Math.SQRT2;
  const found: number[] = [];
  for (let power = Math.floor(Math.log10(first || 1e-3)); 10 ** power <= last; power += 1) {
    for (const times of [1, 2, 5]) {
      const duration = times * 10 ** power;
      if (duration >= first && duration <= last) found.push(duration);
    }
  }
  return found;
}

function marks(pen: CanvasRenderingContext2D, map: Heatmap, x: Scale, y: Scale): void {
  pen.save();
  for (const mark of map.marks) {
    const at = (mark.at_ms - (map.times_ms[0] ?? 0)) / (map.step_seconds * 1000);
    if (at < 0 || at > map.times_ms.length) continue;
    const failed = mark.kind === "restart";
    pen.strokeStyle = pen.fillStyle = colour(failed ? "bad" : "accent");
    pen.setLineDash(failed ? [1, 3] : [3, 3]);
    pen.beginPath();
    pen.moveTo(x(at), TOP);
    pen.lineTo(x(at), y(0));
    pen.stroke();
    flag(pen, x(at), TOP, 1, failed);
  }
  pen.restore();
}

function dots(pen: CanvasRenderingContext2D, map: Heatmap, x: Scale, y: Scale): void {
  for (const each of map.exemplars) {
    const at = (each.at_ms - (map.times_ms[0] ?? 0)) / (map.step_seconds * 1000);
    if (at < 0 || at > map.times_ms.length) continue;
    const [cx, cy] = [x(at), y(height(map, each.duration_ms))];
    pen.beginPath();
    if (each.is_error) {
      pen.strokeStyle = colour("bad");
      pen.lineWidth = 1.75;
      pen.moveTo(cx - 3, cy - 3);
      pen.lineTo(cx + 3, cy + 3);
      pen.moveTo(cx + 3, cy - 3);
      pen.lineTo(cx - 3, cy + 3);
      pen.stroke();
    } else {
      pen.fillStyle = colour("paper");
      pen.strokeStyle = colour("ink");
      pen.lineWidth = 1;
      pen.arc(cx, cy, 2.5, 0, 7);
      pen.fill();
      pen.stroke();
    }
  }
}

function Twin(props: { map: Heatmap }) {
  const { map } = props;
  const every = Math.max(1, Math.ceil(map.times_ms.length / TABLE_ROWS_MAX));
  const rows = map.times_ms.map((_, index) => index).filter((index) => index % every === 0);
  const used = map.edges_ms.map((_, row) => row).filter((row) => map.counts.some((counts) => counts[row]));
  return (
    <div class="hidden">
      <table>
        <caption>Calls by time and latency</caption>
        <thead>
          <tr>
            <th scope="col">Time</th>
            {used.map((row) => <th scope="col" key={row}>from {ms(map.edges_ms[row])}</th>)}
          </tr>
        </thead>
        <tbody>
          {rows.map((column) => (
            <tr key={column}>
              <th scope="row">{moment(map.times_ms[column] ?? 0)}</th>
              {used.map((row) => <td key={row}>{map.counts[column]?.[row] ?? 0}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
