"""Three times as much as one worker can serve: what it still serves, how fast, and what it costs.

The handler computes for 2 ms, the load is an open loop on a core of its own. First the peak: what
the worker serves when a few clients keep it busy. Then half of that, three times that for ten times
the seconds, and half again. Beside it uvicorn as it is, and with a limit on what runs at once; and
the same 2 ms in an operation of a service, which is protected without a setting.
"""

from __future__ import annotations

import http.client
import os
import resource
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from . import cost, servers
from .harness import Measurements, publish, turned
from .load import generator, load
from .open_loop import PATIENCE_SECONDS, Answer, Stage, open_loop
from .servers import Contender, Server

TIMES = 3.0
ROUNDS_MAX = 2
CALM_SHARE = 0.5
CALM_SECONDS = 5.0
AFTER_SECONDS = 15.0
PEAK_CONNECTIONS = 8
AT_ONCE = 200  # about half a second of work, as long as ours lets requests wait
APP = "overload_app:app"
SERVICE_APP = "overload_service:app"
PATH = "/compute"
CORE = "got of its core"
CORE_PERCENT_MIN = 95.0
_WINDOW_SECONDS = 0.5
_NORMAL_RATIO = 2.0
_LOOK_SECONDS = 0.25
_FILES_MAX = 20_000
_OTHER_FILES = 500

# Of the load: each client has a connection already, as a proxy has; or opens it when it comes.
KINDS = {"kept connections": True, "new connections": False}


def _uvicorn(*options: str, name: str = "uvicorn") -> Contender:
    plain = servers.uvicorn()

    def command(app: str, port: int, workers: int) -> list[str]:
        return [*plain.command(app, port, workers), "--timeout-keep-alive", "300", *options]

    return Contender(name=name, command=command)


def _outgrow(wait_seconds: float) -> Contender:
    patient = ("--keep-alive-seconds", "300", "--header-seconds", "300")
    return servers.outgrow("--wait-seconds-max", str(wait_seconds), *patient)


def _service(*options: str) -> Contender:
    """The 2 ms in a service behind the same edge; its handler only calls it."""
    patient = ("--keep-alive-seconds", "300", "--header-seconds", "300")
    plain = servers.outgrow(*options, *patient, name="outgrow, a service")

    def command(_: str, port: int, workers: int) -> list[str]:
        return plain.command(SERVICE_APP, port, workers)

    return Contender(name=plain.name, command=command)


LIMITED = f"uvicorn, at most {AT_ONCE}"
CONTENDERS = [
    _uvicorn(),
    _uvicorn("--limit-concurrency", str(AT_ONCE), name=LIMITED),
    _outgrow(0.5),
    _service(),
]
# The same servers, refusing whatever comes.
REFUSERS = [
    _uvicorn("--limit-concurrency", "1", name=LIMITED),
    _outgrow(1e-9),
    _service("--wait-seconds-max", "1e-9"),
]


@dataclass(frozen=True, kw_only=True)
class _Flood:
    """What came of three times the peak.

    Attributes:
        peak: Requests per second that the server can serve.
        answers: To all requests, before, during and after.
        begun: When the flood began, on `time.monotonic`.
        ended: When it was over.
    """

    peak: float
    answers: list[Answer]
    begun: float
    ended: float

    @property
    def calm(self) -> list[Answer]:
        """What ended before it began."""
        return [one for one in self.answers if one.ended < self.begun]

    @property
    def meanwhile(self) -> list[Answer]:
        """What ended while it lasted."""
        return [one for one in self.answers if self.begun <= one.ended < self.ended]

    @property
    def served(self) -> list[Answer]:
        """Of these, what was served."""
        return [one for one in self.meanwhile if one.status == 200]

    @property
    def goodput_percent(self) -> float:
        """What was served a second, of the peak."""
        return 100 * len(self.served) / (self.ended - self.begun) / self.peak

    @property
    def silent_percent(self) -> float:
        """Of what ended then, requests that got no answer at all, not even a refusal."""
        return 100 * sum(one.status == 0 for one in self.meanwhile) / len(self.meanwhile)

    def normal_after(self) -> float:
        """Seconds until all were served as fast as before; at most as long as it was watched."""
        usual_ms = _NORMAL_RATIO * _percentile_ms(self.calm, 99)
        for number in range(int(AFTER_SECONDS / _WINDOW_SECONDS)):
            window = self.ended + number * _WINDOW_SECONDS
            due = [one for one in self.answers if window <= one.due < window + _WINDOW_SECONDS]
            all_served = all(one.status == 200 for one in due)
            if all_served and _percentile_ms(due, 99) <= usual_ms:
                return number * _WINDOW_SECONDS
        return AFTER_SECONDS


def run(rounds: int, seconds: float) -> None:
    """Measure each contender under three times its peak; at most two rounds, as each is long."""
    measured = Measurements("overload", tools=generator())
    _files_max()
    for number in range(min(rounds, ROUNDS_MAX)):
        served_us = {
            contender.name: _measure_peak(measured, contender, seconds)
            for contender in turned(CONTENDERS, number)
        }
        for contender in turned(REFUSERS, number):
            _measure_refusal(measured, contender, served_us[contender.name], seconds)
        for kind in KINDS:
            for contender in turned(CONTENDERS, number):
                _measure_flood(measured, contender, kind, seconds)
    publish(measured)
    least = min(row.value for row in measured.rows() if row.metric.endswith(CORE))
    if least < CORE_PERCENT_MIN:
        print(f"\n  A server got {least:.0f} % of its core: the machine was busy, measure again.")


def _measure_peak(measured: Measurements, contender: Contender, seconds: float) -> float:
    with _running(contender) as server:
        server.until_answering()
        rate, served_us = _at_its_peak(server, seconds)
    measured.add(contender.name, "one request: peak", rate, "requests/s")
    measured.add(contender.name, "one request: CPU served", served_us, "us")
    return served_us


def _measure_refusal(
    measured: Measurements, contender: Contender, served_us: float, seconds: float
) -> None:
    with _running(contender) as server:
        while not _refuses(server.port):
            assert server.process.poll() is None, server.output()
            time.sleep(0.01)
        with _cpu_us(server) as spent_us:
            rate = load(server.port, PATH, seconds, connections=PEAK_CONNECTIONS)
    assert rate.errors == rate.requests, f"{server.name} served some"
    refused_us = spent_us[0] / rate.requests
    measured.add(contender.name, "one request: CPU refused", refused_us, "us")
    share = 100 * refused_us / served_us
    measured.add(contender.name, "one request: refused to served", share, "%")


def _measure_flood(measured: Measurements, contender: Contender, kind: str, seconds: float) -> None:
    with _running(contender) as server:
        server.until_answering()
        load(server.port, PATH, 1, connections=PEAK_CONNECTIONS)  # warm
        peak, served_us = _at_its_peak(server, seconds)
        stages = [
            Stage(CALM_SHARE * peak, CALM_SECONDS),
            Stage(TIMES * peak, 10 * seconds),
            Stage(CALM_SHARE * peak, AFTER_SECONDS),
        ]
        open_before = round(TIMES * peak * PATIENCE_SECONDS) if KINDS[kind] else 0
        open_before = min(open_before, _files_max() - _OTHER_FILES)
        used = _Used(server.process.pid)
        began, answers = open_loop(server.port, PATH, stages, used.look, connections=open_before)
    begun = began + CALM_SECONDS
    flood = _Flood(peak=peak, answers=answers, begun=begun, ended=begun + 10 * seconds)
    _add_flood(measured, contender.name, f"{TIMES:g}x, {kind}", flood)
    ebb = flood.ended + AFTER_SECONDS / 2
    spans = {"before": (began, begun), "most": (begun, flood.ended), "after": (ebb, 2 * ebb)}
    for label, (since, until) in spans.items():
        most_mb = used.most_mb(since, until)
        measured.add(contender.name, f"{TIMES:g}x, {kind}, memory: {label}", most_mb, "MB")
    # At its peak and in the flood; much less than a core means that the machine had other work.
    core_percent = min(peak * served_us / 1e4, used.core_percent(begun, flood.ended))
    measured.add(contender.name, f"{TIMES:g}x, {kind}: {CORE}", core_percent, "%")


def _add_flood(measured: Measurements, name: str, kind: str, flood: _Flood) -> None:
    measured.add(name, f"{kind}: served, of the peak", flood.goodput_percent, "%")
    measured.add(name, f"{kind}: without any answer", flood.silent_percent, "%")
    measured.add(name, f"{kind}: p50 of the served", _percentile_ms(flood.served, 50), "ms")
    measured.add(name, f"{kind}: p99 of the served", _percentile_ms(flood.served, 99), "ms")
    measured.add(name, f"{kind}: normal after", flood.normal_after(), "s")
    late = statistics.quantiles([one.late_seconds for one in flood.answers], n=100)[98]
    measured.add(name, f"{kind}: load late by, p99", late * 1e3, "ms")


def _percentile_ms(answers: list[Answer], percent: int) -> float:
    if len(answers) < 2:
        return 0.0
    return statistics.quantiles([one.seconds for one in answers], n=100)[percent - 1] * 1e3


def _at_its_peak(server: Server, seconds: float) -> tuple[float, float]:
    """Requests per second that a few clients get served, and the CPU of each in microseconds."""
    with _cpu_us(server) as spent_us:
        rate = load(server.port, PATH, seconds, connections=PEAK_CONNECTIONS)
    assert not rate.errors, f"{server.name}: {rate.errors} errors at its peak"
    return rate.per_second, spent_us[0] / rate.requests


def _refuses(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", PATH)
        return connection.getresponse().status == 503
    except OSError:
        return False
    finally:
        connection.close()


def _files_max() -> int:
    """As many as the kernel allows; servers started later may open as many, too."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _FILES_MAX if most == resource.RLIM_INFINITY else min(most, _FILES_MAX)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


@contextmanager
def _cpu_us(server: Server) -> Iterator[list[float]]:
    """The CPU of all processes of a server meanwhile, in microseconds, once it is over."""
    spent: list[float] = []
    before = cost.cpu_by_process(server.process.pid)
    yield spent
    after = cost.cpu_by_process(server.process.pid)
    spent.append(sum(used - before.get(pid, 0.0) for pid, used in after.items()) * 1e6)


@contextmanager
def _running(contender: Contender) -> Iterator[Server]:
    """A contender on one core; what this process does meanwhile, the load too, is on another."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:1])
    try:
        with servers.serving(contender, APP) as server:
            os.sched_setaffinity(0, cores[1:2] or cores)
            yield server
    finally:
        os.sched_setaffinity(0, cores)


@dataclass
class _Used:
    """What a server's processes use together, by the time on `time.monotonic`."""

    pid: int
    looks: list[tuple[float, float, float]] = field(
        default_factory=list[tuple[float, float, float]]
    )

    def look(self) -> None:
        now = time.monotonic()
        if not self.looks or now - self.looks[-1][0] >= _LOOK_SECONDS:
            with suppress(OSError):  # one of them has just ended
                each = [cost.pss_bytes(pid) for pid in cost.tree(self.pid)]
                cpu_seconds = sum(cost.cpu_by_process(self.pid).values())
                self.looks.append((now, sum(each) / 2**20, cpu_seconds))

    def most_mb(self, since: float, until: float) -> float:
        """The most memory that was seen between two moments."""
        return max(mb for at, mb, _ in self.looks if since <= at < until)

    def core_percent(self, since: float, until: float) -> float:
        """CPU time used between two moments, of the time that passed."""
        seen = [(at, cpu_seconds) for at, _, cpu_seconds in self.looks if since <= at < until]
        (first, before), (last, after) = seen[0], seen[-1]
        return 100 * (after - before) / (last - first)
