"""What `outgrow verify --scenario` sends to the shop: the visitors of the demo."""

from collections.abc import Generator
from random import Random

from examples.shop.visitors import SCENARIO
from outgrow.testing import Answer, Request

WEIGHTS = [visit.weight for visit in SCENARIO]


def visitor(dice: Random) -> Generator[Request, Answer, None]:
    """Somebody who looks at one page, or orders something, and goes."""
    (visit,) = dice.choices(SCENARIO, WEIGHTS)
    yield Request(visit.method, visit.path(dice), visit.body(dice))
