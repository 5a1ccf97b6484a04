"""What workers print is kept line by line, and a stopped terminal stops nobody else."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from outgrow.placement import logbook
from outgrow.placement.logbook import WAITING_BYTES_MAX, LogBook, is_by, last_lines
from outgrow.placement.pipes import Pipes

LINE = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (\S+) (out|err) (.*)\n")
WAIT_SECONDS = 5.0


@pytest.fixture
def book(tmp_path: Path) -> Iterator[LogBook]:
    book = LogBook(tmp_path / "log")
    yield book
    book.close()


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """A pipe in the place of a terminal: the end to read, the end to write."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def wait_for(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(int(WAIT_SECONDS / 0.01)):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("did not happen in time")


def kept(book: LogBook) -> list[tuple[str, str, str]]:
    """Worker, stream and text of each line in the file, once the book is closed."""
    book.close()
    lines = book.path.read_bytes().splitlines(keepends=True)
    found = [LINE.fullmatch(line) for line in lines]
    assert all(found), lines
    return [(m[1].decode(), m[2].decode(), m[3].decode()) for m in found if m is not None]


def test_each_line_is_kept_with_its_time_worker_and_stream(book: LogBook) -> None:
    book.passed("web/1", "out", b"one\ntwo\n", None)
    book.passed("web/2", "err", b"three\n", None)
    assert kept(book) == [
        ("web/1", "out", "one"),
        ("web/1", "out", "two"),
        ("web/2", "err", "three"),
    ]


def test_parts_of_a_line_are_kept_as_one_whatever_comes_between(book: LogBook) -> None:
    book.passed("web/1", "out", b"he", None)
    book.passed("web/1", "err", b"wor", None)
    book.passed("web/2", "out", b"whole\n", None)
    book.passed("web/1", "out", b"llo\n", None)
    book.passed("web/1", "err", b"ld\n", None)
    assert kept(book) == [
        ("web/2", "out", "whole"),
        ("web/1", "out", "hello"),
        ("web/1", "err", "world"),
    ]


def test_the_last_line_of_a_worker_that_ended_is_kept_without_its_end(book: LogBook) -> None:
    book.passed("web/1", "err", b"Segmentation", None)
    book.closed("web/1")
    book.closed("web/1")
    assert kept(book) == [("web/1", "err", "Segmentation")]


def test_a_line_without_end_is_kept_in_parts(book: LogBook) -> None:
    for _ in range(10):
        book.passed("web/1", "out", b"x" * 50_000, None)
    book.closed("web/1")
    lines = kept(book)
    assert sum(len(text) for _, _, text in lines) == 500_000
    assert max(len(text) for _, _, text in lines) <= 2 * logbook.LINE_BYTES_MAX


def test_empty_lines_are_kept(book: LogBook) -> None:
    book.passed("web/1", "out", b"a\n", None)
    book.passed("web/1", "out", b"\n", None)
    book.passed("web/1", "out", b"b\n\n", None)
    assert [text for _, _, text in kept(book)] == ["a", "", "b", ""]


def test_bytes_that_are_no_text_are_kept(book: LogBook) -> None:
    book.passed("web/1", "out", b"\xff\x00\n", None)
    book.close()
    assert book.path.read_bytes().endswith(b" out \xff\x00\n")


def test_the_terminal_gets_every_byte_at_once(book: LogBook, terminal: tuple[int, int]) -> None:
    book.passed("web/1", "out", b"no end", terminal[1])
    assert os.read(terminal[0], 100) == b"no end"


def test_only_the_owner_can_read_the_log(book: LogBook) -> None:
    assert book.path.stat().st_mode & 0o777 == 0o600


def test_a_new_book_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    for text in (b"one\n", b"two\n"):
        book = LogBook(tmp_path / "log")
        book.passed("web/1", "out", text, None)
        book.close()
    assert [line.split()[-1] for line in last_lines(tmp_path / "log", 10)] == [b"one", b"two"]


def test_full_files_are_turned_and_the_oldest_is_dropped(
    book: LogBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logbook, "FILE_BYTES_MAX", 1000)
    for number in range(100):
        book.passed("web/1", "out", b"%0100d\n" % number, None)
    book.close()
    files = sorted(book.path.parent.iterdir())
    assert [file.name for file in files] == ["log", "log.1", "log.2", "log.3"]
    assert all(file.stat().st_size <= 1000 for file in files)
    lines = b"".join(file.read_bytes() for file in files[::-1] if file.name != "log")
    lines += book.path.read_bytes()
    numbers = [int(line.split()[-1]) for line in files_in_order(files)]
    assert numbers == list(range(numbers[0], 100))


def files_in_order(files: list[Path]) -> list[bytes]:
    """Lines of the log's files, oldest first."""
    ordered = [*sorted((file for file in files if file.suffix), reverse=True), files[0]]
    return [line for file in ordered for line in file.read_bytes().splitlines()]


def test_a_blocked_terminal_makes_the_book_full_and_loses_nothing(
    book: LogBook, terminal: tuple[int, int]
) -> None:
    chunk, count = b"x" * 65_535 + b"\n", 100
    for _ in range(count):
        book.passed("web/1", "out", chunk, terminal[1])
    assert book.is_full
    read = 0
    while read < count * len(chunk):
        read += len(os.read(terminal[0], 1 << 20))
    wait_for(lambda: not book.is_full)
    assert len(kept(book)) == count


def test_a_terminal_that_is_gone_does_not_stop_the_log(book: LogBook) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    book.passed("web/1", "out", b"one\n", writing)
    assert kept(book) == [("web/1", "out", "one")]
    os.close(writing)


def test_a_terminal_that_does_not_block_gets_all(book: LogBook, terminal: tuple[int, int]) -> None:
    os.set_blocking(terminal[1], False)
    book.passed("web/1", "out", b"x" * 300_000, terminal[1])
    read = b""
    while len(read) < 300_000:
        read += os.read(terminal[0], 1 << 20)
    assert read == b"x" * 300_000


def test_readers_get_what_is_kept(book: LogBook) -> None:
    seen: list[bytes] = []
    book.readers.append(seen.append)
    book.passed("web/1", "out", b"one\ntwo\nthr", None)
    (lines,) = seen
    assert [LINE.fullmatch(line) is not None for line in lines.splitlines(keepends=True)] == [
        True,
        True,
    ]


def test_the_last_lines_are_found_in_two_files(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert last_lines(path, 5) == []
    (tmp_path / "log.1").write_bytes(b"t web/1 out a\nt web/2 out b\n")
    path.write_bytes(b"t web/1 out c\nt web/10 out d\n")
    assert [line[-2:-1] for line in last_lines(path, 3)] == [b"b", b"c", b"d"]
    assert [line[-2:-1] for line in last_lines(path, 9, "web/1")] == [b"a", b"c"]
    assert last_lines(path, 0) == []


def test_a_worker_is_told_by_its_whole_name() -> None:
    assert is_by(b"t web/1 out x", "web/1")
    assert is_by(b"t web/1 out x", None)
    assert not is_by(b"t web/10 out web/1", "web/1")
    assert not is_by(b"", "web/1")


async def turned(turns: int = 20) -> None:
    """Let the loop look at its descriptors some times."""
    for _ in range(turns):
        await asyncio.sleep(0)


def test_what_processes_print_reaches_the_book_by_name(book: LogBook) -> None:
    async def run() -> None:
        pipes = Pipes(asyncio.get_running_loop(), book, passes_on=False)
        out, err = pipes.open("web/1")
        os.write(out, b"hello\n")
        os.write(err, b"trouble\nlast wo")
        await turned()
        os.close(out)
        os.write(err, b"rds")
        os.close(err)
        await turned()
        pipes.close()

    asyncio.run(run())
    assert {text for _, _, text in kept(book)} >= {"hello", "trouble"}


def test_the_end_of_one_stream_leaves_the_line_of_the_other_whole(book: LogBook) -> None:
    async def run() -> None:
        pipes = Pipes(asyncio.get_running_loop(), book, passes_on=False)
        out, err = pipes.open("web/1")
        os.write(err, b"half and ")
        await turned()
        os.close(out)
        await turned()
        os.write(err, b"half\n")
        os.close(err)
        await turned()
        pipes.close()

    asyncio.run(run())
    assert kept(book) == [("web/1", "err", "half and half")]


def test_two_processes_of_one_name_do_not_mix_their_lines_at_once(book: LogBook) -> None:
    async def run() -> None:
        pipes = Pipes(asyncio.get_running_loop(), book, passes_on=False)
        old, new = pipes.open("web/1"), pipes.open("web/1")
        os.write(old[0], b"from the old\n")
        os.write(new[0], b"from the new\n")
        await turned()
        for descriptor in (*old, *new):
            os.close(descriptor)
        pipes.close()

    asyncio.run(run())
    assert sorted(text for _, _, text in kept(book)) == ["from the new", "from the old"]


def filled(descriptor: int, line: bytes) -> int:
    """Write lines to a pipe until it takes no more; returns how many."""
    os.set_blocking(descriptor, False)
    for count in range(10_000):
        try:
            os.write(descriptor, line)
        except BlockingIOError:
            return count
    raise AssertionError("the pipe takes everything")


def emptied(descriptor: int, size_bytes: int) -> None:
    """Read so many bytes from a pipe."""
    while size_bytes > 0:
        size_bytes -= len(os.read(descriptor, min(size_bytes, 1 << 20)))


def test_pipes_are_not_read_while_the_book_is_full(
    book: LogBook, terminal: tuple[int, int]
) -> None:
    chunk, count, line = b"x" * 65_536, 100, b"y" * 999 + b"\n"

    async def run() -> int:
        pipes = Pipes(asyncio.get_running_loop(), book, passes_on=False)
        ends = pipes.open("web/1")
        for _ in range(count):
            book.passed("supervisor", "err", chunk, terminal[1])
        pipes.breathe()
        written = filled(ends[0], line)
        await turned()
        assert filled(ends[0], line) == 0  # nobody has read
        emptied(terminal[0], len(chunk) * count)
        wait_for(lambda: not book.is_full)
        pipes.breathe()
        await turned()
        assert os.write(ends[0], b"z\n") == 2  # there is room again
        for descriptor in ends:
            os.close(descriptor)
        pipes.close()
        return written

    written = asyncio.run(run())
    lines = [text for worker, _, text in kept(book) if worker == "web/1"]
    assert lines.count("y" * 999) == written
    assert 0 < written * len(line) < 2 * WAITING_BYTES_MAX


def test_half_lines_of_two_workers_of_one_name_do_not_mix(tmp_path: Path) -> None:
    book = LogBook(tmp_path / "log")
    book.passed("web/1", "out", b"old, ", None, source=1)
    book.passed("web/1", "out", b"new\n", None, source=2)
    book.passed("web/1", "out", b"whole\n", None, source=1)
    book.close()
    texts = [line.split(b" ", 3)[3] for line in (tmp_path / "log").read_bytes().splitlines()]
    assert texts == [b"new", b"old, whole"]
