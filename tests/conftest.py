"""What holds for every test: a clean environment, and no process left behind."""

from __future__ import annotations

import gc
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from outgrow.host import house
from outgrow.host.durable.carriers import carriers
from outgrow.model import declare

if TYPE_CHECKING:
    from collections.abc import Iterator

FOREIGN_SETTINGS = ("FORWARDED_ALLOW_IPS", "PORT", "WEB_CONCURRENCY")
LAST_WAIT_SECONDS = 5.0

# An observer costs each start half a second of CPU: a test that wants one says so. It stands here
# as well as below, for what starts before the first test does.
os.environ["OUTGROW_OBSERVE"] = "never"

settings.register_profile(
    "outgrow", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("outgrow")


@pytest.fixture(autouse=True)
def no_services_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests declared or asked for is not there."""
    carriers.clear()
    monkeypatch.setattr(house, "_house", None)
    monkeypatch.setattr(house, "_wanted", [])
    monkeypatch.setattr(declare, "_services", [])
    monkeypatch.setattr(declare, "_providers", [])


@pytest.fixture(autouse=True)
def no_modules_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What a test imported from files of its own is forgotten: the next may use the same names."""
    before = set(sys.modules)
    yield
    own = str(tmp_path_factory.getbasetemp())
    for name in set(sys.modules) - before:
        module = sys.modules[name]
        places = [getattr(module, "__file__", None) or "", *getattr(module, "__path__", ())]
        if any(place.startswith(own) for place in places):
            del sys.modules[name]


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of whoever runs the tests sets nothing."""
    for name in list(os.environ):
        own = name.startswith("OUTGROW_") and name not in ("OUTGROW_FAULTS", "OUTGROW_CI_MARK")
        if own or name in FOREIGN_SETTINGS:
            monkeypatch.delenv(name)
    monkeypatch.setenv("OUTGROW_OBSERVE", "never")


@pytest.fixture(scope="session", autouse=True)
def no_process_left_behind() -> Iterator[None]:
    """After the last test, every process that the tests started is gone."""
    before = _children()
    yield
    end = time.monotonic() + LAST_WAIT_SECONDS
    while (left := _children().keys() - before.keys()) and time.monotonic() < end:
        time.sleep(0.05)
    named = [f"{pid} {command}" for pid, command in _children().items() if pid in left]
    assert not named, "the tests left processes behind:\n" + "\n".join(named)


def _children() -> dict[int, str]:
    """The live child processes of this one, with their commands; empty where there is no /proc."""
    found: dict[int, str] = {}
    for task in Path("/proc/self/task").glob("*/children"):
        for word in task.read_text().split():
            try:
                command = Path(f"/proc/{word}/cmdline").read_text().replace("\0", " ").strip()
            except OSError:
                continue
            if command:  # a zombie has none
                found[int(word)] = command
    return found


def pytest_collection_finish() -> None:
    """Leave what was collected out of later searches for garbage, each of which it would slow."""
    gc.collect()
    gc.freeze()
