"""The committed page is what its source builds to, byte by byte, and small."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.page import PATH, SOURCE, STATIC, build, check, install, typescript
from tests.page.watched import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT_BYTES_MAX = 200_000
LAYOUT_BYTES_MAX = 60_000
STYLE_BYTES_MAX = 20_000
PICTURE_BYTES_MAX = 150_000


def test_the_script_and_the_style_are_small() -> None:
    assert (STATIC / "page.js").stat().st_size <= SCRIPT_BYTES_MAX
    assert (STATIC / "layout.js").stat().st_size <= LAYOUT_BYTES_MAX
    assert (STATIC / "style.css").stat().st_size <= STYLE_BYTES_MAX


def test_the_pictures_of_the_docs_are_small() -> None:
    pictures = list((ROOT / "docs/pictures").glob("page-*.png"))
    assert pictures
    assert [path.name for path in pictures if path.stat().st_size > PICTURE_BYTES_MAX] == []


def test_the_types_of_the_page_are_those_of_the_api() -> None:
    assert PATH.read_text() == typescript(), "run `make page`"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_building_the_page_again_gives_the_same_bytes(tmp_path: Path) -> None:
    install()
    build(tmp_path)
    fresh = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    committed = {path.name: path.read_bytes() for path in STATIC.iterdir()}
    assert fresh.keys() == committed.keys()
    assert [name for name in fresh if fresh[name] != committed[name]] == [], "run `make page`"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_source_of_the_page_keeps_to_its_types() -> None:
    install()
    check()


def test_the_lock_file_names_no_place() -> None:
    assert '"resolved"' not in (SOURCE / "package-lock.json").read_text()
