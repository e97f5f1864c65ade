"""How far a command is: a bar on a terminal, nothing in a pipe."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from postconnector.cli.output import tell
from postconnector.postfix.progress import Progress


class _Silent:
    def begins(self, step: str) -> None:
        """In a pipe nobody waits."""

    def says(self, line: str) -> None:
        tell(line)


@contextmanager
def progress(steps: int) -> Iterator[Progress]:
    """Show how far a command is that takes this many steps; the bar goes when it ends."""
    if not sys.stderr.isatty():
        yield _Silent()
        return
    from postconnector.cli.progress_bar import progress_bar  # rich takes a while

    with progress_bar(steps) as bar:
        yield bar
