"""How much others may send: past these limits it is refused or cut, and counted.

Memory is what most of them guard. A few bytes of an encoding may become an object of some hundred,
so objects are bounded before they are made.
"""

from __future__ import annotations

from typing import Literal, get_args

Signal = Literal["traces", "metrics", "logs"]
SIGNALS: tuple[Signal, ...] = get_args(Signal)

SENT_BYTES_MAX = 16 * 1024**2
INFLATED_BYTES_MAX = 16 * 1024**2
# One span, one line of a log, one metric with its points, one resource.
ITEM_BYTES_MAX = 1024**2
ITEMS_MAX = 50_000
# In JSON, where each may become an object.
BRACES_MAX = 400_000
COMMAS_MAX = 2_000_000
DEPTH_MAX = 8

ATTRIBUTES_MAX = 128
EVENTS_MAX = 128
LINKS_MAX = 128
BUCKETS_MAX = 512
KEY_CHARACTERS_MAX = 256
VALUE_CHARACTERS_MAX = 16_384
NAME_CHARACTERS_MAX = 512
# Names of spans, metrics and loggers, each with its service.
NAMES_MAX = 10_000
NAMES_SECONDS = 3600
TIME_NS_MAX = (1 << 63) - 1
