"""One supervisor at a time has a folder, and nobody else can look into it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from outgrow.errors import AlreadyRunningError, FolderError
from outgrow.placement.folder import Folder, short_path

HOLD = (
    "import sys; from pathlib import Path; from outgrow.placement.folder import Folder\n"
    "folder = Folder(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
)


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_second_holder_is_refused_and_told_who_holds(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "state")
    with pytest.raises(AlreadyRunningError, match=f"process {os.getpid()}") as raised:
        Folder(tmp_path / "state")
    assert "--folder" in raised.value.hint
    folder.close()


def test_a_folder_that_was_closed_is_free(tmp_path: Path) -> None:
    Folder(tmp_path / "state").close()
    Folder(tmp_path / "state").close()


def test_a_folder_is_free_once_its_holder_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "state"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(AlreadyRunningError, match=f"process {holder.pid}"):
            Folder(path)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    folder = Folder(path)
    assert (path / "lock").read_text() == str(os.getpid())
    folder.close()


def test_only_the_owner_can_look_into_the_folder(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        folder = Folder(tmp_path / "state")
    finally:
        os.umask(before)
    assert mode_of(folder.path) == 0o700
    assert mode_of(folder.path / "lock") == 0o600
    folder.close()


def test_a_folder_of_ours_that_was_opened_to_all_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "state"
    Folder(path).close()
    path.chmod(0o777)
    folder = Folder(path)
    assert mode_of(path) == 0o700
    folder.close()


def test_a_folder_of_somebody_else_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "project"
    path.mkdir()
    path.chmod(0o755)
    Folder(path).close()
    assert mode_of(path) == 0o755


def test_a_stale_control_socket_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.mkdir()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path / "control.sock"))
    folder = Folder(path)
    assert not folder.socket_path.exists()
    folder.close()


def test_git_ignores_what_is_in_the_folder(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "state")
    assert (folder.path / ".gitignore").read_text() == "*\n"
    folder.close()


def test_an_ignore_file_of_ones_own_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("build/\n")
    folder = Folder(tmp_path)
    folder.close()
    assert (tmp_path / ".gitignore").read_text() == "build/\n"


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_file_in_the_way_is_said(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderError, match="cannot use the folder"):
        Folder(tmp_path / place)


def test_a_socket_can_lie_deeper_than_the_kernel_can_name(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100) / ("y" * 100)
    deep.mkdir(parents=True)
    path = deep / "control.sock"
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        with short_path(path) as short:
            assert len(short) < 108
            server.bind(short)
        server.listen()
        with short_path(path) as short:
            client.connect(short)
    assert path.is_socket()


def test_a_short_path_stays_as_it_is() -> None:
    with short_path(Path("/run/app.sock")) as short:
        assert short == "/run/app.sock"


@pytest.mark.parametrize("length", [90, 91, 99, 105])
def test_sockets_for_calls_have_room_however_many_were_made(tmp_path: Path, length: int) -> None:
    name = "f" * (length - len(f"{tmp_path}//calls"))
    folder = Folder(tmp_path / name)
    made = folder.calls_path()
    assert len(bytes(made / "4294967295.sock")) <= 107
    folder.close()
    assert not made.exists()
