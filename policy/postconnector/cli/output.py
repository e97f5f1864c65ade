"""What people and machines see: tables and colours on a terminal, plain text in a pipe, JSON.

rich is imported where it is used, as that takes a while and most commands in a pipe have no use
for it.
"""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

from postconnector.model.problem import Problem, Severity

if TYPE_CHECKING:
    from rich.console import Console

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow"}
_ENCODER = json.JSONEncoder(ensure_ascii=False)
_DIFF_COLOURS = {"+": "green", "-": "red", "~": "yellow", "@": "cyan"}


def print_line(text: str = "") -> None:
    """One line on standard output."""
    sys.stdout.write(f"{text}\n")


def tell(text: str) -> None:
    """A line about what was just done, now; whether it is read or not makes no difference to that.

    Where standard output is gone (a reader that has left, a full disk), standard error has it.
    """
    try:
        print_line(text)
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.stdout.flush()
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        print_error(text)


def print_json(value: object) -> None:
    """A value as JSON on standard output."""
    print_line(json.dumps(value, indent=2, ensure_ascii=False))


def print_json_line(value: object) -> None:
    """A value as JSON in one line on standard output."""
    print_line(_ENCODER.encode(value))


def print_error(text: str) -> None:
    """A message of ours on standard error, in the form of Postfix' commands."""
    with suppress(OSError):  # nobody is there to be told
        sys.stderr.write(f"postconnector: {text}\n")


def print_problems(problems: Iterable[Problem]) -> None:
    """A line for each problem, on standard error."""
    for problem in problems:
        place, word, rest = str(problem).partition(f"{problem.severity}: ")
        _print_styled(place, (word, _COLOURS[problem.severity]), rest, stderr=True)


def print_notes(heading: str, notes: Sequence[str]) -> None:
    """A heading and a list of sentences on standard error; nothing if there are none."""
    if not notes:
        return
    _print_styled((f"{heading}:", "bold"), stderr=True)
    for note in notes:
        _print_styled(f"  {_printable(note)}", stderr=True)


def _printable(text: str) -> str:
    """Somebody's text without what would break a line or steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table: drawn on a terminal, aligned columns in a pipe."""
    rows = [[cell or "-" for cell in row] for row in rows]
    if sys.stdout.isatty():
        from rich.table import Table
        from rich.text import Text

        table = Table(*columns, header_style="bold")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        _console(stderr=False).print(table, soft_wrap=False)
        return
    lines = [list(columns), *rows]
    widths = [max(len(line[n]) for line in lines) for n in range(len(columns))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print_line("  ".join(cells).rstrip())


def print_diff(lines: Iterable[str]) -> None:
    """A diff, in colours on a terminal: `+` comes, `-` goes, `~` changes unseen."""
    on_terminal = _console(stderr=False).is_terminal
    for line in lines:
        if on_terminal:
            _print_styled((line, _DIFF_COLOURS.get(line[:1], "")))
        else:
            print_line(line)


def print_heading(text: str) -> None:
    """What the lines below it are about, after an empty line."""
    print_line()
    if sys.stdout.isatty():
        _print_styled((text, "bold"))
    else:
        print_line(text)


def _print_styled(*parts: str | tuple[str, str], stderr: bool = False) -> None:
    """A line of texts, some of them with a style of rich."""
    from rich.text import Text

    _console(stderr=stderr).print(Text.assemble(*parts))


@cache
def _console(*, stderr: bool) -> "Console":
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def print_list(properties: Mapping[str, object]) -> None:
    """Properties one a line, names aligned, as Format-List does."""
    width = max(len(name) for name in properties)
    for name, value in properties.items():
        print_line(f"{name:<{width}} : {_as_listed(value)}".rstrip())


def _as_listed(value: object) -> str:
    match value:
        case None:
            return ""
        case list():
            return "{" + ", ".join(str(element) for element in value) + "}"
        case dict():
            return ", ".join(f"{name} {content}" for name, content in value.items())
        case _:
            return str(value)
