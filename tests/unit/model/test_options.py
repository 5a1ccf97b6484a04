"""What `@operation` refuses to be given, naming the operation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from math import inf, nan

import pytest

from outgrow import operation, service
from outgrow.errors import ServiceError
from outgrow.model import describe


@pytest.mark.parametrize("seconds", [0, -1, inf, -inf, nan, 1e10], ids=str)
@pytest.mark.parametrize("option", ["timeout", "hedge_after"])
def test_a_time_that_is_none_is_refused(option: str, seconds: float) -> None:
    with pytest.raises(ServiceError, match=rf"`{option}` of `.*Stock\.count` is {seconds} s"):

        class Stock:
            @operation(idempotent=True, **{option: seconds})  # pyright: ignore
            async def count(self) -> int:
                return 1


def test_a_limit_of_no_calls_is_refused() -> None:
    with pytest.raises(ServiceError, match=r"`concurrent_calls_max` of `.*count` is 0"):

        @operation(concurrent_calls_max=0)
        async def count() -> int:
            return 1


def test_hedging_what_may_not_run_twice_is_refused() -> None:
    with pytest.raises(ServiceError, match=r"`.*Stock\.take` has `hedge_after`, but is not said"):

        class Stock:
            @operation(hedge_after=0.1)
            async def take(self) -> int:
                return 1


def test_hedging_a_stream_is_refused() -> None:
    with pytest.raises(ServiceError, match=r"`.*Stock\.watch` is a stream"):

        class Stock:
            @operation(idempotent=True, hedge_after=0.1)
            async def watch(self) -> AsyncIterator[int]:
                yield 1


def test_a_hedge_that_would_come_after_the_timeout_is_refused() -> None:
    with pytest.raises(ServiceError, match=r"`hedge_after` of `.*count` is 0\.5 s"):

        @operation(idempotent=True, timeout=0.5, hedge_after=0.5)
        async def count() -> int:
            return 1


def test_a_hedge_is_part_of_the_operations_options() -> None:
    @service
    class Stock:
        @operation(idempotent=True, timeout=0.5, hedge_after=0.05)
        async def count(self) -> int:
            return 1

        @operation(idempotent=True, hedge_after=0.05)
        def copies(self) -> int:
            return 1

    operations = describe(Stock).operations
    assert {each.options.hedge_after_seconds for each in operations.values()} == {0.05}
