"""Chromium, as the system has it, and the page of the shop in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from scripts.docs_cli import verbs
from scripts.page import install
from tests.page.serving import MOMENT, serving
from tests.page.watched import AXE, Watched
from tests.unit.dashboard.shop import ShopAnswers

NAMES = ("chromium", "chromium-browser", "google-chrome")


# Not for the session: Playwright keeps an event loop in this thread, and no other test can run one.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The browser; tests that need it are skipped where it is missing, but for CI."""
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        (pytest.fail if "CI_RUN_MARK" in os.environ else pytest.skip)("there is no Chromium here")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The script that looks a page over; it comes with what the page is built with."""
    install()
    return AXE.read_text()


@pytest.fixture(scope="session")
def options() -> dict[str, set[str]]:
    """What people can type: the options of each verb."""
    return {
        name: {option for parameter in verb.params for option in parameter.opts}
        for name, verb in verbs().items()
    }


@pytest.fixture(scope="module")
def answers() -> ShopAnswers:
    """What is known of the shop."""
    return ShopAnswers()


@pytest.fixture(scope="module")
def address(answers: ShopAnswers) -> Iterator[str]:
    """Where the page is."""
    with serving(answers) as found:
        yield found


@pytest.fixture(params=["light", "dark"])
def theme(request: pytest.FixtureRequest) -> str:
    """Each in turn, as the system asks for it."""
    return request.param


@pytest.fixture
def watched(chromium: Any, address: str) -> Iterator[Watched]:
    """A tab in light colours, whose complaints are kept."""
    yield from opened(chromium, address, "light", 1280)


def opened(chromium: Any, address: str, theme: str, width: int) -> Iterator[Watched]:
    """A tab; after the test it must have had nothing to complain about."""
    context = chromium.new_context(
        base_url=address,
        color_scheme=theme,
        timezone_id="UTC",
        locale="en-US",
        reduced_motion="reduce",
        viewport={"width": width, "height": 800},
    )
    context.set_default_timeout(20_000)
    context.clock.set_fixed_time(MOMENT)
    watched = Watched(context.new_page(), theme)
    yield watched
    context.close()
    assert not watched.complaints
