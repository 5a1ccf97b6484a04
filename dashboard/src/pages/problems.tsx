// The newest faults and changes, below the map.
import { useAsked } from "../api";
import { ago, count } from "../format";
import { Panel, Shown, Words } from "../parts/panel";
import { to } from "../place";
import type { Exceptions, Marks } from "../shapes";

export function Problems() {
  const faults = useAsked<Exceptions>(() => "exceptions", () => ({ limit: 5 }));
  const marks = useAsked<Marks>(() => "marks");
  return (
    <div class="grid">
      <Panel title="Exceptions" tools={<a href={to("exceptions")}>All</a>} flush>
        <Shown asked={faults.value}>
          {(found) =>
            found.exceptions.length ? (
              <table>
                <thead class="hidden"><tr><th>Exception</th><th>Times</th></tr></thead>
                <tbody>
                  {found.exceptions.map((each) => (
                    <tr key={each.fingerprint}>
                      <td class="wide">
                        <a href={to("exceptions", each.fingerprint)}>{each.exception}</a>
                        <span class="under">{each.text.split("\n")[0]}</span>
                      </td>
                      <td class="n">{count(each.count)} ×<span class="under">{ago(each.last_at_ms, Date.now())}</span></td>
                    </tr>
                  ))}
                </tbody>
              </table>
            ) : (
              <p class="empty">None in this period.</p>
            )
          }
        </Shown>
      </Panel>
      <Panel title="Deploys and changes" flush>
        <Shown asked={marks.value}>
          {(found) =>
            found.marks.length ? (
              <table>
                <thead class="hidden"><tr><th>When</th><th>What</th></tr></thead>
                <tbody>
                  {[...found.marks].reverse().slice(0, 6).map((each) => (
                    <tr key={each.at_ms + each.text}>
                      <td class="dim">{ago(each.at_ms, Date.now())}</td>
                      <td class="wide"><Words text={each.text} /></td>
                    </tr>
                  ))}
                </tbody>
              </table>
            ) : (
              <p class="empty">None in this period.</p>
            )
          }
        </Shown>
      </Panel>
    </div>
  );
}
