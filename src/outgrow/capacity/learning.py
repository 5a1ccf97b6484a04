"""What load tests of a project teach its forecasts: a limit binds earlier or later than was said.

What no evidence from low load shows is how service changes as a station fills up; a forecast draws
it (`draws.strained`). A load test measures it. Each station that a test has found full has an
error, the logarithm of measured over foretold, which is taken to be one number of that station plus
the chance of each forecast and each test. From the prior of the draws and these errors follow where
the number lies, and how sure that is. Two widths are learned as well, each shrunk towards what was
frozen in advance: that of the number, by all stations of a kind, so that a kind whose forecasts
erred much gets wider intervals, and one that held narrower ones; and that of the chance.

Split conformal prediction would set the widths with no model of errors, but says nothing at 90 %
before nine tests; this says something from the first, and comes to the same with many.

Source:
    Normal model with both moments unknown, scaled inverse chi-square priors: A. Gelman and others,
    Bayesian Data Analysis, 3rd edition, 2013, sections 2.5 to 3.2. Nine: V. Vovk and others,
    Algorithmic Learning in a Random World, 2005: rank ceil((n + 1) 0.9) <= n.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from outgrow.capacity.evidence import Kind
    from outgrow.capacity.model import Model

CHANCE_DEVIATION = 0.03
"""Of the logarithm of one forecast, by the windows that it happened to see."""
BIAS_DEVIATION = 0.02
"""Of what all tests of a system have in common: more of them do not tell it from the truth."""
PRIOR_TESTS = 4.0
"""So many tests are the widths worth that were frozen in advance."""
HALF_LIFE_DAYS = 60.0
"""A test as old as that says half as much: code and data have changed since."""
_STRAIN_MIN = -0.5


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """A load test that found a station full.

    Attributes:
        station: That bound first.
        foretold_per_second: Where it was said to bind, by the model alone.
        measured_per_second: Where it did.
        deviation: Of the logarithm of what was measured, by the count of requests.
        age_days: Since then.
    """

    station: str
    kind: Kind
    foretold_per_second: float
    measured_per_second: float
    deviation: float
    age_days: float

    @property
    def error(self) -> float:
        """Logarithm of measured over foretold."""
        return math.log(self.measured_per_second / self.foretold_per_second)

    @property
    def variance(self) -> float:
        """Of that error, by chance; larger with age."""
        fresh = CHANCE_DEVIATION**2 + self.deviation**2
        return fresh * 2 ** (max(self.age_days, 0.0) / HALF_LIFE_DAYS)


@dataclass(frozen=True, kw_only=True)
class Correction:
    """What is known of one station from tests.

    Attributes:
        shift_ratio: It bears so much more than the model alone says; negative for less.
        width_ratio: How far it is drawn, over how far it would be without any test.
        tests_count: Of this station; 0 where only others of its kind were tested.
    """

    shift_ratio: float
    width_ratio: float
    tests_count: int


def corrections(
    lessons: Sequence[Lesson], kinds: Mapping[str, Kind], deviations: Mapping[str, float]
) -> dict[str, Correction]:
    """What lessons say of stations.

    Args:
        lessons: In any order.
        kinds: Of all stations.
        deviations: Of the strain that is drawn for each without lessons.

    Returns:
        Those of which something is known.
    """
    by_station: dict[str, list[Lesson]] = defaultdict(list)
    for one in lessons:
        by_station[one.station].append(one)
    means = {name: _mean(each) for name, each in by_station.items()}
    found: dict[str, Correction] = {}
    for name, kind in kinds.items():
        alike = [means[one] for one, each in by_station.items() if each[0].kind == kind]
        if not alike or not deviations[name]:
            continue
        found[name] = _correction(by_station.get(name, []), alike, deviations[name] ** 2)
    return found


def _mean(lessons: Sequence[Lesson]) -> float:
    weights = [1 / one.variance for one in lessons]
    pairs = zip(weights, lessons, strict=True)
    return sum(weight * one.error for weight, one in pairs) / sum(weights)


def _shrunk(prior: float, seen: Sequence[float]) -> float:
    """A variance, from what it was taken to be and squares that were seen."""
    return (PRIOR_TESTS * prior + sum(seen)) / (PRIOR_TESTS + len(seen))


def _correction(lessons: Sequence[Lesson], alike: Sequence[float], prior: float) -> Correction:
    variance = _shrunk(prior, [mean**2 for mean in alike])
    if not lessons:
        return Correction(shift_ratio=0.0, width_ratio=math.sqrt(variance / prior), tests_count=0)
    mean = _mean(lessons)
    squares = [(one.error - mean) ** 2 / one.variance for one in lessons]
    # One of them is spent on the mean.
    chance = (PRIOR_TESTS + sum(squares)) / (PRIOR_TESTS + len(lessons) - 1)
    precision = sum(1 / (chance * one.variance) for one in lessons)
    after = 1 / (1 / variance + precision)
    spread = max(chance - 1, 0.0) * CHANCE_DEVIATION**2
    return Correction(
        shift_ratio=math.expm1(after * precision * mean),
        width_ratio=math.sqrt((after + spread + BIAS_DEVIATION**2) / prior),
        tests_count=len(lessons),
    )


def learned(model: Model, lessons: Sequence[Lesson]) -> tuple[Model, dict[str, Correction]]:
    """A model whose strain is drawn as load tests have shown it, and what was corrected.

    Args:
        model: With strain drawn; many draws.
        lessons: Of any stations; those of stations that are no more are left out.
    """
    kinds: dict[str, Kind] = {one.name: one.kind for one in model.stations}
    spread = model.strain_ratio.std(axis=0)
    deviations = {one.name: float(spread[place]) for place, one in enumerate(model.stations)}
    found = corrections([one for one in lessons if one.station in kinds], kinds, deviations)
    strain = model.strain_ratio.copy()
    for name, one in found.items():
        place = model.index(name)
        strain[:, place] *= one.width_ratio
    return corrected(replace(model, strain_ratio=strain), found), found


def corrected(model: Model, found: Mapping[str, Correction]) -> Model:
    """A model whose stations bear so much more or less."""
    strain = model.strain_ratio.copy()
    for name, one in found.items():
        place = model.index(name)
        strain[:, place] = (1 + strain[:, place]) / (1 + one.shift_ratio) - 1
    return replace(model, strain_ratio=np.maximum(strain, _STRAIN_MIN))
