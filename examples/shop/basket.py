"""The basket in the browser's cookie: `TEA-001.2~CUP-007.1` is two of one and one of the other.

It needs no memory in the server, so any worker can answer the next click.
"""

import re

LINES_MAX = 30
QUANTITY_MAX = 20
COOKIE = "basket"

_LINE = re.compile(r"([A-Z]{3}-\d{3})\.(\d{1,2})")


def parse(cookie: str) -> dict[str, int]:
    """Pieces by SKU; what makes no sense is left out, for anyone can write a cookie."""
    lines = _LINE.findall(cookie)[:LINES_MAX]
    return {sku: min(int(count), QUANTITY_MAX) for sku, count in lines if int(count) > 0}


def written(basket: dict[str, int]) -> str:
    """The cookie's text for a basket."""
    return "~".join(f"{sku}.{count}" for sku, count in basket.items())


def changed(basket: dict[str, int], sku: str, count: int) -> dict[str, int]:
    """The basket with exactly `count` pieces of a product; 0 takes it out."""
    rest = {other: pieces for other, pieces in basket.items() if other != sku}
    if count <= 0:
        return rest
    return dict([*rest.items(), (sku, min(count, QUANTITY_MAX))][:LINES_MAX])
