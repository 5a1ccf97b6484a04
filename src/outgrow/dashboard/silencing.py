"""Signs that somebody knows of and does not want to hear about for a while.

In outgrow.toml:

    [[signs.silenced]]
    sign = "write lock"
    subject = "writer orders.db"
    reason = "PostgreSQL comes in March"
    until = 2027-03-31

Each has a reason and a last day: what nobody looks at again is forgotten, and a sign that comes
back with its reason is decided anew. Without a subject the sign is silent everywhere.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from outgrow.dashboard.shapes import SignSeen, SignSilence
from outgrow.errors import SettingValueError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from outgrow.capacity import Finding

SILENCES_MAX = 200
REASON_CHARACTERS_MAX = 400
_KEYS = ("sign", "subject", "reason", "until")
_FORM = 'sign = "write lock", subject = "writer orders.db", reason = "...", until = 2027-03-31'


@dataclass(frozen=True, kw_only=True)
class Silence:
    """One sign that is not wanted for a while.

    Attributes:
        sign: Its name.
        subject: Where; empty for everywhere.
        reason: Why.
        until: The last day of it.
    """

    sign: str
    subject: str
    reason: str
    until: datetime.date

    def covers(self, one: Finding) -> bool:
        """Whether it is about this finding, be it over or not."""
        return one.sign == self.sign and self.subject in ("", one.subject)


def sorted_out(
    findings: Iterable[Finding], silences: Sequence[Silence], today: datetime.date
) -> tuple[list[SignSeen], list[SignSeen]]:
    """Signs that are wanted, those whose silence is over among them; and those that are not."""
    wanted: list[SignSeen] = []
    unwanted: list[SignSeen] = []
    for one in findings:
        about = [each for each in silences if each.covers(one)]
        last = max(about, key=lambda each: each.until, default=None)
        is_over = last is None or last.until < today
        silence = last and SignSilence(
            reason=last.reason, until=last.until.isoformat(), is_over=is_over
        )
        (wanted if is_over else unwanted).append(_seen(one, silence))
    return wanted, unwanted


def _seen(one: Finding, silence: SignSilence | None) -> SignSeen:
    return SignSeen(
        sign=one.sign,
        subject=one.subject,
        severity=one.severity,
        text=one.text,
        value=one.value,
        threshold=one.threshold,
        gain=one.gain_ratio,
        share_percent=None if one.share_ratio is None else 100 * one.share_ratio,
        numbers=dict(one.numbers),
        traces=list(one.traces),
        silence=silence,
    )


def silences_in(table: Mapping[str, Any], source: str) -> tuple[Silence, ...]:
    """The silences of the table `[signs]`.

    Args:
        table: Of TOML.
        source: Of the table, for errors.

    Raises:
        SettingValueError: It is not understood.
    """
    for key in table:
        if key != "silenced":
            raise SettingValueError(
                f"`{key}` under [signs] in {source} is not known",
                hint=f"Write [[signs.silenced]] with {_FORM}",
            )
    entries = table.get("silenced", [])
    if not isinstance(entries, list):
        raise SettingValueError(
            f"`signs.silenced` in {source} is no list of tables",
            hint="Write `[[signs.silenced]]`, with two brackets",
        )
    entries = cast("list[object]", entries)
    if len(entries) > SILENCES_MAX:
        raise SettingValueError(f"{source} silences more than {SILENCES_MAX} signs")
    return tuple(
        _silence(entry, f"entry {number} of [[signs.silenced]] in {source}")
        for number, entry in enumerate(entries, 1)
    )


def _silence(entry: object, where: str) -> Silence:
    if not isinstance(entry, dict):
        raise SettingValueError(f"{where} is no table", hint=f"Write {_FORM}")
    values = cast("dict[str, Any]", entry)
    for key in values:
        if key not in _KEYS:
            raise SettingValueError(f"`{key}` of {where} is not known", hint=f"Write {_FORM}")
    return Silence(
        sign=_sign(_text(values, "sign", where), where),
        subject=_text(values, "subject", where) if "subject" in values else "",
        reason=_text(values, "reason", where),
        until=_day(values.get("until"), where),
    )


def _text(values: Mapping[str, Any], key: str, where: str) -> str:
    value = values.get(key)
    if not isinstance(value, str) or not value.strip():
        raise SettingValueError(f"{where} has no `{key}`", hint=f"Write {_FORM}")
    if len(value) > REASON_CHARACTERS_MAX:
        raise SettingValueError(
            f"`{key}` of {where} has {len(value)} characters",
            hint=f"Take at most {REASON_CHARACTERS_MAX}",
        )
    return value.strip()


def _sign(name: str, where: str) -> str:
    """The name, if there is such a sign; without the model nothing looks for any."""
    if any(find_spec(each) is None for each in ("numpy", "scipy")):
        return name
    from outgrow.capacity import SIGN_NAMES

    if name not in SIGN_NAMES:
        raise SettingValueError(
            f"{where} is about `{name[:60]}`, which is no sign",
            hint=f"There are: {', '.join(sorted(SIGN_NAMES))}",
        )
    return name


def _day(value: object, where: str) -> datetime.date:
    # A channel between processes carries days as text.
    if isinstance(value, str):
        try:
            return datetime.date.fromisoformat(value)
        except ValueError:
            value = None
    if isinstance(value, datetime.datetime):
        return value.date()
    if isinstance(value, datetime.date):
        return value
    raise SettingValueError(
        f"{where} does not say until which day", hint="Write `until = 2027-03-31`"
    )
