"""Means, intervals and exact tests, by other means than `lossjax.suite.statistics`.

What it must give is the protocol's: a 95 % Student's t interval, BCa of 9,999 resamples
drawn by `default_rng(0)` from 20 values on; a two-sided sign-flip test, exact up to 30
values and by 99,999 random flips beyond; Holm's step-down correction.
"""

import dataclasses
import math
from collections.abc import Mapping
from statistics import fmean  # correctly rounded: equal values, equal means

import numpy as np
from scipy import stats

LEVEL = 0.05
RESAMPLED_FROM = 20
ENUMERATED_TO = 12
EXACT_TO = 30
FLIPS = 99_999


@dataclasses.dataclass(frozen=True)
class P:
    """A p-value, and how far another one drawn from other random flips may be."""

    value: float
    doubt: float = 0.0


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean and the limits of its 95 % interval; NaN limits of a single value."""
    center = fmean(values)
    if len(values) < 2:
        return center, math.nan, math.nan
    if np.ptp(values) == 0:
        return center, center, center
    if len(values) < RESAMPLED_FROM:
        error = stats.sem(values)
        low, high = stats.t.interval(1 - LEVEL, len(values) - 1, center, error)
        return center, float(low), float(high)
    limits = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=9999,
        confidence_level=1 - LEVEL,
        method="BCa",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return center, float(limits.low), float(limits.high)


def sign_flip(differences: np.ndarray) -> P:
    """How often flipped signs give a sum as far from 0 as that of the differences."""
    n = len(differences)
    # Sums that are equal but for rounding are ties.
    reached = abs(fmean(differences)) * n - 1e-13 * float(np.abs(differences).sum())
    if n <= ENUMERATED_TO:
        return P(float(np.mean(np.abs(_sums(differences)) >= reached)))
    if n <= EXACT_TO:
        left = _sums(differences[: n // 2])
        right = np.sort(_sums(differences[n // 2 :]))
        # Flipping every sign turns a sum into its opposite: count one side, twice.
        below = np.searchsorted(right, reached - left, side="left")
        above = int((len(right) - below).sum())
        return P(min(1.0, 2 * above / 2**n))
    flips = np.random.default_rng(1).random((FLIPS, n)) < 0.5
    sums = differences.sum() - 2 * (flips @ differences)
    p = (int((np.abs(sums) >= reached).sum()) + 1) / (FLIPS + 1)
    return P(p, 6 * math.sqrt(2 * p / FLIPS) + 2 / FLIPS)


def _sums(terms: np.ndarray) -> np.ndarray:
    """The sums (2^n,) of n terms under every choice of signs."""
    bits = np.arange(2 ** len(terms))[:, None] >> np.arange(len(terms)) & 1
    return (1 - 2 * bits) @ terms


def holm(p: Mapping[str, P]) -> dict[str, P]:
    """Each p-value times the number of those that are no smaller, never falling."""
    adjusted: dict[str, P] = {}
    most, doubt = 0.0, 0.0
    for place, name in enumerate(sorted(p, key=lambda name: p[name].value)):
        times = len(p) - place
        most = min(1.0, max(most, times * p[name].value))
        doubt = max(doubt, times * p[name].doubt)
        adjusted[name] = P(most, doubt)
    return adjusted
