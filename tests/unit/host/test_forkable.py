"""What an import leaves behind that forbids to fork, each named with its place."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from outgrow.host.forkable import ForkWatch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@contextlib.contextmanager
def listener(family: socket.AddressFamily, address: object) -> Iterator[socket.socket]:
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.bind(address)  # pyright: ignore[reportArgumentType]
        sock.listen()
        yield sock


def left_by(watch: ForkWatch) -> list[str]:
    """What forbids to fork, but for threads of this process that began before the watch."""
    return [culprit for culprit in watch.culprits() if not is_older(culprit)]


def is_older(culprit: str) -> bool:
    is_unplaced = culprit.startswith("thread `") and "started at" not in culprit
    return is_unplaced or "of a C library" in culprit


def about(culprits: list[str], word: str) -> str:
    (found,) = [culprit for culprit in culprits if word in culprit]
    return found


def test_an_import_that_leaves_nothing_allows_to_fork() -> None:
    code = (
        "from outgrow.host.forkable import ForkWatch\n"
        "with ForkWatch() as watch:\n    import json, sqlite3, asyncio, email.parser\n"
        "print(watch.culprits())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert ran.stdout.strip() == "[]"


def test_a_thread_is_named_with_the_line_that_started_it() -> None:
    over = threading.Event()
    with ForkWatch() as watch:
        thread = threading.Thread(target=over.wait, name="metrics")
        thread.start()
    found = about(left_by(watch), "metrics")
    assert found.startswith("thread `metrics`, started at ")
    assert Path(__file__).name in found
    over.set()
    thread.join()


def test_a_thread_that_has_ended_is_no_culprit() -> None:
    for _ in range(20):
        with ForkWatch() as watch:
            thread = threading.Thread(target=int, name="short")
            thread.start()
            thread.join()
        assert left_by(watch) == []


def test_threads_start_as_ever_after_the_watch() -> None:
    before = threading.Thread.start
    with ForkWatch():
        assert threading.Thread.start is not before
    assert threading.Thread.start is before


def test_an_open_event_loop_is_found() -> None:
    with ForkWatch() as watch:
        loop = asyncio.new_event_loop()
    assert "an event loop that is open" in about(left_by(watch), "event loop")
    loop.close()
    assert left_by(watch) == []


def test_a_tcp_connection_is_named_with_its_peer() -> None:
    with listener(socket.AF_INET, ("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with ForkWatch() as watch:
            client = socket.create_connection(("127.0.0.1", port))
        with client:
            found = about(left_by(watch), "connection")
    assert found == f"an open connection to a server at 127.0.0.1:{port}"


def test_a_listening_socket_is_found() -> None:
    with ForkWatch() as watch:
        server = socket.create_server(("127.0.0.1", 0))
    with server:
        assert about(left_by(watch), "open socket")


def test_a_unix_connection_is_named_with_its_path(tmp_path: Path) -> None:
    path = str(tmp_path / "db.sock")
    with listener(socket.AF_UNIX, path):
        with ForkWatch() as watch:
            client = socket.socket(socket.AF_UNIX)
            client.connect(path)
        with client:
            assert about(left_by(watch), "connection") == f"an open connection to {path}"


def test_a_pair_of_sockets_is_found_once() -> None:
    with ForkWatch() as watch:
        one, other = socket.socketpair()
    with one, other:
        assert left_by(watch) == ["an open connection to another socket of this process"]


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_an_open_sqlite_database_is_named_with_its_file(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "shop.db"
    with ForkWatch() as watch:
        database = sqlite3.connect(path)
        database.execute(f"PRAGMA journal_mode={mode}")
        database.execute("CREATE TABLE items (id)")
        database.commit()
    assert f"an open SQLite database, {path}" in left_by(watch)
    database.close()
    assert left_by(watch) == []


def test_open_files_and_pipes_are_no_culprits(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with ForkWatch() as watch:
        file = path.open("w")
        with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as child:
            child.communicate()
    with file:
        assert left_by(watch) == []


def test_what_was_open_before_is_no_culprit() -> None:
    with socket.create_server(("127.0.0.1", 0)):
        with ForkWatch() as watch:
            pass
        assert left_by(watch) == []
