"""Every code block of the README and the docs does what it shows."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.docs.blocks import Block, blocks_of
from tests.docs.stage import Stage
from tests.tidy.source import ROOT, page_files, ratchet, short

if TYPE_CHECKING:
    from pathlib import Path

KNOWN = (
    *("bash", "console", "css", "diff", "dockerfile", "html", "http", "ini", "javascript"),
    *("json", "makefile", "nginx", "python", "sh", "sql", "text", "toml", "yaml"),
)
PAGES = [page for page in page_files() if not page.is_relative_to(ROOT / "examples")]
# Those of several servers, moves or reloads take several seconds each.
SLOW = {
    *("docs/concepts/signs-of-life.md", "docs/start.md"),
    *(
        f"docs/guides/{name}.md"
        for name in ("django", "events-and-jobs", "forecast", "from-celery")
    ),
    *(f"docs/guides/{name}.md" for name in ("groups", "reload-and-scale", "services", "watch")),
    "docs/guides/troubleshooting.md",
    "docs/guides/prometheus-sentry-opentelemetry.md",
}


def page_cases() -> list[object]:
    """The pages with blocks, each as a test case."""
    pages = [page for page in PAGES if blocks_of(page)]
    assert {short(page) for page in pages} >= SLOW
    slow = pytest.mark.slow
    return [
        pytest.param(page, id=short(page), marks=[slow] if short(page) in SLOW else [])
        for page in pages
    ]


@pytest.mark.timeout(150)
@pytest.mark.parametrize("page", page_cases())
def test_every_block_of_a_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    stage = Stage(page=page, folder=tmp_path)
    try:
        for block in blocks_of(page):
            if not block.not_run:
                stage.play(block)
    finally:
        stage.clear()


def test_every_block_says_its_language() -> None:
    found = [
        f"{short(page)}:{block.line}: {block.language or 'none'}"
        for page in PAGES
        for block in blocks_of(page)
        if block.language not in KNOWN
    ]
    assert not found, f"known are {', '.join(KNOWN)}:\n" + "\n".join(found)


def test_no_more_blocks_are_left_out_than_recorded() -> None:
    left_out = [f"{short(p)}:{b.line}" for p in PAGES for b in blocks_of(p) if b.not_run]
    recorded = ratchet()["docs_not_run_count"]
    assert len(left_out) <= recorded, f"run these, or say why not: {left_out}"
    assert len(left_out) == recorded, f"lower docs_not_run_count to {len(left_out)}"


def test_a_page_is_read_block_by_block(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "text\n\n<!-- file: main.py -->\n```python\nx = 1\n```\n\n"
        "<!-- not run: needs root -->\n```console\n$ one \\\n  two\nout\n```\n"
    )
    assert blocks_of(page) == [
        Block(language="python", text="x = 1\n", line=5, file="main.py"),
        Block(language="console", text="$ one \\\n  two\nout\n", line=10, not_run="needs root"),
    ]
    assert blocks_of(page)[1].commands() == ["one    two"]


def test_blocks_of_a_page_share_their_names_and_files(tmp_path: Path) -> None:
    stage = Stage(page=tmp_path / "page.md", folder=tmp_path)
    stage.play(Block(language="python", text="port = 8000", line=1))
    stage.play(Block(language="python", text="assert isinstance(port, int)", line=3))
    stage.play(Block(language="text", text="hello", line=5, file="deep/a.txt"))
    stage.play(Block(language="console", text="$ grep -q hello deep/a.txt", line=6))
    with pytest.raises(AssertionError, match=r"page\.md:8: false"):
        stage.play(Block(language="console", text="$ false", line=8))
