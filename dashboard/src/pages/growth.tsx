// What breaks first as traffic grows: the limits in their order, how long calls take on the way
// there, what carries the app further, and the signs that were measured.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { useAsked } from "../api";
import { ago, bytes, measured, moment, ms, percent, plain, rate } from "../format";
import { Chart } from "../parts/chart";
import { Empty, Panel, Share, Shown, signed, tone, Words } from "../parts/panel";
import { type Column, Table } from "../parts/table";
import { Command } from "../parts/twin";
import { ask, place, TIMES, to } from "../place";
import type { Applied, Besides, Between, Bill, Costs, Foreseen, GrowthPlan, Learned, LimitAhead, PatternAhead, Problem, Responding, RowCost, Signs, SignSeen, Spent, Verified, Way } from "../shapes";

/** What is foreseen rests on the last hour, whatever period other pages show. */
const HOUR = { from: "-1h", to: "now" };
/** The slider goes from 1 to 100 times, equal steps for equal ratios. */
const SLIDER_STEPS = 100;
/** A minute stands for longer, and for no end. */
const ENDLESS_MS = 60_000;

/** What grows besides the traffic as a whole, as the address has it. */
const besides = () => ({ mix: place.value.query.get("mix"), data: place.value.query.get("data") });

export function GrowthPage() {
  const times = place.value.query.get("times") ?? TIMES;
  const query = () => ({ ...HOUR, ...besides(), times: place.value.query.get("times") ?? TIMES });
  const asked = useAsked<Foreseen>(() => "forecast", query);
  const plan = useAsked<GrowthPlan>(() => "plan", query);
  const costs = useAsked<Costs>(() => "costs", query);
  const signs = useAsked<Signs>(() => "signs", () => HOUR);
  return (
    <>
      <Shown asked={asked.value}>
        {(found) => (
          <>
            {found.refusal ? <Refused refusal={found.refusal} /> : <p class="sentence"><Words text={found.sentence} /></p>}
            <Times times={Number(times)} />
            {found.besides ? <Rows besides={found.besides} /> : null}
            {found.refusal ? null : <Ladder found={found} />}
            {found.refusal ? null : <Curve found={found} />}
          </>
        )}
      </Shown>
      <Record record={asked.value.value?.record ?? []} />
      <Learnt applied={plan.value.value?.applied ?? []} />
      {asked.value.value?.refusal ? null : <Shown asked={plan.value}>{(found) => <><Plan plan={found} /><Ways plan={found} /></>}</Shown>}
      {asked.value.value?.refusal ? null : <Shown asked={costs.value}>{(found) => <Spending costs={found} />}</Shown>}
      <Shown asked={signs.value}>{(found) => <Warnings signs={found} />}</Shown>
    </>
  );
}

function Refused(props: { refusal: Problem }) {
  return (
    <Panel title="No forecast">
      <Empty title={`${props.refusal.text}.`}><Words text={`${props.refusal.hint}.`} /></Empty>
    </Panel>
  );
}

function Times(props: { times: number }) {
  const value = useSignal("");
  useEffect(() => void (value.value = String(props.times)), [props.times]);
  const choose = (times: string) => Number(times) > 0 && ask({ times: times === TIMES ? "" : times });
  const step = Math.round((Math.log(Number(value.value) || 1) / Math.log(100)) * SLIDER_STEPS);
  const { mix, data } = besides();
  return (
    <form class="form after" aria-label="How much traffic" onSubmit={(event) => { event.preventDefault(); choose(value.value); }}>
      <label>
        <span>At so many times the traffic of now</span>
        <input type="number" min="0.1" max="1000000" step="any" required value={value.value} onInput={(event) => (value.value = event.currentTarget.value)} onChange={(event) => choose(event.currentTarget.value)} />
      </label>
      <label class="slide">
        <span>from 1 to 100</span>
        <input
          type="range"
          min="0"
          max={SLIDER_STEPS}
          value={step}
          aria-valuetext={`${value.value} times`}
          onInput={(event) => (value.value = String(Number((100 ** (Number(event.currentTarget.value) / SLIDER_STEPS)).toPrecision(2))))}
          onChange={() => choose(value.value)}
        />
      </label>
      <label>
        <span>Growing faster: name=times; …</span>
        <input type="text" maxLength={2000} placeholder="checkout=2" value={mix ?? ""} onChange={(event) => ask({ mix: event.currentTarget.value.trim() })} />
      </label>
      <label>
        <span>Times the rows of now</span>
        <input type="number" min="0.1" max="1000" step="any" value={data ?? "1"} onChange={(event) => ask({ data: event.currentTarget.value === "1" ? "" : event.currentTarget.value })} />
      </label>
    </form>
  );
}

const COSTS: Column<RowCost>[] = [
  { name: "Where", wide: true, cell: (row) => <>{row.subject}<span class="under">{row.stations.join(", ")}</span></> },
  { name: "A row costs", n: true, by: (row) => row.ms_per_row.best, cell: (row) => <Sure one={row.ms_per_row} show={ms} /> },
  { name: "Rows now", n: true, by: (row) => row.rows, cell: (row) => plain(row.rows) },
];

/** What else grows, and how much of that is known. */
function Rows(props: { besides: Besides }) {
  const { mix, note, rows, unknown } = props.besides;
  return (
    <>
      {mix.length ? <p>As fast as the rest grow: {mix.map((one) => `${one.name} ${plain(one.times)} times`).join(", ")}.</p> : null}
      {note ? (
        <Panel title={`With ${plain(props.besides.data_times)} times the rows`} note={note} flush>
          {rows.length ? <Table caption="What a row costs" columns={COSTS} rows={rows} id={(row) => `${row.subject} ${row.operation}`} /> : <Empty title="No time per row could be measured">All is taken as it is.</Empty>}
          {unknown.length ? (
            <details class="more">
              <summary>{unknown.length} taken as they are</summary>
              <ul>{unknown.map((each) => <li key={each.subject}>{each.subject}: {each.why}</li>)}</ul>
            </details>
          ) : null}
        </Panel>
      ) : null}
    </>
  );
}

/** A number with how sure it is below. */
function Sure(props: { one: Between | null; show?: (value: number) => string }) {
  const { one, show = rate } = props;
  return one ? <>{show(one.best)}<span class="under">{show(one.low)} to {show(one.high)}</span></> : <>–</>;
}

/** What load tests have taught of a limit: it is in the number above. */
function Taught(props: { learned: Learned | null }) {
  const { tests = 0, shift_percent = 0 } = props.learned ?? {};
  if (!tests) return null;
  return <span class="under">corrected by {percent(shift_percent)}, from {tests === 1 ? "1 load test" : `${tests} load tests`}</span>;
}

function Pattern(props: { pattern: PatternAhead; times: number }) {
  const { pattern } = props;
  const short = pattern.headroom.low < props.times;
  return (
    <div class="wider">
      <Words text={pattern.title} />
      <span class="under"><Words text={pattern.how} /></span>
      <span class="under">
        {signed(short ? "warn" : "", `to ${plain(pattern.headroom.best)} times now (${plain(pattern.headroom.low)} to ${plain(pattern.headroom.high)})`)}
        {pattern.needs.map((need) => `; needs: ${need}`)}
      </span>
    </div>
  );
}

function Ladder(props: { found: Foreseen }) {
  const { found } = props;
  const kind = (load: number) => tone(load, 60, 80);
  const columns: Column<LimitAhead>[] = [
    { name: "Limit", cell: (rung) => <>{rung.station}<span class="under">{rung.binds ? <span class="state bad">binds</span> : <span class="state">bears it</span>}</span></> },
    { name: "Load now", n: true, by: (rung) => rung.load_percent, cell: (rung) => <Share percent={rung.load_percent} text={signed(kind(rung.load_percent), percent(rung.load_percent))} kind={kind(rung.load_percent)} /> },
    { name: "Binds at, requests/s", n: true, by: (rung) => rung.calls_per_second.best, cell: (rung) => <><Sure one={rung.calls_per_second} /><Taught learned={rung.learned} /></> },
    { name: "Times now", n: true, by: (rung) => rung.headroom.best, cell: (rung) => <Sure one={rung.headroom} show={plain} /> },
    { name: "First", title: "How probable it is that it is the first", n: true, by: (rung) => rung.first_percent, cell: (rung) => percent(rung.first_percent) },
    { name: "What moves it", wide: true, cell: (rung) => (rung.pattern ? <Pattern pattern={rung.pattern} times={found.times} /> : <Words text={rung.by_hand || "–"} />) },
  ];
  return (
    <Panel title="Limits in the order in which they bind" note={`from ${found.windows} windows of 10 s at ${rate(found.now_per_second)} requests/s; ${percent(found.unmeasured_percent)} of the time of calls passes where nothing is measured`} flush>
      <Table caption="Limits" columns={columns} rows={found.ladder} id={(rung) => rung.station} rows_max={12} />
    </Panel>
  );
}

function Curve(props: { found: Foreseen }) {
  const { found } = props;
  const asked = useAsked<Responding>(() => "forecast/response", () => ({ ...HOUR, ...besides(), operation: place.value.query.get("operation") }));
  const { operations = [], operation = "" } = asked.value.value ?? {};
  const tools = (
    <label>
      <span class="hidden">Route</span>
      <select value={operation} onChange={(event) => ask({ operation: event.currentTarget.value })}>
        {operations.map((name) => <option key={name}>{name}</option>)}
      </select>
    </label>
  );
  return (
    <Panel title="How long calls take as traffic grows" note="▼ now, and where the mean time has doubled; ■ a limit; areas: where 90 of 100 draws lie" tools={operations.length ? tools : null}>
      <Shown asked={asked.value}>{(curve) => <Bent found={found} curve={curve} />}</Shown>
    </Panel>
  );
}

function Bent(props: { found: Foreseen; curve: Responding }) {
  const { found } = props;
  const { points } = props.curve;
  const knee = found.saturation_per_second;
  if (!knee || !points.length) return <Empty title="No curve yet">It comes with the forecast.</Empty>;
  const line = (name: string, ink: string, pick: (point: (typeof points)[number]) => Between) => ({
    name,
    ink,
    values: points.map((point) => pick(point).best),
    sure: [points.map((point) => pick(point).low), points.map((point) => pick(point).high)] as [number[], number[]],
  });
  const now = found.now_per_second ?? 0;
  const marks = [
    { at_ms: now, kind: "now", text: "the traffic of now" },
    ...(found.knee_by_doubling_per_second ? [{ at_ms: found.knee_by_doubling_per_second.best, kind: "knee", text: "the mean time has doubled" }] : []),
    ...(found.knee_by_objective_per_second ? [{ at_ms: found.knee_by_objective_per_second.best, kind: "limit", text: `${found.objective} is broken` }] : []),
    { at_ms: knee.best, kind: "limit", text: `${found.first.join(" or ")} binds` },
  ];
  const rest = Math.max(0, points.findIndex((point) => point.calls_per_second >= now));
  // Near saturation times go up without end; what is told before that must stay readable.
  const top = 2.5 * (points[Math.floor(points.length * 0.8)]?.p99_ms.best ?? 0);
  return (
    <Chart
      title="Time of calls by load"
      times_ms={points.map((point) => point.calls_per_second)}
      lines={[line("p99", "series-3", (point) => point.p99_ms), line("mean", "series-1", (point) => point.mean_ms)]}
      show={(value) => (value !== null && value >= ENDLESS_MS ? "over 1 min" : ms(value))}
      marks={marks}
      height={240}
      top={top}
      across={{ name: "requests/s", show: rate, max: 1.05 * knee.high, zone: [knee.low, knee.high], rest }}
    />
  );
}

function Plan(props: { plan: GrowthPlan }) {
  const { plan } = props;
  return (
    <Panel title={`A plan for ${plain(plan.times)} times`} note={plan.sure_percent === null ? "" : `${percent(plan.sure_percent)} sure`}>
      <p><Words text={plan.sentence} /> <Words text={plan.by_hand ? `By hand: ${plan.by_hand}.` : ""} /></p>
      <ol class="steps">
        {plan.steps.map((step) => (
          <li key={step.pattern.title}>
            <Words text={step.pattern.title} />
            <span class="under"><Words text={`${BY[step.by]}: ${step.pattern.how}`} /></span>
            <span class="under">bears {rate(step.knee_after.best)} requests/s then ({rate(step.knee_after.low)} to {rate(step.knee_after.high)}), where {step.first_after} binds{step.money_per_month ? `; ${money(step.money_per_month, plan.currency)} more` : ""}</span>
          </li>
        ))}
      </ol>
      {plan.steps.length ? <Command text={`outgrow plan ${plan.times} --out plan.json`} /> : null}
    </Panel>
  );
}

const WAYS = (currency: string): Column<Way>[] => [
  {
    name: "Each by itself",
    wide: true,
    cell: (way) => (
      <div class="wider">
        <Words text={way.title} />
        <span class="under"><Words text={`${BY[way.by]}: ${way.how}`} /></span>
        <span class="under">{[...way.needs.map((need) => `needs: ${need}`), ...(way.assumes ? [`if ${way.assumes}`] : [])].join("; ")}</span>
      </div>
    ),
  },
  { name: "Gain", title: "How many times the traffic that is borne now", n: true, by: (way) => way.gain.best, cell: (way) => (way.better_percent < 50 ? <>none</> : <Sure one={way.gain} show={(value) => `${plain(value)} ×`} />) },
  { name: "Bears, requests/s", n: true, by: (way) => way.after.best, cell: (way) => <><Sure one={way.after} /><span class="under">before: {rate(way.before.best)} ({rate(way.before.low)} to {rate(way.before.high)})</span></> },
  { name: "Then binds", cell: (way) => way.first_after },
  { name: "Effort", cell: (way) => way.effort },
  { name: "Costs more", n: true, by: (way) => way.money_per_month, cell: (way) => <>{way.workers ? `${way.workers} ${Math.abs(way.workers) === 1 ? "worker" : "workers"}` : "–"}<span class="under">{money(way.money_per_month, currency)}</span></> },
];

const BY = { apply: "outgrow apply does it", hand: "by hand", itself: "by itself" };

/** What something costs in a month. */
function money(much: number | null, currency: string) {
  return !much ? "" : `${much.toLocaleString("en", { maximumFractionDigits: 2 })} ${currency} a month`;
}

function Ways(props: { plan: GrowthPlan }) {
  const { ways, currency, objective } = props.plan;
  if (!ways.length) return null;
  const limits = [...new Set(ways.map((way) => way.limit))].join(", ");
  return (
    <Panel title={`Ways past ${limits}`} note={`ranked by gain and effort${objective ? `; the knee is that of ${objective.replaceAll("`", "")}` : ""}`} flush>
      <Table caption="Ways" columns={WAYS(currency)} rows={ways} id={(way) => way.limit + way.title} />
    </Panel>
  );
}

const SPENT = (currency: string): Column<Spent>[] => [
  { name: "Service", cell: (one) => one.name },
  { name: "Share", title: "Of all CPU time", n: true, by: (one) => one.share_percent, cell: (one) => percent(one.share_percent) },
  { name: "CPU", title: "Of one request", n: true, by: (one) => one.cpu_ms, cell: (one) => ms(one.cpu_ms) },
  { name: "Database", title: "Of one request", n: true, by: (one) => one.database_ms, cell: (one) => ms(one.database_ms) },
  { name: "Worker hours", title: "Of a million requests", n: true, by: (one) => one.worker_hours_per_million, cell: (one) => plain(one.worker_hours_per_million) },
  { name: "Money", title: "CPU and memory of a million requests", n: true, by: (one) => one.money_per_million, cell: (one) => (one.money_per_million === null ? "–" : `${plain(one.money_per_million)} ${currency}`) },
];

/** What requests take, and what a month takes now and at that traffic. */
function Spending(props: { costs: Costs }) {
  const { whole, services, bills, elasticity, currency } = props.costs;
  if (props.costs.refusal || !whole) return null;
  const note = elasticity ? `1 % more requests take ${plain(elasticity.best)} % more CPU time (${plain(elasticity.low)} to ${plain(elasticity.high)})` : "";
  const columns: Column<Bill>[] = [
    { name: "In a month", cell: (bill) => (bill.times === 1 ? "now" : `at ${plain(bill.times)} times`) },
    { name: "Cores at work", n: true, cell: (bill) => <Sure one={bill.cores} show={plain} /> },
    { name: "Memory", n: true, cell: (bill) => bytes(bill.memory_bytes) },
    { name: "Workers more", n: true, cell: (bill) => String(bill.workers_added) },
    { name: "Databases", n: true, cell: (bill) => String(bill.databases) },
    { name: `Costs${currency ? `, ${currency}` : ""}`, n: true, cell: (bill) => <Sure one={bill.money_per_month} show={plain} /> },
  ];
  return (
    <>
      <Panel title="What each request takes" note={note} flush>
        <Table caption="By service" columns={SPENT(currency)} rows={[...services, whole]} id={(one) => one.name} />
      </Panel>
      <Panel title="What a month takes" note={currency ? "" : "for money, write [prices] in outgrow.toml"} flush>
        <Table caption="Months" columns={columns} rows={bills} id={(bill) => String(bill.times)} />
      </Panel>
    </>
  );
}

const APPLIED: Column<Applied>[] = [
  { name: "Applied", cell: (one) => <>{moment(one.at_ms)}<span class="under">{one.what}</span></> },
  { name: "Foretold gain", n: true, cell: (one) => <Sure one={one.foretold.gain} show={(value) => `${plain(value)} ×`} /> },
  { name: "Measured", n: true, cell: (one) => (one.measured ? <Sure one={one.measured.gain} show={(value) => `${plain(value)} ×`} /> : <>–</>) },
  { name: "Foretold knee", n: true, cell: (one) => <Sure one={one.foretold.after} /> },
  { name: "Measured knee", n: true, cell: (one) => <Sure one={one.measured?.knee ?? null} /> },
  {
    name: "Plan",
    wide: true,
    cell: (one) => (
      <>
        <span class={`state ${one.measured ? (one.measured.is_held ? "" : "bad") : "idle"}`}>{one.measured ? (one.measured.is_held ? "held" : "did not hold") : one.note}</span>
        <span class="under">{[one.measured ? `by ${one.measured.by} since` : "", one.is_in_force ? "" : "no longer in force"].filter(Boolean).join("; ")}</span>
      </>
    ),
  },
];

function Learnt(props: { applied: Applied[] }) {
  if (!props.applied.length) return null;
  return (
    <Panel title="What plans have brought" note="gains over what was borne before, in times; knees in requests/s" flush>
      <Table caption="Plans that were applied" columns={APPLIED} rows={props.applied} id={(one) => String(one.at_ms)} />
    </Panel>
  );
}

const TESTS: Column<Verified>[] = [
  { name: "Load test", cell: (one) => <>{moment(one.to_ms)}<span class="under">{ago(one.to_ms, Date.now())}</span></> },
  { name: "Foretold", n: true, cell: (one) => <Sure one={one.foretold} /> },
  { name: "Measured", n: true, cell: (one) => <Sure one={one.measured} /> },
  { name: "First limit", wide: true, cell: (one) => <>{one.first_measured || "–"}<span class="under">foretold: {one.first_foretold.join(" or ")}</span></> },
  { name: "Forecast", cell: (one) => <span class={`state ${one.is_held ? "" : one.is_held === null ? "idle" : "bad"}`}>{one.is_held ? "held" : one.is_held === null ? "not known" : "did not hold"}</span> },
];

function Record(props: { record: Verified[] }) {
  if (!props.record.length) return null;
  return (
    <Panel title="How forecasts have held" note="load tests by outgrow verify, in requests/s" flush>
      <Table caption="Load tests" columns={TESTS} rows={props.record} id={(one) => String(one.to_ms)} />
    </Panel>
  );
}

const SIGNS: Column<SignSeen>[] = [
  { name: "Sign", cell: (sign) => <span class={`state ${sign.severity === "severe" ? "bad" : "warn"}`}>{sign.sign}<span class="hidden">, {sign.severity}</span></span> },
  { name: "Where", cell: (sign) => sign.subject },
  { name: "Gain", title: "How many times the first limit its removal would allow", n: true, by: (sign) => sign.gain, cell: (sign) => (sign.gain === null ? "–" : `${plain(sign.gain)} ×`) },
  { name: "Touches", title: "Share of the demand or time", n: true, by: (sign) => sign.share_percent, cell: (sign) => percent(sign.share_percent) },
  { name: "Evidence", wide: true, cell: (sign) => <Evidence sign={sign} /> },
];

function Evidence(props: { sign: SignSeen }) {
  const { text, value, threshold, numbers, traces, silence } = props.sign;
  const more = Object.entries(numbers).map(([name, number]) => `; ${measured(name, number)}`);
  return (
    <>
      <Words text={text} />
      <span class="under">{plain(value)}, warned of from {plain(threshold)}{more}</span>
      {traces.length ? <span class="under">such as {traces.map((id, place) => <>{place ? ", " : ""}<a href={to("traces", id)}>trace {place + 1}</a></>)}</span> : null}
      {silence ? <span class="under">{silence.is_over ? "was silenced" : "silenced"} until {silence.until}: {silence.reason}</span> : null}
    </>
  );
}

function Warnings(props: { signs: Signs }) {
  const { signs, missing, silenced } = props.signs;
  const id = (sign: SignSeen) => `${sign.sign} ${sign.subject}`;
  return (
    <Panel title="Signs" note="those first whose removal brings the most" flush>
      {signs.length ? <Table caption="Signs" columns={SIGNS} rows={signs} id={id} /> : <Empty title="No sign was seen">What could not be looked for is named below.</Empty>}
      {silenced.length ? (
        <details class="more">
          <summary>{silenced.length} silenced</summary>
          <Table caption="Silenced signs" columns={SIGNS} rows={silenced} id={id} />
        </details>
      ) : null}
      {missing.length ? (
        <details class="more">
          <summary>{missing.length} could not be looked for</summary>
          <ul>{missing.map((each) => <li key={each.sign}>{each.sign}: it takes {each.needs}</li>)}</ul>
        </details>
      ) : null}
    </Panel>
  );
}
