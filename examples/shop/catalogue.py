"""What the shop sells, to look through and to look up."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from examples.shop.tables import Product

PAGE_SIZE = 24
PAGE_SIZE_MAX = 100


class UnknownProductError(LookupError):
    """The shop does not sell such a thing."""


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """One page of the products that match a search; pages count from 1."""

    products: list[Product]
    page: int
    pages_count: int
    products_count: int


async def search(
    session: AsyncSession,
    text: str = "",
    *,
    category: str = "",
    page: int = 1,
    size: int = PAGE_SIZE,
) -> Shelf:
    """The products whose name or description has every word of `text`, as in the shop window."""
    wanted = select(Product)
    if category:
        wanted = wanted.where(Product.category == category)
    for word in text.split()[:5]:
        wanted = wanted.where(
            or_(
                Product.name.icontains(word, autoescape=True),
                Product.description.icontains(word, autoescape=True),
            )
        )
    count = await session.scalar(select(func.count()).select_from(wanted.subquery())) or 0
    rows = await session.scalars(
        wanted.order_by(Product.place).limit(size).offset((page - 1) * size)
    )
    return Shelf(
        products=list(rows), page=page, pages_count=max(1, -(-count // size)), products_count=count
    )


async def find(session: AsyncSession, sku: str) -> Product:
    """The product; `UnknownProductError` if the shop has none such."""
    product = await session.get(Product, sku)
    if product is None:
        raise UnknownProductError(sku)
    return product


async def find_all(session: AsyncSession, skus: Iterable[str]) -> dict[str, Product]:
    """The products by SKU; those the shop does not have are left out."""
    rows = await session.scalars(select(Product).where(Product.sku.in_(list(skus))))
    return {product.sku: product for product in rows}
