import { useAsked } from "../api";
import { count, percent, plain, seconds } from "../format";
import { Empty, Panel, Shown } from "../parts/panel";
import { to } from "../place";
import type { Burn, Objective, Objectives } from "../shapes";

export function ObjectivesPage() {
  const asked = useAsked<Objectives>(() => "objectives");
  return (
    <Panel title="What was promised" note="burn: 1 uses the budget up exactly at the period's end; both windows must be over the limit" flush>
      <Shown asked={asked.value}>
        {(found) =>
          found.objectives.length ? (
            <div class="scroll" tabindex={0} role="region" aria-label="Objectives">
              <table>
                <thead>
                  <tr>
                    <th scope="col">Operation</th>
                    <th scope="col">State</th>
                    <th scope="col" class="n">Goal</th>
                    <th scope="col" class="n">Kept</th>
                    <th scope="col">Budget left</th>
                    {(found.objectives[0]?.burns ?? []).map((burn) => (
                      <th scope="col" class="n" key={burn.window}>Burn {burn.window}, limit {burn.limit}</th>
                    ))}
                  </tr>
                </thead>
                <tbody>{found.objectives.map((each) => <Row key={each.operation + each.kind} objective={each} />)}</tbody>
              </table>
            </div>
          ) : (
            <Empty title="Nothing is promised yet">
              Write it in outgrow.toml, under [objectives]: <code>"POST /orders" = {"{ latency_ms = 300, percent = 99, errors_percent = 1 }"}</code>
            </Empty>
          )
        }
      </Shown>
    </Panel>
  );
}

function Row(props: { objective: Objective }) {
  const { objective } = props;
  const left = objective.budget_left_percent;
  const burning = objective.burns.some((burn) => burn.is_burning);
  const kind = left === null ? "idle" : left <= 0 ? "bad" : burning || left < 25 ? "warn" : "";
  const word = left === null ? "no calls" : left <= 0 ? "broken" : burning ? "burning" : left < 25 ? "short" : "kept";
  return (
    <tr>
      <td><a href={to("operations", objective.operation)}>{objective.operation}</a><span class="under">{objective.text}</span></td>
      <td><span class={`state ${kind}`}>{word}</span></td>
      <td class="n">{percent(objective.goal_percent)}</td>
      <td class="n">{percent(objective.good_percent)}<span class="under">{count(objective.calls)} calls, {seconds(objective.days * 86_400)}</span></td>
      <td>
        {left === null ? "–" : percent(left)}
        <span class={`budget ${kind}`} aria-hidden="true"><i style={{ width: `${Math.max(0, Math.min(100, left ?? 0))}%` }} /></span>
      </td>
      {objective.burns.map((burn) => <td class="n" key={burn.window}><BurnRate burn={burn} /></td>)}
    </tr>
  );
}

function BurnRate(props: { burn: Burn }) {
  const { burn } = props;
  return (
    <span class={burn.is_burning ? "is-bad" : ""}>
      {burn.is_burning ? "■ " : ""}{plain(burn.long_rate)} / {plain(burn.short_rate)}
    </span>
  );
}
