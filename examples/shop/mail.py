"""Letters to customers. The post office is a table here: a letter that went out is a row in it."""

from examples.shop.clock import now
from examples.shop.database import Database
from examples.shop.tables import Letter, Order


async def send_receipt(database: Database, order: Order) -> None:
    """Send the customer what was bought and what it cost."""
    lines = "\n".join(
        f"{line.quantity} x {line.name}  {line.quantity * line.unit_price_cents / 100:.2f}"
        for line in order.lines
    )
    letter = Letter(
        order_id=order.id,
        to=order.email,
        subject=f"Your order {order.id}",
        text=f"Thank you.\n\n{lines}\n\nTotal {order.total_cents / 100:.2f}\n",
        sent_at=now(),
    )
    async with database.writing() as session:
        session.add(letter)
