"""Fixtures for the example apps: the server, and what their files are made of."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.adopt.serving import ADOPT, SERVERS, ServerName

VOTES_COUNT = 20_000


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> ServerName:
    """Each server in turn."""
    return request.param


@pytest.fixture(scope="session")
def polls_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Django example's file with some votes; copy it before use."""
    return prepared_polls(tmp_path_factory.mktemp("polls") / "polls.db", VOTES_COUNT)


def prepared_polls(path: Path, votes_count: int) -> Path:
    """Run the example's own `prepare` command."""
    subprocess.run(
        [sys.executable, "manage.py", "prepare", "--votes", str(votes_count)],
        cwd=ADOPT / "django_app",
        env={"POLLS_DATABASE": str(path), "PATH": ""},
        check=True,
        capture_output=True,
        timeout=60,
    )
    return path
