"""What people do on the page: go about by keyboard, search, zoom, move a service, look away."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.page.serving import MOMENT
from tests.page.watched import Watched

if TYPE_CHECKING:
    from playwright.sync_api import Route

    from tests.unit.dashboard.shop import ShopAnswers

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


def test_the_parts_of_the_map_are_reached_by_keyboard(watched: Watched) -> None:
    page = watched.open("now")
    page.locator(".map a.service", has_text="Orders").focus()
    said = page.evaluate("document.activeElement.querySelector('title').textContent")
    assert re.match(r"Orders: .* requests a second, errors .*, p95 .*, busy .*", said)
    page.keyboard.press("Enter")
    page.wait_for_url("**/operations?service=Orders")
    page.wait_for_selector("td:has-text('Orders.place')")
    assert page.locator("td:has-text('Catalogue.find')").count() == 0


def test_arrow_keys_move_the_cursor_of_a_chart_and_the_legend_tells_the_values(
    watched: Watched,
) -> None:
    page = watched.open("operation")
    page.locator(".chart .plot").first.focus()
    page.keyboard.press("ArrowLeft")
    legend = page.locator(".chart .legend").first
    before = legend.inner_text()
    assert "latest" not in before
    page.keyboard.press("PageUp")
    assert legend.inner_text() != before
    page.keyboard.press("Escape")
    page.wait_for_selector(".legend .at:has-text('latest')")


# Notes what is written on canvases: text, where it begins and ends, and how wide the canvas is.
LABELS = """
    window.labels = [];
    const write = CanvasRenderingContext2D.prototype.fillText;
    CanvasRenderingContext2D.prototype.fillText = function (text, x, y, ...rest) {
      const width = this.measureText(text).width;
      const from = x - {left: 0, center: width / 2, right: width}[this.textAlign];
      window.labels.push([text, from, from + width, this.canvas.width]);
      return write.call(this, text, x, y, ...rest);
    };
"""


@pytest.mark.parametrize("minutes", [2, 3, 60, 7 * 24 * 60])
@pytest.mark.parametrize("more_seconds", [0, 5, 10])
def test_no_label_of_a_chart_is_cut(watched: Watched, minutes: int, more_seconds: int) -> None:
    page = watched.page
    page.add_init_script(LABELS)
    page.goto(f"/operations?{until_now(minutes, more_seconds)}")
    page.wait_for_function("() => new Set(window.labels.map(([text]) => text)).size > 4")
    labels = page.evaluate("window.labels")
    assert [each for each in labels if each[1] < 0 or each[2] > each[3]] == []


def test_workers_are_charted_over_time_with_a_line_each(watched: Watched) -> None:
    page = watched.open("workers")
    for title in ("Busy", "Loop lag", "GIL wait", "Memory"):
        figure = page.locator(f"figure[aria-label='{title} by worker']")
        names = figure.locator(".legend .key").all_inner_texts()
        assert [name.split()[0] for name in names] == ["front/1", "front/2", "desk/1", "advice/1"]
        cells = figure.locator("table td").all_inner_texts()
        assert len(cells) > 100
        assert "\N{EN DASH}" not in cells, "each has told something in each step"


def until_now(minutes: int, more_seconds: int = 0) -> str:
    """The period of the last minutes, as an address holds it."""
    now_ms = round(MOMENT.timestamp() + more_seconds) * 1000
    return f"from={now_ms - minutes * 60_000}&to={now_ms}"


def test_a_step_stands_at_its_middle_in_a_chart(watched: Watched) -> None:
    page = watched.page
    page.goto(f"/operations/POST%20%2Forders?{until_now(2)}")
    figure = page.locator("figure[aria-label='Rate and errors a second']")
    box = figure.locator(".u-over").bounding_box()
    assert box is not None
    times = page.request.get(f"/api/operations/POST%20%2Forders/series?{until_now(2)}").json()[
        "times_ms"
    ]
    half = box["width"] / len(times) / 2
    figure.locator(".plot").focus()
    for key, expected in (("Home", half), ("End", box["width"] - half)):
        page.keyboard.press(key)
        cursor = figure.locator(".u-cursor-x").bounding_box()
        assert cursor is not None
        assert abs(cursor["x"] - box["x"] - expected) <= 1.5


def test_a_chart_has_a_table_with_the_same_numbers(watched: Watched) -> None:
    page = watched.open("operation")
    latest = page.locator(".chart .legend b").first.inner_text()
    table = page.locator("figure[aria-label='Rate and errors a second'] table")
    assert "version 3 serves" in table.locator("caption").inner_text()
    cells = table.locator("td").all_inner_texts()
    assert len(cells) > 60
    assert latest


def test_enter_on_the_heat_map_opens_a_trace(watched: Watched) -> None:
    page = watched.open("operation")
    page.locator(".heat .plot").focus()
    page.keyboard.press("ArrowLeft")
    for _ in range(170):
        if "a click opens a trace" in page.locator(".heat .legend").inner_text():
            break
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    page.wait_for_url("**/traces/*")


def test_dragging_over_a_chart_looks_at_that_period(watched: Watched) -> None:
    page = watched.open("operations")
    box = page.locator(".u-over").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 60, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 20)
    page.mouse.up()
    page.wait_for_url("**/operations?from=*&to=*")
    page.get_by_role("button", name="Back to live").click()
    page.wait_for_url("**/operations")


def test_a_service_is_moved_by_the_form_after_the_plan_and_the_change_is_written_down(
    watched: Watched, answers: ShopAnswers
) -> None:
    page = watched.open("workers")
    page.get_by_label("Move the service").select_option("stock")
    page.get_by_label("into a group, or a new one").fill("desk")
    page.get_by_role("button", name="Show the plan").first.click()
    page.wait_for_selector(".outcome:has-text('nothing has been changed yet')")
    assert answers.wishes[-1].moves == ["stock=desk"]
    assert answers.wishes[-1].is_only_shown
    assert "outgrow apply --move stock=desk" in page.locator(".outcome").inner_text()
    page.get_by_role("button", name="Do it").click()
    page.wait_for_selector(".outcome:has-text('done')")
    assert answers.wishes[-1].moves == ["stock=desk"]
    assert not answers.wishes[-1].is_only_shown
    page.get_by_role("link", name="Changes").click()
    page.wait_for_selector("td:has-text('stock=desk')")


def test_a_plan_that_is_no_longer_asked_for_cannot_be_carried_out(watched: Watched) -> None:
    page = watched.open("workers")
    page.get_by_label("into a group, or a new one").fill("desk")
    page.get_by_role("button", name="Show the plan").first.click()
    page.wait_for_selector("text=Do it")
    page.get_by_label("into a group, or a new one").fill("front")
    page.wait_for_selector("text=Do it", state="detached")


def test_the_list_tells_what_the_map_tells(watched: Watched) -> None:
    page = watched.open("now")
    parts = page.locator(".map a.node .name").all_inner_texts()
    page.get_by_role("button", name="list").click()
    page.wait_for_url("**/?view=list")
    rows = page.locator("[aria-label=Parts] tbody tr").all_inner_texts()
    assert len(rows) == len(parts) > 5
    assert any("Payments" in row and "1.90 %" in row for row in rows)
    assert page.locator("[aria-label=Links] tbody tr").count() > 5


def test_whoever_comes_by_keyboard_skips_to_the_page(watched: Watched) -> None:
    page = watched.open("operations")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the page"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "title"


def test_a_search_that_is_refused_says_why_and_what_to_do(watched: Watched) -> None:
    page = watched.page
    page.goto("/traces?min_ms=999999999")
    page.wait_for_selector(".alarm")
    assert "`" not in page.locator(".alarm").inner_text()
    assert "min_ms" in page.locator(".alarm code").first.inner_text()
    assert "400" in watched.complaints.pop()


def test_what_is_asked_for_is_waited_for_in_words(watched: Watched) -> None:
    page = watched.page
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        if held:
            route.continue_()
        held.append(route)

    page.route("**/api/statements*", hold_the_first)
    page.goto("/databases")
    page.wait_for_selector(".loading:has-text('Asking')")
    held[0].continue_()
    page.wait_for_selector("td:has-text('SELECT')")
    assert page.locator(".loading").count() == 0


def test_an_observer_that_is_gone_is_told_once_and_found_again(watched: Watched) -> None:
    page = watched.open("workers")
    page.route("**/api/**", lambda route: route.abort())
    page.reload()
    page.wait_for_selector(".alarm:has-text('does not answer')")
    assert page.locator(".alarm").count() == 1
    assert "outgrow run" in page.locator(".alarm code").inner_text()
    page.unroute("**/api/**")
    page.wait_for_selector("td:has-text('front/1')")
    page.wait_for_selector(".alarm", state="detached")
    assert all("ERR_FAILED" in each for each in watched.complaints)
    watched.complaints.clear()


def test_a_span_opens_to_its_sql(watched: Watched) -> None:
    page = watched.open("trace")
    page.get_by_role("button", name=re.compile("^UPDATE items")).first.press("Enter")
    assert "SET pieces" in page.locator(".falls .detail pre").first.inner_text()


def test_the_theme_is_switched_and_kept(watched: Watched) -> None:
    page = watched.open("now")
    page.get_by_label("Colours").select_option("dark")
    watched.open("operations")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_a_hidden_tab_asks_for_nothing_and_hears_nothing(watched: Watched) -> None:
    page = watched.open("now")
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    # Nothing comes: there is no condition to wait for, but more than a second must pass.
    page.wait_for_timeout(1500)
    assert asked == []
    with page.expect_request("**/api/live"):
        page.evaluate(
            "Object.defineProperty(document, 'hidden', {value: false, configurable: true});"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )
