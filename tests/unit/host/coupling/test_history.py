"""What changes together, from git."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.host.coupling.coupled import git, history, told, write

ONE, OTHER, THIRD = "orders/views.py", "stock/views.py", "bills/views.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    for name in (ONE, OTHER, THIRD):
        write(tmp_path, {name: "# as it was\n" * 20, f"{Path(name).parent}/__init__.py": ""})
    return tmp_path


def test_files_of_two_parts_that_change_together_are_told(folder: Path) -> None:
    apart = [(THIRD, ONE), (THIRD,), (THIRD, ONE), *[(THIRD,)] * 7]
    history(folder, *[(ONE, OTHER)] * 5, *apart)
    coupling = told(folder)
    (finding,) = coupling.findings
    assert (finding.code, finding.file) == ("change coupling", f"{folder}/{OTHER}")
    assert finding.text == (
        f"it changed with {folder}/{ONE} in 5 of its 5 commits (100%); "
        "neither part imports the other"
    )
    assert (coupling.commit_count, coupling.missing) == (15, ())


def test_a_circle_of_parts_that_change_together_is_a_tight_coupling(folder: Path) -> None:
    write(folder, {ONE: "import stock.views\n", OTHER: "import orders.views\n"})
    history(folder, *[(ONE, OTHER)] * 5, *[(THIRD,)] * 10)
    tight, change = told(folder).findings
    assert tight.code == "tight coupling"
    assert "import each other, and 5 of 5 commits (100%) touch both; " in tight.text
    assert change.text.endswith("(100%)")


def test_mass_changes_say_nothing(folder: Path) -> None:
    many = tuple(f"bills/part_{number}.py" for number in range(30))
    history(folder, *[(ONE, OTHER, *many), (ONE,), (OTHER,)] * 6)
    coupling = told(folder)
    assert coupling.findings == ()
    assert coupling.commit_count == 12


def test_what_chance_explains_is_not_told(folder: Path) -> None:
    history(folder, *[(ONE, OTHER)] * 6, *[(ONE,)] * 4)
    assert told(folder).findings == ()


def test_a_file_keeps_its_history_when_it_is_renamed(folder: Path) -> None:
    history(folder, *[(ONE, OTHER)] * 4, *[(THIRD,)] * 8)
    git(folder, "mv", ONE, "orders/pages.py")
    write(folder, {OTHER: "# the fifth time\n"})
    git(folder, "commit", "-qam", "a change")
    (finding,) = told(folder).findings
    assert "in 5 of its 5 commits" in finding.text


def test_a_young_history_says_too_little(folder: Path) -> None:
    history(folder, (ONE, OTHER))
    assert told(folder).missing == ("what changes together: 1 commits say too little",)


def test_without_a_repository_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {ONE: ""})
    (missing,) = told(tmp_path).missing
    assert missing.startswith("what changes together: not a git repository")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert told(tmp_path).missing == ("what changes together: git is not installed",)


def test_a_repository_without_commits_is_said(folder: Path) -> None:
    assert told(folder).missing == ("what changes together: no commit was ever made here",)
