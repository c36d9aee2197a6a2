"""Counts, means and standard errors -> 95 % intervals, in pure Python.

A share is given the interval of Wilson (1927), which is right for small and for rare counts, too. A difference of two
shares is given Newcombe's, made from Wilson's two (R. G. Newcombe: Two-sided confidence intervals for the single
proportion; Interval estimation for the difference between independent proportions. Statistics in Medicine 17, 1998,
pages 857-872, method 3, and 873-890, method 10). Means, and estimates whose standard error is known, are given the
normal interval: the estimate, less and plus 1.96 standard errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

Z = NormalDist().inv_cdf(0.975)  # 1.96: what a normal value exceeds in one of 40 cases, upwards and downwards


@dataclass(frozen=True)
class Interval:
    """An estimate, and the bounds that hold the true value in 95 of 100 such samples."""

    estimate: float
    low: float
    high: float


def share(part: float, whole: float) -> Interval:
    """`part` of `whole` cases. Raises ValueError without a case, or if the part is not within the whole."""
    if whole <= 0 or not 0 <= part <= whole:
        raise ValueError(f"{part} of {whole} is not a share")
    found = part / whole
    middle = (found + Z**2 / (2 * whole)) / (1 + Z**2 / whole)
    margin = Z / (1 + Z**2 / whole) * sqrt(found * (1 - found) / whole + Z**2 / (4 * whole**2))
    return Interval(found, max(0.0, middle - margin), min(1.0, middle + margin))


def difference_of_shares(part: float, whole: float, other_part: float, other_whole: float) -> Interval:
    """The first share less the other one, of two groups that have no case in common. Raises ValueError as `share`."""
    first, other = share(part, whole), share(other_part, other_whole)
    found = first.estimate - other.estimate
    below = sqrt((first.estimate - first.low) ** 2 + (other.high - other.estimate) ** 2)
    above = sqrt((first.high - first.estimate) ** 2 + (other.estimate - other.low) ** 2)
    return Interval(found, found - below, found + above)


def mean(average: float, spread: float, cases: float) -> Interval:
    """A mean of independent cases; `spread` is their standard deviation. Raises ValueError for fewer than two cases."""
    return estimate(average, _error_of_mean(spread, cases))


def difference_of_means(
    average: float, spread: float, cases: float, other_average: float, other_spread: float, other_cases: float
) -> Interval:
    """The first mean less the other one, whatever the two spreads (Welch). Raises ValueError as `mean`."""
    error = sqrt(_error_of_mean(spread, cases) ** 2 + _error_of_mean(other_spread, other_cases) ** 2)
    return estimate(average - other_average, error)


def estimate(value: float, error: float) -> Interval:
    """An estimate whose standard error is known. Raises ValueError for a negative error."""
    if error < 0:
        raise ValueError(f"a standard error is not negative: {error}")
    return Interval(value, value - Z * error, value + Z * error)


def _error_of_mean(spread: float, cases: float) -> float:
    if cases < 2:
        raise ValueError(f"{cases} cases have no spread")
    return spread / sqrt(cases)
