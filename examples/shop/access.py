"""What a route gets of the shop: its database, or a session that reads it."""

from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from examples.shop.database import Database


def _database(request: Request) -> Database:
    return request.app.state.database


async def _reading(
    database: Annotated[Database, Depends(_database)],
) -> AsyncGenerator[AsyncSession]:
    async with database.reading() as session:
        yield session


ShopDatabase = Annotated[Database, Depends(_database)]
Reading = Annotated[AsyncSession, Depends(_reading)]
