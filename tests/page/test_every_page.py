"""Every page in Chromium, with the shop in it: what it shows, and what axe says of it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.page.conftest import opened
from tests.page.drawing import smaller
from tests.page.watched import PAGES, ROOT, Watched

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

PICTURES = ROOT / "docs/pictures"
# Those that the docs show; `make test-page` draws them anew.
DRAWN = {
    ("now", "light"),
    ("now", "dark"),
    ("growth", "light"),
    ("operation", "light"),
    ("trace", "light"),
    ("databases", "light"),
    ("jobs", "light"),
    ("workers", "dark"),
}
# Those drawn in their whole height: the others end with an address, whose port changes.
WHOLE = {"now", "growth", "trace", "workers"}
Tab = Callable[[str, int], Watched]
every_page = pytest.mark.parametrize("name", [pytest.param(name, id=name) for name in PAGES])


@pytest.fixture(scope="module")
def tab(chromium: Any, address: str) -> Iterator[Tab]:
    """The tab of this theme and width, which all tests here share: none leaves anything in it."""
    with ExitStack() as stack:

        @functools.cache
        def kept(theme: str, width: int) -> Watched:
            return stack.enter_context(contextmanager(opened)(chromium, address, theme, width))

        yield kept


@pytest.fixture
def watched(tab: Tab) -> Iterator[Watched]:
    yield from uncomplaining(tab("light", 1280))


@pytest.fixture
def themed(tab: Tab, theme: str) -> Iterator[Watched]:
    yield from uncomplaining(tab(theme, 1280))


@pytest.fixture
def narrow(tab: Tab) -> Iterator[Watched]:
    yield from uncomplaining(tab("light", 400))


def uncomplaining(watched: Watched) -> Iterator[Watched]:
    """The same tab; what it complained about during the test is the test's alone."""
    yield watched
    complaints = watched.complaints[:]
    watched.complaints.clear()
    assert not complaints


@every_page
def test_a_page_shows_what_is_known_and_complains_about_nothing(
    themed: Watched, name: str, tmp_path: Path
) -> None:
    page = themed.open(name)
    assert page.evaluate("document.documentElement.dataset.theme") == themed.theme
    if name == "now":  # elsewhere the app's name may come later than what the page is about
        page.wait_for_function("document.title.includes('shop')")
    drawn = (name, themed.theme) in DRAWN and os.environ.get("PAGE_PICTURES") == "1"
    picture = page.screenshot(full_page=name in WHOLE)
    folder = PICTURES if drawn else tmp_path
    path = folder / f"page-{name}-{themed.theme}.png"
    path.write_bytes(smaller(picture) if drawn else picture)


@every_page
def test_axe_finds_nothing_serious_on_a_page(themed: Watched, name: str, axe: str) -> None:
    themed.open(name)
    assert not themed.faults(axe)


@every_page
def test_a_page_fits_a_phone(narrow: Watched, name: str) -> None:
    narrow.open(name)
    assert narrow.fits(400)


@every_page
def test_a_page_bears_letters_of_twice_the_size(watched: Watched, name: str) -> None:
    page = watched.open(name)
    page.evaluate("document.documentElement.style.fontSize = '162.5%'")
    assert watched.fits(1280)
    assert watched.cut_off() == []


@every_page
def test_a_page_tells_its_twin_on_the_command_line(
    watched: Watched, name: str, options: dict[str, set[str]]
) -> None:
    page = watched.open(name)
    command = page.locator(".twin code").inner_text()
    program, verb, *rest = command.split()
    if program == "curl":
        answer = page.request.get(rest[-1].strip("'"))
        assert answer.ok, answer.text()
    else:
        assert program == "outgrow"
        assert {one for one in rest if one.startswith("--")} <= options[verb]


def test_the_page_loads_nothing_from_elsewhere(watched: Watched, address: str) -> None:
    asked: list[str] = []
    watched.page.on("request", lambda request: asked.append(request.url))
    for name in PAGES:
        watched.open(name)
    assert [url for url in asked if not url.startswith(address)] == []


def test_a_script_that_gets_into_the_page_does_not_run(watched: Watched) -> None:
    page = watched.open("now")
    page.evaluate(
        "const one = document.createElement('script'); one.textContent = 'window.ran = 1';"
        "document.body.append(one)"
    )
    assert page.evaluate("window.ran") is None
    assert "Content Security Policy" in watched.complaints.pop()
