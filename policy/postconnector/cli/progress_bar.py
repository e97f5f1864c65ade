"""How far a command is, as a bar on a terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from postconnector.cli.output import tell
from postconnector.postfix.progress import Progress


class _OnTerminal:
    def __init__(self, bar: Bar, steps: int) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=steps)
        self._begun = 0

    def begins(self, step: str) -> None:
        # It draws by itself, in a thread of its own: no terminal that goes ends the work.
        self._bar.update(self._task, description=step, completed=self._begun)
        self._begun += 1

    def says(self, line: str) -> None:
        tell(line)


@contextmanager
def progress_bar(steps: int) -> Iterator[Progress]:
    """On standard error; it goes when it ends."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    on_one_screen = sys.stdout.isatty()
    with Bar(
        *columns,
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=on_one_screen,
        redirect_stderr=True,
    ) as bar:
        yield _OnTerminal(bar, steps)
