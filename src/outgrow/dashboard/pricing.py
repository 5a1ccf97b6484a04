"""What things cost, as whoever runs the app says it; nobody else does, so there is no default.

In outgrow.toml:

    [prices]
    currency = "EUR"
    cpu_hour = 0.04
    memory_gb_hour = 0.005
    database_month = 60

A core counts for as long as it works, memory for as long as a worker has it, a database whole.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from outgrow.errors import SettingValueError

if TYPE_CHECKING:
    from collections.abc import Mapping

CURRENCY_CHARACTERS_MAX = 12
_NUMBERS = ("cpu_hour", "memory_gb_hour", "database_month")
_FORM = 'currency = "EUR", cpu_hour = 0.04, memory_gb_hour = 0.005, database_month = 60'


def prices_in(table: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The prices of the table `[prices]`; none where it is empty.

    Args:
        table: Of TOML.
        source: Of the table, for errors.

    Raises:
        SettingValueError: It is not understood.
    """
    for key, value in table.items():
        where = f"`{key}` under [prices] in {source}"
        if key == "currency":
            if not isinstance(value, str) or not 0 < len(value.strip()) <= CURRENCY_CHARACTERS_MAX:
                raise SettingValueError(
                    f"{where} is {value!r}",
                    hint=f"Name it in at most {CURRENCY_CHARACTERS_MAX} characters, such as EUR",
                )
        elif key not in _NUMBERS:
            raise SettingValueError(f"{where} is not known", hint=f"Write {_FORM}")
        elif not _is_price(value):
            raise SettingValueError(f"{where} is {value!r}", hint="Give a number from 0 on")
    if table and not any(key in table for key in _NUMBERS):
        raise SettingValueError(f"[prices] in {source} has no price", hint=f"Write {_FORM}")
    return {
        key: value.strip() if isinstance(value, str) else float(value)
        for key, value in table.items()
    }


def _is_price(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and value >= 0
