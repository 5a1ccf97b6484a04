"""Jobs are typed descriptors, and the shape of their arguments tells versions apart."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgrow.errors import ServiceError, SignatureError, WrongCallError
from outgrow.model import (
    Backoff,
    BoundJob,
    Job,
    changes,
    describe_work,
    described,
    fingerprint_of,
    job,
    schedule,
    service,
    shape_from,
    shape_of,
)


@service
class Mail:
    prefix: str = "to "

    @job
    async def send(self, to: str) -> str:
        """Send a mail."""
        return self.prefix + to

    @job(queue="slow", attempts_max=3, timeout=30, unique=True, key="to", key_concurrency=2)
    def print(self, to: str, copies: int = 1) -> None:
        """Print a letter."""


def test_a_job_runs_here_and_now_in_a_test() -> None:
    assert asyncio.run(Mail().send.run("ann")) == "to ann"
    assert asyncio.run(Mail().print.run("ann", copies=2)) is None


def test_a_job_that_is_called_says_how_to_enqueue_it() -> None:
    send: Any = Mail().send
    with pytest.raises(WrongCallError, match=r"`Mail\.send`") as problem:
        send("ann")
    assert "enqueue" in problem.value.hint


def test_a_job_is_read_from_its_class_and_bound_from_its_object() -> None:
    assert isinstance(Mail.send, Job)
    assert Mail.send.__doc__ == "Send a mail."
    bound = Mail().send
    assert isinstance(bound, BoundJob)


def test_options_are_added_up_and_change_nothing_else() -> None:
    bound = Mail().send
    more = bound.options(delay_seconds=60).options(priority=3)
    assert (more.chosen.delay_seconds, more.chosen.priority) == (60, 3)
    assert bound.chosen.delay_seconds is None
    at = datetime(2030, 1, 1, tzinfo=UTC)
    assert bound.options(run_at=at).chosen.run_at == at


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"run_at": datetime(2030, 1, 1)}, id="a time without a zone"),
        pytest.param({"delay_seconds": -1}, id="a delay into the past"),
        pytest.param({"delay_seconds": float("nan")}, id="a delay that is no number"),
        pytest.param({"priority": 10}, id="a priority beyond the highest"),
        pytest.param(
            {"delay_seconds": 1, "run_at": datetime(2030, 1, 1, tzinfo=UTC)}, id="both times"
        ),
    ],
)
def test_options_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ServiceError):
        Mail().send.options(**wrong)


def test_jobs_are_described_with_their_parameters() -> None:
    found = describe_work(Mail).jobs
    send, letters = found["send"], found["print"]
    assert (send.name, send.kind, send.result) == ("mail.send", "async", str)
    assert (letters.kind, letters.options.queue) == ("thread", "slow")
    assert letters.options.unique == ("to", "copies")
    assert [(one.name, one.type, one.default) for one in letters.parameters] == [
        ("to", str, ...),
        ("copies", int, 1),
    ]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        pytest.param({"key": "nobody"}, "nobody", id="a key that is no parameter"),
        pytest.param({"unique": ("nobody",)}, "nobody", id="a unique that is no parameter"),
        pytest.param({"key_concurrency": 2}, "key", id="a limit without a key"),
        pytest.param({"attempts_max": 0}, "attempts_max", id="no attempt"),
        pytest.param({"timeout": 0}, "timeout", id="no time"),
    ],
)
def test_a_job_declared_wrongly_is_refused(wrong: dict[str, Any], named: str) -> None:
    async def send(self: object, to: str) -> None:
        """Nothing."""

    with pytest.raises(ServiceError, match=named):
        job(**wrong)(send)


def test_a_job_that_cannot_be_stored_is_refused() -> None:
    @service
    class Wrong:
        @job
        async def send(self, *to: str) -> None:
            """Nothing."""

    with pytest.raises(SignatureError, match="cannot be stored"):
        describe_work(Wrong)


def test_a_scheduled_job_needs_no_arguments() -> None:
    @service
    class Wrong:
        @schedule("0 3 * * *")
        @job
        async def send(self, to: str) -> None:
            """Nothing."""

    with pytest.raises(SignatureError, match="`to`, which nobody gives"):
        describe_work(Wrong)


@given(attempt=st.integers(1, 10_000), chance=st.floats(0, 1))
def test_a_pause_is_never_longer_than_its_bound_nor_negative(attempt: int, chance: float) -> None:
    pause = Backoff(first_seconds=2, factor=3, seconds_max=600).pause_seconds(attempt, chance)
    assert 0 <= pause <= 600


def test_pauses_grow_from_one_attempt_to_the_next() -> None:
    backoff = Backoff(first_seconds=1, factor=2, seconds_max=6, jitter_ratio=0)
    assert [backoff.pause_seconds(attempt, 0.5) for attempt in (1, 2, 3, 4)] == [1, 2, 4, 6]


class Color(StrEnum):
    RED = "red"


@dataclass
class Address:
    street: str
    zip: int | None = None


@dataclass
class Tree:
    left: Tree | None = None


def shape(**fields: Any) -> Any:
    """A shape whose fields must be there, but for those given with a default: (type, default)."""
    pairs = {name: one if isinstance(one, tuple) else (one, ...) for name, one in fields.items()}
    return shape_of({name: (kind, default is ...) for name, (kind, default) in pairs.items()})


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(shape(a=int), shape(a=int), [], id="nothing"),
        pytest.param(shape(a=int), shape(a=int, b=(str, "")), [("b", False)], id="an option more"),
        pytest.param(shape(a=int), shape(a=int, b=str), [("b", True)], id="a field more"),
        pytest.param(shape(a=int, b=str), shape(a=int), [("b", True)], id="a field less"),
        pytest.param(shape(a=int), shape(a=str), [("a", True)], id="another type"),
        pytest.param(shape(a=int), shape(a=int | None), [("a", False)], id="may be nothing"),
        pytest.param(shape(a=int | None), shape(a=int), [("a", True)], id="may not be nothing"),
        pytest.param(shape(a=(int, 1)), shape(a=int), [("a", True)], id="a default less"),
        pytest.param(
            shape(a=Literal["x"]), shape(a=Literal["x", "y"]), [("a", False)], id="a choice more"
        ),
        pytest.param(
            shape(a=Literal["x", "y"]), shape(a=Literal["x"]), [("a", True)], id="a choice less"
        ),
        pytest.param(
            shape(a=list[int]), shape(a=list[str]), [("a[]", True)], id="other items of a list"
        ),
        pytest.param(
            shape(a=dict[str, int]),
            shape(a=dict[str, int | None]),
            [("a[]", False)],
            id="wider values of a dict",
        ),
    ],
)
def test_changes_of_a_shape_are_found_and_judged(
    old: Any, new: Any, expected: list[tuple[str, bool]]
) -> None:
    assert [(change.path, change.breaks) for change in changes(old, new)] == expected
    assert (fingerprint_of(old) == fingerprint_of(new)) is (not expected)


def test_a_shape_sees_into_records_and_ends_at_one_within_itself() -> None:
    whole = shape(address=Address, color=Color, tree=Tree, path=Path)
    assert "street" in whole["properties"]["address"]["properties"]
    assert shape_from(described(whole)) == whole
    assert changes(shape(a=Address), shape(a=Tree))


SNIPPET = """
from datetime import UTC, datetime

from outgrow import Database, Event, enqueue, enqueue_many, job, publish, service, subscribe

class Placed(Event):
    order_id: int

@service
class Mail:
    @job(queue="mail", attempts_max=5, timeout=30)
    async def send(self, order_id: int, to: str) -> bytes: ...

    @job
    def count(self, number: int) -> int: ...

    @subscribe(start=datetime(2026, 3, 1, tzinfo=UTC))
    async def on_placed(self, event: Placed) -> None: ...

async def right(mail: Mail, db: Database) -> None:
    await enqueue(mail.send.options(delay_seconds=60), 7, to="ann")
    result: bytes = await (await enqueue(mail.send, 7, to="ann")).result()
    number: int = await (await enqueue(mail.count, 7)).result()
    again: bytes = await mail.send.run(7, to="ann")
    told: float | str | None = await (await enqueue(mail.count, 7)).progress()
    many = await enqueue_many([mail.send.given(7, to="ann"), mail.send.given(8, to="bob")])
    first: bytes = await many[0].result()
    await publish(Placed(order_id=7))
    async with db.begin() as session:
        session.publish(Placed(order_id=7))
    print(result, number, again, told, first)

async def wrong(mail: Mail, db: Database) -> None:
    await enqueue(mail.send, "7", to="ann")  # wrong
    await enqueue(mail.send, 7)  # wrong
    await enqueue(mail.send.options(delay="60"), 7, to="ann")  # wrong
    await enqueue(mail.send, 7, to="ann", delay_seconds=60)  # wrong
    await mail.send(7, to="ann")  # wrong
    text: str = await (await enqueue(mail.count, 7)).result()  # wrong
    mail.send.given("7", to="ann")  # wrong
    mail.send.given(7)  # wrong
    await enqueue_many([mail.send])  # wrong
    await publish(Placed(order_id="7"))  # wrong
    await publish(Placed(7))  # wrong
    await publish(7)  # wrong
    async with db.begin() as session:
        session.publish(7)  # wrong
        session.publish(Placed(order_id="7"))  # wrong
    subscribe(start="middle")  # wrong
    Placed(order_id=7).order_id = 8  # wrong
    print(text)
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_pyright_finds_every_wrong_argument_and_no_right_one(tmp_path: Path) -> None:
    file = tmp_path / "snippet.py"
    file.write_text("# pyright: strict\n" + SNIPPET)
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, str(file)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    found = {int(line.split(":")[1]) for line in run.stdout.splitlines() if "error:" in line}
    lines = file.read_text().splitlines()
    planted = {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}
    assert found == planted, run.stdout
