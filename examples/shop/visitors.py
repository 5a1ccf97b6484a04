"""How people use the shop, for the traffic maker: mostly looking, sometimes buying."""

import json
import random

from examples.shop.assortment import CATEGORIES, assortment
from examples.shop.payments import BUSY_CARD
from examples.shop.seed import popular
from examples.traffic import Visit

ORDERS_COUNT = 2_000
PAGES_COUNT = 10
BUSY_RATIO = 0.03
CARD = "4242424242424242"
WORDS = ("green", "honey", "dark", "copper", "travel", "almond", "ground", "book")


def sku(dice: random.Random) -> str:
    """One of the products; some are wanted more often."""
    return assortment()[popular(dice, len(assortment()))].sku


def listing(dice: random.Random) -> str:
    """A page of the catalogue, searched now and then."""
    if dice.random() < 0.3:
        return f"/products?search={dice.choice(WORDS)}"
    return f"/products?page={1 + popular(dice, PAGES_COUNT)}"


def front(dice: random.Random) -> str:
    """The page that people see first."""
    category = dice.choice(("", *CATEGORIES)).replace(" ", "%20")
    return f"/?category={category}"


def order(dice: random.Random) -> bytes:
    """One to three products for one buyer, whose bank may be busy."""
    lines = [
        {"sku": sku(dice), "quantity": dice.choice((1, 1, 2))} for _ in range(dice.randint(1, 3))
    ]
    email = f"visitor{dice.randrange(500)}@example.org"
    card = BUSY_CARD if dice.random() < BUSY_RATIO else CARD
    return json.dumps({"lines": lines, "email": email, "card": card}).encode()


SCENARIO = (
    Visit(weight=20, method="GET", route="/", path=front),
    Visit(weight=20, method="GET", route="/products", path=listing),
    Visit(
        weight=25, method="GET", route="/products/{sku}", path=lambda dice: f"/products/{sku(dice)}"
    ),
    Visit(
        weight=18,
        method="GET",
        route="/recommendations/{sku}",
        path=lambda dice: f"/recommendations/{sku(dice)}",
    ),
    Visit(
        weight=8,
        method="GET",
        route="/orders/{order_id}",
        path=lambda dice: f"/orders/{dice.randint(1, ORDERS_COUNT)}",
    ),
    Visit(weight=7, method="POST", route="/orders", path=lambda _dice: "/orders", body=order),
    Visit(weight=2, method="GET", route="/reports/sales", path=lambda _dice: "/reports/sales"),
)
