"""The thousand products that the shop sells: ten families of ten origins and ten kinds.

The list is computed from the words below and a fixed seed, so every start, every worker and the
traffic maker agree on it without asking one another.
"""

import random
from dataclasses import dataclass
from functools import cache

SEED = 2026


@dataclass(frozen=True, kw_only=True)
class Family:
    """Products of one category: each origin is sold in each kind.

    Attributes:
        prefix: Three letters that begin each SKU of the family.
        price_min_cents: The cheapest product costs about this.
        price_max_cents: The dearest product costs about this.
    """

    prefix: str
    category: str
    origins: tuple[str, ...]
    kinds: tuple[str, ...]
    sentence: str
    price_min_cents: int
    price_max_cents: int


@dataclass(frozen=True, kw_only=True)
class Article:
    """One product as the shop is born with it; `place` orders the shop window."""

    sku: str
    name: str
    category: str
    description: str
    price_cents: int
    hue: int
    place: int


def words(text: str) -> tuple[str, ...]:
    """The words of a list written with commas."""
    return tuple(word.strip() for word in text.split(","))


FAMILIES = (
    Family(
        prefix="TEA",
        category="Tea",
        origins=words(
            "Darjeeling, Assam, Nilgiri, Uva, Keemun, Yunnan, Uji, Alishan, Fujian, Kericho"
        ),
        kinds=words(
            "First Flush, Breakfast, Smoked Black, Green, White, Oolong, Earl Grey, Jasmine, "
            "Garden Mint, Evening Blend"
        ),
        sentence="Loose leaf from {origin}, picked by hand and packed within the season.",
        price_min_cents=590,
        price_max_cents=2_400,
    ),
    Family(
        prefix="COF",
        category="Coffee",
        origins=words(
            "Sidamo, Yirgacheffe, Huila, Antigua, Nyeri, Tarrazu, Cerrado, Mandheling, Kivu, "
            "Apaneca"
        ),
        kinds=words(
            "Espresso, Filter Roast, Light Roast, Dark Roast, Peaberry, Decaf, Honey Process, "
            "Natural, Washed, House Blend"
        ),
        sentence="Roasted on Tuesdays in small drums; beans from {origin}, 250 g.",
        price_min_cents=850,
        price_max_cents=2_100,
    ),
    Family(
        prefix="POT",
        category="Pots and kettles",
        origins=words(
            "Copper, Cast Iron, Enamel, Borosilicate, Stoneware, Porcelain, Brass, Steel, "
            "Terracotta, Slate"
        ),
        kinds=words(
            "Teapot, Kettle, Travel Pot, Gooseneck Kettle, Samovar, Infuser Pot, Milk Jug, "
            "Warmer, Pour-Over Stand, Family Pot"
        ),
        sentence="Made of {origin} that keeps its heat; holds what four people drink.",
        price_min_cents=2_900,
        price_max_cents=14_900,
    ),
    Family(
        prefix="CUP",
        category="Cups",
        origins=words("Moss, Sand, Ink, Chalk, Ember, Fjord, Lilac, Saffron, Pine, Midnight"),
        kinds=words(
            "Mug, Espresso Cup, Cappuccino Bowl, Tumbler, Travel Mug, Saucer Set, Gaiwan, "
            "Beaker, Double-Wall Glass, Camp Cup"
        ),
        sentence="Thrown by hand and glazed in {origin}; no two are quite alike.",
        price_min_cents=900,
        price_max_cents=4_200,
    ),
    Family(
        prefix="HON",
        category="Honey and jam",
        origins=words(
            "Heather, Linden, Chestnut, Acacia, Orange Blossom, Wild Thyme, Clover, Manuka, "
            "Sunflower, Forest"
        ),
        kinds=words(
            "Honey, Creamed Honey, Comb Honey, Honey with Nuts, Jam, Marmalade, Jelly, Syrup, "
            "Fruit Butter, Chutney"
        ),
        sentence="From {origin}, cold-stirred and filled without heating, 340 g.",
        price_min_cents=490,
        price_max_cents=1_900,
    ),
    Family(
        prefix="CHO",
        category="Chocolate",
        origins=words(
            "Esmeraldas, Piura, Sambirano, Chuao, Kokoa Kamili, Bolivar, Haiti, Belize, "
            "Tumaco, Idukki"
        ),
        kinds=words(
            "70 %, 85 %, Milk, Dark Milk, Sea Salt, Hazelnut, Orange Peel, Coffee Nib, "
            "Drinking Flakes, Truffles"
        ),
        sentence="Stone-ground for three days from the beans of {origin}.",
        price_min_cents=450,
        price_max_cents=1_650,
    ),
    Family(
        prefix="BIS",
        category="Biscuits",
        origins=words(
            "Almond, Ginger, Butter, Lemon, Oat, Sesame, Rye, Pistachio, Cardamom, Vanilla"
        ),
        kinds=words(
            "Shortbread, Crescents, Wafers, Cantucci, Thins, Rings, Rusks, Stars, Fingers, Macarons"
        ),
        sentence="Baked this week, with real {origin} and cultured butter.",
        price_min_cents=350,
        price_max_cents=1_250,
    ),
    Family(
        prefix="SPI",
        category="Spices",
        origins=words(
            "Cinnamon, Green Cardamom, Star Anise, Long Pepper, Nutmeg, Clove, Tonka, "
            "Pink Pepper, Turmeric, Fennel"
        ),
        kinds=words(
            "Whole, Ground, Smoked, Toasted, Sugar, Salt, Tea Mix, Baking Mix, Extract, Tin"
        ),
        sentence="{origin} of the last harvest, in a tin that keeps the light out.",
        price_min_cents=320,
        price_max_cents=1_400,
    ),
    Family(
        prefix="LIN",
        category="Linen",
        origins=words("Oat, Indigo, Rust, Sage, Charcoal, Rose, Mustard, Sky, Plum, Natural"),
        kinds=words(
            "Tea Towel, Napkins, Apron, Table Runner, Bread Bag, Oven Glove, Tablecloth, "
            "Pot Holder, Coasters, Tea Cosy"
        ),
        sentence="Washed linen in {origin}; it grows softer with every year.",
        price_min_cents=800,
        price_max_cents=6_900,
    ),
    Family(
        prefix="BOK",
        category="Books",
        origins=words(
            "The Quiet, The Travelling, The Frugal, The Northern, The Curious, The Modern, "
            "The Monastery, The Harbour, The Winter, The Little"
        ),
        kinds=words(
            "Tea Book, Coffee Atlas, Baker, Spice Route, Kitchen, Potter, Beekeeper, "
            "Confectioner, Breakfast, Picnic"
        ),
        sentence="“{origin} ...”: 192 pages, sewn, with drawings and sixty recipes.",
        price_min_cents=1_400,
        price_max_cents=3_900,
    ),
)
CATEGORIES = tuple(family.category for family in FAMILIES)


@cache
def assortment() -> tuple[Article, ...]:
    """All products, in the order of their families; the same at every call and every start."""
    dice = random.Random(SEED)
    return tuple(
        article for row, family in enumerate(FAMILIES) for article in _of_family(row, family, dice)
    )


def _of_family(row: int, family: Family, dice: random.Random) -> list[Article]:
    pairs = [(origin, kind) for origin in family.origins for kind in family.kinds]
    return [
        Article(
            sku=f"{family.prefix}-{number:03d}",
            name=f"{origin} {kind}",
            category=family.category,
            description=family.sentence.format(origin=origin),
            price_cents=dice.randrange(family.price_min_cents, family.price_max_cents, 10),
            hue=dice.randrange(360),
            # The window shows one of each family, then the next of each.
            place=number * len(FAMILIES) + row,
        )
        for number, (origin, kind) in enumerate(pairs)
    ]


def companions(number: int, count: int) -> list[int]:
    """Places in the assortment of what people like to buy with the product at `number`."""
    dice = random.Random(SEED * 10_000 + number)
    return [dice.randrange(len(assortment())) for _ in range(count)]
