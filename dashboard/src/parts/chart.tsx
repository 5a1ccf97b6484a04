// A chart over time, or over something else: uPlot, with a legend that tells the values at the cursor, a cursor that the
// arrow keys move, marks of deploys, and a hidden table that holds the same numbers.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { clock, moment, unquoted } from "../format";
import type { Mark } from "../shapes";
import { colour, theme } from "../theme";
import { lookBetween } from "../time";

export interface Line {
  name: string;
  values: (number | null)[];
  /** Name of a colour in style.css. */
  ink: string;
  dash?: number[];
  filled?: boolean;
  /** Bars instead of a line. */
  bars?: boolean;
  /** From where to where each value may be as well; drawn as an area. */
  sure?: [low: number[], high: number[]];
}

/** What lies along the chart where it is not time. */
interface Across {
  name: string;
  show: (value: number | null) => string;
  /** Of the axis, which begins at 0. */
  max: number;
  /** A stretch of it that is dyed. */
  zone: [number, number];
  /** Place of the value that is told while there is no cursor. */
  rest: number;
}

interface Props {
  title: string;
  /** When each step begins. */
  times_ms: number[];
  lines: Line[];
  show: (value: number | null) => string;
  marks?: Mark[];
  height?: number;
  /** The axis reaches at least this far. */
  max?: number;
  /** The axis reaches no further; what is above is cut off. */
  top?: number;
  /** What `times_ms` and `at_ms` of marks mean instead of milliseconds. */
  across?: Across;
}

const TABLE_ROWS_MAX = 60;
/** Room for the half of the last label that stands right of its place. */
const RIGHT = 26;

export function Chart(props: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const marks = useRef<Mark[]>([]);
  marks.current = props.marks ?? [];
  const at = useSignal<number | null>(null);
  // Charts share their cursor; only the one in use speaks.
  const used = useSignal(false);
  const shape = props.lines.map((line) => line.name + line.ink).join("|") + theme.value;

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const made = new uPlot(options(element, props, marks, at), data(props), element);
    plot.current = made;
    const watch = new ResizeObserver(() => {
      if (element.clientWidth) made.setSize({ width: element.clientWidth, height: props.height ?? 150 });
    });
    watch.observe(element);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape]);
  useEffect(() => {
    plot.current?.setData(data(props));
  }, [props.times_ms, props.lines]);

  const key = (event: KeyboardEvent) => {
    const last = props.times_ms.length - 1;
    const moves: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 };
    let index = at.value ?? props.across?.rest ?? last;
    if (event.key === "Home") index = 0;
    else if (event.key === "End") index = last;
    else if (event.key === "Escape") return plot.current?.setCursor({ left: -10, top: -10 });
    else if (event.key in moves) index += moves[event.key] ?? 0;
    else return;
    event.preventDefault();
    index = Math.max(0, Math.min(last, index));
    const made = plot.current;
    const time = props.times_ms[index];
    if (made && time !== undefined) made.setCursor({ left: made.valToPos((time + middle(props)) / unit(props), "x"), top: 10 });
  };

  const index = at.value ?? props.across?.rest ?? props.times_ms.length - 1;
  const time = props.times_ms[index];
  return (
    <figure class="chart" aria-label={props.title}>
      <div class="legend" aria-live={used.value ? "polite" : "off"}>
        {props.lines.map((line) => (
          <span class="key" key={line.name}>
            <svg viewBox="0 0 18 8" aria-hidden="true">
              {line.bars ? (
                <rect x="5" y="0" width="8" height="8" style={{ fill: `var(--${line.ink})` }} />
              ) : (
                <line x1="0" y1="4" x2="18" y2="4" stroke-width="2" stroke-dasharray={line.dash?.join(" ") ?? ""} style={{ stroke: `var(--${line.ink})` }} />
              )}
            </svg>
            {line.name} <b>{said(props, line, index)}</b>
          </span>
        ))}
        <span class="at">{time === undefined ? "" : props.across ? placed(props, time) : at.value === null ? "latest" : moment(time)}{near(props, time, at.value)}</span>
      </div>
      <div
        ref={box}
        class="plot"
        tabindex={0}
        role="group"
        aria-roledescription="chart"
        aria-label={`${props.title}: arrow keys move through ${props.across?.name ?? "time"}, a table follows`}
        onKeyDown={key}
        onFocus={() => (used.value = true)}
        onBlur={() => (used.value = false)}
      />
      <Twin {...props} />
    </figure>
  );
}

/** What the axis counts in, of what `times_ms` holds. */
function unit(props: Props): number {
  return props.across ? 1 : 1000;
}

function placed(props: Props, value: number): string {
  return props.across ? `at ${props.across.show(value)} ${props.across.name}` : moment(value);
}

function said(props: Props, line: Line, index: number): string {
  const best = props.show(line.values[index] ?? null);
  return line.sure ? `${best} (${line.sure.map((each) => props.show(each[index] ?? null)).join(" to ")})` : best;
}

/** The mark next to the cursor, in words. */
function near(props: Props, time: number | undefined, at: number | null): string {
  const length = step(props.times_ms);
  if (at === null || time === undefined || !length) return "";
  const found = (props.marks ?? []).filter((mark) => Math.abs(mark.at_ms - time - length / 2) <= length * 1.5);
  return found.map((mark) => ` · ${unquoted(mark.text)}`).join("");
}

function Twin(props: Props) {
  const every = Math.max(1, Math.ceil(props.times_ms.length / TABLE_ROWS_MAX));
  const picked = props.times_ms.map((_, index) => index).filter((index) => index % every === 0);
  return (
    <div class="hidden">
      <table>
        <caption>
          {props.title}
          {(props.marks ?? []).map((mark) => `; ${placed(props, mark.at_ms)}: ${unquoted(mark.text)}`)}
        </caption>
        <thead>
          <tr>
            <th scope="col">{props.across?.name ?? "Time"}</th>
            {props.lines.map((line) => (
              <th scope="col" key={line.name}>{line.name}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {picked.map((index) => (
            <tr key={index}>
              <th scope="row">{placed(props, props.times_ms[index] ?? 0)}</th>
              {props.lines.map((line) => (
                <td key={line.name}>{said(props, line, index)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** How long a step is; 0 where there is only one. */
function step(times_ms: number[]): number {
  const [first = 0, second = first] = times_ms;
  return second - first;
}

/** What a step tells holds for all of it, so it stands at its middle. */
function data(props: Props): uPlot.AlignedData {
  const areas = props.lines.flatMap((line) => line.sure ?? []);
  const at = props.times_ms.map((time) => (time + middle(props)) / unit(props));
  return [at, ...props.lines.map((line) => line.values), ...areas] as uPlot.AlignedData;
}

/** From a step's beginning to its middle; 0 where the axis is no time. */
function middle(props: Props): number {
  return props.across ? 0 : step(props.times_ms) / 2;
}

/** From the beginning of the first step to the end of the last. */
function span(plot: uPlot, low: number, high: number): uPlot.Range.MinMax {
  const [first, second] = plot.data[0];
  if (first === undefined) return [null, null];
  const half = ((second ?? first + 1) - first) / 2;
  return [low - half, high + half];
}

function options(
  element: HTMLElement,
  props: Props,
  marks: { current: Mark[] },
  at: { value: number | null },
): uPlot.Options {
  const { across } = props;
  const areas = props.lines.flatMap((line) => (line.sure ? [line.ink] : []));
  const first = props.lines.length + 1;
  const font = `11px ${colour("text")}`;
  const axis = {
    stroke: colour("ink-3"),
    font,
    grid: { stroke: colour("line"), width: 1 },
    ticks: { show: false },
  };
  return {
    width: element.clientWidth || 300,
    height: props.height ?? 150,
    padding: [8, RIGHT, 0, 0],
    legend: { show: false },
    cursor: {
      ...(across ? {} : { sync: { key: "page" } }),
      y: false,
      drag: { x: !across, y: false, setScale: false },
      points: { size: 6 },
    },
    scales: {
      x: across ? { time: false, range: [0, across.max] } : { range: span },
      y: { range: (_plot, _low, high) => [0, Math.min(props.top ?? Infinity, Math.max(high * 1.08, props.max ?? 0)) || 1] },
    },
    bands: areas.map((_, number) => ({ series: [first + 2 * number + 1, first + 2 * number] as [number, number], fill: colour("area") })),
    series: [
      {},
      ...props.lines.map((line) => ({
        label: line.name,
        stroke: colour(line.ink),
        width: 1.5,
        // A line needs two points; one that is alone is a dot.
        points: { show: false, filter: (plot: uPlot, number: number) => alone(plot.data[number]), size: 5, fill: colour(line.ink) },
        spanGaps: false,
        ...(line.dash ? { dash: line.dash } : {}),
        ...(line.filled ? { fill: colour("area") } : {}),
        ...(line.bars ? { paths: uPlot.paths.bars!({ size: [0.9, 24] }), fill: colour(line.ink), width: 0 } : {}),
      })),
      ...areas.flatMap((ink) => [0, 1].map(() => ({ stroke: colour(ink), width: 0.5, points: { show: false } }))),
    ],
    axes: [
      { ...axis, space: 70, size: 19, gap: 4, values: across ? (_plot, values) => values.map(across.show) : ticks },
      { ...axis, size: 62, gap: 4, space: 28, values: (_plot, values) => values.map((value) => props.show(value).replace(/\.0+(?=\D|$)|(\.\d*?)0+(?=\D|$)/, "$1")) },
    ],
    hooks: {
      setCursor: [(plot) => (at.value = plot.cursor.idx ?? null)],
      setSelect: [
        (plot) => {
          const { left, width } = plot.select;
          if (width < 6) return;
          lookBetween(plot.posToVal(left, "x") * 1000, plot.posToVal(left + width, "x") * 1000);
        },
      ],
      draw: [(plot) => drawMarks(plot, marks.current, unit(props))],
      drawClear: across ? [(plot) => dye(plot, across.zone)] : [],
    },
  };
}

function alone(values: ArrayLike<number | null | undefined> | undefined): number[] | null {
  const known = Array.from(values ?? [], (value) => value !== null && value !== undefined);
  const found = known.flatMap((is, index) => (is && !known[index - 1] && !known[index + 1] ? [index] : []));
  return found.length ? found : null;
}

function ticks(_plot: uPlot, values: number[]): string[] {
  const [first = 0, second = first] = values;
  const far = values.length > 1 && second - first >= 43_200;
  return values.map((value) => {
    const at = new Date(value * 1000);
    if (far) return `${at.getMonth() + 1}-${String(at.getDate()).padStart(2, "0")}`;
    return second - first >= 60 ? clock(value * 1000).slice(0, 5) : clock(value * 1000);
  });
}

function dye({ ctx, bbox, valToPos }: uPlot, zone: [number, number]): void {
  const [left, right] = [valToPos(zone[0], "x", true), valToPos(zone[1], "x", true)];
  ctx.fillStyle = colour("bad-soft");
  ctx.fillRect(left, bbox.top, right - left, bbox.height);
}

function drawMarks(plot: uPlot, marks: Mark[], by: number): void {
  const { ctx, bbox } = plot;
  const scale = devicePixelRatio || 1;
  ctx.save();
  ctx.lineWidth = scale;
  for (const mark of marks) {
    const failed = mark.kind === "restart" || mark.kind === "limit";
    ctx.strokeStyle = ctx.fillStyle = colour(failed ? "bad" : "accent");
    ctx.setLineDash(failed ? [scale, 3 * scale] : [3 * scale, 3 * scale]);
    const x = Math.round(plot.valToPos(mark.at_ms / by, "x", true)) + 0.5;
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    flag(ctx, x, bbox.top, scale, failed);
  }
  ctx.restore();
}

/** The head of a mark: a triangle for what was meant, a square for a worker that had to be started again. */
export function flag(pen: CanvasRenderingContext2D, x: number, top: number, scale: number, failed: boolean): void {
  if (failed) return pen.fillRect(x - 3 * scale, top - 6 * scale, 6 * scale, 6 * scale);
  pen.beginPath();
  pen.moveTo(x - 4 * scale, top - 6 * scale);
  pen.lineTo(x + 4 * scale, top - 6 * scale);
  pen.lineTo(x, top);
  pen.fill();
}
