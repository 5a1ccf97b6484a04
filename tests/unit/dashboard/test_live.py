"""The live stream: one object a second for all, and only while somebody listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest

from outgrow.dashboard.live import LISTENERS_MAX, Live
from tests.unit.dashboard.asking_api import ask
from tests.unit.dashboard.shop import ShopAnswers


class Making:
    """Counts how often it was asked."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> bytes:
        self.times += 1
        return b"%d" % self.times


def events_of(live: Live) -> AsyncIterator[bytes]:
    return cast("AsyncIterator[bytes]", live.response().body_iterator)


def test_all_listeners_are_sent_the_same_objects() -> None:
    async def test() -> None:
        live = Live(Making(), seconds=0.001)
        one, other = events_of(live), events_of(live)
        assert await anext(one) == await anext(other) == b"retry: 2000\n\n"
        seen = {await anext(one), await anext(other)}
        assert seen == {b"data: 1\n\n"}
        assert live.listeners_count == 2
        await one.aclose()  # type: ignore[attr-defined]
        await other.aclose()  # type: ignore[attr-defined]

    asyncio.run(test())


def test_nothing_is_made_when_the_last_listener_has_left() -> None:
    async def test() -> None:
        making = Making()
        live = Live(making, seconds=0.001)
        events = events_of(live)
        for _ in range(4):
            await anext(events)
        await events.aclose()  # type: ignore[attr-defined]
        made = making.times
        for _ in range(20):
            await asyncio.sleep(0)
        assert live.listeners_count == 0
        assert making.times <= made + 1

    asyncio.run(test())


def test_a_listener_that_is_cut_off_while_it_waits_is_counted_out() -> None:
    async def test() -> None:
        live = Live(Making(), seconds=60)
        events = events_of(live)
        await anext(events)
        await anext(events)
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert live.listeners_count == 0

    asyncio.run(test())


def test_a_second_that_cannot_be_made_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    class Stumbling(Making):
        def __call__(self) -> bytes:
            if super().__call__() == b"1":
                raise OSError("busy")
            return b"made"

    async def test() -> None:
        events = events_of(Live(Stumbling(), seconds=0.001))
        await anext(events)
        assert await anext(events) == b"data: made\n\n"
        await events.aclose()  # type: ignore[attr-defined]

    asyncio.run(test())
    assert "could not be made" in caplog.text


def test_so_many_may_listen_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Live, "is_full", property(lambda _: True))
    answer = ask("/api/live", answers=ShopAnswers())
    assert answer.status_code == 503
    assert f"{LISTENERS_MAX} listen already" in answer.json()["text"]
