"""The same questions to both servers: the same answers, header by header and byte by byte."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Literal, NamedTuple

import httpx
import pytest

from tests.adopt.serving import ADOPT, SERVERS, ServerName, served

# What differs from request to request under any server.
VARYING_HEADERS = {"date", "expires", "server", "set-cookie", "content-length"}
VARYING_TEXT = re.compile(
    r'csrf\w*" (?:id="\w+" )?value="[^"]+"|Queries took [\d.]+\w*|"query_ms": [\d.]+|nonce="[^"]+"'
)


class Question(NamedTuple):
    """A request to ask of both."""

    method: str
    path: str
    headers: dict[str, str] | None = None
    form: dict[str, str] | None = None


class Case(NamedTuple):
    """An app, and what to ask it."""

    folder: str
    app: str
    interface: Literal["asgi", "wsgi"]
    questions: list[Question]


DJANGO = [
    Question("GET", "/"),
    Question("GET", "/polls/"),
    Question("HEAD", "/polls/"),
    Question("GET", "/polls/1/"),
    Question("GET", "/polls/99/"),
    Question("GET", "/polls/1"),
    Question("POST", "/polls/1/vote/", form={"choice": "1"}),
    Question("GET", "/polls/votes.csv"),
    Question("GET", "/admin/"),
    Question("GET", "/admin/login/"),
    Question("GET", "/static/admin/css/base.css"),
    Question("HEAD", "/static/admin/css/base.css"),
    Question("GET", "/static/missing.css"),
    Question("GET", "/polls/", {"Host": "elsewhere.example"}),
    Question("DELETE", "/polls/"),
]
NUMBERS = [
    Question("GET", "/numbers.csv?rows=3000"),
    Question("HEAD", "/numbers.csv?rows=3000"),
    Question("GET", "/missing"),
    Question("GET", "/%C5%BC%C3%B3%C5%82w?a=%20b&a="),
    Question("PUT", "/numbers.csv"),
    Question("OPTIONS", "/numbers.csv"),
    Question("POST", "/uploads", form={"text": "tea"}),
]
CASES = {
    "django over ASGI": Case("django_app", "mysite.asgi:application", "asgi", DJANGO),
    "django over WSGI": Case("django_app", "mysite.wsgi:application", "wsgi", DJANGO),
    "flask": Case(
        "flask_app",
        "app:app",
        "wsgi",
        [
            *NUMBERS,
            Question("GET", "/"),
            Question("POST", "/notes", form={"text": "tea"}),
            Question("POST", "/notes"),
            Question("GET", "/broken"),
        ],
    ),
    "fastapi": Case(
        "fastapi_app",
        "app:app",
        "asgi",
        [
            *NUMBERS,
            Question("GET", "/docs"),
            Question("GET", "/openapi.json"),
            Question("GET", "/ticks?count=2"),
            Question("POST", "/books", form={"title": "not JSON"}),
            Question("GET", "/books/x"),
            Question("GET", "/books/7/"),
        ],
    ),
    "starlette": Case(
        "starlette_app",
        "app:app",
        "asgi",
        [
            Question("GET", "/"),
            Question("HEAD", "/"),
            Question("GET", "/", {"Range": "bytes=0-9"}),
            Question("GET", "/echo"),
            Question("POST", "/"),
        ],
    ),
    "datasette": Case(
        "datasette_app",
        "app:app",
        "asgi",
        [
            Question("GET", "/"),
            Question("GET", "/trees/trees?species_id=2"),
            Question("GET", "/trees/trees.json?_size=3"),
            Question("GET", "/trees/trees.csv?_stream=on"),
            Question("GET", "/trees/missing"),
            Question("GET", "/trees/trees/17"),
            Question("GET", "/-/static/app.css"),
            Question("HEAD", "/"),
        ],
    ),
}


def answers(case: Case, server: ServerName, folder: Path, polls: Path) -> list[object]:
    """What a server answers, less what always differs."""
    shutil.copy(polls, folder / "polls.db")
    environment = {
        "POLLS_DATABASE": str(folder / "polls.db"),
        "BOOKS_DATABASE": str(folder / "books.db"),
        "TREES_DATABASE": str(folder / "trees.db"),
        "TREES_COUNT": "500",
        "DATASETTE_SECRET": "same for both",
        "PYTHONHASHSEED": "1",  # sets come in the same order
    }
    with (
        served(
            case.app,
            server=server,
            interface=case.interface,
            cwd=ADOPT / case.folder,
            folder=folder / "server",
            environment=environment,
        ) as running,
        running.client() as client,
    ):
        return [asked(client, question, running.address) for question in case.questions]


def asked(client: httpx.Client, question: Question, address: str) -> object:
    method, path, headers, form = question
    client.cookies.clear()
    answer = client.request(method, path, headers=headers, data=form)
    kept = {
        name: value.replace(address, "ADDRESS")
        for name, value in answer.headers.items()
        if name not in VARYING_HEADERS
    }
    has_length = "content-length" in answer.headers
    text = VARYING_TEXT.sub("", answer.text).replace(address, "ADDRESS")
    return method, path, answer.status_code, kept, has_length, text


def _case(name: str) -> object:
    """One app is enough for a quick look."""
    return pytest.param(name, marks=[] if name == "fastapi" else [pytest.mark.slow])


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", [_case(name) for name in CASES])
def test_both_servers_give_the_same_answers(
    name: str, tmp_path: Path, polls_database: Path
) -> None:
    found: dict[ServerName, list[object]] = {}
    for server in SERVERS:
        (tmp_path / server).mkdir()
        found[server] = answers(CASES[name], server, tmp_path / server, polls_database)
    for ours, theirs in zip(found["outgrow"], found["uvicorn"], strict=True):
        assert ours == theirs
