"""What the shop's services announce: facts, for whoever cares.

They stand apart from the services that publish them, so that a subscriber needs none of their code:
`Purchasing` calls `Stock`, and hears of it without `Stock` knowing who buys.
"""

from outgrow import Event


class OrderPlaced(Event, key="reference"):
    """The pieces are reserved and the bank has promised the money: this order counts."""

    reference: str
    order_id: int
    cents: int
    card_ending: str


class OrderCancelled(Event, key="reference"):
    """Nothing comes of this order: who holds pieces or money for it gives them back.

    `order_id` is None where it had not even been stored.
    """

    reference: str
    order_id: int | None


class StockLow(Event, key="sku"):
    """Of a product with a standing order few pieces are left; told once until more have come."""

    sku: str
    pieces: int
