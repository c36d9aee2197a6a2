"""The months of the data -> the periods that a reader can choose, and what each is compared with.

A month is whole if most of its days have rows; the months of the default period are the longest run of whole ones.
A period is compared with the year before by its comparable months: those that are whole and whose month a year before
is whole, too. So 2018, of which eight months are whole, is compared with the same eight months of 2017.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

Months = tuple[str, ...]  # as 2018-01, ascending

_MONTH = re.compile(r"\d{4}-\d{2}")


@dataclass(frozen=True)
class Period:
    """A choice of months. `comparable`: those of its months that have a year before; `before`: that year before."""

    id: str
    kind: Literal["full", "whole", "year", "quarter", "month"]
    months: Months
    comparable: Months
    before: Months


@dataclass(frozen=True)
class Calendar:
    """All months that have rows, which of them are whole, and the periods; the first one is the default."""

    months: Months
    full: Months
    periods: tuple[Period, ...]

    @property
    def sets(self) -> tuple[Months, ...]:
        """Each set of months for which a figure may be asked."""
        asked = [months for p in self.periods for months in (p.months, p.comparable, p.before) if months]
        return tuple(dict.fromkeys([*asked, *((month,) for month in self.months)]))


def calendar_of(days_per_month: Mapping[str, int], full_from: float) -> Calendar:
    """The calendar of a source. `days_per_month`: month -> how many of its days have rows.

    A value that is no month (the unknown date) is in the period `whole` only.
    """
    months = tuple(sorted(days_per_month))
    dated = [month for month in months if _MONTH.fullmatch(month)]
    full = _longest_run([month for month in dated if days_per_month[month] >= full_from * _days_in(month)])
    periods: list[Period] = []
    if full and full != months:
        periods.append(_period("full", "full", full, full))
    if months:
        periods.append(_period("whole", "whole", months, full))
    for year, of_year in groupby(dated, key=lambda month: month[:4]):
        periods.append(_period(year, "year", tuple(of_year), full))
    for quarter, of_quarter in groupby(dated, key=_quarter):
        periods.append(_period(quarter, "quarter", tuple(of_quarter), full))
    periods += [_period(month, "month", (month,), full) for month in dated]
    return Calendar(months, full, tuple(periods))


def year_before(month: str) -> str:
    """2018-01 -> 2017-01."""
    return f"{int(month[:4]) - 1:04}{month[4:]}"


def _period(
    identity: str, kind: Literal["full", "whole", "year", "quarter", "month"], months: Months, full: Sequence[str]
) -> Period:
    comparable = tuple(month for month in months if month in full and year_before(month) in full)
    return Period(identity, kind, months, comparable, tuple(map(year_before, comparable)))


def _quarter(month: str) -> str:
    return f"{month[:4]}-Q{(int(month[5:]) + 2) // 3}"


def _days_in(month: str) -> int:
    return monthrange(int(month[:4]), int(month[5:]))[1]


def _longest_run(months: Iterable[str]) -> Months:
    """The longest run of months that follow one another; of two equally long ones the later."""
    runs: list[list[str]] = []
    for month in months:
        if runs and _following(runs[-1][-1]) == month:
            runs[-1].append(month)
        else:
            runs.append([month])
    longest: list[str] = max(reversed(runs), key=len, default=[])
    return tuple(longest)


def _following(month: str) -> str:
    year, number = int(month[:4]), int(month[5:])
    return f"{year + 1:04}-01" if number == 12 else f"{year:04}-{number + 1:02}"
