"""What a newer version breaks of what an older one left is named, each with a cure."""

from __future__ import annotations

import weakref
from typing import Any

import pytest

from outgrow.model import (
    Breach,
    Catalog,
    Event,
    KeptJob,
    breaches,
    catalog_of,
    describe_work,
    events,
    job,
    service,
)
from outgrow.model import subscribe as subscribe_


@pytest.fixture(autouse=True)
def no_events_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    none: list[weakref.ref[type[Event]]] = []
    monkeypatch.setattr(events, "_events", none)


def test_a_catalog_has_jobs_with_their_queues_events_and_subscriptions() -> None:
    class Placed(Event, name="catalog.Placed"):
        order_id: int

    class Paid(Event, name="catalog.Paid"):
        order_id: int

    @service(name="mail")
    class Mail:
        @job
        async def send(self, order_id: int, copies: int = 1) -> None: ...

        @job(queue="slow", name="mail.bulk")
        async def send_many(self) -> None: ...

        @subscribe_
        async def on_placed(self, event: Placed) -> None: ...

    found = catalog_of([describe_work(Mail)], [Paid])
    assert {name: one.queue for name, one in found.jobs.items()} == {
        "mail.send": "mail",
        "mail.bulk": "slow",
    }
    assert found.jobs["mail.send"].shape["required"] == ["order_id"]
    assert set(found.events) == {"catalog.Placed", "catalog.Paid"}
    assert found.subscriptions == {"mail.on_placed": "catalog.Placed"}
    assert found.queues == {"mail", "slow"}
    assert breaches(found, found) == []


def shape(**fields: str) -> dict[str, Any]:
    """An object whose fields have these types; with a default where that ends in `?`."""
    return {
        "type": "object",
        "properties": {name: {"type": kind.rstrip("?")} for name, kind in fields.items()},
        "required": sorted(name for name, kind in fields.items() if not kind.endswith("?")),
    }


OLD = Catalog(
    jobs={"mail.send": KeptJob("mail", shape(order_id="integer", to="string"))},
    events={"Placed": shape(order_id="integer"), "Paid": shape(cents="integer")},
    subscriptions={"mail.on_placed": "Placed"},
)


def changed(**parts: Any) -> Catalog:
    """The newer version."""
    jobs, topics, subscriptions = OLD.jobs, OLD.events, OLD.subscriptions
    return Catalog(**({"jobs": jobs, "events": topics, "subscriptions": subscriptions} | parts))


def sent(queue: str = "mail", **fields: str) -> dict[str, KeptJob]:
    return {"mail.send": KeptJob(queue, shape(**fields))}


@pytest.mark.parametrize(
    ("new", "kind", "text", "cure"),
    [
        pytest.param(
            changed(jobs={"post.send": OLD.jobs["mail.send"]}),
            *("job", "is gone", '@job(name="mail.send")'),
            id="a job that was renamed",
        ),
        pytest.param(
            changed(jobs=sent("post", order_id="integer", to="string")),
            *("job", "waits in the queue `mail`", '@job(queue="mail")'),
            id="another queue",
        ),
        pytest.param(
            changed(jobs=sent(order_id="integer", to="string", copies="integer")),
            *("job", "`copies` was added, and has no default", "Give it a default"),
            id="a parameter more",
        ),
        pytest.param(
            changed(jobs=sent(order_id="integer")),
            *("job", "`to` was removed", "until no version that needs it runs"),
            id="a parameter less",
        ),
        pytest.param(
            changed(jobs=sent(order_id="string", to="string")),
            *("job", "`order_id` was integer, and is string", "Take the old type as well"),
            id="another type",
        ),
        pytest.param(
            changed(events=OLD.events | {"Paid": shape(cents="integer", currency="string")}),
            *("event", "`currency` was added, and has no default", "Give it a default"),
            id="a field more",
        ),
        pytest.param(
            changed(subscriptions={}),
            *("subscription", "to `Placed` is gone", "outgrow jobs unsubscribe mail.on_placed"),
            id="a subscription less",
        ),
        pytest.param(
            changed(subscriptions={"mail.on_placed": "Ordered"}),
            *("subscription", "was to `Placed`, and is to `Ordered`", 'name="Placed"'),
            id="an event that was renamed",
        ),
    ],
)
def test_each_breaking_change_is_named_with_its_cure(
    new: Catalog, kind: str, text: str, cure: str
) -> None:
    (found,) = breaches(OLD, new)
    assert isinstance(found, Breach)
    assert found.kind == kind
    assert text in found.text
    assert cure in found.cure


@pytest.mark.parametrize(
    "new",
    [
        pytest.param(
            changed(jobs=sent(order_id="integer", to="string", copies="integer?")), id="a default"
        ),
        pytest.param(changed(jobs=OLD.jobs | {"a.b": KeptJob("a", shape())}), id="a job more"),
        pytest.param(changed(events={"Placed": OLD.events["Placed"]}), id="an event less"),
        pytest.param(
            changed(
                jobs=sent("post", order_id="integer", to="string")
                | {"mail.print": KeptJob("mail", shape())}
            ),
            id="another queue, and the old one is run as well",
        ),
    ],
)
def test_what_can_be_read_and_run_breaks_nothing(new: Catalog) -> None:
    assert breaches(OLD, new) == []
