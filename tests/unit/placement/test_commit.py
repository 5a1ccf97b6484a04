"""The commit of a folder is read from its repository, whatever form that has."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from outgrow.placement.commit import commit_of

NAME = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")


def git(folder: Path, *words: str) -> str:
    run = subprocess.run(
        ["git", "-C", str(folder), *NAME, *words], capture_output=True, check=True, text=True
    )
    return run.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "trunk")
    git(folder, "commit", "-q", "--allow-empty", "-m", "Begin")
    return folder


def test_it_is_that_of_the_branch_also_deep_within(repository: Path) -> None:
    deep = repository / "src" / "shop"
    deep.mkdir(parents=True)
    assert commit_of(deep) == git(repository, "rev-parse", "HEAD") != ""


def test_names_that_were_packed_are_found(repository: Path) -> None:
    git(repository, "pack-refs", "--all")
    assert commit_of(repository) == git(repository, "rev-parse", "HEAD")


def test_a_commit_that_no_branch_has_is_found(repository: Path) -> None:
    git(repository, "checkout", "-q", "--detach")
    git(repository, "commit", "-q", "--allow-empty", "-m", "Alone")
    assert commit_of(repository) == git(repository, "rev-parse", "HEAD")


def test_a_worktree_has_its_own(repository: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    git(repository, "worktree", "add", "-q", "-b", "side", str(other))
    git(other, "commit", "-q", "--allow-empty", "-m", "Aside")
    assert commit_of(other) == git(other, "rev-parse", "HEAD")
    assert commit_of(other) != commit_of(repository)


@pytest.mark.parametrize(
    "head",
    ["", "ref: refs/heads/none", "ref: ../../../etc/passwd", "ref: HEAD", "no commit", "\xff\xfe"],
    ids=["empty", "no commit yet", "out of the folder", "round in a circle", "words", "bytes"],
)
def test_where_there_is_none_it_is_empty(tmp_path: Path, head: str) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_bytes(head.encode("latin-1"))
    assert commit_of(tmp_path) == ""


def test_without_a_repository_it_is_empty(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: /nowhere\n")
    assert commit_of(tmp_path) == ""
