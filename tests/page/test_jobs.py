"""What people do with durable work on the page: look, pause, cancel, try again, discard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from outgrow.dashboard import shapes
from tests.unit.dashboard.shop_work import FINGERPRINT, RUNNING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.page.watched import Watched
    from tests.unit.dashboard.shop import ShopAnswers

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


@pytest.fixture(autouse=True)
def calm(answers: ShopAnswers) -> Iterator[None]:
    answers.changes.clear()
    yield
    answers.away = None


def test_a_queue_is_paused_by_keyboard_after_it_was_said_what_that_does(
    watched: Watched, answers: ShopAnswers
) -> None:
    page = watched.open("jobs")
    page.get_by_role("button", name="Pause … mail", exact=True).focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".outcome:has-text('No job of mail will be started')")
    assert page.locator(".outcome .command code").inner_text() == "outgrow jobs pause mail"
    assert answers.changes == []
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector(".outcome:has-text('done')")
    assert answers.changes == [shapes.Pausing(kind="queue", name="mail", is_paused=True)]
    page.get_by_role("button", name="Resume … mail", exact=True).wait_for()


def test_a_change_that_is_left_changes_nothing(watched: Watched, answers: ShopAnswers) -> None:
    page = watched.open("jobs")
    page.get_by_role("button", name="Pause … mail.on_order_placed").click()
    page.get_by_role("button", name="Leave it").click()
    page.wait_for_selector(".outcome", state="detached")
    assert page.evaluate("document.activeElement !== document.body"), "the keyboard stays there"
    assert answers.changes == []


def test_jobs_of_a_state_and_a_queue_are_leafed_through(watched: Watched) -> None:
    page = watched.open("jobs")
    rows = page.locator("[aria-label=Jobs] tbody tr")
    page.get_by_role("combobox", name="Queue").select_option("printing")
    page.wait_for_url("**/jobs?queue=printing")
    page.get_by_role("link", name="The next 50").click()
    page.wait_for_url("**/jobs?queue=printing&after=*")
    page.wait_for_function(
        "() => document.querySelectorAll('.panel[aria-label=Jobs] tbody tr').length === 10"
    )
    assert set(rows.locator("td:nth-child(2)").all_inner_texts()) == {"printing"}
    page.get_by_role("link", name="The first").click()
    page.get_by_role("combobox", name="State").select_option("dead")
    page.wait_for_url("**/jobs?queue=printing&state=dead")
    page.locator("[aria-label=Jobs] .under", has_text="hung up").first.wait_for()
    twin = page.locator(".twin code").inner_text()
    assert twin == "outgrow jobs list --state dead --queue printing"


def test_a_running_job_is_cancelled_after_the_reader_has_said_so_twice(
    watched: Watched, answers: ShopAnswers
) -> None:
    page = watched.open("job")
    assert page.locator(".figures").inner_text().count("42 %") == 1
    page.get_by_role("button", name="Cancel the job").click()
    assert answers.changes == []
    page.get_by_role("button", name="Do it").click()
    page.wait_for_selector(".outcome:has-text('is asked to stop')")
    assert answers.changes == [shapes.Cancelling(id=RUNNING)]


def test_one_dead_letter_is_discarded_and_all_others_are_tried_again(
    watched: Watched, answers: ShopAnswers
) -> None:
    page = watched.open("jobs")
    page.get_by_role("link", name="smtplib.SMTPServerDisconnected").click()
    page.get_by_role("button", name="Discard … number 7").click()
    page.wait_for_selector(".outcome:has-text('cannot be tried again')")
    assert page.locator(".outcome .command code").inner_text() == "outgrow jobs discard 7"
    page.get_by_role("button", name="Do it").click()
    page.wait_for_selector(".outcome:has-text('done')")
    page.get_by_role("button", name="Try all again").click()
    page.get_by_role("button", name="Do it").click()
    page.wait_for_selector(".empty:has-text('There are none')")
    assert answers.changes == [
        shapes.Clearing(do="discard", numbers=[7]),
        shapes.Clearing(do="replay", fingerprint=FINGERPRINT),
    ]


def test_the_page_says_that_the_keeper_is_away_and_goes_on_once_it_is_back(
    watched: Watched, answers: ShopAnswers
) -> None:
    answers.away = shapes.Problem(text="the keeper does not answer", hint="Wait")
    page = watched.page
    page.goto("/jobs")
    page.wait_for_selector(".alarm:has-text('The keeper does not answer')")
    answers.away = None
    page.get_by_role("button", name="Pause updates").click()
    page.get_by_role("button", name="Resume updates").click()
    page.wait_for_selector(".panel[aria-label=Queues] table")


def test_a_read_token_sees_jobs_and_no_button_that_changes_them(watched: Watched) -> None:
    page = watched.page
    page.route("**/api/queues", lambda route: route.fulfill(json=_looking(route.fetch().json())))
    watched.open("jobs")
    page.wait_for_selector("text=Your token may look, not change.")
    assert page.get_by_role("button", name="…").count() == 0


def _looking(found: dict[str, object]) -> dict[str, object]:
    return {**found, "may_change": False}
