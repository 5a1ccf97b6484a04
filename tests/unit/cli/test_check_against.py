"""`outgrow check --against`: events and jobs compared with a file, a store, and what runs."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from outgrow.host import kept_catalogs
from outgrow.host.durable.newcomer import Entry, Newcomer
from outgrow.model import Catalog, KeptJob, events
from outgrow.store import durable_at
from tests.unit.cli.typing_verbs import Outgrow
from tests.unit.host.review.reviewing import imports_undone, write_files

MAIL = """
from outgrow import Event, job, service, subscribe

class Placed(Event, name="against.Placed"):
    order_id: int

@service(name="mail")
class Mail:
    @subscribe
    async def on_placed(self, event: Placed) -> None: ...

    @job
    async def {job}(self, order_id: int) -> None: ...
"""


@pytest.fixture(autouse=True)
def _forget_imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(events, "_events", [])
    yield from imports_undone(monkeypatch)


def write(folder: Path, name: str, job: str = "send") -> None:
    """Write a version, and forget those before."""
    for other in ("first", "second", "third"):
        sys.modules.pop(other, None)
    write_files(folder, {f"{name}.py": MAIL.format(job=job)})
    events._events.clear()  # pyright: ignore[reportPrivateUsage]


def test_a_file_of_the_older_version_tells_what_breaks(outgrow: Outgrow, tmp_path: Path) -> None:
    write(tmp_path, "first")
    assert outgrow("check", "first.py", "--write-schema", "schema.json").code == 0
    same = outgrow("check", "first.py", "--against", "schema.json")
    assert (same.code, same.out.splitlines()[-1]) == (0, "no breaking changes against schema.json")


def test_each_breaking_change_is_a_line_with_a_hint(outgrow: Outgrow, tmp_path: Path) -> None:
    write(tmp_path, "first")
    assert outgrow("check", "first.py", "--write-schema", "schema.json").code == 0
    write(tmp_path, "second", job="deliver")
    ended = outgrow("check", "second.py", "--against", "schema.json")
    assert ended.code == 1
    lines = ended.out.splitlines()
    assert lines[0].startswith("no findings")
    assert lines[1] == "job `mail.send`: is gone"
    assert lines[2].startswith("  hint: Keep the name")
    assert lines[-1] == "1 breaking change against schema.json"
    told = json.loads(outgrow("check", "second.py", "--against", "schema.json", "--json").out)
    assert [one["name"] for one in told["breaches"]] == ["mail.send"]
    assert (told["against"], told["findings"]) == ("schema.json", [])


async def leave(folder: Path, *apps: str) -> None:
    """Have a store in which versions of these apps were."""
    store = durable_at(f"sqlite:///{folder}/.outgrow/durable.db", is_fast=True)
    await store.start()
    shape: dict[str, Any] = {"type": "object", "properties": {}, "required": []}
    catalog = Catalog(jobs={"mail.print": KeptJob("mail", shape)}, events={}, subscriptions={})
    for app in apps:
        entry = Entry(Newcomer(app, catalog))
        await entry.ask(store, 1, leaves_unreadable=False)
        await entry.record(store)
    assert await kept_catalogs(store) == dict.fromkeys(apps, catalog)
    await store.stop()


@pytest.mark.parametrize("names_app", [False, True], ids=["the only app", "the named app"])
def test_what_runs_tells_what_breaks(outgrow: Outgrow, tmp_path: Path, names_app: bool) -> None:
    (tmp_path / ".outgrow").mkdir()
    write(tmp_path, "third")
    asyncio.run(leave(tmp_path, "shop", *(["other"] if names_app else [])))
    if names_app:
        several = outgrow("check", "third.py", "--against", "running")
        assert (several.code, "other, shop" in several.err) == (2, True)
        (tmp_path / "outgrow.toml").write_text('[run]\nname = "shop"\n')
    url = f"sqlite:///{tmp_path}/.outgrow/durable.db"
    for where in ("running", url):
        ended = outgrow("check", "third.py", "--against", where)
        assert (ended.code, "job `mail.print`: is gone" in ended.out) == (1, True)


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("nothing.json", "cannot read nothing.json"),
        ("odd.json", "holds no events and jobs"),
        ("running", "no events and jobs are kept"),
    ],
)
def test_what_cannot_be_compared_with_is_said(
    outgrow: Outgrow, tmp_path: Path, where: str, says: str
) -> None:
    write(tmp_path, "fourth")
    (tmp_path / "odd.json").write_text("{}")
    ended = outgrow("check", "fourth.py", "--against", where)
    assert (ended.code, says in ended.err) == (2, True)
