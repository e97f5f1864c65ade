"""Time spans as .NET reads and prints them: `[d.]hh:mm[:ss[.fffffff]]` (TimeSpan.Parse)."""

import re
from dataclasses import dataclass

_TICKS = 10_000_000
_FORM = re.compile(
    r"(?:(?P<days>[0-9]{1,8})\.)?(?P<hours>[0-9]{1,2}):(?P<minutes>[0-9]{1,2})"
    r"(?::(?P<seconds>[0-9]{1,2})(?:\.(?P<fraction>[0-9]{1,7}))?)?"
)
_DAYS = re.compile(r"[0-9]{1,8}")


@dataclass(frozen=True, slots=True, order=True)
class TimeSpan:
    """A length of time, not negative, in .NET's ticks of 100 nanoseconds."""

    ticks: int

    @classmethod
    def of_seconds(cls, seconds: int) -> "TimeSpan":
        """A whole number of seconds."""
        return cls(seconds * _TICKS)

    @classmethod
    def parse(cls, text: str) -> "TimeSpan":
        """Read `00:10:00` or `1.00:00:00`; a bare number is days, as in .NET.

        Raises ValueError, saying what would be right.
        """
        text = text.strip()
        if _DAYS.fullmatch(text):
            return cls.of_seconds(int(text) * 86_400)
        match = _FORM.fullmatch(text)
        if match is None:
            raise ValueError("this is no time span; write hours:minutes:seconds, such as 00:10:00")
        hours, minutes = int(match["hours"]), int(match["minutes"])
        seconds = int(match["seconds"] or 0)
        if hours == 24 and not minutes and not seconds:
            raise ValueError("hours go from 0 to 23; one day is written 1.00:00:00")
        if hours > 23 or minutes > 59 or seconds > 59:
            raise ValueError("hours go from 0 to 23, minutes and seconds from 0 to 59")
        whole = ((int(match["days"] or 0) * 24 + hours) * 60 + minutes) * 60 + seconds
        return cls(whole * _TICKS + int((match["fraction"] or "0").ljust(7, "0")))

    @property
    def seconds(self) -> float:
        """The length in seconds."""
        return self.ticks / _TICKS

    def __str__(self) -> str:
        whole, fraction = divmod(self.ticks, _TICKS)
        minutes, seconds = divmod(whole, 60)
        hours, minutes = divmod(minutes, 60)
        days, hours = divmod(hours, 24)
        text = f"{hours:02}:{minutes:02}:{seconds:02}"
        return (f"{days}." if days else "") + text + (f".{fraction:07}" if fraction else "")
