"""The Django example: admin, forms, static files and a streamed export, over ASGI and WSGI."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import httpx
import pytest

from tests.adopt.conftest import VOTES_COUNT, prepared_polls
from tests.adopt.memory import GROWTH_BYTES_MAX, MemoryPeak
from tests.adopt.serving import ADOPT, Served, ServerName, served
from tests.adopt.streams import counted

MANY = 500_000

Interface = Literal["asgi", "wsgi"]


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def interface(request: pytest.FixtureRequest) -> Interface:
    return request.param


@pytest.fixture(scope="module")
def polls(
    server: ServerName,
    interface: Interface,
    polls_database: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp(f"django-{server}-{interface}")
    shutil.copy(polls_database, folder / "polls.db")
    with _served(folder, server, interface) as running:
        yield running


def _served(folder: Path, server: ServerName, interface: Interface):
    return served(
        f"mysite.{interface}:application",
        server=server,
        interface=interface,
        cwd=ADOPT / "django_app",
        folder=folder,
        environment={"POLLS_DATABASE": str(folder / "polls.db")},
    )


def token_of(page: httpx.Response) -> str:
    match = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert match, page.text
    return match[1]


def logged_in(client: httpx.Client) -> httpx.Response:
    page = client.get("/admin/login/")
    return client.post(
        "/admin/login/",
        data={
            "csrfmiddlewaretoken": token_of(page),
            "username": "admin",
            "password": "admin",
            "next": "/admin/",
        },
    )


def test_the_admin_lets_its_user_in(polls: Served) -> None:
    with polls.client() as client:
        assert client.get("/admin/").status_code == 302
        answer = logged_in(client)
        assert (answer.status_code, answer.headers["location"]) == (302, "/admin/")
        assert "Site administration" in client.get("/admin/").text


def test_the_admin_refuses_a_wrong_password(polls: Served) -> None:
    with polls.client() as client:
        token = token_of(client.get("/admin/login/"))
        form = {"csrfmiddlewaretoken": token, "username": "admin", "password": "no"}
        answer = client.post("/admin/login/", data=form)
        assert answer.status_code == 200
        assert "Please enter the correct username and password" in answer.text


def test_a_question_made_in_the_admin_is_asked(polls: Served) -> None:
    with polls.client() as client:
        logged_in(client)
        page = client.get("/admin/polls/question/add/")
        form = {
            "csrfmiddlewaretoken": token_of(page),
            "question_text": "Cats or dogs?",
            "pub_date_0": "2026-01-01",
            "pub_date_1": "00:00:00",
            "choice_set-TOTAL_FORMS": "2",
            "choice_set-INITIAL_FORMS": "0",
            "choice_set-MIN_NUM_FORMS": "0",
            "choice_set-MAX_NUM_FORMS": "1000",
            "choice_set-0-choice_text": "Cats",
            "choice_set-0-votes": "0",
            "choice_set-1-choice_text": "Dogs",
            "choice_set-1-votes": "0",
            "_save": "Save",
        }
        answer = client.post("/admin/polls/question/add/", data=form)
        assert answer.status_code == 302, answer.text
        assert "Cats or dogs?" in client.get("/admin/polls/question/").text
        assert "Cats or dogs?" in client.get("/polls/").text


def test_a_vote_is_counted(polls: Served) -> None:
    def votes() -> int:
        match = re.search(r"Not much: (\d+) vote", client.get("/polls/1/results/").text)
        assert match
        return int(match[1])

    with polls.client() as client:
        before = votes()
        form = {"csrfmiddlewaretoken": token_of(client.get("/polls/1/")), "choice": "1"}
        answer = client.post("/polls/1/vote/", data=form)
        assert (answer.status_code, answer.headers["location"]) == (302, "/polls/1/results/")
        assert votes() == before + 1


def test_a_form_without_its_token_is_refused(polls: Served) -> None:
    with polls.client() as client:
        assert client.post("/polls/1/vote/", data={"choice": "1"}).status_code == 403


def test_static_files_come_with_their_type_and_once(polls: Served) -> None:
    with polls.client() as client:
        style = client.get("/static/polls/style.css")
        assert style.headers["content-type"] == "text/css"
        assert "seagreen" in style.text
        assert client.get("/static/admin/css/base.css").status_code == 200
        assert client.get("/static/no.css").status_code == 404
        since = {"If-Modified-Since": style.headers["last-modified"]}
        assert client.get("/static/polls/style.css", headers=since).status_code == 304


def test_the_export_holds_every_vote(polls: Served) -> None:
    with polls.client() as client:
        export = counted(client, "/polls/votes.csv")
    assert export.status_code == 200
    assert export.first_line == "id,choice,cast_at"
    assert export.lines_count >= VOTES_COUNT + 1
    assert export.pieces_count > 5


@pytest.fixture(scope="session")
def many_votes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's file with many votes; copy it before use."""
    return prepared_polls(tmp_path_factory.mktemp("many") / "polls.db", MANY)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_half_a_million_votes_are_exported_in_little_memory(
    tmp_path: Path, many_votes: Path, server: ServerName, interface: Interface
) -> None:
    shutil.copy(many_votes, tmp_path / "polls.db")
    with _served(tmp_path, server, interface) as running, running.client() as client:
        client.get("/polls/")
        memory = MemoryPeak(running.pid)
        export = counted(client, "/polls/votes.csv")
        assert export.lines_count == MANY + 1
        assert export.last_line.startswith(f"{MANY},")
        assert memory.growth_bytes() < GROWTH_BYTES_MAX
