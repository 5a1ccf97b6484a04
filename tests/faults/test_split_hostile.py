"""What can go wrong while services of several groups move: each with an app written for it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from .harness import wait_until
from .ledger import Load, assert_ledgers_agree

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Start
    from .harness import Supervised

pytestmark = pytest.mark.timeout(60)  # several starts each, on a machine that may be busy

HEAD = """
import asyncio, json, os
from collections.abc import AsyncIterator
from pathlib import Path
from outgrow import UnavailableError, client, on_start, on_stop, operation, service

VERSION = "1"
FOLDER = Path(os.environ["LEDGER_FOLDER"])


def write(name, line):
    descriptor = os.open(FOLDER / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, f"{line}\\n".encode())
    os.close(descriptor)


def where():
    return [os.environ["OUTGROW_WORKER"], os.getpid(), VERSION]


@service
class Stock:
    @operation
    async def take(self, id: str) -> list[str]:
        await asyncio.sleep(0.02)
        write(f"handled-{os.getpid()}.log", id)
        return [*map(str, where())]

    @operation
    async def slow(self, seconds: float) -> list[str]:
        await asyncio.sleep(seconds)
        return [*map(str, where())]

    @operation
    async def forever(self) -> AsyncIterator[int]:
        number = 0
        while True:
            yield number
            number += 1
            await asyncio.sleep(0.05)

    @on_stop
    async def stop(self) -> None:
        await asyncio.sleep(float(os.environ.get("STOP_SECONDS", "0")))
        write("stops.log", f"stock {os.getpid()}")


@service
class Orders:
    stock: Stock

    @operation
    async def place(self, id: str) -> list[str]:
        return await self.stock.take(id)

    @operation
    async def slowly(self, seconds: float) -> list[str]:
        first = await self.stock.slow(seconds)
        return [*map(str, where()), *first, *await self.stock.take("nested")]

    @on_stop
    async def stop(self) -> None:
        write("stops.log", f"orders {os.getpid()}")


@service
class Letters:
    @on_start
    async def start(self) -> None:
        if (FOLDER / "letters-hang").exists():
            await asyncio.sleep(60)
        if (FOLDER / "letters-fail").exists():
            raise ValueError("no letters")
        if (FOLDER / "letters-die").exists():
            os._exit(7)

    @operation
    async def whose(self) -> list[str]:
        return [*map(str, where())]


orders, letters, stock = client(Orders), client(Letters), client(Stock)
"""
ASGI = """
async def answer(send, value):
    body = json.dumps(value).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def app(scope, receive, send):
    if scope["type"] != "http":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    path = scope["path"]
    if path == "/where":
        found = await stock.slow(0.0)
        whole = {"edge": where(), "stock": found, "letters": await letters.whose()}
        await answer(send, whole)
    elif path == "/slow":
        seconds = float(scope["query_string"])
        await answer(send, {"edge": [*map(str, where())], "calls": await orders.slowly(seconds)})
    elif path == "/stream":
        count = 0
        try:
            async for number in stock.forever():
                count += 1
                (FOLDER / "streaming").touch()
            await answer(send, {"count": count})
        except UnavailableError as lost:
            await answer(send, {"count": count, "lost": lost.text, "may": lost.may_have_run})
    else:
        id = (await receive())["body"].decode()
        try:
            pid = int((await orders.place(id))[1])
        except UnavailableError as lost:
            pid = -1 if lost.may_have_run else -2
            write("lost.log", f"{id} {lost.text}")
        await answer(send, {"id": id, "pid": pid, "version": VERSION})
"""
# Of another length, as Python takes its bytecode for that of a file of the same second and length.
SECOND = (HEAD + ASGI).replace('VERSION = "1"', 'VERSION = "2"  # changed')
GROUPS = """
[size.machine.groups.desk]
runs = ["orders"]
[size.machine.groups.store]
runs = ["stock"]
"""


@pytest.fixture
def begin(start: Start, tmp_path: Path) -> Any:
    """Starts the app above in groups."""

    def started(
        *options: str, groups: str = GROUPS, code: str = HEAD + ASGI, workers: int = 3, **more: Any
    ) -> Supervised:
        (tmp_path / "hostile.py").write_text(code)
        (tmp_path / "outgrow.toml").write_text(groups)
        options = ("--no-access-log", *options)
        return start(*options, app="hostile:app", **more).until_ready(workers)

    return started


def stops(folder: Path) -> list[str]:
    path = folder / "stops.log"
    return path.read_text().split("\n")[:-1] if path.exists() else []


def applied(server: Supervised, **change: object) -> str:
    """Apply a change that goes well."""
    status, lines = server.apply(**change)
    assert (status, '"done"' in lines) == (200, True), lines
    return lines


class Asked(threading.Thread):
    """A request in a thread of its own."""

    def __init__(self, server: Supervised, target: str) -> None:
        super().__init__(daemon=True)
        self._ask = lambda: server.get(target, seconds=30)
        self.answer: Any = None
        self.start()

    def run(self) -> None:
        try:
            self.answer = self._ask()
        except Exception as problem:
            self.answer = problem

    def outcome(self) -> Any:
        self.join(30)
        return self.answer


def test_undo_takes_a_move_back_that_was_of_a_service_no_group_named(begin: Any) -> None:
    server = begin()
    applied(server, moves=["letters=desk"])
    wait_until(lambda: server.get("/where")["letters"][0] == "desk/1", 5, "the new edge")
    applied(server, undo=True)
    wait_until(lambda: server.get("/where")["letters"][0] == "web/1", 5, "the edge after that")


def test_a_reload_whose_code_lost_a_service_serves_after_something_was_applied(
    begin: Any, tmp_path: Path
) -> None:
    code = HEAD + ASGI
    server = begin(code=code)
    applied(server, workers="web=2")
    less = code.replace('"letters": await letters.whose()', '"letters": 0')
    less = less.replace("letters, ", "").replace(", client(Letters)", "")
    less = less.replace('VERSION = "1"', 'VERSION = "2"')
    (tmp_path / "hostile.py").write_text(less)
    applied(server, reload=True)
    wait_until(lambda: server.get("/where")["edge"][2] == "2", 5, "the new version to answer")
    assert server.stop() == 0


@pytest.mark.parametrize("how", ["die", "fail", pytest.param("hang", marks=pytest.mark.slow)])
def test_a_move_that_fails_late_fails_no_request(begin: Any, tmp_path: Path, how: str) -> None:
    server = begin("--startup-seconds", "4")
    (tmp_path / f"letters-{how}").touch()
    with Load(server.port, keeping=8, pauses_seconds=(0.0, 0.002)) as load:
        wait_until(lambda: load.count > 50, 10, "answers")
        _, lines = server.apply(moves=["stock=depot", "letters=post"])
        assert '"error"' in lines, lines
        assert "no group" not in lines, lines
        seen = load.count
        wait_until(lambda: load.count > seen + 100, 10, "more answers")
        groups = {g["name"]: g["wanted"] for g in server.status()["groups"]}
        assert groups == {"web": 1, "desk": 1, "store": 1}
    lost = [entry for entry in load.outcome.answered if (entry.pid or 0) < 0]
    assert not lost, (tmp_path / "lost.log").read_text()
    assert not load.outcome.failed, load.outcome.explain()
    assert_ledgers_agree(load.outcome, tmp_path)


def test_a_failed_move_takes_its_numbers_of_workers_back(begin: Any, tmp_path: Path) -> None:
    server = begin()
    (tmp_path / "letters-fail").touch()
    _, lines = server.apply(moves=["letters=post"], workers="store=2")
    assert '"error"' in lines, lines
    groups = {g["name"]: g["wanted"] for g in server.status()["groups"]}
    assert groups == {"web": 1, "desk": 1, "store": 1}


@pytest.mark.slow
def test_services_stop_properly_where_a_request_takes_all_the_time(
    begin: Any, tmp_path: Path
) -> None:
    server = begin("--drain-seconds", "2", env={"STOP_SECONDS": "1.0"})
    asked = Asked(server, "/slow?30")
    wait_until(lambda: server.status()["workers"][0]["in_flight"], 10, "the request")
    assert server.stop() == 0
    asked.outcome()
    assert sorted(line.split()[0] for line in stops(tmp_path)) == ["orders", "stock"]


def test_a_request_and_its_nested_calls_stay_in_their_version(begin: Any, tmp_path: Path) -> None:
    server = begin("--drain-seconds", "8")
    asked = [Asked(server, "/slow?1.5") for _ in range(4)]
    wait_until(
        lambda: sum(w["in_flight"] for w in server.status()["workers"] if w["group"] == "web") > 3,
        10,
        "requests",
    )
    (tmp_path / "hostile.py").write_text(SECOND)
    applied(server, reload=True)
    wait_until(lambda: server.get("/where")["stock"][2] == "2", 5, "the new version to answer")
    for each in asked:
        answer = each.outcome()
        assert [answer["edge"][2], *answer["calls"][2::3]] == ["1"] * 4, answer


@pytest.mark.slow
def test_a_stream_of_a_moved_service_ends_with_the_drain_time(begin: Any) -> None:
    server = begin("--drain-seconds", "1")
    asked = Asked(server, "/stream")
    wait_until((server.workspace / "streaming").exists, 10, "the stream")
    applied(server, moves=["stock=desk"])
    answer = asked.outcome()
    assert answer["may"] is True, answer
    assert answer["count"] > 10


@pytest.mark.slow
def test_a_long_call_of_a_moved_service_ends_well(begin: Any) -> None:
    server = begin("--drain-seconds", "6")
    asked = Asked(server, "/slow?2")
    wait_until(
        lambda: [w for w in server.status()["workers"] if w["group"] == "store" and w["in_flight"]],
        10,
        "the call",
    )
    applied(server, moves=["stock=desk", "orders=web"])
    assert asked.outcome()["calls"][3] == "store/1"


def test_group_names_of_a_move_are_those_that_a_file_may_have(begin: Any) -> None:
    server = begin()
    for name in ("../a", "a b", "Desk", "x" * 33, "a/1"):
        _, lines = server.apply(moves=[f"letters={name}"])
        assert "no name for a group" in lines, lines


def test_two_changes_at_once_leave_one_of_them(begin: Any, tmp_path: Path) -> None:
    server = begin()
    changes = [{"moves": ["letters=post"]}, {"moves": ["letters=desk"]}, {"reload": True}]
    answers: list[str] = []
    with Load(server.port) as load:
        for _ in range(3):
            threads = [
                threading.Thread(target=lambda c=c: answers.append(server.apply(**c)[1]))
                for c in changes
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
            assert not any(thread.is_alive() for thread in threads)
            server.apply(moves=["letters=web"])
    assert not load.outcome.failed, load.outcome.explain()
    assert not [e for e in load.outcome.answered if (e.pid or 0) < 0]
    applied(server, moves=["letters=last"])
    kept = json.loads((tmp_path / ".outgrow" / "plan.json").read_text())
    homes = {r: g["name"] for g in kept["current"]["groups"] for r in g["runs"]}
    shown = {r: g["name"] for g in server.status()["groups"] for r in g["runs"]}
    assert homes == shown


@pytest.mark.slow
def test_a_plan_with_nothing_in_it_is_told_and_left(begin: Any, tmp_path: Path) -> None:
    server = begin()
    applied(server, moves=["letters=desk"])
    assert server.stop() == 0
    path = tmp_path / ".outgrow" / "plan.json"
    for spoilt in ("groups", "before"):
        kept = json.loads(path.read_text())
        if spoilt == "groups":
            kept["current"]["groups"] = []
        else:
            kept["current"]["groups"][0]["replicas"] = {"min": 0, "max": -1}
        text = path.read_text()
        path.write_text(json.dumps(kept))
        again = begin()
        assert "cannot be read" in again.text()
        assert again.stop() == 0
        path.write_text(text)
    path.write_text("garbage")
    assert "cannot be read" in begin().text()


def test_a_failed_reload_does_not_take_over_the_plan_of_the_file(
    begin: Any, tmp_path: Path
) -> None:
    server = begin()
    (tmp_path / "outgrow.toml").write_text(GROUPS.replace('["orders"]', '["orders", "letters"]'))
    (tmp_path / "hostile.py").write_text("1 / 0")
    assert '"error"' in server.apply(reload=True)[1]
    applied(server, workers="web=2")
    (tmp_path / "hostile.py").write_text(HEAD + ASGI)
    applied(server, reload=True)
    wait_until(lambda: server.get("/where")["letters"][0] == "desk/1", 5, "the new edge to answer")


def test_a_reload_with_more_workers_gives_each_a_socket(begin: Any, tmp_path: Path) -> None:
    server = begin()
    (tmp_path / "outgrow.toml").write_text(
        GROUPS + '[size.machine.groups.web]\nruns = ["web"]\nreplicas = 3\n'
    )
    applied(server, reload=True)
    server.until_whole(5)
    seen: set[str] = set()
    wait_until(
        lambda: seen.add(server.get("/where")["edge"][0]) or len(seen) == 3,
        10,
        f"all three: {seen}",
    )


@pytest.mark.parametrize("groups", ["", GROUPS])
def test_workers_whose_supervisor_was_killed_finish_and_stop_their_services(
    begin: Any, tmp_path: Path, groups: str
) -> None:
    server = begin(groups=groups, workers=3 if groups else 1)
    asked = Asked(server, "/slow?0.6")
    wait_until(lambda: any(w["in_flight"] for w in server.status()["workers"]), 10, "the request")
    os.kill(server.pid, signal.SIGKILL)
    assert len(asked.outcome()["calls"]) == 9
    server.until_gone(10)
    assert sorted(line.split()[0] for line in stops(tmp_path)) == ["orders", "stock"]


def test_an_edge_that_leaves_for_a_move_finds_its_services_after_a_reload(
    begin: Any, tmp_path: Path
) -> None:
    server = begin("--keep-alive-seconds", "12", "--drain-seconds", "12")
    kept = http.client.HTTPConnection("127.0.0.1", server.port, timeout=15)
    kept.request("GET", "/where")
    assert json.loads(kept.getresponse().read())["stock"][0] == "store/1"
    applied(server, moves=["stock=web"])
    (tmp_path / "hostile.py").write_text(SECOND)
    applied(server, reload=True)
    wait_until(lambda: server.get("/where")["stock"][2] == "2", 5, "the new version to answer")
    kept.request("GET", "/slow?0")
    answer = kept.getresponse()
    assert answer.status == 200
    assert json.loads(answer.read())["calls"][2::3] == ["1", "1", "1"]
    kept.close()
    wait_until(lambda: len(server.workers()) == 2, 10, "the old version to leave")


def test_an_edge_that_leaves_for_a_merge_of_all_finds_its_services(begin: Any) -> None:
    server = begin("--keep-alive-seconds", "12", "--drain-seconds", "12")
    kept = http.client.HTTPConnection("127.0.0.1", server.port, timeout=15)
    kept.request("GET", "/where")
    was = json.loads(kept.getresponse().read())
    applied(server, merges=[f"{server.status()['groups'][n]['name']}=web" for n in (1, 2)])
    assert len(server.status()["groups"]) == 1
    kept.request("GET", "/where")
    now = json.loads(kept.getresponse().read())
    assert now["edge"] == was["edge"]
    assert [now[name][0] for name in ("letters", "stock")] == ["web/1", "web/1"]
    kept.close()
    wait_until(lambda: len(server.workers()) == 1, 10, "the old workers to leave")
