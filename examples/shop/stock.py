"""How many pieces of each product there are, and taking some of them."""

from sqlalchemy.ext.asyncio import AsyncSession

from examples.shop.tables import StockLevel

LOW_PIECES = 40
DELIVERY_PIECES = 240


class SoldOutError(Exception):
    """Fewer pieces are left than were asked for."""


async def pieces_left(session: AsyncSession, sku: str) -> int:
    """Pieces in the store room; 0 for a product it never held."""
    level = await session.get(StockLevel, sku)
    return level.pieces if level else 0


async def reserve(session: AsyncSession, sku: str, quantity: int) -> None:
    """Take pieces out; `SoldOutError` if there are too few, and then nothing is taken."""
    level = await session.get(StockLevel, sku)
    if level is None or level.pieces < quantity:
        raise SoldOutError(sku)
    level.pieces -= quantity
    if level.standing_order and level.pieces < LOW_PIECES:
        level.pieces += DELIVERY_PIECES
