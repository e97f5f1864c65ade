"""Which of thousands of connectors a change of a few may concern, so that only these need compiling
(see `part`). Pure.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from postconnector.postfix.register import Entry, Register
from postconnector.postfix.sharing import MOST_OWN_SERVICES
from postconnector.sources.entry_texts import ChangedEntries, Entries, changed_entries

_MOST_CHANGED = 50
_MOST_IN_PART = 500
"""With more connectors the whole is compiled nearly as fast."""

_KINDS_IN_A_SERVICE = 6
_OF_EACH_KIND = 2
"""Two share a service where one would have its own."""


class NeedsAllError(Exception):
    """All connectors have to be compiled; the text says why."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A part of the connectors: those that change, and some that do not, by their numbers."""

    change: ChangedEntries
    unchanged: tuple[int, ...]

    @property
    def first_changed(self) -> int:
        """Where in the part the connectors stand that change."""
        return sum(number < self.change.start for number in self.unchanged)

    def gone(self, register: Register) -> tuple[Entry, ...]:
        """The connectors that go, or change."""
        return register.entries[self.change.start : self.change.start + self.change.gone]

    def before(self, entries: Entries) -> bytes:
        """A connectors file of the part as it was, out of the whole."""
        return self._part(entries, self.change.gone, 0)

    def after(self, entries: Entries) -> bytes:
        """The same as it is to be."""
        return self._part(entries, self.change.new, self.change.new - self.change.gone)

    def _part(self, entries: Entries, changed: int, moved: int) -> bytes:
        first, start = self.first_changed, self.change.start
        numbers = (
            *self.unchanged[:first],
            *range(start, start + changed),
            *(number + moved for number in self.unchanged[first:]),
        )
        return entries.with_entries(map(entries.text, numbers))


def small_change(published: Entries, connectors_file: bytes) -> tuple[ChangedEntries, Entries]:
    """Find the connectors that change, if any, and where those of the file stand.

    Raises NeedsAllError where there are many, or more is changed.
    """
    found = changed_entries(published, connectors_file)
    if found is None:
        raise NeedsAllError("more changes than connectors, or they can't be told apart")
    change, entries = found
    if max(change.gone, change.new) > _MOST_CHANGED:
        raise NeedsAllError("many of the connectors change")
    return change, entries


def cut_out(register: Register, change: ChangedEntries, new: Sequence[Entry]) -> Cut:
    """Choose what belongs to the part: whatever has to do with what changes, and some of the rest.

    `new`: the connectors that come, whose services are not looked at. Raises NeedsAllError.
    """
    changing = range(change.start, change.start + change.gone)
    gone = [register.entries[number] for number in changing]
    for entry in (*gone, *new):
        if not entry.is_plain:
            raise NeedsAllError(f"{entry.name} reaches further than its domains and next hops")
    staying = [(n, entry) for n, entry in enumerate(register.entries) if n not in changing]
    _require_new_names(new, (entry for _, entry in staying))
    if sum(bool(entry.service) for _, entry in staying) <= MOST_OWN_SERVICES:
        raise NeedsAllError("there are few connectors")
    domains = {domain for entry in (*gone, *new) for domain in entry.domains.split()}
    chosen = _some_of_each_service(staying).union(
        number
        for number, entry in staying
        if entry.reaches_further or not domains.isdisjoint(entry.domains.split())
    )
    in_part = (*gone, *new, *(register.entries[number] for number in chosen))
    chosen |= _some_of_each_login(staying, {hop for entry in in_part for hop in entry.next_hops})
    if len(chosen) > _MOST_IN_PART:
        raise NeedsAllError("it may concern many connectors")
    return Cut(change, tuple(sorted(chosen)))


def _require_new_names(new: Iterable[Entry], others: Iterable[Entry]) -> None:
    known = {entry.name.casefold() for entry in others}
    for entry in new:
        if entry.name.casefold() in known:
            raise NeedsAllError(f"{entry.name} is there already")


def _some_of_each_service(staying: Iterable[tuple[int, Entry]]) -> set[int]:
    """Enough for a part to have the services of the whole, shared as they are, and their tables."""
    of_services: dict[str, dict[tuple[str, bool], list[int]]] = defaultdict(dict)
    others: list[int] = []
    for number, entry in staying:
        if not entry.service:
            continue
        kinds = of_services[entry.service]
        kind = kinds.setdefault((entry.tls_policy, len(entry.next_hops) > 1), [])
        if len(kind) < _OF_EACH_KIND and len(kinds) <= _KINDS_IN_A_SERVICE:
            kind.append(number)
        elif len(others) <= MOST_OWN_SERVICES:
            others.append(number)
    chosen = {n for each in of_services.values() for numbers in each.values() for n in numbers}
    return chosen.union(others)


def _some_of_each_login(staying: Iterable[tuple[int, Entry]], hops: set[str]) -> set[int]:
    """Some of all who say something else of these next hops, and so keep others from a service."""
    found: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for number, entry in staying:
        if hops.isdisjoint(entry.next_hops):
            continue
        said = entry.service, entry.tls_policy, entry.user_name, entry.password_file
        if len(kind := found[frozenset(entry.next_hops), *said]) < _OF_EACH_KIND:
            kind.append(number)
    return {number for numbers in found.values() for number in numbers}
