"""Durable work by the API: of a real keeper, of one that is away, and where there is none."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from outgrow.dashboard import reaching
from outgrow.dashboard.access import Access, access_from
from outgrow.dashboard.answers import Answers
from outgrow.dashboard.app import api_app
from outgrow.dashboard.asking import Asked
from outgrow.dashboard.placing import Supervision
from outgrow.dashboard.reaching import Reach
from outgrow.dashboard.tending import Tending
from outgrow.host.durable.keeper import KeeperHints, keeping
from outgrow.store import DurableStore, QueueLimits, durable_at
from tests.contracts.durable import done, event, failed, job
from tests.unit.dashboard.asking_api import MOMENT_NS
from tests.unit.dashboard.stored import Stored

ANA_TOKEN, GUEST_TOKEN = "ana-may-change-all", "guest-may-only-look"


class Desk:
    """The API with a keeper behind it, and what was written into the audit."""

    def __init__(self, client: httpx.AsyncClient, store: DurableStore, stored: Stored) -> None:
        self.client = client
        self.store = store
        self._stored = stored

    async def get(self, path: str) -> Any:
        answer = await self.client.get(f"/api/{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, **body: Any) -> Any:
        answer = await self.client.post(f"/api/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    @property
    def audit(self) -> list[str]:
        return [one.text for one in self._stored.marked if one.kind == "audit"]


class Said(Supervision):
    """A supervisor that says whether the app has durable work."""

    def __init__(self, is_durable: bool | None) -> None:
        super().__init__(Path("nowhere"))
        self._is_durable = is_durable

    def is_durable(self) -> bool | None:
        return self._is_durable


@asynccontextmanager
async def answering(
    tending: Tending, stored: Stored, access: Access | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    known = Answers(stored, app="shop", tending=tending)
    app = api_app(known, version="0", access=access, clock_ns=lambda: MOMENT_NS)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


def at_desk(folder: Path, piece: Callable[[Desk], Awaitable[None]]) -> None:
    """Do something at a desk with a keeper behind it."""

    async def run() -> None:
        place = f"unix:{folder}/keeper.sock"
        store = durable_at(f"sqlite:///{folder}/durable.db", is_fast=True)
        await store.start()
        reach, stored = Reach(place), Stored()
        try:
            async with (
                keeping(store, KeeperHints(), place),
                answering(Tending(reach), stored) as client,
            ):
                await piece(Desk(client, store, stored))
        finally:
            await reach.stop()
            await store.stop()

    asyncio.run(run())


async def killed(store: DurableStore, count: int) -> list[str]:
    """So many jobs that died; their ids."""
    lease = await store.crew.register("w")
    jobs = [job(queue="mail", attempts_max=1) for _ in range(count)]
    await store.queue.enqueue(jobs)
    for one in await store.queue.claim(lease, "mail", limit=count):
        await store.queue.settle(lease, failed(one, None))
    return [str(one.id) for one in jobs]


def test_what_waits_runs_and_died_is_told(tmp_path: Path) -> None:
    async def piece(desk: Desk) -> None:
        await desk.store.log.subscribe("mail.on_order", "OrderPlaced")
        await desk.store.log.append([event()])
        await killed(desk.store, 2)
        await desk.store.queue.enqueue([job(queue="mail"), job(queue="mail", delay_ms=60_000)])
        found = await desk.get("queues")
        (queue,), (subscription,), (dead,) = found["queues"], found["subscriptions"], found["dead"]
        assert (found["state"], found["problem"], found["may_change"]) == ("open", None, True)
        assert (queue["name"], queue["ready_count"], queue["later_count"]) == ("mail", 1, 1)
        assert queue["oldest_at_ms"] > 0
        assert (subscription["event"], subscription["unread_count"]) == ("OrderPlaced", 1)
        assert (dead["fingerprint"], dead["count"], dead["failure"]) == ("broken", 2, "ValueError")

    at_desk(tmp_path, piece)


def test_jobs_are_leafed_through_to_the_end(tmp_path: Path) -> None:
    async def piece(desk: Desk) -> None:
        made = [job(queue="mail") for _ in range(5)]
        await desk.store.queue.enqueue([*made, job(queue="print")])
        seen: list[str] = []
        more = ""
        while True:
            found = await desk.get(f"jobs?state=ready&queue=mail&limit=2{more}")
            seen += [one["id"] for one in found["jobs"]]
            if found["after"] is None:
                break
            more = f"&after={found['after']}"
        assert seen == sorted(str(one.id) for one in made)

    at_desk(tmp_path, piece)


def test_a_job_is_told_with_its_progress_result_and_failure(tmp_path: Path) -> None:
    async def piece(desk: Desk) -> None:
        (dead,) = await killed(desk.store, 1)
        told = (await desk.get(f"jobs/{dead}"))["job"]
        assert (told["state"], told["failure"], told["text"]) == ("dead", "ValueError", "no")
        assert told["enqueued_at_ms"] is None, "history does not keep it, and 1970 is not when"
        lease = await desk.store.crew.register("v")
        await desk.store.queue.enqueue([job(queue="mail")])
        (taken,) = await desk.store.queue.claim(lease, "mail")
        await desk.store.queue.progress(lease, taken.id, taken.attempt, b"\x93\x01\x02\x03")
        assert (await desk.get(f"jobs/{taken.id}"))["job"]["progress"] == "[1,2,3]"
        await desk.store.queue.settle(lease, done(taken))
        told = (await desk.get(f"jobs/{taken.id}"))["job"]
        assert (told["state"], told["result"]) == ("done", None)

    at_desk(tmp_path, piece)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("jobs/01a230f8-d43b-7be4-8936-12f99bbd2d17", 404, id="a job nobody knows"),
        pytest.param("jobs/seven", 400, id="no id"),
        pytest.param("jobs?after=seven", 400, id="no id to go on from"),
        pytest.param("jobs?state=asleep", 400, id="no state"),
        pytest.param("dead/broken?before=x", 400, id="no number"),
    ],
)
def test_what_is_not_understood_is_refused_in_words(tmp_path: Path, path: str, status: int) -> None:
    async def piece(desk: Desk) -> None:
        answer = await desk.client.get(f"/api/{path}")
        assert answer.status_code == status, answer.text
        assert answer.json()["hint"]

    at_desk(tmp_path, piece)


def test_a_queue_and_a_subscription_are_paused_and_resumed_and_that_is_written_down(
    tmp_path: Path,
) -> None:
    async def piece(desk: Desk) -> None:
        await desk.store.log.subscribe("mail.on_order", "OrderPlaced")
        await desk.store.queue.enqueue([job(queue="mail")])
        for kind, name, all_of in (
            ("queue", "mail", "queues"),
            ("subscription", "mail.on_order", "subscriptions"),
        ):
            for is_paused in (True, False):
                told = await desk.post("queues", kind=kind, name=name, is_paused=is_paused)
                assert told["is_done"]
                (one,) = (await desk.get("queues"))[all_of]
                assert one["is_paused"] is is_paused
            told = await desk.post("queues", kind=kind, name="nobody", is_paused=True)
            assert not told["is_done"]
            assert told["problem"]["text"] == f"there is no {kind} `nobody`"
        assert desk.audit[:2] == [
            "this machine: pause the queue `mail`: `mail` is paused",
            "this machine: resume the queue `mail`: `mail` is resumed",
        ]
        assert desk.audit[-1].endswith("refused, there is no subscription `nobody`")
        assert len(await desk.store.queue.queues()) == 1, "a queue nobody knows is not made"

    at_desk(tmp_path, piece)


def test_a_job_that_waits_is_cancelled_once(tmp_path: Path) -> None:
    async def piece(desk: Desk) -> None:
        one = job(queue="mail")
        await desk.store.queue.enqueue([one])
        assert (await desk.post("jobs", id=str(one.id)))["steps"] == ["it will not run"]
        assert (await desk.get(f"jobs/{one.id}"))["job"]["state"] == "cancelled"
        again = await desk.post("jobs", id=str(one.id))
        assert again["problem"]["text"] == "the job has ended, or is not known"
        assert [line.split(": ")[2] for line in desk.audit] == [
            "it will not run",
            "refused, the job has ended, or is not known",
        ]

    at_desk(tmp_path, piece)


def test_dead_letters_are_tried_again_by_number_and_discarded_by_fingerprint(
    tmp_path: Path,
) -> None:
    async def piece(desk: Desk) -> None:
        ids = await killed(desk.store, 5)
        page = await desk.get("dead/broken?limit=2")
        assert [one["id"] for one in page["letters"]] == ids[:-3:-1]
        older = await desk.get(f"dead/broken?limit=3&before={page['before']}")
        assert len(older["letters"]) == 3
        number = page["letters"][0]["number"]
        assert (await desk.post("dead", do="replay", numbers=[number]))["steps"] == [
            "1 tried again"
        ]
        assert (await desk.get("queues"))["queues"][0]["ready_count"] == 1
        told = await desk.post("dead", do="discard", fingerprint="broken")
        assert told["steps"] == ["4 discarded"]
        assert (await desk.get("dead/broken"))["letters"] == []
        assert not (await desk.post("dead", do="discard", fingerprint="broken"))["is_done"]
        assert desk.audit[1] == (
            "this machine: discard dead letters with fingerprint broken: 4 discarded"
        )

    at_desk(tmp_path, piece)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"do": "discard"}, id="all there are"),
        pytest.param({"do": "discard", "fingerprint": "a", "numbers": [1]}, id="both"),
        pytest.param({"do": "replay", "numbers": list(range(1001))}, id="too many"),
        pytest.param({"do": "burn", "fingerprint": "a"}, id="no verb"),
    ],
)
def test_letters_must_be_named(tmp_path: Path, body: dict[str, Any]) -> None:
    async def piece(desk: Desk) -> None:
        await killed(desk.store, 1)
        assert (await desk.client.post("/api/dead", json=body)).status_code == 400
        assert len(await desk.store.dead.letters()) == 1
        assert desk.audit == []

    at_desk(tmp_path, piece)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param("queues", {"kind": "queue", "name": "m", "is_paused": True}, id="pause"),
        pytest.param("jobs", {"id": "01a230f8-d43b-7be4-8936-12f99bbd2d17"}, id="cancel"),
        pytest.param("dead", {"do": "discard", "fingerprint": "broken"}, id="discard"),
    ],
)
@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"authorization": f"Bearer {GUEST_TOKEN}"}, id="who may only look"),
        pytest.param(
            {"authorization": f"Bearer {ANA_TOKEN}", "origin": "http://evil.example"},
            id="another site",
        ),
    ],
)
def test_a_change_is_refused(
    tmp_path: Path, path: str, body: dict[str, Any], headers: dict[str, str]
) -> None:
    tokens = f"ana operate {ANA_TOKEN}; guest read {GUEST_TOKEN}"
    access = access_from(None, {"OUTGROW_TOKENS": tokens})
    stored = Stored()

    async def run() -> None:
        reach = Reach(f"unix:{tmp_path}/keeper.sock")
        async with answering(Tending(reach), stored, access) as client:
            answer = await client.post(f"/api/{path}", json=body, headers=headers)
            assert answer.status_code == 403
        await reach.stop()

    asyncio.run(run())
    assert stored.marked == []


PAUSE = {"kind": "queue", "name": "mail", "is_paused": True}


@pytest.mark.parametrize(
    ("place", "who"),
    [
        pytest.param("unix:{folder}/keeper.sock", "keeper", id="a keeper"),
        pytest.param("postgresql://ana:secret@127.0.0.1:1/shop", "PostgreSQL", id="a server"),
    ],
)
def test_that_nobody_answers_is_part_of_the_answer_and_tells_no_password(
    tmp_path: Path, place: str, who: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    stored = Stored()

    async def run() -> None:
        reach = Reach(place.format(folder=tmp_path))
        async with answering(Tending(reach, Said(True)), stored) as client:
            for path in ("queues", "jobs", "jobs/01a230f8-d43b-7be4-8936-12f99bbd2d17", "dead/x"):
                answer = await client.get(f"/api/{path}")
                assert answer.status_code == 200
                assert who in answer.json()["problem"]["text"]
                assert "secret" not in answer.text
            told = (await client.post("/api/queues", json=PAUSE)).json()
            assert not told["is_done"]
        await reach.stop()

    asyncio.run(run())
    assert "refused" in stored.marked[0].text
    assert "secret" not in caplog.text


@pytest.fixture
def deaf(tmp_path: Path) -> Iterator[str]:
    """Where a keeper is asked that does not move."""
    path = tmp_path / "keeper.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()
        yield f"unix:{path}"


async def seconds_until_away(tending: Tending) -> float:
    """How long it takes to hear that it is."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    found = await asyncio.to_thread(tending.queues, Asked(now_ns=MOMENT_NS))
    assert found.state == "away"
    return loop.time() - began


@pytest.mark.parametrize("again_seconds", [60.0, 0.0])
def test_a_keeper_that_does_not_move_holds_up_one_who_asks_at_a_time(
    deaf: str, monkeypatch: pytest.MonkeyPatch, again_seconds: float
) -> None:
    monkeypatch.setattr(reaching, "AGAIN_SECONDS", again_seconds)

    async def run() -> None:
        reach = Reach(deaf)
        tending = Tending(reach)
        assert await seconds_until_away(tending) < reaching.ANSWER_SECONDS + 1
        took = await asyncio.gather(*(seconds_until_away(tending) for _ in range(4)))
        held_up = [seconds for seconds in took if seconds > 1.0]
        assert len(held_up) == (0 if again_seconds else 1)
        await reach.stop()

    asyncio.run(run())


def test_a_keeper_that_comes_back_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaching, "AGAIN_SECONDS", 0.01)
    place = f"unix:{tmp_path}/keeper.sock"

    async def run() -> None:
        store = durable_at(f"sqlite:///{tmp_path}/durable.db", is_fast=True)
        await store.start()
        reach = Reach(place)
        tending, asked = Tending(reach), Asked(now_ns=MOMENT_NS)

        async def until(state: str) -> None:
            async with asyncio.timeout(10):
                while (await asyncio.to_thread(tending.queues, asked)).state != state:
                    await asyncio.sleep(0)

        await until("away")
        for _ in range(2):
            async with keeping(store, KeeperHints(), place):
                await until("open")
            await until("away")
        await reach.stop()
        await store.stop()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("is_known", "is_durable", "state"),
    [
        pytest.param(False, True, "none", id="an observer of a whole deployment"),
        pytest.param(True, False, "none", id="an app without events and jobs"),
        pytest.param(True, None, "away", id="a supervisor that is away"),
    ],
)
def test_where_there_is_nothing_to_ask_nobody_is_asked(
    is_known: bool, is_durable: bool | None, state: str
) -> None:
    async def run() -> None:
        # It would be opened, and its tables made, if it was asked.
        reach = Reach("postgresql://ana:secret@127.0.0.1:1/shop") if is_known else None
        tending = Tending(reach, Said(is_durable))
        found = tending.queues(Asked(now_ns=MOMENT_NS, may_change=True))
        assert (found.state, found.may_change) == (state, False)
        assert found.problem
        assert "PostgreSQL" not in found.problem.text

    asyncio.run(run())


def test_what_waits_is_told_for_the_record(tmp_path: Path) -> None:
    async def run() -> None:
        place = f"unix:{tmp_path}/keeper.sock"
        store = durable_at(f"sqlite:///{tmp_path}/durable.db", is_fast=True)
        await store.start()
        reach = Reach(place)
        try:
            async with keeping(store, KeeperHints(), place):
                await store.log.subscribe("mail.on_order", "OrderPlaced")
                await store.log.append([event()])
                await killed(store, 2)
                await store.queue.enqueue([job(queue="mail") for _ in range(3)])
                await store.queue.limit_queue("mail", QueueLimits(slots=4))
                found = await asyncio.to_thread(Tending(reach).backlogs, time.time_ns())
        finally:
            await reach.stop()
            await store.stop()
        queue, subscription = found
        assert (queue.queue, queue.waiting, queue.dead_letters) == ("queue mail", 3, 2)
        assert queue.concurrency == 4
        assert 0 <= queue.oldest_seconds < 60
        assert (subscription.queue, subscription.waiting) == ("subscription mail.on_order", 1)

    asyncio.run(run())


def test_nothing_is_told_for_the_record_where_nobody_answers(tmp_path: Path) -> None:
    async def run() -> None:
        reach = Reach(f"unix:{tmp_path}/nobody.sock")
        try:
            assert await asyncio.to_thread(Tending(reach).backlogs, 0) == []
        finally:
            await reach.stop()

    asyncio.run(run())
