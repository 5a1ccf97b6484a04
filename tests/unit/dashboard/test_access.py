"""Who may look and who may change."""

from __future__ import annotations

from pathlib import Path

import pytest

from outgrow.dashboard.access import COOKIE, Access, access_from, check_address
from outgrow.errors import SettingValueError
from tests.unit.dashboard.asking_api import ask
from tests.unit.dashboard.shop import ShopAnswers

LOOK, CHANGE = "look-0123456789abcdef", "change-0123456789abcdef"
WISH = {"moves": ["stock=desk"]}


@pytest.fixture
def tokens(tmp_path: Path) -> Access:
    path = tmp_path / "tokens"
    path.write_text(f"# who\nana operate {CHANGE}\nscreen read {LOOK}\n")
    path.chmod(0o600)
    return access_from(path, {})


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8800", "127.9.9.9", "[::1]:8800"])
def test_without_tokens_this_machine_may_ask(host: str) -> None:
    assert ask("/api/now", host=host).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8800", "localhost.evil.example", "10.0.0.7", "127.0.0.1.x"],
)
def test_without_tokens_a_name_that_was_made_to_mean_this_machine_is_refused(host: str) -> None:
    for target in ("/api/now", "/api/live", "/api/openapi.json"):
        answer = ask(target, host=host)
        assert answer.status_code == 421
        assert "is not a name of this observer" in answer.json()["text"]


def test_with_tokens_nobody_is_let_in_without_one(tokens: Access) -> None:
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {LOOK}"}):
        for target in ("/api/now", "/api/live", "/api/openapi.json"):
            answer = ask(target, host="watch.example", access=tokens, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"


def test_a_reader_may_look_and_not_change(tokens: Access) -> None:
    headers = {"authorization": f"Bearer {LOOK}"}
    looked = ask("/api/placement", access=tokens, headers=headers)
    assert looked.json()["may_change"] is False
    changed = ask("/api/placement", method="POST", access=tokens, headers=headers, json=WISH)
    assert (changed.status_code, changed.json()["text"]) == (403, "`screen` may only look")


def test_an_operator_may_change_and_is_named(tokens: Access) -> None:
    answers = ShopAnswers()
    headers = {"authorization": f"Bearer {CHANGE}"}
    answer = ask(
        "/api/placement", method="POST", access=tokens, answers=answers, headers=headers, json=WISH
    )
    assert answer.status_code == 200
    assert answers.entries[0].who == "ana"


def test_the_page_signs_in_with_a_cookie_that_scripts_cannot_read(tokens: Access) -> None:
    answer = ask("/api/session", method="POST", access=tokens, json={"token": CHANGE})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    headers = {"cookie": f"{COOKIE}={CHANGE}"}
    assert ask("/api/now", access=tokens, headers=headers).status_code == 200
    wrong = ask("/api/session", method="POST", access=tokens, json={"token": "x"})
    assert wrong.status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"origin": "https://evil.example"}, id="another origin"),
        pytest.param({"origin": "http://localhost:9999"}, id="another port"),
        pytest.param({"origin": "null"}, id="a page without an origin"),
        pytest.param({"sec-fetch-site": "cross-site"}, id="the browser says so"),
        pytest.param({"sec-fetch-site": "same-site"}, id="a neighbouring name"),
    ],
)
def test_a_change_from_another_sites_page_is_refused(headers: dict[str, str]) -> None:
    answers = ShopAnswers()
    answer = ask("/api/placement", method="POST", answers=answers, headers=headers, json=WISH)
    assert answer.status_code == 403
    assert answers.wishes == []


def test_another_sites_page_cannot_keep_the_observer_busy() -> None:
    strange = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    for target in ("/api/live", "/api/logs"):
        answer = ask(target, headers=strange)
        assert answer.status_code == 403
    followed_link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert ask("/api/now", headers=followed_link).status_code == 200


def test_a_change_from_the_page_itself_is_let_through() -> None:
    headers = {"origin": "http://localhost:8800", "sec-fetch-site": "same-origin"}
    assert ask("/api/placement", method="POST", headers=headers, json=WISH).status_code == 200


def test_a_form_of_another_site_cannot_ask_for_a_change() -> None:
    headers = {"content-type": "text/plain"}
    answer = ask("/api/placement", method="POST", headers=headers, content=b'{"reload": true}')
    assert answer.status_code == 415


def test_tokens_come_from_the_environment_too() -> None:
    access = access_from(None, {"OUTGROW_TOKENS": f"ana operate {CHANGE}; screen read {LOOK}"})
    assert access.wants_token
    assert not access_from(None, {}).wants_token


def test_a_file_of_tokens_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"ana operate {CHANGE}\n")
    path.chmod(0o644)
    with pytest.raises(SettingValueError, match="others may read it"):
        access_from(path, {})


@pytest.mark.parametrize("line", ["ana admin " + CHANGE, "ana read short", "ana " + CHANGE])
def test_a_wrong_line_is_told_by_its_number_and_not_shown(line: str) -> None:
    with pytest.raises(SettingValueError, match="line 1 of OUTGROW_TOKENS") as caught:
        access_from(None, {"OUTGROW_TOKENS": line})
    assert CHANGE not in str(caught.value)


def test_without_tokens_other_machines_cannot_reach_it(tokens: Access) -> None:
    for host in ("127.0.0.1", "::1", "localhost"):
        check_address(host, Access())
    for host in ("0.0.0.0", "::", "10.0.0.7", ""):
        with pytest.raises(SettingValueError, match="nobody needs a token"):
            check_address(host, Access())
        check_address(host, tokens)
