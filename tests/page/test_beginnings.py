"""The page before anything happened, and before anybody signed in."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from outgrow.dashboard.access import access_from
from outgrow.dashboard.answers import Answers
from outgrow.dashboard.asking import Asked
from outgrow.dashboard.foresight import Foresight
from outgrow.dashboard.shapes import Now
from tests.page.conftest import opened
from tests.page.serving import serving
from tests.page.watched import PAGES
from tests.unit.dashboard.shop import ShopAnswers
from tests.unit.dashboard.stored import Stored

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

TOKEN = "look-0123456789abcdef"
# A page of one thing that is not there tells so, in the words of the API.
OF_ONE_THING = {"trace", "job", "dead"}


def test_before_the_first_request_every_page_says_what_to_do(chromium: Any, axe: str) -> None:
    stored = Stored()
    with serving(Answers(stored, app="shop", foresight=Foresight(stored))) as address:
        for watched in opened(chromium, address, "light", 1280):
            for name in PAGES.keys() - OF_ONE_THING:
                watched.page.goto(PAGES[name])
                watched.page.wait_for_selector(".empty")
                watched.page.wait_for_selector(".loading", state="detached")
                assert watched.page.locator(".alarm").count() == 0
                assert not watched.faults(axe)


def test_a_trace_that_is_not_kept_is_told_to_be_missing(chromium: Any) -> None:
    with serving(Answers(Stored(), app="shop")) as address:
        for watched in opened(chromium, address, "light", 1280):
            watched.page.goto(PAGES["trace"])
            assert "is not kept" in watched.page.locator(".alarm").inner_text()
            assert "404" in watched.complaints.pop()


@pytest.mark.parametrize("start", ["/", "/workers"], ids=["now", "workers"])
def test_whoever_has_no_token_is_asked_for_one_and_let_in_with_it(
    chromium: Any, start: str
) -> None:
    access = access_from(None, {"OUTGROW_TOKENS": f"screen read {TOKEN}"})
    with serving(ShopAnswers(), access) as address:
        for watched in opened(chromium, address, "light", 1280):
            page = watched.page
            page.goto(start)
            page.get_by_label("Token").fill("wrong-0123456789abcdef")
            page.get_by_role("button", name="Open").click()
            page.wait_for_selector("[role=alert]:has-text('not known')")
            page.get_by_label("Token").fill(TOKEN)
            page.get_by_role("button", name="Open").click()
            page.wait_for_selector(".live:has-text('live')")
            page.get_by_role("link", name="Workers").click()
            page.wait_for_selector("td:has-text('front/1')")
            page.wait_for_selector("text=Your token may look, not change.")
            assert all("401" in each for each in watched.complaints)
            watched.complaints.clear()


def test_the_sentence_on_the_first_limit_stands_above_all(chromium: Any) -> None:
    class Foreseen(ShopAnswers):
        def now(self, asked: Asked) -> Now:
            sentence = "The event loop of `desk/1` is full at 1.4 times this traffic"
            return msgspec.structs.replace(super().now(asked), sentence=sentence)

    with serving(Foreseen()) as address:
        for watched in opened(chromium, address, "light", 1280):
            told = watched.open("now").locator(".sentence")
            assert told.inner_text() == "The event loop of desk/1 is full at 1.4 times this traffic"
