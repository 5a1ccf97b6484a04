"""Commands and pipelines of redis-py, sync and async; no keys and no values are kept."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from outgrow.telemetry.outside.calls import OutsideCall

if TYPE_CHECKING:
    from outgrow.telemetry.records import Attribute

_COMMAND_MAX = 30
_NAME = "_outgrow_name"


def watch_redis(redis: Any) -> None:
    """See what clients ask; a pipeline is one call.

    Args:
        redis: The module, imported.
    """
    _wrap(redis.client.Redis, "execute_command")
    _wrap(redis.client.Pipeline, "execute")


def watch_redis_async(client: Any) -> None:
    """See what clients of asyncio ask.

    Args:
        client: The module `redis.asyncio.client`, imported.
    """
    _wrap_async(client.Redis, "execute_command")
    _wrap_async(client.Pipeline, "execute")


def _wrap(cls: Any, name: str) -> None:
    execute: Any = getattr(cls, name)

    @wraps(execute)
    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = _begun(self, args if name == "execute_command" else ())
        try:
            result = execute(self, *args, **kwargs)
        except BaseException as error:
            call.end(type(error).__name__)
            raise
        call.end()
        return result

    setattr(cls, name, watched)


def _wrap_async(cls: Any, name: str) -> None:
    execute: Any = getattr(cls, name)

    @wraps(execute)
    async def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = _begun(self, args if name == "execute_command" else ())
        try:
            result = await execute(self, *args, **kwargs)
        except BaseException as error:
            call.end(type(error).__name__)
            raise
        call.end()
        return result

    setattr(cls, name, watched)


def _begun(client: Any, args: tuple[Any, ...]) -> OutsideCall:
    pool = client.connection_pool
    name: str | None = pool.__dict__.get(_NAME)
    if name is None:
        name = pool.__dict__[_NAME] = _name_of(pool.connection_kwargs)
    command = str(args[0]).partition(" ")[0].upper()[:_COMMAND_MAX] if args else "PIPELINE"
    attributes: dict[str, Attribute] = {
        "db.system.name": "redis",
        "db.operation.name": command,
        "server.address": name,
    }
    return OutsideCall(f"redis {name}", f"{command} redis", attributes)


def _name_of(options: Any) -> str:
    database = options.get("db") or 0
    if options.get("path"):
        return f"localhost/{database}"
    return f"{options.get('host') or 'localhost'}:{options.get('port') or 6379}/{database}"
