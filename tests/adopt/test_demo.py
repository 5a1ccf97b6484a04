"""The demo from outside: it measures, says one sentence, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.adopt.serving import ROOT, marked, wait_for
from tests.adopt.test_watch import OBSERVE
from tests.faults.harness import LONG

START_SECONDS = 30.0
GONE_SECONDS = 15.0
SENTENCE = re.compile(
    r"^Busiest: \w+/\d, \d+ % busy; of (its|all workers') time in routes, \d+ % goes to "
    r"(GET|POST) /.* \(measured over the last \d+ s, \d+ requests\)\.$",
    re.MULTILINE,
)
PROVED = re.compile(
    r"^Predicted [\d,]+ \([\d,]+ to [\d,]+\) requests/s, with `.+` as the first limit; "
    r"(measured [\d,]+, "
    r"(with `.+` first: the first limit was (right|wrong)(, but .+)?|and .+ not seen)|"
    r"[\d,]+ were borne, and the limit was not reached)\.$"
)

pytestmark = pytest.mark.timeout(90)


@dataclass(frozen=True, kw_only=True)
class Demo:
    """A demo that runs; its processes carry the mark."""

    process: subprocess.Popen[bytes]
    mark: str
    output: Path

    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def has_traffic(self) -> bool:
        assert self.process.poll() is None, self.said()
        return bool(re.search(r"[1-9]\d* requests/s", self.said()))

    def wait_until_gone(self) -> None:
        wait_for(
            lambda: not marked(self.mark),
            "end of every process",
            GONE_SECONDS,
            then=lambda: f"{marked(self.mark)}\n{self.said()}",
        )


@contextmanager
def demo(
    folder: Path, *, seconds: str = "", port: int = 0, is_observed: bool = False
) -> Iterator[Demo]:
    mark = f"demo-{uuid.uuid4().hex}"
    more = dict(OBSERVE) if is_observed else dict[str, str]()
    more |= {"DEMO_PORT": str(port or free_port()), "DEMO_FOLDER": str(folder / "demo")}
    output = folder / f"{mark}.txt"
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "examples.demo"],
            cwd=ROOT,
            env={**os.environ, **more, "DEMO_SECONDS": seconds, "DEMO_RATE": "30", "MARK": mark},
            stdout=stream,
            stderr=stream,
        )
    try:
        yield Demo(process=process, mark=mark, output=output)
    finally:
        process.kill()
        process.wait()
        for pid in marked(mark):
            os.kill(pid, signal.SIGKILL)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.slow
def test_a_demo_with_an_end_says_what_it_measured(tmp_path: Path) -> None:
    with demo(tmp_path, seconds="6") as running:
        assert running.process.wait(60) == 0, running.said()
        assert len(SENTENCE.findall(running.said())) == 1, running.said()
        assert re.search(r"Traffic: \d+ answers in .* s, 0 failed", running.said())
        assert "`recommendations` moved from group `advice` to `desk`" in running.said()
        assert not marked(running.mark)


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_a_demo_ends_with_what_was_predicted_and_what_was_measured(tmp_path: Path) -> None:
    with demo(tmp_path, is_observed=True) as running:
        assert running.process.wait(450) == 0, running.said()
        assert PROVED.search(running.said().splitlines()[-1]), running.said()
        assert not marked(running.mark)


@pytest.mark.skipif(not LONG, reason="takes two minutes until the load test: OUTGROW_FAULTS=long")
@pytest.mark.timeout(300)
def test_ctrl_c_during_the_load_test_leaves_nothing_behind(tmp_path: Path) -> None:
    with demo(tmp_path, is_observed=True) as running:
        wait_for(lambda: "  sending " in running.said(), "a load test", 250, then=running.said)
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(30) == 0, running.said()
        assert not marked(running.mark)


def test_ctrl_c_stops_the_demo_and_all_it_started(tmp_path: Path) -> None:
    with demo(tmp_path) as running:
        wait_for(running.has_traffic, "traffic", START_SECONDS, then=running.said)
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(30) == 0, running.said()
        assert not marked(running.mark)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells the children")
def test_a_killed_demo_takes_all_it_started_with_it(tmp_path: Path) -> None:
    with demo(tmp_path) as running:
        wait_for(running.has_traffic, "traffic", START_SECONDS, then=running.said)
        running.process.kill()
        running.process.wait()
        running.wait_until_gone()


@pytest.mark.slow
def test_a_taken_port_is_left_alone_and_said(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with demo(tmp_path, seconds="2", port=port) as running:
            running.process.wait(60)
            assert f"Port {port} or its folder is taken" in running.said()
            assert f"127.0.0.1:{port}\n" not in running.said()


def test_a_demo_without_the_means_says_so_and_fails(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "control.sock").mkdir()  # `outgrow run` cannot make its socket there
    with demo(tmp_path, seconds="2") as running:
        assert running.process.wait(60) == 1
        assert "`outgrow run` ended" in running.said()
        assert not marked(running.mark)
