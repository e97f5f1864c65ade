"""A connectors file as the texts of its connectors, to see which of them are as they were.

Only of TOML, and only where the texts can be told apart by their headers alone: without strings of
several lines, in which a header may stand, and without other tables behind the first connector.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from postconnector.sources.connector_entry import CONNECTORS

_TABLE = re.compile(r"\n(?=[ \t]*\[)")
_ENTRY = re.compile(rf"[ \t]*\[\[[ \t]*{CONNECTORS}[ \t]*\]\]")
_OF_ENTRY = re.compile(rf"[ \t]*\[[ \t]*{CONNECTORS}[ \t]*\.")
_NOT_TOLD_APART = ("'''", '"""', "\r")
_BLANKS = " \t\n"
"""Of TOML; others are no blanks, and the file is broken."""


@dataclass(frozen=True, slots=True)
class EntryTexts:
    """`head`: all that stands before the first connector."""

    head: str
    entries: tuple[str, ...]

    def with_entries(self, entries: Iterable[str]) -> str:
        """A connectors file with this head and other connectors."""
        return "\n".join((self.head, *entries, ""))


@dataclass(frozen=True, slots=True)
class ChangedEntries:
    """From the connector number `start` (from 0) on, `gone` are replaced by `new` others."""

    start: int
    gone: int
    new: int


def entry_texts(text: str) -> EntryTexts | None:
    """Take a file apart that has LF alone at the ends of its lines; None where that can't be done.

    Whether it is TOML is not looked at. Blanks at the ends of texts are left out.
    """
    if any(odd in text for odd in _NOT_TOLD_APART):
        return None
    head: list[str] = []
    entries: list[str] = []
    for part in _TABLE.split(f"\n{text}"):
        if _ENTRY.match(part):
            entries.append(part.rstrip(_BLANKS))
        elif not entries:
            head.append(part)
        elif _OF_ENTRY.match(part):
            entries[-1] += f"\n{part.rstrip(_BLANKS)}"
        else:
            return None
    return EntryTexts("\n".join(head).strip(_BLANKS), tuple(entries))


def changed_entries(old: EntryTexts, new: EntryTexts) -> ChangedEntries:
    """The shortest stretch outside of which both have the same connectors; heads don't count."""
    most = min(len(old.entries), len(new.entries))
    same = zip(old.entries, new.entries, strict=False)
    start = next((n for n, (one, other) in enumerate(same) if one != other), most)
    backwards = zip(reversed(old.entries), reversed(new.entries), strict=False)
    end = next((n for n, (one, other) in enumerate(backwards) if one != other), most)
    end = min(end, most - start)
    return ChangedEntries(start, len(old.entries) - end - start, len(new.entries) - end - start)
