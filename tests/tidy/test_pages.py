"""Links of the pages lead somewhere, generated pages are fresh, and no file names this machine."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from scripts.docs import generated_pages
from tests.tidy.source import ROOT, page_files, project_files, short

if TYPE_CHECKING:
    from pathlib import Path

FENCE = re.compile(r"^ {0,3}(```+|~~~+).*?^ {0,3}\1 *$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(<?([^)\s>]+)>?[^)]*\)|!\[[^\]]*\]\(<?([^)\s>]+)>?[^)]*\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)

# Written apart, so that this file does not hold what it forbids.
REGISTRY_HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("deb", "debian", "org"),
    )
)
MACHINE_PATH = re.compile(r"(?:^|[^\w.~-])/(?:work|farm|root|tmp/v)/")


def anchors_of(text: str) -> set[str]:
    """The anchors that a page's headings and `id=` make."""
    prose = FENCE.sub("", text)
    found: dict[str, int] = {}
    for title in HEADING.findall(prose):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-")
        found[slug] = found.get(slug, -1) + 1
    repeated = {f"{slug}-{n}" for slug, last in found.items() for n in range(1, last + 1)}
    return set(found) | repeated | set(re.findall(r'\bid="([^"]+)"', prose))


def broken_links(page: Path) -> list[str]:
    """The links of a page to files or headings that are not there."""
    found: list[str] = []
    for match in LINK.finditer(FENCE.sub("", page.read_text())):
        target = match.group(1) or match.group(2)
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or not file.is_relative_to(ROOT):
            found.append(f"{target}: no such file")
        elif anchor and file.suffix == ".md" and anchor not in anchors_of(file.read_text()):
            found.append(f"{target}: no such heading")
    return found


@pytest.mark.parametrize("page", [pytest.param(p, id=short(p)) for p in page_files()])
def test_every_link_leads_somewhere(page: Path) -> None:
    assert not broken_links(page)


def test_generated_pages_are_what_the_code_says() -> None:
    stale = [name for name, text in generated_pages().items() if on_disk(name) != text]
    assert not stale, f"run `make docs`: {stale}"


def on_disk(name: str) -> str:
    """The text of a page, empty where it is missing."""
    path = ROOT / name
    return path.read_text() if path.exists() else ""


def test_no_error_has_a_page_after_it_is_gone() -> None:
    pages = {short(path) for path in (ROOT / "docs/errors").glob("*.md")}
    assert pages <= generated_pages().keys()


def test_no_file_names_a_registry_or_a_path_of_one_machine() -> None:
    found: list[str] = []
    for path in project_files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            if MACHINE_PATH.search(line) or any(host in line for host in REGISTRY_HOSTS):
                found.append(f"{short(path)}:{number}")
    assert not found, "take these out:\n" + "\n".join(found)
