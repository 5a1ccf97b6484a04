// The map of the app: who calls whom, how often, how well. Laid out anew only when its parts change.
import { signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { ms, percent, rate } from "../format";
import { to } from "../place";
import type { Link, Node } from "../shapes";
import { Empty, tone } from "./panel";

type Layout = typeof import("/static/layout.js");

const WIDTH = 162;
const HEIGHT = 66;
/** Room for the numbers of a link: always the same, so that the map stays still while they change. */
const LABEL = { width: 54, height: 38 };
/** The map is made smaller to fit, but never so small that it cannot be read. */
const SCALE_MIN = 0.86;

interface Spot {
  x: number;
  y: number;
}
interface Laid {
  width: number;
  height: number;
  nodes: Map<string, Spot>;
  links: Map<string, { points: Spot[]; label: Spot }>;
}

/** Loaded with the first map. */
const loaded = signal<Layout | "missing" | null>(null);

async function load(): Promise<void> {
  try {
    loaded.value = await import("/static/layout.js");
  } catch {
    loaded.value = "missing";
  }
}

export function ServiceMap(props: { nodes: Node[]; links: Link[] }) {
  useEffect(() => {
    if (!loaded.value) void load();
  }, []);
  if (loaded.value === "missing") return <Empty title="The map could not be loaded">Choose the list, or load the page again.</Empty>;
  if (!loaded.value) return <p class="loading" role="status">Drawing …</p>;
  return <Drawn {...props} dagre={loaded.value} />;
}

function Drawn(props: { nodes: Node[]; links: Link[]; dagre: Layout }) {
  const shape = [...props.nodes.map((node) => node.name), ...props.links.map(name)].join("\n");
  const laid = useMemo(() => layout(props.dagre, props.nodes, props.links), [shape]);
  const most = Math.max(1e-9, ...props.links.map((link) => link.requests_per_second));
  return (
    <div class="map" tabindex={0} role="region" aria-label="Map of the app">
      <svg viewBox={`0 0 ${laid.width} ${laid.height}`} style={{ width: "100%", maxWidth: `${laid.width}px`, minWidth: `${laid.width * SCALE_MIN}px` }}>
        <title>Who calls whom</title>
        {props.links.map((link) => (
          <Line key={name(link)} link={link} at={laid.links.get(name(link))} most={most} />
        ))}
        {props.nodes.map((node) => (
          <Box key={node.name} node={node} at={laid.nodes.get(node.name)} />
        ))}
        {props.links.map((link) => (
          <Label key={name(link)} link={link} at={laid.links.get(name(link))?.label} />
        ))}
      </svg>
    </div>
  );
}

function name(link: Link): string {
  return `${link.caller} > ${link.callee}`;
}

function layout(dagre: Layout, nodes: Node[], links: Link[]): Laid {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: "LR", nodesep: 18, ranksep: 30, edgesep: 14, marginx: 2, marginy: 6 });
  for (const node of nodes) graph.setNode(node.name, { width: WIDTH, height: HEIGHT });
  for (const link of links) graph.setEdge(link.caller, link.callee, { ...LABEL, labelpos: "c" });
  dagre.layout(graph);
  const size = graph.graph() as { width?: number; height?: number };
  const placed: Laid = { width: size.width ?? 0, height: size.height ?? 0, nodes: new Map(), links: new Map() };
  for (const node of nodes) placed.nodes.set(node.name, graph.node(node.name) as Spot);
  for (const link of links) {
    const found = graph.edge(link.caller, link.callee) as ({ points: Spot[] } & Spot) | undefined;
    if (found) placed.links.set(name(link), { points: found.points, label: { x: found.x, y: found.y } });
  }
  attach(links, placed);
  return placed;
}

/** Links leave a part at its right and reach one at its left, beside one another, and pass the others straight. */
function attach(links: Link[], placed: Laid): void {
  const columns = new Set([...placed.nodes.values()].map((spot) => Math.round(spot.x)));
  const leaving = ports(links, placed, "caller");
  const reaching = ports(links, placed, "callee");
  for (const link of links) {
    const [from, until, found] = [placed.nodes.get(link.caller), placed.nodes.get(link.callee), placed.links.get(name(link))];
    if (!from || !until || !found || until.x <= from.x) continue;
    const between = found.points.slice(1, -1).flatMap((point) =>
      columns.has(Math.round(point.x)) ? [-1, 1].map((side) => ({ x: point.x + (side * WIDTH) / 2, y: point.y })) : [point],
    );
    const [first, last] = [leaving.get(name(link)) ?? 0, reaching.get(name(link)) ?? 0];
    found.points = [{ x: from.x + WIDTH / 2, y: from.y + first }, ...between, { x: until.x - WIDTH / 2, y: until.y + last }];
  }
}

/** How far from the middle of its part each link begins or ends: in the order of where they come from or go to. */
function ports(links: Link[], placed: Laid, side: "caller" | "callee"): Map<string, number> {
  const found = new Map<string, number>();
  for (const node of placed.nodes.keys()) {
    const there = links.filter((link) => link[side] === node);
    const height = (link: Link) => placed.links.get(name(link))?.label.y ?? 0;
    there.sort((one, other) => height(one) - height(other));
    const apart = Math.min(12, (HEIGHT - 16) / Math.max(1, there.length - 1));
    for (const [index, link] of there.entries()) found.set(name(link), (index - (there.length - 1) / 2) * apart);
  }
  return found;
}

function Line(props: { link: Link; at: { points: Spot[] } | undefined; most: number }) {
  if (!props.at) return null;
  const { points } = props.at;
  const bad = tone(props.link.error_percent, 1, 1);
  const width = 1 + 2.5 * Math.sqrt(props.link.requests_per_second / props.most);
  const [end, before] = [points[points.length - 1], points[points.length - 2]];
  const turn = end && before && before.x > end.x ? 180 : 0;
  return (
    <g aria-hidden="true">
      <path class={`link ${bad}`} d={smooth(points)} stroke-width={width.toFixed(1)} />
      {end ? <path class={`arrow ${bad}`} d="M0 0 L-8 -4 L-8 4 Z" transform={`translate(${end.x} ${end.y}) rotate(${turn})`} /> : null}
    </g>
  );
}

/** A curve through the points that leaves and reaches each of them level. */
function smooth(points: Spot[]): string {
  let path = "";
  for (const [index, point] of points.entries()) {
    const before = points[index - 1];
    const middle = before ? (before.x + point.x) / 2 : 0;
    path += before ? ` C${middle} ${before.y} ${middle} ${point.y} ${point.x} ${point.y}` : `M${point.x} ${point.y}`;
  }
  return path;
}

function Label(props: { link: Link; at: Spot | undefined }) {
  if (!props.at) return null;
  const { link, at } = props;
  const failing = tone(link.error_percent, 1, 1);
  const lines = [`${rate(link.requests_per_second)}/s`, ms(link.p95_ms)];
  if (failing) lines.push(`■ ${short(link.error_percent)}`);
  const top = at.y - (lines.length - 1) * 6 + 4;
  return (
    <g aria-hidden="true">
      <rect class="behind" x={at.x - LABEL.width / 2} y={top - 11} width={LABEL.width} height={lines.length * 12 + 4} />
      {lines.map((line, index) => (
        <text key={index} class={`label ${index === 2 ? "bad" : ""}`} x={at.x} y={top + index * 12}>{line}</text>
      ))}
    </g>
  );
}

export function short(value: number | null): string {
  return value !== null && value >= 0.05 ? `${value.toFixed(value >= 10 ? 0 : 1)} %` : percent(value);
}

/** What stands in the head of a part: its name, as far as there is room, and what it is. */
function named(node: Node): [title: string, kind: string] {
  if (node.kind === "edge") return ["HTTP edge", ""];
  const [, sort = "", rest = node.name] = /^(sql|http|https|redis|\w+) (.+)$/.exec(node.name) ?? [];
  const [, dialect = "", base = rest] = /^(\w+):(?!\d)(.+)$/.exec(rest) ?? [];
  const kind = node.kind === "database" ? dialect || "database" : node.kind === "outside" ? sort : "";
  const room = Math.floor((WIDTH - 26 - kind.length * 5.6) / 7.2);
  const name = node.kind === "database" ? base : rest;
  return [name.length > room ? `${name.slice(0, room - 1)}…` : name, kind];
}

export function where(node: Node): string {
  if (node.kind === "edge") return to("operations", "", { kind: "route" });
  if (node.kind === "service") return to("operations", "", { service: node.name });
  if (node.kind === "database") return to("databases");
  return to("traces", "", { text: node.name });
}

function Box(props: { node: Node; at: Spot | undefined }) {
  const { node, at } = props;
  if (!at) return null;
  const errors = tone(node.error_percent, 1, 1);
  const busy = tone(node.busy_percent, 60, 80);
  const state = errors || busy;
  const spoken =
    `${node.name}: ${rate(node.requests_per_second)} requests a second, errors ${percent(node.error_percent)}, ` +
    `p95 ${ms(node.p95_ms)}` + (node.busy_percent === null ? "" : `, busy ${percent(node.busy_percent)}`);
  const [title, kind] = named(node);
  return (
    <g transform={`translate(${at.x - WIDTH / 2} ${at.y - HEIGHT / 2})`}>
     <a href={where(node)} class={`node ${node.kind} ${state}`}>
      <title>{spoken}</title>
      <rect class="box" width={WIDTH} height={HEIGHT} rx={node.kind === "database" ? 10 : 4} />
      <text class="name" x="10" y="18">{title}</text>
      <text class="kind" x={WIDTH - 10} y="18" text-anchor="end">{kind}</text>
      <text class="fact" x="10" y="36">{rate(node.requests_per_second)}/s</text>
      <text class="fact" x={WIDTH - 10} y="36" text-anchor="end">p95 {ms(node.p95_ms)}</text>
      <text class={`fact ${errors}`} x="10" y="53">{`${errors ? "■ " : ""}${short(node.error_percent)} err`}</text>
      {node.busy_percent === null ? null : (
        <>
          <text class={`fact ${busy === "bad" ? "bad" : ""}`} x={WIDTH - 10} y="53" text-anchor="end">{`${busy ? "▲ " : ""}busy ${node.busy_percent.toFixed(0)} %`}</text>
          <rect class="track" x="10" y="59" width={WIDTH - 20} height="3" />
          <rect class={`busy ${busy}`} x="10" y="59" width={((WIDTH - 20) * Math.min(100, node.busy_percent)) / 100} height="3" />
        </>
      )}
     </a>
    </g>
  );
}
