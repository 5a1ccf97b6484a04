// The page that shows what an app does. All of it comes from the observer's JSON API.
import { render } from "preact";
import { follow } from "./api";
import { Frame } from "./frame";
import { AuditPage } from "./pages/audit";
import { DatabasesPage } from "./pages/databases";
import { ExceptionsPage } from "./pages/exceptions";
import { GrowthPage } from "./pages/growth";
import { DeadPage, JobPage } from "./pages/job";
import { JobsPage } from "./pages/jobs";
import { LogsPage } from "./pages/logs";
import { MeasuredPage } from "./pages/measured";
import { NowPage } from "./pages/now";
import { ObjectivesPage } from "./pages/objectives";
import { OperationPage } from "./pages/operation";
import { OperationsPage } from "./pages/operations";
import { TracePage } from "./pages/trace";
import { TracesPage } from "./pages/traces";
import { WorkersPage } from "./pages/workers";
import { Empty } from "./parts/panel";
import { place } from "./place";

function Page() {
  const { page, argument } = place.value;
  switch (page) {
    case "now":
      return <NowPage />;
    case "operations":
      return argument ? <OperationPage key={argument} name={argument} /> : <OperationsPage />;
    case "traces":
      return argument ? <TracePage key={argument} id={argument} /> : <TracesPage />;
    case "logs":
      return <LogsPage />;
    case "exceptions":
      return <ExceptionsPage fingerprint={argument} />;
    case "databases":
      return <DatabasesPage />;
    case "jobs":
      if (argument.startsWith("dead/")) return <DeadPage key={argument} fingerprint={argument.slice(5)} />;
      return argument ? <JobPage key={argument} id={argument} /> : <JobsPage />;
    case "measured":
      return <MeasuredPage name={argument} />;
    case "workers":
      return <WorkersPage />;
    case "objectives":
      return <ObjectivesPage />;
    case "growth":
      return <GrowthPage />;
    case "audit":
      return <AuditPage />;
    default:
      return <Empty title="There is no such page">Choose one at the left.</Empty>;
  }
}

function Root() {
  follow();
  return (
    <Frame>
      <Page />
    </Frame>
  );
}

const root = document.getElementById("page");
if (root) render(<Root />, root);
