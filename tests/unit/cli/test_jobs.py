"""What `outgrow jobs` tells and does, with no app running."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from outgrow.store import (
    EventOutcome,
    Failure,
    JobOutcome,
    NewJob,
    Publication,
    durable_at,
    new_id,
)
from tests.unit.cli.typing_verbs import Outgrow

NO_PAPER = Failure(type="OSError", text="no paper", fingerprint="paper")


@pytest.fixture
def ids(tmp_path: Path) -> dict[str, UUID]:
    """Jobs that wait and have ended, and an event that nobody has read."""
    made = {name: new_id() for name in ("done", "dead", "ready")}

    async def fill() -> None:
        store = durable_at(f"sqlite:///{tmp_path}/.outgrow/durable.db", is_fast=True)
        await store.start()
        lease = await store.crew.register("w")
        await store.log.subscribe("mail.on_order", "OrderPlaced")
        await store.log.append([Publication(id=new_id(), topic="OrderPlaced", body=b"")])
        for name, id in made.items():
            job = NewJob(id=id, kind="mail.send", queue="mail", attempts_max=1)
            await store.queue.enqueue([job])
            if name == "ready":
                break
            await store.queue.claim(lease, "mail")
            how = "done" if name == "done" else "failed"
            failure = NO_PAPER if name == "dead" else None
            outcome = JobOutcome(id=id, attempt=1, how=how, result=b"\x07", failure=failure)
            await store.queue.settle(lease, [outcome])
        await store.stop()

    (tmp_path / ".outgrow").mkdir()
    asyncio.run(fill())
    return made


def told(outgrow: Outgrow, *words: str) -> Any:
    ended = outgrow("jobs", *words, "--json")
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


def test_the_overview_counts_what_waits_and_what_failed(
    outgrow: Outgrow, ids: dict[str, UUID]
) -> None:
    assert ids
    shown = outgrow("jobs").out
    queue, subscription, letters = shown.split("\n\n")
    *counts, age_seconds, unit, state = queue.splitlines()[1].split()
    assert counts == ["mail", "1", "0", "0", "0"]
    assert (age_seconds.isdigit(), unit, state) == (True, "s", "open")
    assert subscription.splitlines()[1].split()[:3] == ["mail.on_order", "OrderPlaced", "1"]
    assert "no paper" in letters
    overview = told(outgrow)
    assert overview["queues"][0]["ready_count"] == 1
    assert overview["dead"][0]["count"] == 1


def test_a_job_is_listed_by_its_state_and_shown_by_its_id(
    outgrow: Outgrow, ids: dict[str, UUID]
) -> None:
    for state, id in ids.items():
        listed = told(outgrow, "list", "--state", state)["jobs"]
        assert [one["id"] for one in listed] == [str(id)]
        assert str(id) in outgrow("jobs", "list", "--state", state).out
    assert told(outgrow, "list", "--queue", "post")["jobs"] == []
    assert told(outgrow, "show", str(ids["done"]))["result"] == 7
    shown = outgrow("jobs", "show", str(ids["dead"])).out
    assert "no paper" in shown
    assert outgrow("jobs", "show", str(new_id())).code == 1


def test_a_waiting_job_is_cancelled(outgrow: Outgrow, ids: dict[str, UUID]) -> None:
    assert outgrow("jobs", "cancel", str(ids["ready"])).err == "it will not run\n"
    assert outgrow("jobs", "cancel", str(ids["ready"])).code == 1
    assert told(outgrow, "show", str(ids["ready"]))["state"] == "cancelled"


def test_a_queue_and_a_subscription_are_paused_and_resumed(
    outgrow: Outgrow, ids: dict[str, UUID]
) -> None:
    assert ids
    assert outgrow("jobs", "pause", "mail").err == "mail is paused\n"
    assert outgrow("jobs", "pause", "mail.on_order").code == 0
    overview = told(outgrow)
    assert overview["queues"][0]["is_paused"]
    assert overview["subscriptions"][0]["is_paused"]
    assert outgrow("jobs", "resume", "mail").code == 0
    assert not told(outgrow)["queues"][0]["is_paused"]
    assert outgrow("jobs", "pause", "nothing").code == 1


def test_dead_letters_are_tried_again_or_discarded(outgrow: Outgrow, ids: dict[str, UUID]) -> None:
    letters = told(outgrow, "dead", "paper")["letters"]
    assert [one["id"] for one in letters] == [str(ids["dead"])]
    assert outgrow("jobs", "replay").code == 2
    assert outgrow("jobs", "replay", "paper").err == "1 tried again\n"
    assert told(outgrow, "show", str(ids["dead"]))["state"] == "ready"
    assert outgrow("jobs", "discard", "--all").code == 1  # none is left


def test_a_subscription_is_rewound(outgrow: Outgrow, ids: dict[str, UUID], tmp_path: Path) -> None:
    assert ids

    async def read() -> int:
        store = durable_at(f"sqlite:///{tmp_path}/.outgrow/durable.db", is_fast=True)
        await store.start()
        lease = await store.crew.register("w")
        came = await store.log.take(lease, "mail.on_order")
        done = [EventOutcome(position=one.position, attempt=1) for one in came]
        await store.log.settle(lease, "mail.on_order", done)
        await store.stop()
        return len(came)

    assert asyncio.run(read()) == 1
    assert asyncio.run(read()) == 0
    assert outgrow("jobs", "rewind", "mail.on_order", "beginning").code == 0
    assert asyncio.run(read()) == 1
    assert outgrow("jobs", "rewind", "mail.on_order", "2999-01-01").code == 0
    assert outgrow("jobs", "rewind", "mail.on_order", "noon").code == 2
    offsets = [f"{partition}:1" for partition in range(64)]
    assert outgrow("jobs", "rewind", "mail.on_order", *offsets).code == 0
    assert asyncio.run(read()) == 1
    for odd in ("64:1", "3:0", "3:x"):
        ended = outgrow("jobs", "rewind", "mail.on_order", "1:1", odd)
        assert (ended.code, "PARTITION:OFFSET" in ended.err) == (2, True)


def test_a_subscription_is_forgotten(outgrow: Outgrow, ids: dict[str, UUID]) -> None:
    assert ids
    assert outgrow("jobs", "unsubscribe", "mail.on_order").code == 0
    assert told(outgrow)["subscriptions"] == []
    assert outgrow("jobs", "unsubscribe", "mail.on_order").code == 1


def test_all_jobs_of_a_kind_are_cancelled(outgrow: Outgrow, ids: dict[str, UUID]) -> None:
    assert outgrow("jobs", "cancel", "--kind", "mail.print").code == 1
    assert outgrow("jobs", "cancel", str(ids["ready"]), "--kind", "mail.send").code == 2
    assert outgrow("jobs", "cancel", "--kind", "mail.send").err == "1 cancelled\n"
    assert told(outgrow, "show", str(ids["ready"]))["state"] == "cancelled"


def test_a_job_that_waits_for_its_time_is_started_now(
    outgrow: Outgrow, ids: dict[str, UUID], tmp_path: Path
) -> None:
    later = NewJob(id=new_id(), kind="mail.send", queue="mail", delay_ms=3_600_000)

    async def enqueue() -> None:
        store = durable_at(f"sqlite:///{tmp_path}/.outgrow/durable.db", is_fast=True)
        await store.start()
        await store.queue.enqueue([later])
        await store.stop()

    asyncio.run(enqueue())
    assert outgrow("jobs", "retry", str(later.id)).err == "it starts now\n"
    assert told(outgrow, "show", str(later.id))["state"] == "ready"
    dead = outgrow("jobs", "retry", str(ids["dead"]))
    assert (dead.code, "outgrow jobs replay" in dead.err) == (1, True)


def test_jobs_are_looked_for_where_the_settings_say(
    outgrow: Outgrow, ids: dict[str, UUID], tmp_path: Path
) -> None:
    (tmp_path / ".outgrow").rename(tmp_path / "elsewhere")
    assert outgrow("jobs").code == 1
    (tmp_path / "outgrow.toml").write_text(
        '[run]\napp = "main:app"\ndurable_url = "sqlite:///elsewhere/durable.db?fast=true"\n'
    )
    assert [one["id"] for one in told(outgrow, "list")["jobs"]] == [str(ids["ready"])]


@pytest.mark.parametrize(
    "words", [("nonsense",), ("show", "7"), ("show",), ("list", "--state", "odd")], ids=str
)
def test_wrong_words_are_named(outgrow: Outgrow, ids: dict[str, UUID], words: list[str]) -> None:
    assert ids
    ended = outgrow("jobs", *words)
    assert ended.code == 2
    assert "hint:" in ended.err


def test_a_folder_without_durable_work_is_named(outgrow: Outgrow) -> None:
    ended = outgrow("jobs")
    assert ended.code == 1
    assert "--folder" in ended.err
