"""Where in a connectors file its connectors stand, to see which of them change.

Only of TOML, and only where they can be told apart by their headers alone: without strings of
several lines, in which a header may stand, and without other tables behind the first connector.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from postconnector.sources.connector_entry import CONNECTORS

_NAME = CONNECTORS.encode()
_TABLE = re.compile(rb"^[ \t]*\[", re.MULTILINE)
_ENTRY = re.compile(rb"[ \t]*\[\[[ \t]*" + _NAME + rb"[ \t]*\]\]")
_OF_ENTRY = re.compile(rb"[ \t]*\[[ \t]*" + _NAME + rb"[ \t]*\.")
_NOT_TOLD_APART = (b"'''", b'"""')


@dataclass(frozen=True, slots=True)
class Entries:
    """A connectors file, and where in it (bytes from its beginning) each connector begins."""

    data: bytes = field(repr=False)
    starts: Sequence[int]

    def text(self, number: int) -> bytes:
        """That of a connector, by its number from 0 on."""
        following = self.starts[number + 1 : number + 2]
        return self.data[self.starts[number] : following[0] if following else None]

    def with_entries(self, entries: Iterable[bytes]) -> bytes:
        """A connectors file with what stands before the first one, and other connectors."""
        return b"".join((self.data[: self.starts[0]], *entries))


@dataclass(frozen=True, slots=True)
class ChangedEntries:
    """From the connector number `start` (from 0) on, `gone` are replaced by `new` others."""

    start: int
    gone: int
    new: int


def entry_starts(data: bytes) -> tuple[int, ...] | None:
    """Where connectors begin; None where they can't be told apart.

    Whether it is TOML is not looked at.
    """
    if any(odd in data for odd in _NOT_TOLD_APART):
        return None
    starts: list[int] = []
    for table in _TABLE.finditer(data):
        if _ENTRY.match(data, table.start()):
            starts.append(table.start())
        elif starts and not _OF_ENTRY.match(data, table.start()):
            return None
    return tuple(starts)


def changed_entries(old: Entries, new: bytes) -> tuple[ChangedEntries, Entries] | None:
    """The shortest stretch of connectors outside of which a file has the same bytes, and where its
    connectors begin; None where that can't be told, or more is changed.

    Only the stretch is looked through: whether it is TOML by itself has to be seen, as what is
    open at its end would reach further.
    """
    places = (*old.starts, len(old.data))
    first = bisect_right(places, _same_at_start(old.data, new)) - 1
    while first >= 0 and not _may_follow(new, places[first]):
        first -= 1
    if first < 0:
        return None
    grown = len(new) - len(old.data)
    last = max(first, bisect_left(places, len(old.data) - _same_at_end(old.data, new)))
    while places[last] + grown < places[first] or not _may_follow(new, places[last] + grown):
        last += 1
    begin, end = places[first], places[last] + grown
    found = entry_starts(new[begin:end])
    if found is None:
        return None
    starts = (
        *old.starts[:first],
        *(begin + start for start in found),
        *(start + grown for start in old.starts[last:]),
    )
    return ChangedEntries(first, last - first, len(found)), Entries(new, starts)


def _may_follow(data: bytes, place: int) -> bool:
    """Whether a connector begins here, or the file ends."""
    at_line = place == 0 or data[place - 1 : place] == b"\n"
    return place == len(data) or (at_line and _ENTRY.match(data, place) is not None)


def _same_at_start(one: bytes, other: bytes) -> int:
    """How many bytes are the same."""
    return _most(lambda n, more: one[n:more] == other[n:more], min(len(one), len(other)))


def _same_at_end(one: bytes, other: bytes) -> int:
    def same(n: int, more: int) -> bool:
        return one[len(one) - more : len(one) - n] == other[len(other) - more : len(other) - n]

    return _most(same, min(len(one), len(other)))


def _most(alike: Callable[[int, int], bool], end: int) -> int:
    """How many are alike, of this many; `alike` tells it of those from one number to another."""
    found = 0
    while found < end:
        middle = (found + end + 1) // 2
        if alike(found, middle):
            found = middle
        else:
            end = middle - 1
    return found
