"""The Starlette example: WebSocket echo and chat."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.adopt.serving import ADOPT, Served, ServerName, served

LARGE_BYTES = 4 * 1024 * 1024


@pytest.fixture(scope="module")
def chat(server: ServerName, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(
        "app:app",
        server=server,
        cwd=ADOPT / "starlette_app",
        folder=tmp_path_factory.mktemp(f"starlette-{server}"),
    ) as running:
        yield running


def test_the_page_is_there(chat: Served) -> None:
    with chat.client() as client:
        page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "new WebSocket" in page.text


@pytest.mark.parametrize(
    "message",
    ["tea", "", "żółw 🐢", b"\x00\xff", b"x" * LARGE_BYTES],
    ids=["text", "nothing", "beyond ASCII", "bytes", "four megabytes"],
)
def test_an_echo_gives_back_what_it_got(chat: Served, message: str | bytes) -> None:
    with connect(f"{chat.ws_address}/echo", max_size=None, proxy=None) as socket:
        socket.send(message)
        assert socket.recv(timeout=10) == message


def test_a_subprotocol_is_agreed_on(chat: Served) -> None:
    wanted = [Subprotocol("tea.v2"), Subprotocol("tea.v1")]
    with connect(f"{chat.ws_address}/echo", subprotocols=wanted, proxy=None) as socket:
        assert socket.subprotocol == "tea.v2"


def test_what_one_says_all_in_the_room_hear(chat: Served) -> None:
    hall = f"{chat.ws_address}/chat/hall"
    with (
        connect(hall, proxy=None) as one,
        connect(hall, proxy=None) as two,
        connect(f"{chat.ws_address}/chat/attic", proxy=None) as elsewhere,
    ):
        one.send("hello")
        assert one.recv(timeout=10) == two.recv(timeout=10) == "hello"
        elsewhere.send("alone")
        assert elsewhere.recv(timeout=10) == "alone"


def test_an_address_without_a_socket_refuses(chat: Served) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"{chat.ws_address}/nowhere", proxy=None)
