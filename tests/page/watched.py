"""A tab of the browser that keeps what it complains about, and can be looked over by axe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import TimeoutError

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "dashboard/node_modules/axe-core/axe.min.js"
PAGES = {
    "now": "/",
    "growth": "/growth",
    "operations": "/operations",
    "operation": "/operations/POST%20%2Forders",
    "traces": "/traces",
    "trace": "/traces/4bf92f3577b34da6a3ce929d0e0e4736",
    "logs": "/logs",
    "exceptions": "/exceptions/0000000000000001",
    "databases": "/databases",
    "jobs": "/jobs",
    "job": "/jobs/01a230f8-d43b-7be4-8936-12f99bbd2d17",
    "dead": "/jobs/dead%2F9882064824db5194",
    "metrics": "/measured",
    "metric": "/measured/jvm.memory.used",
    "workers": "/workers",
    "objectives": "/objectives",
    "changes": "/audit",
}
# What must be there before a page counts as shown.
_SHOWN = {
    "now": ".map a.node, table",
    "jobs": ".panel[aria-label=Jobs] table",
    "job": ".facts",
    "growth": ".chart .u-over",
    "logs": ".log",
    "metric": ".chart .u-over",
    "trace": ".falls .span",
    "operation": ".heat canvas",
}


class Watched:
    """A tab.

    Attributes:
        complaints: Errors and warnings of the page, and files that could not be loaded.
    """

    def __init__(self, page: Page, theme: str) -> None:
        self.page = page
        self.theme = theme
        self.complaints: list[str] = []
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def open(self, name: str) -> Page:
        """Open a page, and wait until it shows what it has."""
        self.page.goto(PAGES[name])
        self.page.wait_for_selector(_SHOWN.get(name, ".panel table"))
        self.page.wait_for_selector(".loading", state="detached")
        return self.page

    def faults(self, axe: str) -> list[str]:
        """What axe, whose script is given, finds that is serious or critical."""
        self.page.evaluate(axe)
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{each['id']}: {each['help']}: {[node['html'][:160] for node in each['nodes'][:3]]}"
            for each in found["violations"]
            if each["impact"] in ("serious", "critical")
        ]

    def fits(self, width: int) -> bool:
        """Whether nothing of the page is wider; waits for charts, which follow their panel."""
        try:
            self.page.wait_for_function(
                "width => document.documentElement.scrollWidth <= width", arg=width, timeout=5000
            )
        except TimeoutError:
            return False
        return True

    def cut_off(self) -> list[str]:
        """Letters that do not fit their box, where they are neither wrapped nor scrolled to."""
        return self.page.evaluate(
            """
            [...document.querySelectorAll('button, dt, dd, h1, h2, th, td, nav a, label > span')]
              .filter(each => each.checkVisibility() && !each.closest('.hidden'))
              .filter(each => each.scrollWidth > each.clientWidth + 1 && each.clientWidth > 0)
              .filter(each => getComputedStyle(each).display !== 'inline')
              .map(each => each.textContent.trim().slice(0, 60))
            """
        )
