"""What people do on the page of growth: ask for more traffic, look along the curve, read why."""

from __future__ import annotations

from typing import Any

import pytest

from outgrow.dashboard import shapes
from outgrow.dashboard.asking import Asked
from tests.page.conftest import opened
from tests.page.serving import serving
from tests.page.watched import Watched
from tests.unit.dashboard.shop import ShopAnswers

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


def test_another_multiple_is_asked_for_and_stays_in_the_address(watched: Watched) -> None:
    page = watched.open("growth")
    assert page.locator(".state.bad", has_text="binds").count() == 2
    page.get_by_label("At so many times the traffic of now").fill("3")
    page.keyboard.press("Enter")
    page.wait_for_url("**/growth?times=3")
    page.wait_for_selector("section[aria-label='A plan for 3 times']")
    page.locator(".state.bad", has_text="binds").nth(1).wait_for(state="detached")
    assert page.locator(".state.bad", has_text="binds").count() == 1
    assert page.locator(".twin code").inner_text() == "outgrow forecast 3"


def test_what_grows_besides_is_asked_for_and_told(watched: Watched) -> None:
    page = watched.open("growth")
    page.get_by_label("Growing faster").fill("orders=2")
    page.get_by_label("Times the rows of now").fill("5")
    page.keyboard.press("Enter")
    page.wait_for_url("**/growth?*data=5*")
    page.wait_for_selector("section[aria-label='With 5 times the rows']")
    page.get_by_text("As fast as the rest grow: orders 2 times.").wait_for()


def test_the_slider_is_moved_by_keyboard_and_says_the_multiple(watched: Watched) -> None:
    page = watched.open("growth")
    slider = page.get_by_label("from 1 to 100")
    slider.focus()
    page.keyboard.press("Home")
    page.wait_for_url("**/growth?times=1")
    assert slider.get_attribute("aria-valuetext") == "1 times"
    page.wait_for_selector(".state.bad:has-text('binds')", state="detached")


def test_the_curve_tells_how_sure_it_is_at_the_cursor_and_in_its_table(watched: Watched) -> None:
    page = watched.open("growth")
    legend = page.locator(".chart .legend")
    resting = legend.inner_text()
    assert " to " in resting
    assert "requests/s" in resting
    page.locator(".chart .plot").focus()
    page.keyboard.press("End")
    page.wait_for_selector(".legend .at:has-text('at 309 requests/s')")
    table = page.locator("figure[aria-label='Time of calls by load'] table")
    assert "writer orders binds" in table.locator("caption").inner_text()
    assert table.locator("tbody tr").count() == 24


def test_another_route_has_another_curve(watched: Watched) -> None:
    page = watched.open("growth")
    with page.expect_response("**/api/forecast/response?*operation=GET*") as answered:
        page.get_by_label("Route").select_option("GET /products/{sku}")
    assert answered.value.json()["operation"] == "GET /products/{sku}"
    page.wait_for_url("**/growth?operation=GET*")


def test_a_sign_shows_its_numbers_and_leads_to_a_trace(watched: Watched) -> None:
    page = watched.open("growth")
    row = page.locator("section[aria-label='Signs'] tr", has_text="write lock")
    assert "mean hold 4.10 ms; uses 3,600" in row.inner_text()
    row.get_by_role("link", name="trace 1").click()
    page.wait_for_url("**/traces/0123456789abcdef0123456789abcdef")


def test_a_refusal_is_told_with_its_reason_and_what_to_do(chromium: Any) -> None:
    class Thin(ShopAnswers):
        @staticmethod
        def forecast(asked: Asked) -> shapes.Foreseen:
            refusal = shapes.Problem(text="3 windows were seen", hint="Wait for more traffic")
            return shapes.Foreseen(sentence="", refusal=refusal, times=asked.number("times"))

    with serving(Thin()) as address:
        for watched in opened(chromium, address, "light", 1280):
            watched.page.goto("/growth")
            told = watched.page.locator("section[aria-label='No forecast']")
            lines = [line for line in told.inner_text().splitlines() if line]
            assert lines == ["No forecast", "3 windows were seen.", "Wait for more traffic."]
            assert watched.page.locator(".chart").count() == 0
            watched.page.wait_for_selector("section[aria-label='Signs'] td")
