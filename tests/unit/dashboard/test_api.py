"""The JSON API: every route answers what its document says, and refuses the rest in words."""

from __future__ import annotations

import re

import pytest

from outgrow.dashboard import shapes
from outgrow.dashboard.asking import Asked
from outgrow.dashboard.routes import routes_to
from outgrow.placement import Wish
from tests.unit.dashboard.asking_api import MOMENT_NS, ask
from tests.unit.dashboard.shop import ShopAnswers
from tests.unit.dashboard.shop_work import FINGERPRINT, RUNNING

NAMED = {
    "traces": "4bf92f3577b34da6a3ce929d0e0e4736",
    "operations": "POST%20%2Forders",
    "jobs": RUNNING,
    "dead": FINGERPRINT,
}
GETS = [route for route in routes_to(ShopAnswers()) if route.method == "GET"]


def filled(path: str) -> str:
    return path.replace("{name}", NAMED.get(path.split("/")[0], ""))


@pytest.mark.parametrize("path", [pytest.param(r.path, id=r.path) for r in GETS])
def test_a_route_answers_what_the_document_says(path: str) -> None:
    answer = ask(f"/api/{filled(path)}")
    assert answer.status_code == 200
    document = ask("/api/openapi.json").json()
    said = document["paths"][f"/api/{path}"]["get"]["responses"]["200"]["content"]
    name = said["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
    schema = document["components"]["schemas"][name]
    assert set(schema["required"]) <= answer.json().keys() == schema["properties"].keys()


def test_the_document_refers_to_nothing_that_it_does_not_hold() -> None:
    answer = ask("/api/openapi.json")
    held = answer.json()["components"]["schemas"].keys()
    named = set(re.findall(r"#/components/schemas/(\w+)", answer.text))
    assert named <= held
    assert "Wish" in held


def test_an_operation_with_slashes_and_braces_is_found_by_its_name() -> None:
    answer = ask("/api/operations/GET%20%2Fproducts%2F%7Bsku%7D/series?from=-1h&step=60")
    assert answer.json()["name"] == "GET /products/{sku}"
    assert len(answer.json()["times_ms"]) == 60


@pytest.mark.parametrize(
    ("query", "text"),
    [
        pytest.param("from=yesterday", "`from` is `yesterday`, which is no time", id="no time"),
        pytest.param("from=-1h&to=-2h", "`from` is not before `to`", id="backwards"),
        pytest.param("from=-99d", "from `from` to `to` are more than 32 days", id="too long"),
        pytest.param("limit=0", "`limit` is 0, which is out of range", id="too few"),
        pytest.param("limit=5000", "`limit` is 5000, which is out of range", id="too many"),
        pytest.param("limit=ten", "`limit` is `ten`, which is no whole number", id="a word"),
        pytest.param("min_ms=1e9", "`min_ms` is `1e9`, which is no number", id="an exponent"),
        pytest.param("text=" + "x" * 201, "`text` has 201 characters", id="too much text"),
        pytest.param("colour=red", "`colour` is no parameter here", id="unknown"),
    ],
)
def test_a_wrong_parameter_is_refused_by_its_name_with_a_cure(query: str, text: str) -> None:
    answer = ask(f"/api/traces?{query}")
    assert answer.status_code == 400
    assert answer.json()["text"] == text
    assert answer.json()["hint"]


def test_a_query_that_is_too_long_is_refused() -> None:
    answer = ask("/api/traces?" + "&".join(f"text={n}" for n in range(1000)))
    assert (answer.status_code, answer.json()["text"]) == (400, "the query is too long")


def test_what_is_not_there_is_told_as_json() -> None:
    answer = ask("/api/sentiment")
    assert (answer.status_code, answer.json()["text"]) == (404, "there is no `/api/sentiment`")
    assert ask("/api/operations/nobody/series").status_code == 404


def test_times_may_be_given_as_milliseconds() -> None:
    until_ms = MOMENT_NS / 1e6
    answer = ask(f"/api/series?from={until_ms - 60_000:.0f}&to={until_ms:.0f}&step=10")
    assert len(answer.json()["times_ms"]) == 6


def test_a_change_is_passed_on_with_who_asked() -> None:
    answers = ShopAnswers()
    answer = ask("/api/placement", method="POST", answers=answers, json={"moves": ["stock=desk"]})
    assert answer.json()["is_done"]
    assert answers.wishes == [Wish(moves=["stock=desk"])]
    assert answers.entries[0].who == "this machine"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"{", 400, id="no JSON"),
        pytest.param(b'{"explode": true}', 400, id="an unknown wish"),
        pytest.param(b'{"moves": ["' + b"x" * 70_000 + b'"]}', 413, id="too large"),
    ],
)
def test_a_change_that_is_not_understood_is_refused(body: bytes, status: int) -> None:
    headers = {"content-type": "application/json"}
    answers = ShopAnswers()
    answer = ask("/api/placement", method="POST", answers=answers, content=body, headers=headers)
    assert answer.status_code == status
    assert answers.wishes == []


class Failing(ShopAnswers):
    """Its archive has burnt down."""

    def marks(self, asked: Asked) -> shapes.Marks:
        raise RuntimeError("the secret of the archive")


def test_a_fault_of_the_observer_is_told_without_its_insides(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer = ask("/api/marks", answers=Failing())
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "the secret of the archive" in caplog.text


def test_every_answer_forbids_other_sites_and_other_scripts() -> None:
    for target in ("/", "/api/now", "/api/nothing", "/static/page.js", "/operations/GET%20%2Fx"):
        headers = ask(target).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_the_page_is_sent_again_only_when_it_changed() -> None:
    first = ask("/static/page.js")
    again = ask("/static/page.js", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert ask("/static/other.js").status_code == 404
