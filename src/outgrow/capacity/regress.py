"""Least squares without negative answers: the only door to scipy's solver."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy import optimize  # pyright: ignore[reportMissingTypeStubs]

Floats = NDArray[np.float64]
PRIOR_WINDOWS = 4.0
"""What is believed beforehand counts as so many mean windows."""


def nonnegative(
    counts: Floats,
    totals: Floats,
    prior: Floats,
    *,
    prior_windows: float = PRIOR_WINDOWS,
) -> Floats:
    """What each unit cost, given how many units there were and what all cost together.

    Minimises the squared distance to the totals, each window weighted by 1/sqrt(its units), plus
    the squared relative distance to what is believed; no cost is negative.

    Args:
        counts: Units of each kind in each window; [windows, kinds].
        totals: What all of a window cost; [windows].
        prior: What a unit of each kind is believed to cost; where 0, nothing is believed.
        prior_windows: Weight of that belief.

    Returns:
        Cost of one unit of each kind, in the unit of `totals`.
    """
    weights = 1 / np.sqrt(np.maximum(counts.sum(axis=1), 1.0))
    mean = np.maximum(counts.mean(axis=0), 1e-12)
    strength = np.sqrt(prior_windows) * mean * float(weights.mean()) * (prior > 0)
    return _solved(counts, totals, prior, strength)


def split(counts: Floats, totals: Floats, prior: Floats) -> Floats:
    """The same where the belief is but a guess: it may be wrong by its own size.

    Each call's cost varies as an exponential one does; that noise against the width of the belief
    gives its weight (Bayes' rule for normal errors).
    """
    mean = totals.sum() / max(float(counts.sum()), 1.0)
    noise = np.sqrt(2) * mean
    strength = np.where(prior > 0, noise / np.maximum(prior, 1e-300), 0.0)
    return _solved(counts, totals, prior, strength)


def _solved(counts: Floats, totals: Floats, prior: Floats, strength: Floats) -> Floats:
    weights = 1 / np.sqrt(np.maximum(counts.sum(axis=1), 1.0))
    stacked = np.vstack([counts * weights[:, None], np.diag(strength)])
    target = np.concatenate([totals * weights, strength * prior])
    # Columns of very different size would make the solver stop early.
    scale = np.maximum(np.linalg.norm(stacked, axis=0), 1e-300)
    found = optimize.nnls(stacked / scale, target)  # pyright: ignore
    return cast("Floats", found[0]) / scale
