"""What is wrong with what an administrator wrote.

A Problem says where (file, line, connector, property), what is wrong and what would be
right. It knows no file: the source that read the file fills in where it stands.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

DocumentPath = tuple[str | int, ...]
"""Where a value stands in a document, e.g. ("send_connector", 0, "address_spaces", 2)."""


class Severity(StrEnum):
    """Errors refuse the whole document; warnings let it pass."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, in one line."""

    message: str
    path: DocumentPath = ()
    connector: str | None = None
    property: str | None = None
    severity: Severity = Severity.ERROR
    file: str | None = None
    line: int | None = None

    def at(self, file: str, line: int | None) -> "Problem":
        """The same problem with the place in a file where it stands."""
        return replace(self, file=file, line=line)

    def __str__(self) -> str:
        place = self.file or ""
        if self.line is not None:
            place += f":{self.line}"
        parts = [place, self.severity.value]
        if self.connector is not None:
            parts.append(f'send_connector "{self.connector}"')
        if self.property is not None:
            parts.append(self.property)
        return ": ".join([part for part in parts if part] + [self.message])


def quoted(text: str, limit: int = 60) -> str:
    """Somebody's text as it may stand in a message of ours: one line, printable, not endless."""
    if len(text) > limit:
        text = text[:limit] + "…"
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return f'"{text}"'


def some_of(names: Iterable[str], most: int = 12) -> str:
    """Names as a message lists them: not endlessly many."""
    listed = list(names)
    shown = ", ".join(quoted(name)[1:-1] for name in listed[:most])
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return f"{shown}{more}" or "none"


def control_character(text: str) -> str | None:
    """Name the first character of `text` that would break a line or steer a terminal, if any."""
    if text.isprintable():
        return None
    first = next(character for character in text if not character.isprintable())
    return f"U+{ord(first):04X}"
