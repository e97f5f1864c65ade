"""What an import has to tell the administrator."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What became of a property."""

    TAKEN = "taken"
    LEFT_OUT = "left out"
    NEEDS_YOU = "needs you"


@dataclass(frozen=True, slots=True)
class Note:
    """One sentence about a connector, and a property of it if it is about one."""

    kind: Kind
    text: str
    connector: str | None = None
    property: str | None = None

    def __str__(self) -> str:
        parts = [part for part in (self.connector and f'"{self.connector}"', self.property) if part]
        return ": ".join([*parts, self.text])
