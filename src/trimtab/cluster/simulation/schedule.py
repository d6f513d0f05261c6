"""Cron schedules of CronJobs: five fields, names, steps, ranges, the `@daily` kind of words."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

import msgspec

from trimtab.errors import TrimtabError

__all__ = ["BadSchedule", "Schedule", "parse_schedule"]

_WORDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTH_NAMES = ("jan feb mar apr may jun", "jul aug sep oct nov dec")
_MONTHS = {name: n for n, name in enumerate(" ".join(_MONTH_NAMES).split(), start=1)}
_DAYS = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
_FIELDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, _MONTHS),
    (0, 7, _DAYS),
)


class BadSchedule(TrimtabError):
    """A schedule that cannot be read."""

    reason = "UnparseableSchedule"


class Schedule(msgspec.Struct, frozen=True):
    """When something is due, by minute."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool

    def _takes_day(self, moment: datetime) -> bool:
        """With both day fields restricted either one suffices, as cron has it."""
        by_day = moment.day in self.days
        by_weekday = moment.isoweekday() % 7 in self.weekdays
        if self.any_day or self.any_weekday:
            return by_day and by_weekday
        return by_day or by_weekday

    def next_after(self, moment: datetime, *, zone: tzinfo) -> datetime | None:
        """The first due minute after `moment`, in its time zone; None within five years."""
        local = moment.astimezone(zone).replace(second=0, microsecond=0) + timedelta(minutes=1)
        end = local + timedelta(days=5 * 366)
        while local < end:
            if local.month not in self.months or not self._takes_day(local):
                local = local.replace(hour=0, minute=0) + timedelta(days=1)
            elif local.hour not in self.hours:
                local = local.replace(minute=0) + timedelta(hours=1)
            elif local.minute not in self.minutes:
                local += timedelta(minutes=1)
            else:
                return local.astimezone(moment.tzinfo)
        return None


def parse_schedule(text: str) -> Schedule:
    """Reads a schedule. Raises BadSchedule."""
    fields = _WORDS.get(text.strip().lower(), text).split()
    if len(fields) != 5:
        raise BadSchedule(f"schedule {text!r} does not have five fields")
    values = [
        _field(field, low, high, names, text)
        for field, (low, high, names) in zip(fields, _FIELDS, strict=True)
    ]
    minutes, hours, days, months, weekdays = values
    return Schedule(
        minutes,
        hours,
        days,
        months,
        frozenset(day % 7 for day in weekdays),
        any_day=fields[2][0] in "*?",
        any_weekday=fields[4][0] in "*?",
    )


def _field(field: str, low: int, high: int, names: dict[str, int], text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        try:
            first, last = _span(span, low, high, names, open_ended=bool(step))
            every = int(step) if step else 1
        except ValueError as error:
            raise BadSchedule(f"schedule {text!r}: {part!r} cannot be read") from error
        if not low <= first <= last <= high or every < 1:
            raise BadSchedule(f"schedule {text!r}: {part!r} is out of range {low}-{high}")
        found.update(range(first, last + 1, every))
    return frozenset(found)


def _span(
    span: str, low: int, high: int, names: dict[str, int], *, open_ended: bool
) -> tuple[int, int]:
    if span in {"*", "?"}:
        return low, high if high != 7 else 6
    first, dash, last = span.partition("-")

    def number(word: str) -> int:
        return names[word.lower()] if word.lower() in names else int(word)

    start = number(first)
    if dash:
        return start, number(last)
    return start, high if open_ended else start
