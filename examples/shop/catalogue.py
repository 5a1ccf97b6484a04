"""What the shop sells, to look through and to look up."""

from dataclasses import dataclass

from sqlalchemy import func, insert, or_, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from examples.shop import seed
from outgrow import Database, database, on_start, operation, service

PAGE_SIZE = 24
PAGE_SIZE_MAX = 100
WORDS_MAX = 5


class UnknownProductError(LookupError):
    """The shop does not sell such a thing."""


@dataclass(frozen=True, kw_only=True)
class Product:
    """Something the shop sells; `hue` colours its picture."""

    sku: str
    name: str
    category: str
    description: str
    price_cents: int
    hue: int


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """One page of the products that match a search; pages count from 1."""

    products: tuple[Product, ...]
    page: int
    pages_count: int
    products_count: int


class Table(DeclarativeBase):
    """Parent of the catalogue's tables."""


class ProductRow(Table):
    """A product; `place` orders the shop window."""

    __tablename__ = "products"

    sku: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(index=True)
    category: Mapped[str] = mapped_column(index=True)
    description: Mapped[str]
    price_cents: Mapped[int]
    hue: Mapped[int]
    place: Mapped[int] = mapped_column(index=True)


@service
class Catalogue:
    """What the shop sells."""

    db: Database = database(tables=Table.metadata)

    @on_start
    async def fill(self) -> None:
        """Put the assortment into a new database."""
        async with self.db.begin() as session:
            if await session.scalar(select(ProductRow.sku).limit(1)) is None:
                await session.execute(insert(ProductRow), seed.products())

    @operation(idempotent=True)
    async def search(
        self, text: str = "", *, category: str = "", page: int = 1, size: int = PAGE_SIZE
    ) -> Shelf:
        """The products whose name or description has every word of `text`, as in the window."""
        wanted = select(ProductRow)
        if category:
            wanted = wanted.where(ProductRow.category == category)
        for word in text.split()[:WORDS_MAX]:
            wanted = wanted.where(
                or_(
                    ProductRow.name.icontains(word, autoescape=True),
                    ProductRow.description.icontains(word, autoescape=True),
                )
            )
        size = min(size, PAGE_SIZE_MAX)
        in_order = wanted.order_by(ProductRow.place).limit(size).offset((page - 1) * size)
        async with self.db.read() as session:
            count = await session.scalar(select(func.count()).select_from(wanted.subquery())) or 0
            rows = await session.scalars(in_order)
            return Shelf(
                products=tuple(_product(row) for row in rows),
                page=page,
                pages_count=max(1, -(-count // size)),
                products_count=count,
            )

    @operation(idempotent=True)
    async def find(self, sku: str) -> Product:
        """The product; `UnknownProductError` if the shop has none such."""
        async with self.db.read() as session:
            row = await session.get(ProductRow, sku)
        if row is None:
            raise UnknownProductError(sku)
        return _product(row)

    @operation(idempotent=True)
    async def find_all(self, skus: tuple[str, ...]) -> tuple[Product, ...]:
        """The products in the order asked for; those the shop does not have are left out."""
        async with self.db.read() as session:
            rows = await session.scalars(select(ProductRow).where(ProductRow.sku.in_(skus)))
            products = {row.sku: _product(row) for row in rows}
        return tuple(products[sku] for sku in skus if sku in products)


def _product(row: ProductRow) -> Product:
    return Product(
        sku=row.sku,
        name=row.name,
        category=row.category,
        description=row.description,
        price_cents=row.price_cents,
        hue=row.hue,
    )
