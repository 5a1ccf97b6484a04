"""Sockets are listened on where nobody else does, and who is in the way is said."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from outgrow.errors import AddressError, AddressInUseError
from outgrow.model import Settings
from outgrow.placement.sockets import SOCKETS_MAX, Listeners

Listen = Callable[..., Listeners]


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Makes listeners that are closed after the test."""
    made: list[Listeners] = []

    def make(**settings: Any) -> Listeners:
        made.append(Listeners(Settings(**{"port": 0, **settings})))
        return made[-1]

    yield make
    for listeners in made:
        listeners.close()


def port_of(listeners: Listeners) -> int:
    return listeners.sockets[0].getsockname()[1]


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_any_free_port_is_taken_and_said(listen: Listen) -> None:
    listeners = listen()
    assert listeners.address == f"http://127.0.0.1:{port_of(listeners)}"
    socket.create_connection(("127.0.0.1", port_of(listeners))).close()


def test_sockets_never_block_and_are_not_inherited(listen: Listen) -> None:
    (sock,) = listen().sockets
    assert not sock.getblocking()
    assert not sock.get_inheritable()


@pytest.mark.parametrize("shares", [False, True], ids=["for itself", "with SO_REUSEPORT"])
def test_a_port_that_another_server_has_is_refused(listen: Listen, shares: bool) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=shares) as other:
        port = other.getsockname()[1]
        with pytest.raises(AddressInUseError, match=f"port {port} of 127.0.0.1") as raised:
            listen(port=port)
    assert "--port" in raised.value.hint


def test_a_second_supervisor_cannot_join_the_port_of_the_first(listen: Listen) -> None:
    first = listen()
    first.grow(3)
    with pytest.raises(AddressInUseError):
        listen(port=port_of(first))


def test_a_port_is_free_again_after_closing(listen: Listen) -> None:
    first = listen()
    first.grow(2)
    port = port_of(first)
    first.close()
    assert port_of(listen(port=port)) == port


def test_growing_gives_each_worker_a_socket_on_the_same_port(listen: Listen) -> None:
    listeners = listen()
    before = listeners.sockets[0]
    listeners.grow(4)
    listeners.grow(2)
    assert listeners.sockets[0] is before
    assert len(listeners.sockets) == 4
    assert {sock.getsockname() for sock in listeners.sockets} == {before.getsockname()}
    with socket.create_connection(before.getsockname()):
        assert sum(accepts(sock) for sock in listeners.sockets) == 1


def accepts(sock: socket.socket) -> bool:
    try:
        sock.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def test_growing_ends_at_a_bound(listen: Listen) -> None:
    listeners = listen()
    listeners.grow(10_000)
    assert len(listeners.sockets) == SOCKETS_MAX


@pytest.mark.skipif(not has_ipv6(), reason="needs IPv6")
def test_an_ipv6_address_is_written_in_brackets_and_keeps_to_itself(listen: Listen) -> None:
    listeners = listen(host="::1")
    assert listeners.address == f"http://[::1]:{port_of(listeners)}"
    listeners.grow(2)
    assert len(listeners.sockets) == 2
    everywhere = listen(host="::")
    assert port_of(listen(host="0.0.0.0", port=port_of(everywhere))) == port_of(everywhere)


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("192.0.2.1", id="an address of another machine"),
        pytest.param("no such name", id="no name"),
        pytest.param(
            "x" * 64,
            id="a name too long",
        ),
    ],
)
def test_an_address_that_is_not_ours_is_said(listen: Listen, host: str) -> None:
    with pytest.raises(AddressError) as raised:
        listen(host=host)
    assert "127.0.0.1" in raised.value.hint


def test_tls_is_seen_in_the_address(listen: Listen) -> None:
    assert listen(tls_certificate="certificate.pem").address.startswith("https://127.0.0.1:")


def test_a_unix_socket_is_open_to_all_and_removed_at_the_end(
    listen: Listen, tmp_path: Path
) -> None:
    path = tmp_path / "app.sock"
    listeners = listen(unix_socket=str(path))
    assert listeners.address == f"unix:{path}"
    assert path.stat().st_mode & 0o777 == 0o666
    listeners.grow(4)
    assert len(listeners.sockets) == 1
    assert listeners.is_shared
    listeners.close()
    assert not path.exists()


@pytest.mark.parametrize("depth", ["", "x" * 120], ids=["near", "deep"])
def test_a_unix_socket_that_nobody_listens_on_is_replaced(
    listen: Listen, tmp_path: Path, depth: str
) -> None:
    path = tmp_path / depth / "app.sock"
    path.parent.mkdir(exist_ok=True)
    first = listen(unix_socket=str(path))
    first.sockets[0].close()
    again = listen(unix_socket=str(path))
    assert again.address == f"unix:{path}"


@pytest.mark.parametrize(
    "depth",
    [
        pytest.param("", id="near"),
        pytest.param(
            "x" * 120,
            id="deep",
        ),
    ],
)
def test_a_unix_socket_that_somebody_listens_on_is_left_alone(
    listen: Listen, tmp_path: Path, depth: str
) -> None:
    path = tmp_path / depth / "app.sock"
    path.parent.mkdir(exist_ok=True)
    listen(unix_socket=str(path))
    before = path.stat().st_ino
    with pytest.raises(AddressInUseError, match="another process listens"):
        listen(unix_socket=str(path))
    assert path.stat().st_ino == before


def test_a_unix_socket_of_another_kind_is_left_alone(listen: Listen, tmp_path: Path) -> None:
    path = tmp_path / "log.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(path))
        with pytest.raises(AddressInUseError):
            listen(unix_socket=str(path))


def test_a_file_in_the_way_of_a_unix_socket_is_left_alone(listen: Listen, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    with pytest.raises(AddressError, match="is no socket"):
        listen(unix_socket=str(path))
    assert path.read_text() == "mine"


def test_a_unix_socket_in_a_folder_that_is_not_there_is_said(
    listen: Listen, tmp_path: Path
) -> None:
    with pytest.raises(AddressError, match="No such file") as raised:
        listen(unix_socket=str(tmp_path / "none" / "app.sock"))
    assert "folder must exist" in raised.value.hint


@pytest.mark.parametrize(
    ("tls", "scheme"),
    [
        pytest.param(None, "http", id="plain"),
        pytest.param(
            "certificate.pem",
            "https",
            id="TLS",
        ),
    ],
)
def test_an_inherited_socket_is_used_as_it_is(listen: Listen, tls: str | None, scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as inherited:
        address = inherited.getsockname()
        listeners = listen(fd=inherited.fileno(), tls_certificate=tls)
        listeners.grow(4)
        assert len(listeners.sockets) == 1
        assert listeners.is_shared
        listeners.close()
        socket.create_connection(address).close()
        assert listeners.address == f"{scheme}://127.0.0.1:{address[1]}"


def test_an_inherited_unix_socket_is_named(listen: Listen, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with socket.socket(socket.AF_UNIX) as inherited:
        inherited.bind(str(path))
        listeners = listen(fd=inherited.fileno())
        assert listeners.address == f"unix:{path}"
        listeners.close()
        assert path.exists()  # whoever made it removes it


def test_a_descriptor_that_is_no_socket_is_said(listen: Listen) -> None:
    reading, writing = os.pipe()
    with pytest.raises(AddressError, match=f"descriptor {reading} is no socket"):
        listen(fd=reading)
    for descriptor in (reading, writing):
        os.close(descriptor)
    with pytest.raises(AddressError):
        listen(fd=reading)
