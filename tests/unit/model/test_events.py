"""Events are immutable facts with a key, and subscriptions are read from their methods."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest

from outgrow.errors import FieldTypeError, ServiceError, SignatureError
from outgrow.model import (
    Event,
    all_events,
    changes,
    describe_work,
    events,
    fingerprint_of,
    key_of_event,
    options_of_event,
    service,
    shape_of_event,
    subscribe,
    topic_of,
)


class OrderPlaced(Event, key="order_id"):
    order_id: int
    sku: str
    email: str | None = None


class OrderShipped(OrderPlaced, name="shop.order-shipped"):
    carrier: str


class Sneezed(Event):
    pass


def test_an_event_takes_its_fields_by_name_and_never_changes() -> None:
    event = OrderPlaced(order_id=7, sku="tea")
    assert (event.order_id, event.email) == (7, None)
    assert event == OrderPlaced(order_id=7, sku="tea")
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.sku = "coffee"  # type: ignore[misc]
    with pytest.raises(TypeError):
        OrderPlaced(7, "tea")  # type: ignore[misc]


def test_an_event_has_the_key_that_its_class_names_or_inherits() -> None:
    assert key_of_event(OrderPlaced(order_id=7, sku="tea")) == "7"
    assert key_of_event(OrderShipped(order_id=8, sku="tea", carrier="mail")) == "8"
    assert key_of_event(Sneezed()) is None


def test_a_topic_is_the_name_of_the_class_or_the_one_it_is_given() -> None:
    assert topic_of(OrderPlaced) == "OrderPlaced"
    assert topic_of(OrderShipped) == "shop.order-shipped"
    assert options_of_event(OrderShipped).key == "order_id"


def test_a_key_that_is_no_field_is_refused() -> None:
    with pytest.raises(ServiceError, match="no field `sku`"):

        class Wrong(Event, key="sku"):  # pyright: ignore[reportUnusedClass]
            order_id: int


def test_two_events_of_the_same_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    own = [one for one in events._events if one() is OrderPlaced]  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(events, "_events", own)

    def make() -> list[type[Event]]:
        class First(Event, name="twice"):
            pass

        class Second(Event, name="twice"):
            pass

        return [First, Second]

    kinds = make()
    with pytest.raises(ServiceError, match="both the event `twice`"):
        all_events()
    kinds.clear()
    import gc

    gc.collect()
    assert OrderPlaced in all_events()


def test_a_subscription_is_described_with_its_event() -> None:
    @service
    class Mail:
        @subscribe
        async def on_order_placed(self, event: OrderPlaced) -> None:
            """Nothing."""

        @subscribe(name="mail.shipped", start="beginning", attempts_max=9, timeout=3)
        def shipped(self, event: OrderShipped) -> None:
            """Nothing."""

    found = describe_work(Mail).subscriptions
    first, second = found["on_order_placed"], found["shipped"]
    assert (first.name, first.event, first.kind) == ("mail.on_order_placed", OrderPlaced, "async")
    assert (second.name, second.event, second.kind) == ("mail.shipped", OrderShipped, "thread")
    assert (second.options.start, second.options.attempts_max) == ("beginning", 9)
    assert describe_work(Mail) is describe_work(Mail)


def test_a_method_in_a_subclass_stands_for_the_one_above_it() -> None:
    @service
    class Mail:
        @subscribe
        async def receive(self, event: OrderPlaced) -> None:
            """Nothing."""

    @service
    class Quiet(Mail):
        async def receive(self, event: OrderPlaced) -> None:
            """Nothing."""

    assert "receive" in describe_work(Mail).subscriptions
    assert not describe_work(Quiet).subscriptions


def test_a_subscription_that_takes_no_event_is_refused() -> None:
    @service
    class Wrong:
        @subscribe
        async def receive(self, event: int) -> None:
            """Nothing."""

    with pytest.raises(SignatureError, match="does not take one event"):
        describe_work(Wrong)


def test_a_subscription_begins_at_a_time_only_if_that_has_a_zone() -> None:
    @subscribe(start=datetime(2026, 3, 1, tzinfo=UTC))
    async def fine(self: object, event: Event) -> None: ...

    assert fine
    with pytest.raises(ServiceError, match=r"`start` of .* has no time zone: 2026-03-01"):

        @subscribe(start=datetime(2026, 3, 1))
        async def odd(self: object, event: Event) -> None: ...


def test_a_subscription_without_a_type_is_refused() -> None:
    @service
    class Wrong:
        @subscribe
        async def receive(self, event) -> None:  # type: ignore[no-untyped-def]
            """Nothing."""

    with pytest.raises(SignatureError, match="`event` of"):
        describe_work(Wrong)


def test_a_type_that_cannot_be_found_is_named() -> None:
    @service
    class Wrong:
        @subscribe
        async def receive(self, event: Missing) -> None:  # type: ignore[name-defined]  # noqa: F821 # pyright: ignore
            """Nothing."""

    with pytest.raises(FieldTypeError, match="`Missing`"):
        describe_work(Wrong)


def test_the_shape_of_an_event_changes_with_its_fields_only() -> None:
    class Before(Event):
        order_id: int

    class After(Event):
        order_id: int
        note: str = ""

    before, after = shape_of_event(Before), shape_of_event(After)
    assert fingerprint_of(before) != fingerprint_of(after)
    assert [change.breaks for change in changes(before, after)] == [False]
    assert [change.breaks for change in changes(after, before)] == [True]


def test_events_of_other_modules_may_be_left_out_and_are_then_no_trouble(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "_events", [])

    class Here(Event, name="Placed"):
        pass

    class Elsewhere(Event, name="Placed"):
        __module__ = "somewhere.else"

    with pytest.raises(ServiceError, match="are both the event `Placed`"):
        all_events()
    assert all_events({__name__}) == [Here]
    assert all_events({"somewhere.else"}) == [Elsewhere]
