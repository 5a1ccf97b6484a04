"""A version that has nobody for what waits is refused, and the one that serves goes on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from outgrow.cli.kept_work import kept_work

from .harness import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from outgrow.store import DurableStore

    from .conftest import Start
    from .harness import Supervised

T = TypeVar("T")

pytestmark = pytest.mark.timeout(90)  # several starts, on a machine that may be busy

APP = """
import json
from outgrow import Event, client, enqueue, job, operation, publish, service, subscribe

class Placed(Event, name="left.Placed"):
    number: int

@service(name="mail")
class Mail:
{work}

mail = client(Mail)

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError(scope["type"])
    if scope["path"] == "/place":
        await publish(Placed(number=1))
        await enqueue(mail.{job}.options(delay_seconds=3600), 1)
    found = {{"version": {version}}}
    headers = [(b"content-type", b"application/json")]
    await send({{"type": "http.response.start", "status": 200, "headers": headers}})
    await send({{"type": "http.response.body", "body": json.dumps(found).encode()}})
"""
SUBSCRIPTION = """
    @subscribe
    async def on_placed(self, event: Placed) -> None: ...
"""
OPERATION = """
    @operation
    async def send(self) -> None: ...
"""
JOB = """
    @job{options}
    async def {job}(self, number: int) -> int:
        return {version}
"""


def write(folder: Path, version: int, job: str, options: str = "", *, reads: bool = True) -> None:
    work = JOB.format(options=options, job=job, version=version) + (SUBSCRIPTION if reads else "")
    text = APP.format(work=work, job=job, version=version)
    (folder / "main.py").write_text(text)


def asked(folder: Path, ask: Callable[[DurableStore], Coroutine[Any, Any, T]]) -> T:
    """What the keeper of the app answers, as a verb asks it."""

    async def run() -> T:
        async with kept_work(str(folder / ".outgrow"), None) as store:
            return await ask(store)

    return asyncio.run(run())


def refused(server: Supervised) -> str:
    """Reload, which must not go well; what was said."""
    before = server.workers("ready")
    _, lines = server.apply(reload=True)
    assert '"done"' not in lines, lines
    assert server.workers("ready") == before
    assert server.get("/")["version"] == 1
    return lines


@pytest.mark.slow
def test_a_version_without_any_job_leaves_none_behind_either(start: Start, tmp_path: Path) -> None:
    text = APP.format(work=JOB.format(options="", job="send", version=1), job="send", version=1)
    (tmp_path / "main.py").write_text(_without_events(text))
    server = start("--no-access-log", "--drain-seconds", "2", app="main:app").until_ready(1)
    server.get("/place")
    text = APP.format(work=OPERATION, job="send", version=2)
    (tmp_path / "main.py").write_text(_without_events(text))
    assert "1 of the job `mail.send`, in the queue `mail`" in refused(server)


def _without_events(text: str) -> str:
    lines = text.replace('class Placed(Event, name="left.Placed"):\n    number: int\n', "")
    return lines.replace("        await publish(Placed(number=1))\n", "")


def test_what_a_new_version_does_not_run_keeps_it_from_starting_while_it_waits(
    start: Start, tmp_path: Path
) -> None:
    write(tmp_path, 1, "send")
    server = start("--no-access-log", "--drain-seconds", "2", app="main:app").until_ready(1)
    asked(tmp_path, lambda store: store.log.pause_subscription("mail.on_placed", paused=True))
    server.get("/place")

    write(tmp_path, 2, "deliver")
    assert "1 of the job `mail.send`, in the queue `mail`" in refused(server)
    write(tmp_path, 3, "send", reads=False)
    said = refused(server)
    assert "1 of the events for `mail.on_placed`" in said
    assert "`mail.send`" not in said

    async def events_left(store: DurableStore) -> int:
        (one,) = await store.log.subscriptions()
        return one.unread_count + one.parked_count

    asked(tmp_path, lambda store: store.log.pause_subscription("mail.on_placed", paused=False))
    wait_until(lambda: not asked(tmp_path, events_left), 10, "the event's end")
    write(tmp_path, 4, "deliver", '(name="mail.send")', reads=False)
    _, lines = server.apply(reload=True)
    assert '"done"' in lines, lines
    assert server.get("/")["version"] == 4
    (job,) = asked(tmp_path, lambda store: store.queue.jobs("later"))
    assert asked(tmp_path, lambda store: store.queue.start_now(job.id))
    wait_until(lambda: asked(tmp_path, lambda store: store.queue.jobs("done")), 10, "its end")
    (done,) = asked(tmp_path, lambda store: store.queue.jobs("done"))
    assert (done.id, done.result) == (job.id, b"\x04")
