"""Names of files and folders -> a batch's date. A name that looks like a date in another form is refused, not guessed.

a date      2018-01-02, 20180102, 2018_01_02, 2018.01.02, also with text or a time of day around it;
            the folders year=2018/month=01/day=02 and 2018/01/02
refused     02-01-2018, 2018-1-2, 2018-01_02, 02.01.18, 2-Jan-2018, 20181345, a month 2018-01, a week 2018-W05,
            a quarter 2018-Q1, two dates; a day before EARLIEST or after tomorrow (UTC)
just a name 2018, 2016-2018, orders, numbers with more than eight digits
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

# The first version of everything in the marts begins on the day before.
EARLIEST = date(1900, 1, 2)

_YEAR = r"(?:19|20|21)\d{2}"
_MONTH = (
    r"(?<![a-z])(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)(?![a-z])"
)
_TIME = r"(?:[T_ -]?(?:[01]\d|2[0-3])(?:[-:._h]?[0-5]\d){1,2}(?:[.,]\d+)?Z?(?![-_.]?\d))?"
_DATE = re.compile(
    r"(?<!\d)(?:(?P<year>\d{4})(?P<by>[-_.])(?P<month>\d{2})(?P=by)(?P<day>\d{2})"
    rf"|(?P<compact>{_YEAR}\d{{4}}))(?!\d){_TIME}",
    re.ASCII,
)
_LOOKS_LIKE_ONE = re.compile(
    rf"""(?<!\d)(?:
        {_YEAR}[-_.\ ](?P<y1>\d{{1,2}})[-_.\ ](?P<y2>\d{{1,2}})
        | (?P<d1>\d{{1,2}})[-_.\ ](?P<d2>\d{{1,2}})[-_.\ ]{_YEAR}
        | (?P<s1>\d{{2}})(?P<by>[-_.])(?P<s2>\d{{2}})(?P=by)(?P<s3>\d{{2}})
        | (?P<c1>\d{{2}})(?P<c2>\d{{2}}){_YEAR}
        | {_YEAR}[-_.]?(?:0[1-9]|1[0-2])
        | {_YEAR}[-_.\ ]?[wq]\d{{1,2}}
        | {_YEAR}[-_.\ ]?{_MONTH}(?:[-_.\ ]?\d{{1,2}})?
        | (?:\d{{1,2}}[-_.\ ]?)?{_MONTH}[-_.,\ ]*(?:\d{{1,2}}[-_.,\ ]+)?{_YEAR}
        | (?:month|day)=\d+
    )(?!\d)""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_NAMED_PARTS = tuple(re.compile(rf"{part}=(\d{{1,4}})", re.IGNORECASE | re.ASCII) for part in ("day", "month", "year"))
_BARE_PARTS = tuple(re.compile(rf"({form})", re.ASCII) for form in (r"\d{1,2}", r"\d{1,2}", _YEAR))


@dataclass(frozen=True)
class Dated:
    """The date of a file. `above`: the folder above the given path that is named so; None if the delivery says it."""

    day: date
    above: str | None = None


def date_of(stem: str, inside: Sequence[str], above: Sequence[str]) -> Dated | None:
    """The date that a file's stem holds, else the nearest folder or archive around it; None if there is no date.

    `inside`: the names around the file within the delivery, nearest first. `above`: those above the given path, which
    count only if the whole name is a date. Raises ValueError if the nearest date cannot be read for sure.
    """
    if day := in_name(stem):
        return Dated(day)
    names = [*inside, *above]
    for number, name in enumerate(names):
        is_above = number >= len(inside)
        day = _of_three(names[number : number + 3])
        if not is_above and _is_month(inside[number : number + 2]):
            raise _unclear(shown := "/".join(reversed(inside[number : number + 2])), shown)
        if day is None and (not is_above or _is_all_date(name)):
            day = in_name(name)
        if day is not None:
            return Dated(day, name if is_above else None)
    return None


def check(day: date, named: str = "") -> date:
    """The day, if it can be a batch's. Raises ValueError if it is before EARLIEST or after tomorrow (UTC).

    `named`: where the day stands, for the error.
    """
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    if not EARLIEST <= day <= tomorrow:
        bound = f"before {EARLIEST}" if day < EARLIEST else f"after tomorrow, {tomorrow} (UTC)"
        shown = day.isoformat() if day.isoformat() in (named or day.isoformat()) else f"{named}: {day}"
        raise ValueError(f"{shown} is {bound}, so it is no batch date")
    return day


def in_name(name: str) -> date | None:
    """The date in a name; None if it has none. Raises ValueError if it has two, or one that cannot be read for sure."""
    matches = list(_DATE.finditer(name))
    days = {_day_of(match, name) for match in matches}
    others = _others(_DATE.sub("/", name))
    if len(days) > 1 or (days and others):
        both = " and ".join(dict.fromkeys([*(match[0] for match in matches), *others]))
        raise ValueError(f"{name} holds two dates, {both}: which is the batch's? (rename it, or give --batch-date)")
    if others:
        raise _unclear(name, others[0])
    return check(days.pop(), name) if days else None


def without_date(stem: str) -> str:
    """A file's stem without the date at its beginning or end, and without what separates the two."""
    for match in _DATE.finditer(stem):
        if match.end() == len(stem):
            return stem[: match.start()].rstrip(" _.-")
        if match.start() == 0:
            return stem[match.end() :].lstrip(" _.-")
    return stem


def _of_three(names: Sequence[str]) -> date | None:
    """The date in the folders `year=2018/month=01/day=02` or `2018/01/02`, nearest first; None if they are no date."""
    for forms in (_NAMED_PARTS, _BARE_PARTS):
        parts = [form.fullmatch(name) for form, name in zip(forms, names, strict=False)]
        if len(parts) < len(forms) or not all(parts):
            continue
        day, month, year = (part[1] for part in parts if part)
        shown = "/".join(reversed(names))
        if forms is _NAMED_PARTS:
            return check(_calendar_day(f"{year}-{month:0>2}-{day:0>2}", shown), shown)
        if len(day) == len(month) == 2:
            return check(_calendar_day(f"{year}-{month}-{day}", shown), shown)
        if _are_day_and_month(int(day), int(month)):
            raise _unclear(shown, shown)
    return None


def _is_month(names: Sequence[str]) -> bool:
    """Whether these are two folders `2018/01`, nearest first."""
    return len(names) == 2 and bool(re.fullmatch(r"0[1-9]|1[0-2]", names[0]) and re.fullmatch(_YEAR, names[1]))


def _is_all_date(name: str) -> bool:
    """Whether the whole name is a date, or looks like one."""
    return bool(_DATE.fullmatch(name) or _LOOKS_LIKE_ONE.fullmatch(name))


def _unclear(name: str, part: str) -> ValueError:
    looks = f"{name} looks like a date, but" if part == name else f"{name} holds what looks like a date, but {part}"
    return ValueError(f"{looks} is not of the form YYYY-MM-DD or YYYYMMDD (rename it, or give --batch-date)")


def _day_of(match: re.Match[str], name: str) -> date:
    """The day that a match of _DATE means."""
    compact = match["compact"]
    if compact is None:
        return _calendar_day(f"{match['year']}-{match['month']}-{match['day']}", name)
    return _calendar_day(f"{compact[:4]}-{compact[4:6]}-{compact[6:]}", name)


def _calendar_day(text: str, name: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name} holds {text}, which is no day of the calendar (or give --batch-date)") from None


def _others(name: str) -> list[str]:
    """What in a name looks like a date in another form."""
    return [match[0] for match in _LOOKS_LIKE_ONE.finditer(name) if _is_plausible(match)]


def _is_plausible(match: re.Match[str]) -> bool:
    """Whether the parts that are not the year can be a day and a month, in any order."""
    pairs = [("y1", "y2"), ("d1", "d2"), ("c1", "c2"), ("s1", "s2"), ("s2", "s3")]
    there = [(int(match[one]), int(match[two])) for one, two in pairs if match[one]]
    return not there or any(_are_day_and_month(one, two) for one, two in there)


def _are_day_and_month(one: int, two: int) -> bool:
    return 1 <= min(one, two) <= 12 and 1 <= max(one, two) <= 31
