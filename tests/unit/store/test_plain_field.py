"""A field `db: Database` without a default is the service's own database."""

from __future__ import annotations

import asyncio

from sqlalchemy import text

from outgrow import Database, operation, service
from outgrow.testing import running


@service
class Shop:
    db: Database

    @operation
    async def count(self) -> int:
        async with self.db.read() as session:
            return (await session.execute(text("SELECT 1"))).scalar_one()


def test_a_plain_field_is_a_database() -> None:
    async def count() -> int:
        async with running(Shop, environment={"SHOP_DATABASE_URL": "sqlite://"}) as app:
            return await app.client(Shop).count()

    assert asyncio.run(count()) == 1
