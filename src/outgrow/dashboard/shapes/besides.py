"""What grows besides the traffic as a whole."""

from __future__ import annotations

import msgspec

from outgrow.dashboard.shapes.shape import Between


class GrowsBesides(msgspec.Struct, frozen=True, kw_only=True):
    """A route or an operation that grows so many times as fast as the rest."""

    name: str
    times: float


class RowCost(msgspec.Struct, frozen=True, kw_only=True):
    """What one more row costs somewhere.

    Attributes:
        subject: A statement, or the loop of a route.
        operation: Whose runs bring the rows.
        stations: Where the time is spent.
        rows: That one run brings now.
    """

    subject: str
    operation: str
    stations: list[str]
    rows: float
    ms_per_row: Between


class RowsUnknown(msgspec.Struct, frozen=True, kw_only=True):
    """A statement of which it is not known what more data cost it."""

    subject: str
    why: str


class Besides(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked to grow besides the traffic as a whole.

    Attributes:
        mix: Routes and operations by their full names.
        data_times: How many times the rows of now.
        rows: What a row costs, where that could be measured.
        unknown: Statements that stay as they are, since it could not.
        note: What is never taken on beyond what was seen.
    """

    mix: list[GrowsBesides]
    data_times: float = 1.0
    rows: list[RowCost] = []
    unknown: list[RowsUnknown] = []
    note: str = ""
