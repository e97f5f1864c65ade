"""How work on a host says how far it is."""

from typing import Protocol


class Progress(Protocol):
    """Somebody who is told."""

    def begins(self, step: str) -> None:
        """A step begins that may take a while: `building the tables`."""

    def says(self, line: str) -> None:
        """Something is done, and worth a line: `built generation 7`."""
