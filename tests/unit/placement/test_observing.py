"""The observer is started, started again with patience, and nothing waits for it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from outgrow.model import Settings
from outgrow.placement import observing, seating
from outgrow.placement.folder import Folder
from outgrow.placement.observing import GOOD_LIFE_SECONDS, SILENT_SECONDS, Observing
from outgrow.placement.seat import (
    Asked,
    FromObserver,
    Leave,
    Observe,
    Remark,
    Seat,
    ToObserver,
    Watching,
)
from outgrow.wire import Channel, ChannelClosedError, channel_pair
from tests.unit.host.clock import Clock

FIRST_PID = 1 << 23  # above all that the kernel gives, so that no signal hits anybody
KILLED, MISUSED = signal.SIGKILL.value, 2 << 8
SETTINGS = Settings(app="shop:app", page_port=0, observe_days=3)


class Played:
    """An observer's process as the test plays it."""

    def __init__(self, pid: int, channel: Channel[ToObserver], seat: Seat) -> None:
        self.pid = pid
        self.channel = channel
        self.seat = seat
        self._told: list[ToObserver] = []

    def told(self) -> list[ToObserver]:
        """All that it was told so far."""
        try:
            while arrived := self.channel.receive():
                for message, descriptors in arrived:
                    self._told.append(message)
                    for descriptor in descriptors:
                        os.close(descriptor)
        except ChannelClosedError:
            pass
        return self._told


class Stage:
    """A supervisor's end, and the observers that it started."""

    def __init__(self, folder: Folder, clock: Clock) -> None:
        self.folder = folder
        self.clock = clock
        self.said: list[str] = []
        self.played: list[Played] = []
        self.signals: list[tuple[int, int]] = []
        self.fails = False

    def start(
        self, seat: Seat, page: socket.socket | None, _out: int | None, _err: int | None
    ) -> tuple[Channel[FromObserver], int]:
        if self.fails:
            raise OSError("no room")
        ours, theirs = channel_pair()
        for each in (ours, theirs):
            each.setblocking(False)
        pid = FIRST_PID + len(self.played)
        self.played.append(Played(pid, Channel[ToObserver](theirs, ToObserver), seat))
        channel = Channel[FromObserver](ours, FromObserver)
        channel.send(Observe(seat), (page.fileno(),) if page else ())
        return channel, pid

    def begin(
        self, settings: Settings = SETTINGS, *, objectives: Mapping[str, object] | None = None
    ) -> Observing:
        told = (settings, self.folder, None, self.said.append, objectives or {})
        return Observing(*told, durable="unix:/run/keeper.sock")

    @property
    def last(self) -> Played:
        return self.played[-1]


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def play(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, piece: Callable[[Stage], Awaitable[None]]
) -> None:
    async def run() -> None:
        folder = Folder(tmp_path / "state")
        stage = Stage(folder, cast("Clock", asyncio.get_running_loop()))
        monkeypatch.setattr(observing, "start_observer", stage.start)
        monkeypatch.setattr(os, "kill", lambda pid, number: stage.signals.append((pid, number)))
        try:
            await piece(stage)
        finally:
            folder.close()
            for each in stage.played:
                each.channel.close()

    with asyncio.Runner(loop_factory=Clock) as runner:
        runner.run(run())


def test_it_is_started_and_the_page_is_said_once_it_answers_and_the_app_serves(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def piece(stage: Stage) -> None:
        observing = stage.begin(objectives={"GET /": {"errors_percent": 1}})
        observing.settle(may_speak=True)
        (first,) = stage.last.told()
        assert isinstance(first, Observe)
        assert (first.seat.app, first.seat.days_max) == ("shop:app", 3)
        assert first.seat.durable == "unix:/run/keeper.sock"
        assert first.seat.objectives == {"GET /": {"errors_percent": 1}}
        assert Path(first.seat.api).parent == Path(first.seat.supervisor)
        stage.last.channel.send(Watching())
        await turns()
        observing.settle(may_speak=False)
        assert stage.said == []
        for _ in range(3):
            observing.settle(may_speak=True)
        assert stage.said == [f"look: {observing.page}"]
        assert len(stage.played) == 1
        observing.close()

    play(monkeypatch, tmp_path, piece)


def test_one_that_ends_gets_another_after_ever_longer_times(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def piece(stage: Stage) -> None:
        observing = stage.begin()
        page = ""
        for delay in (1, 2, 4, 8, 16, 30, 30):
            observing.settle(may_speak=True)
            page = page or observing.page
            assert observing.page == page  # it stays where it is
            observing.reaped(stage.last.pid, KILLED)
            assert f"is started again in {delay} s, requests go on" in stage.said[-1]
            stage.clock.ahead_seconds += delay - 0.5
            observing.settle(may_speak=True)
            assert observing.pid == 0
            stage.clock.ahead_seconds += 0.6
        observing.settle(may_speak=True)
        stage.clock.ahead_seconds += GOOD_LIFE_SECONDS + 1
        observing.reaped(stage.last.pid, KILLED)
        assert "in 1 s" in stage.said[-1]
        observing.close()

    play(monkeypatch, tmp_path, piece)


def test_where_there_is_no_room_for_it_it_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def piece(stage: Stage) -> None:
        observing = stage.begin()
        stage.fails = True
        observing.settle(may_speak=True)
        assert "could not be started: no room; again in 1 s" in stage.said[-1]
        stage.fails = False
        observing.settle(may_speak=True)
        assert stage.played == []
        stage.clock.ahead_seconds += 1.1
        observing.settle(may_speak=True)
        assert len(stage.played) == 1
        observing.close()

    play(monkeypatch, tmp_path, piece)


def test_settings_that_it_refuses_are_not_tried_again_until_a_reload(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def piece(stage: Stage) -> None:
        observing = stage.begin()
        observing.settle(may_speak=True)
        observing.reaped(stage.last.pid, MISUSED)
        assert "mend them, and reload" in stage.said[-1]
        stage.clock.ahead_seconds += 100
        observing.settle(may_speak=True)
        assert len(stage.played) == 1
        observing.renew(SETTINGS, {})
        observing.settle(may_speak=True)
        assert len(stage.played) == 2
        observing.close()

    play(monkeypatch, tmp_path, piece)


def test_one_that_says_nothing_for_long_is_ended_but_not_where_we_stood_still(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def piece(stage: Stage) -> None:
        observing = stage.begin()
        observing.settle(may_speak=True)
        stage.clock.ahead_seconds += SILENT_SECONDS * 10
        observing.settle(may_speak=True)
        assert stage.signals == []
        for _ in range(int(SILENT_SECONDS) + 2):
            stage.clock.ahead_seconds += 1
            observing.settle(may_speak=True)
        assert stage.signals == [(stage.last.pid, signal.SIGKILL)]
        observing.close()

    play(monkeypatch, tmp_path, piece)


def test_a_reload_with_other_settings_begins_another_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def piece(stage: Stage) -> None:
        observing = stage.begin()
        observing.settle(may_speak=True)
        observing.renew(SETTINGS, {})
        assert Leave() not in stage.last.told()
        observing.renew(SETTINGS, {"GET /": {"errors_percent": 2}})
        assert stage.last.told()[-1] == Leave()
        observing.reaped(stage.last.pid, 0)
        observing.settle(may_speak=True)
        assert len(stage.played) == 2
        assert stage.last.seat.objectives
        assert stage.said == []
        observing.close()

    play(monkeypatch, tmp_path, piece)


def test_remarks_wait_for_somebody_who_hears_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def piece(stage: Stage) -> None:
        observing = stage.begin()
        observing.settle(may_speak=True)
        observing.remark("placement", "one")
        assert len(stage.last.told()) == 1
        observing.reaped(stage.last.pid, KILLED)
        stage.clock.ahead_seconds += 2
        observing.settle(may_speak=True)
        stage.last.channel.send(Watching())
        await turns()
        observing.remark("placement", "two")
        remarks = [one for one in stage.last.told() if isinstance(one, Remark)]
        assert [one.text for one in remarks] == ["one", "two"]
        observing.close()

    play(monkeypatch, tmp_path, piece)


def test_a_full_channel_keeps_remarks_within_a_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def piece(stage: Stage) -> None:
        observing = stage.begin()
        observing.settle(may_speak=True)
        stage.last.channel.send(Watching())
        await turns()
        for number in range(5000):
            observing.remark("placement", f"{number} {'x' * 400}")
        remarks: list[Any] = []
        for _ in range(20):
            remarks = [one for one in stage.last.told() if isinstance(one, Remark)]
            observing.settle(may_speak=True)
        assert remarks[-1].text.startswith("4999 ")
        assert 100 < len(remarks) < 5000
        observing.close()

    play(monkeypatch, tmp_path, piece)


def test_somebody_else_may_ask_it_to_leave(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def piece(stage: Stage) -> None:
        observing = stage.begin()
        observing.settle(may_speak=True)
        stage.last.channel.send(Asked())
        await turns()
        observing.settle(may_speak=True)
        assert Leave() not in stage.last.told()  # the supervisor may be asked to stop, too
        stage.clock.ahead_seconds += 1.1
        observing.settle(may_speak=True)
        assert stage.last.told()[-1] == Leave()
        observing.close()

    play(monkeypatch, tmp_path, piece)


def test_at_the_end_it_is_told_to_leave_and_not_started_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def piece(stage: Stage) -> None:
        observing = stage.begin()
        observing.settle(may_speak=True)
        stopping = asyncio.ensure_future(observing.stop())
        await turns()
        assert stage.last.told()[-1] == Leave()
        observing.reaped(stage.last.pid, 0)
        await stopping
        observing.settle(may_speak=True)
        assert len(stage.played) == 1
        assert stage.signals == [(stage.last.pid, signal.SIGCONT)]
        observing.close()

    play(monkeypatch, tmp_path, piece)


def test_where_workers_report(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def piece(stage: Stage) -> None:
        here = stage.begin().watch("abc")
        assert here is not None
        assert (here.app, here.labels) == ("shop:app", {"commit": "abc"})
        assert here.address.path.endswith("observer.sock")
        away = Settings(
            name="shop", observer="[::1]:7789", observer_token="secret", observer_ca="ca.pem"
        )
        observing = stage.begin(away)
        observing.settle(may_speak=True)
        there = observing.watch("")
        assert there is not None
        assert (there.app, there.labels, str(there.address)) == ("shop", {}, "tls:::1:7789")
        assert (there.address.token, there.address.authority) == ("secret", "ca.pem")
        nobody = stage.begin(Settings(observe="never"))
        nobody.settle(may_speak=True)
        assert nobody.watch("abc") is None
        assert stage.played == []

    play(monkeypatch, tmp_path, piece)


def test_what_is_not_installed_is_said_once_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(seating, "PACKAGES", ("json", "no_such_package", "no_such.package"))

    async def piece(stage: Stage) -> None:
        observing = stage.begin()
        for _ in range(3):
            observing.settle(may_speak=True)
        observing.renew(SETTINGS, {"GET /": {"errors_percent": 2}})
        assert stage.played == []
        (said,) = stage.said
        assert "pip install 'outgrow[watch]'" in said
        assert observing.watch("") is None

    play(monkeypatch, tmp_path, piece)


def test_a_taken_port_is_left_alone_and_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def piece(stage: Stage) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            monkeypatch.setattr(seating, "PAGE_PORT", port)
            observing = stage.begin(Settings(app="shop:app"))
            observing.settle(may_speak=True)
            assert stage.said == [f"port {port} is taken: the page has another"]
            assert observing.page not in ("", f"http://127.0.0.1:{port}")
            observing.close()
            named = stage.begin(Settings(app="shop:app", page_port=port))
            named.settle(may_speak=True)
            assert "there will be no page" in stage.said[-1]
            assert (named.page, len(stage.played)) == ("", 2)
            named.close()

    play(monkeypatch, tmp_path, piece)
