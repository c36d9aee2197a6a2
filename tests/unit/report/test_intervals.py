"""The intervals of the findings: the examples of the papers that they are from."""

import pytest

from lakehouse.report import intervals
from lakehouse.report.intervals import Interval


# Newcombe 1998, pages 857-872, table I, method 3.
@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    [
        pytest.param(81, 263, 0.2553, 0.3662, id="81 of 263"),
        pytest.param(15, 148, 0.0624, 0.1605, id="15 of 148"),
        pytest.param(0, 20, 0.0, 0.1611, id="none of 20"),
        pytest.param(1, 29, 0.0061, 0.1718, id="1 of 29"),
    ],
)
def test_a_share_has_wilson_s_interval(part: int, whole: int, low: float, high: float) -> None:
    found = intervals.share(part, whole)

    assert found.estimate == part / whole
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


# Newcombe 1998, pages 873-890, table II, method 10.
@pytest.mark.parametrize(
    ("shares", "low", "high"),
    [
        pytest.param((56, 70, 48, 80), 0.0524, 0.3339, id="56 of 70 less 48 of 80"),
        pytest.param((9, 10, 3, 10), 0.1705, 0.8090, id="9 of 10 less 3 of 10"),
        pytest.param((10, 10, 0, 20), 0.6791, 1.0, id="all of 10 less none of 20"),
    ],
)
def test_a_difference_of_shares_has_newcombe_s_interval(shares: tuple[int, ...], low: float, high: float) -> None:
    found = intervals.difference_of_shares(*shares)

    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def bounds(interval: Interval) -> tuple[float, float, float]:
    return interval.low, interval.estimate, interval.high


def about(estimate: float, margin: float) -> tuple[float, float, float]:
    return estimate - margin, estimate, estimate + margin


def test_a_mean_has_the_normal_interval() -> None:
    # 1.96 standard errors, of 2 / sqrt(100) each
    assert bounds(intervals.mean(5, 2, 100)) == pytest.approx(about(5, 0.392), rel=1e-4)


def test_a_difference_of_means_adds_the_two_errors_as_squares() -> None:
    # errors 0.3 and 0.4: together 0.5
    assert bounds(intervals.difference_of_means(7, 3, 100, 5, 4, 100)) == pytest.approx(about(2, 0.98), rel=1e-4)


def test_an_estimate_has_the_interval_of_its_error() -> None:
    assert bounds(intervals.estimate(1300, 70)) == pytest.approx(about(1300, 137.2), rel=1e-4)


@pytest.mark.parametrize(("part", "whole"), [(0, 0), (3, 2), (-1, 2)])
def test_a_share_of_no_case_or_beyond_the_whole_is_refused(part: int, whole: int) -> None:
    with pytest.raises(ValueError, match="is not a share"):
        intervals.share(part, whole)


def test_a_single_case_has_no_mean_with_an_interval() -> None:
    with pytest.raises(ValueError, match="no spread"):
        intervals.mean(5, 0, 1)


def test_a_negative_error_is_refused() -> None:
    with pytest.raises(ValueError, match="not negative"):
        intervals.estimate(1, -0.1)
