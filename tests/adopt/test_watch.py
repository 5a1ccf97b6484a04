"""Datasette, Django and FastAPI apps, unchanged: their routes, SQL and traces are seen.

What is asked is the API, over the folder's socket, as the page and the verbs ask it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from outgrow.errors import NotRunningError, RefusedError
from outgrow.placement import ApiClient
from tests.adopt.serving import ADOPT, Served, control_status, served, wait_for
from tests.adopt.test_django import logged_in

pytest.importorskip("duckdb")

SEEN_SECONDS = 30.0
OBSERVE = {"OUTGROW_OBSERVE": "auto", "OUTGROW_PAGE_PORT": "0"}

pytestmark = pytest.mark.timeout(120)


class Seen:
    """What the observer of a running app answers."""

    def __init__(self, running: Served) -> None:
        self.running = running
        self._api = ApiClient(running.folder / "state", seconds=5)

    def ask(self, target: str) -> Any:
        try:
            return self._api.get(target)
        except (NotRunningError, RefusedError):
            return {}

    def page(self) -> str | None:
        status = control_status(self.running.folder)
        return status["page"] if status else None

    def operations(self) -> dict[str, int]:
        found = self.ask("operations?from=-1h").get("operations", [])
        return {one["name"]: one["calls"] for one in found}

    def until_counted(self, wanted: Mapping[str, int]) -> None:
        """Wait until these routes have been called so often, and are the only ones."""

        def is_counted() -> bool:
            found = self.operations()
            return all(found.get(name, 0) >= count for name, count in wanted.items())

        wait_for(is_counted, "the routes", SEEN_SECONDS, then=lambda: str(self.operations()))
        assert self.operations() == dict(wanted)

    def until_kept(self, operation: str, wanted: str) -> dict[str, Any]:
        """A kept trace of an operation with a span whose name holds this text."""

        def look() -> dict[str, Any] | None:
            for row in self.ask("traces?limit=200").get("traces", []):
                if row["name"] == operation:
                    found = self.ask(f"traces/{row['trace_id']}")
                    if any(wanted in span["name"] for span in found.get("spans", [])):
                        return found
            return None

        return wait_for(
            look, f"a trace of {operation} with {wanted}", SEEN_SECONDS, then=self._told
        )

    def _told(self) -> str:
        return str([(row["name"], row["spans_count"]) for row in self.ask("traces")["traces"]])

    def statements(self) -> list[dict[str, Any]]:
        return self.ask("statements?from=-1h&limit=1000").get("statements", [])


@contextmanager
def _watched(app: str, folder: Path, cwd: str, **more: Any) -> Iterator[Seen]:
    environment = {**OBSERVE, **more.pop("environment")}
    with served(
        app, server="outgrow", cwd=ADOPT / cwd, folder=folder, environment=environment, **more
    ) as running:
        yield Seen(running)


def test_fastapi_shows_routes_by_template_with_their_sql(tmp_path: Path) -> None:
    environment = {"BOOKS_DATABASE": str(tmp_path / "books.db")}
    with (
        _watched("app:app", tmp_path / "run", "fastapi_app", environment=environment) as seen,
        seen.running.client() as client,
    ):
        ids = [client.post("/books", json={"title": "Tea", "pages": 9}).json()["id"] for _ in "abc"]
        for number in ids:
            assert client.get(f"/books/{number}").status_code == 200
        assert client.get("/books/999999").status_code == 404
        seen.until_counted({"POST /books": 3, "GET /books/{book_id}": 4})
        trace = seen.until_kept("POST /books", "INSERT books")
        (insert,) = [span for span in trace["spans"] if "INSERT" in span["name"]]
        assert insert["parent_id"] == trace["spans"][0]["span_id"]
        assert "Tea" not in str(trace)
        inserts = [one for one in seen.statements() if one["text"].startswith("INSERT INTO books")]
        assert [(one["calls"], one["callers"], one["writes"]) for one in inserts] == [
            (3, ["POST /books"], ["books"])
        ]
        assert inserts[0]["database"] == "sqlite:books.db"


@pytest.mark.parametrize("interface", ["asgi", pytest.param("wsgi", marks=pytest.mark.slow)])
def test_django_shows_its_views_with_the_sql_of_its_models(
    interface: Literal["asgi", "wsgi"], polls_database: Path, tmp_path: Path
) -> None:
    shutil.copy(polls_database, tmp_path / "polls.db")
    environment = {"POLLS_DATABASE": str(tmp_path / "polls.db")}
    with (
        _watched(
            f"mysite.{interface}:application",
            tmp_path / "run",
            "django_app",
            interface=interface,
            environment=environment,
        ) as seen,
        seen.running.client() as client,
    ):
        for _ in range(3):
            assert client.get("/polls/").status_code == 200
        assert client.get("/polls/1/").status_code == 200
        assert logged_in(client).status_code == 302
        seen.until_counted(
            {
                "GET /polls/": 3,
                "GET /polls/<int:pk>/": 1,
                "GET /admin/login/": 1,
                "POST /admin/login/": 1,
            }
        )
        trace = seen.until_kept("GET /polls/", "SELECT")
        assert all(span["worker"] == "web/1" for span in trace["spans"])
        reads = {table for one in seen.statements() for table in one["reads"]}
        assert {"polls_question", "auth_user"} <= reads
        assert "admin" not in "".join(
            one["text"] for one in seen.statements() if "'" in one["text"]
        )


@pytest.mark.slow
def test_datasette_shows_its_pages_with_the_sql_of_its_threads(tmp_path: Path) -> None:
    environment = {"TREES_DATABASE": str(tmp_path / "trees.db"), "TREES_COUNT": "300"}
    with (
        _watched("app:app", tmp_path / "run", "datasette_app", environment=environment) as seen,
        seen.running.client() as client,
    ):
        for number in (1, 2, 3):
            assert client.get(f"/trees/trees/{number}").status_code == 200
        assert client.get("/trees/trees").status_code == 200
        wait_for(lambda: len(seen.operations()) >= 2, "routes", SEEN_SECONDS)
        found = seen.operations()
        assert sum(found.values()) == 4
        assert 3 in found.values(), found  # one route for all rows, whatever it is called
        (route,) = [name for name, calls in found.items() if calls == 3]
        trace = seen.until_kept(route, "SELECT")
        assert any("trees" in span["name"] for span in trace["spans"])
        # Which route it is, Datasette does not say: the first request of each is that of `web`.
        callers = {caller for one in seen.statements() for caller in one["callers"]}
        assert callers <= {"web", "edge", *found}
        assert {"web", route} <= callers


def test_an_exception_is_kept_with_its_lines_and_its_trace(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "from fastapi import FastAPI\n\napp = FastAPI()\n\n\n@app.get('/broken/{number}')\n"
        "def broken(number: int) -> int:\n    return 1 // 0\n"
    )
    with served(
        "broken:app", server="outgrow", cwd=tmp_path, folder=tmp_path / "run", environment=OBSERVE
    ) as running:
        seen = Seen(running)
        with running.client() as client:
            for number in range(3):
                close = {"Connection": "close"}
                assert client.get(f"/broken/{number}", headers=close).status_code == 500

        def fault() -> dict[str, Any] | None:
            found = seen.ask("exceptions").get("exceptions", [])
            return next((one for one in found if one["count"] == 3), None)

        found = wait_for(fault, "the exception, grouped", SEEN_SECONDS)
        assert found["exception"] == "ZeroDivisionError"
        assert "return 1 // 0" in found["traceback"]
        trace = seen.until_kept("GET /broken/{number}", "GET /broken/{number}")
        assert trace["spans"][0]["is_error"]
        assert any("ZeroDivisionError" in line["exception"] for line in trace["logs"])


@pytest.mark.slow
def test_what_is_kept_goes_on_to_another_backend(tmp_path: Path) -> None:
    books = {"BOOKS_DATABASE": str(tmp_path / "books.db")}
    with _watched("app:app", tmp_path / "other", "fastapi_app", environment=books) as other:
        page = wait_for(other.page, "the page of the other", SEEN_SECONDS)
        onward = {**books, "OUTGROW_FORWARD": page, "OUTGROW_FORWARD_HEADERS": "x-team: tea"}
        with (
            _watched("app:app", tmp_path / "run", "fastapi_app", environment=onward) as seen,
            seen.running.client() as client,
        ):
            assert client.post("/books", json={"title": "Tea", "pages": 9}).status_code == 201
            trace = seen.until_kept("POST /books", "INSERT books")
        found = other.until_kept("POST /books", "INSERT books")
        assert found["trace_id"] == trace["trace_id"]
        assert [one["name"] for one in found["spans"]] == [one["name"] for one in trace["spans"]]
