"""What people buy together: a random walk over the baskets of the last orders.

From the product, step to any basket that holds it, from there to any product in it, and so on,
now and then starting over: the products where such a walker is found most often belong
together, even where no single basket held both. It costs some thousand steps of Python for each
answer and nothing is kept: honest work for one core.

Source:
    Random walk with restart: H. Tong, C. Faloutsos, J.-Y. Pan, ICDM 2006.
"""

from collections import defaultdict
from collections.abc import Iterable

from examples.shop.catalogue import Catalogue, Product
from examples.shop.orders import Orders
from outgrow import operation, service

BASKETS_COUNT = 800
ROUNDS_COUNT = 6
RESTART_RATIO = 0.2
COUNT = 6


@service
class Recommendations:
    """What goes with what."""

    orders: Orders
    catalogue: Catalogue

    @operation(idempotent=True)
    async def bought_together(self, sku: str, count: int = COUNT) -> tuple[Product, ...]:
        """Products most often in the company of this one, the closest first."""
        lines = await self.orders.recent_baskets(BASKETS_COUNT)
        return await self.catalogue.find_all(tuple(closest(lines, sku)[:count]))


def closest(lines: Iterable[tuple[int, str]], sku: str) -> list[str]:
    """All SKUs that a walk from `sku` can reach, the most visited first."""
    baskets: defaultdict[int, list[str]] = defaultdict(list)
    holders: defaultdict[str, list[int]] = defaultdict(list)
    for order_id, member in lines:
        baskets[order_id].append(member)
        holders[member].append(order_id)
    weights = {sku: 1.0}
    for _ in range(ROUNDS_COUNT):
        weights = _step(weights, baskets, holders)
        weights[sku] = weights.get(sku, 0.0) + RESTART_RATIO
    weights.pop(sku)
    return sorted(weights, key=lambda other: (-weights[other], other))


def _step(
    weights: dict[str, float], baskets: dict[int, list[str]], holders: dict[str, list[int]]
) -> dict[str, float]:
    reached: defaultdict[int, float] = defaultdict(float)
    for sku, weight in weights.items():
        orders_of = holders.get(sku, ())
        for order_id in orders_of:
            reached[order_id] += weight / len(orders_of)
    arrived: defaultdict[str, float] = defaultdict(float)
    for order_id, weight in reached.items():
        share = (1 - RESTART_RATIO) * weight / len(baskets[order_id])
        for sku in baskets[order_id]:
            arrived[sku] += share
    return dict(arrived)
