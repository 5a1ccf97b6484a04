import { connection, now } from "../api";
import { count, ms, percent, rate } from "../format";
import { ServiceList } from "../parts/list";
import { ServiceMap } from "../parts/map";
import { Choices, Empty, Figures, Panel, tone, Words } from "../parts/panel";
import { ask, place, to } from "../place";
import type { Now } from "../shapes";
import { All } from "./operation";
import { Problems } from "./problems";

/** Below this the map would have to be scrolled to be read. */
const NARROW = 640;

export function NowPage() {
  const seen = now.value;
  if (!seen) return connection.value === "lost" ? null : <p class="loading" role="status">Waiting for the first second …</p>;
  const bad = (kind: string) => (kind ? `is-${kind}` : "");
  return (
    <>
      {seen.sentence ? <p class="sentence"><Words text={seen.sentence} /></p> : null}
      <Figures
        items={[
          { name: "Requests", value: rate(seen.requests_per_second), unit: "/s" },
          { name: "Errors", value: percent(seen.error_percent), tone: bad(tone(seen.error_percent, 1, 5)), href: to("traces", "", { error: "1" }) },
          { name: "p50", value: ms(seen.p50_ms) },
          { name: "p95", value: ms(seen.p95_ms) },
          { name: "p99", value: ms(seen.p99_ms) },
          { name: "Busiest worker", value: percent(seen.busy_percent), tone: bad(tone(seen.busy_percent, 60, 80)) },
          { name: "Under way", value: count(seen.in_flight) },
          { name: "Workers", value: count(seen.workers_count) },
        ]}
      />
      <Parts seen={seen} />
      <All />
      <Problems />
    </>
  );
}

function Parts(props: { seen: Now }) {
  const { nodes, links, window_seconds } = props.seen;
  const shown = place.value.query.get("view") ?? (innerWidth < NARROW ? "list" : "map");
  const choices = <Choices label="Shown as" options={["map", "list"]} value={shown} onChoose={(view) => ask({ view })} />;
  const note = `calls a second, p95 and errors of the last ${window_seconds} s`;
  return (
    <Panel title={shown === "map" ? "Map" : "Parts and links"} note={note} tools={nodes.length ? choices : null} flush={shown === "list" && nodes.length > 0}>
      {nodes.length === 0 ? (
        <Empty title="No request yet">Send one to the app, and its parts appear here as they are called.</Empty>
      ) : shown === "map" ? (
        <ServiceMap nodes={nodes} links={links} />
      ) : (
        <ServiceList nodes={nodes} links={links} />
      )}
    </Panel>
  );
}
