// What the API answers; written by `make page` from src/outgrow/dashboard/shapes.

export interface Applied {
  at_ms: number;
  what: string;
  times: number;
  foretold: Gain;
  groups: PlannedGroup[];
  measured: Measured | null;
  is_in_force: boolean;
  note: string;
}

export interface Audit {
  entries: Entry[];
}

export interface Besides {
  mix: GrowsBesides[];
  data_times: number;
  rows: RowCost[];
  unknown: RowsUnknown[];
  note: string;
}

export interface Between {
  best: number;
  low: number;
  high: number;
}

export interface Bill {
  times: number;
  cores: Between;
  workers_added: number;
  memory_bytes: number;
  databases: number;
  money_per_month: Between | null;
}

export interface Burn {
  window: string;
  limit: number;
  long_rate: number | null;
  short_rate: number | null;
  is_burning: boolean;
}

export interface Cancelling {
  id: string;
}

export interface Clearing {
  do: "replay" | "discard";
  fingerprint: string;
  numbers: number[];
}

export interface Costs {
  times: number;
  refusal: Problem | null;
  requests_per_second: number;
  elasticity: Between | null;
  stuck: string;
  currency: string;
  whole: Spent | null;
  services: Spent[];
  bills: Bill[];
}

export interface DatabaseUse {
  name: string;
  services: string[];
  calls: number;
  total_ms: number;
  tables: TableUse[];
}

export interface Databases {
  databases: DatabaseUse[];
}

export interface DeadLetters {
  fingerprint: string;
  count: number;
  first_at_ms: number;
  last_at_ms: number;
  name: string;
  failure: string;
  text: string;
}

export interface DueAhead {
  at_ms: number | null;
  early_ms: number | null;
  late_ms: number | null;
  weekly_percent: number;
  days: number;
}

export interface Entry {
  at_ms: number;
  who: string;
  text: string;
}

export interface ExceptionGroup {
  fingerprint: string;
  exception: string;
  text: string;
  count: number;
  first_at_ms: number;
  last_at_ms: number;
  services: string[];
  traceback: string;
  trace_id: string;
}

export interface Exceptions {
  exceptions: ExceptionGroup[];
}

export interface Exemplar {
  trace_id: string;
  at_ms: number;
  duration_ms: number;
  is_error: boolean;
  kept_for: string;
}

export interface Foreseen {
  sentence: string;
  times: number;
  grade: "exact" | "metrics" | "verified";
  refusal: Problem | null;
  from_ms: number | null;
  to_ms: number | null;
  windows: number;
  now_per_second: number | null;
  headroom: Between | null;
  saturation_per_second: Between | null;
  knee_by_doubling_per_second: Between | null;
  knee_by_objective_per_second: Between | null;
  objective: string | null;
  first: string[];
  ladder: LimitAhead[];
  unmeasured_percent: number | null;
  unknown_percent: Record<string, number>;
  due: DueAhead | null;
  record: Verified[];
  besides: Besides | null;
}

export interface Gain {
  before: Between;
  after: Between;
  gain: Between;
  first_after: string;
}

export interface Gap {
  worker: string;
  from_ms: number;
  to_ms: number;
  is_counted: boolean;
}

export interface Group {
  name: string;
  runs: string[];
  replicas_min: number;
  replicas_max: number;
  ready: number;
  busy_percent: number;
}

export interface GrowsBesides {
  name: string;
  times: number;
}

export interface GrowthPlan {
  sentence: string;
  times: number;
  refusal: Problem | null;
  target_per_second: number | null;
  bears: Between | null;
  sure_percent: number | null;
  steps: PlanStep[];
  stuck: string;
  by_hand: string;
  ways: Way[];
  objective: string;
  currency: string;
  change: PlannedChange;
  foretold: Gain | null;
  applied: Applied[];
}

export interface Heatmap {
  name: string;
  step_seconds: number;
  times_ms: number[];
  edges_ms: number[];
  counts: number[][];
  exemplars: Exemplar[];
  marks: Mark[];
}

export interface Job {
  id: string;
  kind: string;
  queue: string;
  state: "ready" | "running" | "held" | "later" | "done" | "cancelled" | "expired" | "dead";
  attempt: number;
  attempts_max: number;
  priority: number;
  key: string | null;
  enqueued_at_ms: number | null;
  run_at_ms: number | null;
  started_at_ms: number | null;
  finished_at_ms: number | null;
  is_cancelled: boolean;
  progress: string | null;
  result: string | null;
  failure: string;
  text: string;
  fingerprint: string;
}

export interface JobFound {
  may_change: boolean;
  problem: Problem | null;
  job: Job | null;
}

export interface Jobs {
  problem: Problem | null;
  jobs: Job[];
  after: string | null;
}

export interface Learned {
  tests: number;
  shift_percent: number;
  width_ratio: number;
}

export interface Letter {
  number: number;
  kind: "job" | "event";
  id: string;
  source: string;
  name: string;
  attempts: number;
  died_at_ms: number;
  failure: string;
  text: string;
}

export interface Letters {
  may_change: boolean;
  problem: Problem | null;
  letters: Letter[];
  before: number | null;
}

export interface LimitAhead {
  station: string;
  kind: string;
  calls_per_second: Between;
  headroom: Between;
  first_percent: number;
  binds: boolean;
  load_percent: number;
  pattern: PatternAhead | null;
  by_hand: string;
  learned: Learned | null;
}

export interface LimitLoad {
  station: string;
  kind: string;
  load_percent: number;
}

export interface Link {
  caller: string;
  callee: string;
  requests_per_second: number;
  error_percent: number | null;
  p95_ms: number | null;
}

export interface Loads {
  windows: number;
  loads: LimitLoad[];
}

export interface LogLine {
  at_ms: number;
  severity: number;
  text: string;
  logger: string;
  service: string;
  worker: string;
  trace_id: string;
  span_id: string;
  exception: string;
  traceback: string;
  attributes: Record<string, string | number | boolean>;
}

export interface Logs {
  lines: LogLine[];
  before_ms: number | null;
}

export interface Mark {
  at_ms: number;
  kind: string;
  text: string;
}

export interface Marks {
  marks: Mark[];
}

export interface Measured {
  at_ms: number;
  knee: Between;
  gain: Between;
  first: string;
  error_percent: number;
  is_held: boolean;
  by: "traffic" | "load test";
}

export interface Metric {
  name: string;
  service: string;
  points_count: number;
  last_at_ms: number;
}

export interface MetricLine {
  service: string;
  attributes: Record<string, string>;
  values: (number | null)[];
}

export interface MetricSeries {
  name: string;
  kind: string;
  unit: string;
  step_seconds: number;
  times_ms: number[];
  lines: MetricLine[];
  lines_count: number;
  is_cut: boolean;
}

export interface Metrics {
  metrics: Metric[];
}

export interface Node {
  name: string;
  kind: "edge" | "service" | "database" | "outside";
  requests_per_second: number;
  error_percent: number | null;
  p95_ms: number | null;
  busy_percent: number | null;
  workers: string[];
}

export interface Now {
  at_ms: number;
  app: string;
  window_seconds: number;
  requests_per_second: number;
  workers_count: number;
  error_percent: number | null;
  p50_ms: number | null;
  p95_ms: number | null;
  p99_ms: number | null;
  busy_percent: number | null;
  in_flight: number;
  nodes: Node[];
  links: Link[];
  sentence: string | null;
}

export interface Objective {
  operation: string;
  kind: "latency" | "errors";
  text: string;
  goal_percent: number;
  calls: number;
  days: number;
  latency_ms: number | null;
  good_percent: number | null;
  budget_left_percent: number | null;
  burns: Burn[];
}

export interface Objectives {
  objectives: Objective[];
}

export interface Operation {
  name: string;
  service: string;
  kind: "route" | "operation";
  calls: number;
  errors: number;
  requests_per_second: number;
  error_percent: number | null;
  p50_ms: number | null;
  p95_ms: number | null;
  p99_ms: number | null;
  impact_percent: number;
  in_flight_mean: number;
  cpu_ms_per_call: number | null;
  timeouts: number;
  client_errors: number;
  wait_ms: number | null;
  received_bytes_per_call: number | null;
  sent_bytes_per_call: number | null;
}

export interface Operations {
  operations: Operation[];
  marks: Mark[];
}

export interface Outcome {
  is_done: boolean;
  steps: string[];
  problem: Problem | null;
}

export interface PatternAhead {
  title: string;
  effort: "setting" | "placement" | "code" | "data";
  how: string;
  needs: string[];
  calls_per_second: Between;
  headroom: Between;
}

export interface Pausing {
  kind: "queue" | "subscription";
  name: string;
  is_paused: boolean;
}

export interface Placement {
  state: string;
  may_change: boolean;
  version: number;
  groups: Group[];
  restarts: number;
}

export interface PlanStep {
  limit: string;
  kind: string;
  pattern: PatternAhead;
  by: "apply" | "hand" | "itself";
  limit_per_second: Between;
  knee_before: Between;
  knee_after: Between;
  first_after: string;
  workers: number;
  memory_bytes: number;
  cores: number;
  money_per_month: number | null;
}

export interface PlannedChange {
  moves: string[];
  merges: string[];
  sizes: string[];
  groups: PlannedGroup[];
}

export interface PlannedGroup {
  name: string;
  runs: string[];
  replicas: string;
}

export interface Problem {
  text: string;
  hint: string;
}

export interface Queue {
  name: string;
  is_paused: boolean;
  slots: number | null;
  ready_count: number;
  running_count: number;
  held_count: number;
  later_count: number;
  oldest_at_ms: number | null;
}

export interface QueueLine {
  name: string;
  slots: number;
  busy_percent: (number | null)[];
  wait_p95_ms: (number | null)[];
  waiting: (number | null)[];
  dead: (number | null)[];
}

export interface QueueSeries {
  step_seconds: number;
  times_ms: number[];
  queues: QueueLine[];
  queues_count: number;
  marks: Mark[];
}

export interface Queues {
  state: "open" | "away" | "none";
  may_change: boolean;
  problem: Problem | null;
  queues: Queue[];
  subscriptions: Subscription[];
  dead: DeadLetters[];
}

export interface Responding {
  operation: string;
  operations: string[];
  points: ResponsePoint[];
}

export interface ResponsePoint {
  calls_per_second: number;
  mean_ms: Between;
  p99_ms: Between;
}

export interface RowCost {
  subject: string;
  operation: string;
  stations: string[];
  rows: number;
  ms_per_row: Between;
}

export interface RowsUnknown {
  subject: string;
  why: string;
}

export interface Series {
  name: string;
  step_seconds: number;
  times_ms: number[];
  requests_per_second: (number | null)[];
  errors_per_second: (number | null)[];
  p50_ms: (number | null)[];
  p95_ms: (number | null)[];
  p99_ms: (number | null)[];
  marks: Mark[];
}

export interface SignMissing {
  sign: string;
  needs: string;
}

export interface SignSeen {
  sign: string;
  subject: string;
  severity: string;
  text: string;
  value: number;
  threshold: number;
  gain: number | null;
  share_percent: number | null;
  numbers: Record<string, number>;
  traces: string[];
  silence: SignSilence | null;
}

export interface SignSilence {
  reason: string;
  until: string;
  is_over: boolean;
}

export interface Signs {
  signs: SignSeen[];
  missing: SignMissing[];
  silenced: SignSeen[];
}

export interface Span {
  span_id: string;
  parent_id: string;
  name: string;
  kind: number;
  service: string;
  worker: string;
  offset_ms: number;
  duration_ms: number;
  depth: number;
  is_error: boolean;
  message: string;
  kept_for: string;
  attributes: Record<string, string | number | boolean>;
  events: SpanEvent[];
  critical: [number, number][];
}

export interface SpanEvent {
  offset_ms: number;
  name: string;
  attributes: Record<string, string | number | boolean>;
}

export interface Spent {
  name: string;
  share_percent: number;
  cpu_ms: number;
  database_ms: number;
  worker_ms: number;
  worker_hours_per_million: number;
  money_per_million: number | null;
}

export interface Statement {
  database: string;
  fingerprint: string;
  text: string;
  callers: string[];
  reads: string[];
  writes: string[];
  calls: number;
  errors: number;
  rows: number;
  total_ms: number;
  share_percent: number;
  mean_ms: number | null;
  p95_ms: number | null;
  calls_per_request_p95: number | null;
}

export interface Statements {
  statements: Statement[];
}

export interface Station {
  worker: string;
  name: string;
  kind: string;
  capacity: number;
  busy_percent: number;
  served_per_second: number;
  rejected: number;
  hold_ms: number | null;
  wait_p95_ms: number | null;
  queue_max: number;
}

export interface Stations {
  stations: Station[];
}

export interface Subscription {
  name: string;
  event: string;
  is_paused: boolean;
  unread_count: number;
  parked_count: number;
  next_try_at_ms: number | null;
}

export interface TableUse {
  table: string;
  readers: string[];
  writers: string[];
  calls: number;
  total_ms: number;
}

export interface Trace {
  trace_id: string;
  at_ms: number;
  duration_ms: number;
  spans: Span[];
  logs: LogLine[];
}

export interface TraceRow {
  trace_id: string;
  at_ms: number;
  name: string;
  duration_ms: number;
  spans_count: number;
  errors_count: number;
  services: string[];
  kept_for: string;
}

export interface Traces {
  traces: TraceRow[];
  before_ms: number | null;
}

export interface Verified {
  from_ms: number;
  to_ms: number;
  foretold: Between;
  measured: Between;
  is_reached: boolean;
  error_percent: number;
  first_foretold: string[];
  first_measured: string;
  is_held: boolean | null;
  route: string;
  steps: VerifiedStep[];
  others_cores: number;
  driver_cores: number;
  limit_foretold_per_second: number | null;
  limit_kind: string;
  mix_off_percent: number;
}

export interface VerifiedStep {
  sent_per_second: number;
  good_per_second: number;
  bad_percent: number;
  p99_ms: number;
  foretold_p99_ms: Between | null;
}

export interface Way {
  limit: string;
  title: string;
  effort: "setting" | "placement" | "code" | "data";
  by: "apply" | "hand" | "itself";
  how: string;
  needs: string[];
  assumes: string;
  before: Between;
  after: Between;
  gain: Between;
  better_percent: number;
  first_after: string;
  workers: number;
  memory_bytes: number;
  cores: number;
  money_per_month: number | null;
}

export interface Worker {
  name: string;
  group: string;
  state: "reporting" | "gone" | "lost";
  version: number;
  machine: string;
  pid: number;
  began_at_ms: number;
  seen_at_ms: number;
  commit: string;
  busy_percent: number | null;
  cpu_percent: number | null;
  loop_lag_p99_ms: number | null;
  gil_wait_p99_ms: number | null;
  run_queue_percent: number | null;
  gc_percent: number | null;
  steal_percent: number | null;
  cpu_stall_percent: number | null;
  io_stall_percent: number | null;
  memory_stall_percent: number | null;
  memory_bytes: number;
  threads: number;
  in_flight: number;
}

export interface WorkerLine {
  name: string;
  busy_percent: (number | null)[];
  loop_lag_p99_ms: (number | null)[];
  gil_wait_p99_ms: (number | null)[];
  memory_bytes: (number | null)[];
}

export interface WorkerSeries {
  step_seconds: number;
  times_ms: number[];
  workers: WorkerLine[];
  workers_count: number;
  marks: Mark[];
}

export interface Workers {
  workers: Worker[];
  gaps: Gap[];
  lost: Record<string, number>;
}
