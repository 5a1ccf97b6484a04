"""Events and jobs in the picture of an app, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

from outgrow.cli.homes import Homes
from outgrow.cli.map import lines_of
from outgrow.host.review.picture import picture_of
from outgrow.host.review.targets import code_of
from tests.unit.host.review.reviewing import IMPORTS, Reviewed, lines, write_files

SHOP = """
from outgrow import Event, enqueue, job, schedule, subscribe

class OrderPlaced(Event, key="order_id", name="review.OrderPlaced"):
    order_id: int

@service
class Mail:
    @subscribe
    async def on_order(self, event: OrderPlaced) -> None:
        await enqueue(self.receipt.options(delay_seconds=5), event.order_id, to="ann")

    @job(queue="letters")
    async def receipt(self, order_id: int, *, to: str = "nobody") -> None: ...

    @schedule("0 3 * * *", zone="Europe/Berlin")
    @job
    def nightly(self) -> None: ...

@service
class Orders:
    mail: Mail

    @operation
    async def place(self) -> None:
        await enqueue(self.mail.receipt, 7)
"""


def test_subscriptions_jobs_and_who_enqueues_them_are_drawn(tmp_path: Path) -> None:
    write_files(tmp_path, {"shop.py": IMPORTS + SHOP})
    picture = picture_of(code_of(["."]))
    text = "\n".join(lines_of(picture, Homes()))
    assert "  on review.OrderPlaced: on_order, in order by order_id ──▶ Mail.receipt" in text
    assert "  job receipt(order_id: int, *, to: str = 'nobody') -> None  [queue letters]" in text
    assert "  job nightly() -> None  [queue mail, at 0 3 * * * Europe/Berlin, thread]" in text
    assert "  place() -> None ──▶ Mail.receipt" in text
    (mail,) = [each for each in picture.services if each.name == "mail"]
    assert [each.event for each in mail.subscriptions] == ["review.OrderPlaced"]
    assert [each.schedules for each in mail.jobs] == [(), ("0 3 * * * Europe/Berlin",)]


def test_a_job_of_a_client_is_none_of_its_faults(reviewed: Reviewed) -> None:
    assert reviewed(SHOP) == []


def test_a_subscription_is_not_called_by_others(reviewed: Reviewed) -> None:
    found = reviewed(SHOP + "        await self.mail.on_order(OrderPlaced(order_id=7))\n")
    (line,) = lines(found)
    assert "`on_order` is not an operation of `Mail`" in line
    assert found[0].hint == "Publish the event instead; `on_order` receives it by itself"


def test_work_that_cannot_be_kept_or_received_is_named(reviewed: Reviewed) -> None:
    found = lines(
        reviewed(
            """
            from outgrow import job, schedule, subscribe

            @service
            class Mail:
                @subscribe
                async def on_order(self, number: int) -> None: ...

                @job
                async def receipt(self, order_id) -> None: ...

                @schedule("0 3 * * *")
                @job
                async def nightly(self, day: str) -> None: ...
            """
        )
    )
    assert [line.split("OG")[1][:3] for line in found] == ["203", "203", "203"]
    for text in ("does not take one event", "`order_id`", "has a schedule, and needs `day`"):
        assert any(text in line for line in found), found
