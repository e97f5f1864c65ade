"""What `Get-SendConnector` prints by itself: a table with a line of dashes below its header.

Identity  AddressSpaces Enabled
--------  ------------- -------
Internet  {SMTP:*;1}    True
"""

import re
from itertools import pairwise

from postconnector.sources.exported.objects import (
    ExportedObject,
    UnreadableExportError,
    Unresolved,
    Value,
)
from postconnector.sources.exported.powershell_lexis import normalised
from postconnector.sources.exported.printed_values import CUT_OFF, printed_value

MAX_COLUMNS = 64

_DASHES = re.compile(r"-++")
_RULE = re.compile(r"[ -]*-[ -]*+")
_ATOM = re.compile(r"\{[^{}]*+\}|\S++")
_PROMPT = re.compile(r"\s*+(?:\[PS\]|PS [^>]*+>|[A-Z]:\\[^>]*+>)", re.IGNORECASE)


def read_format_table(text: str) -> list[ExportedObject]:
    """The rows of every table in a text; a table ends at a blank line or a prompt.

    Rows are cut where the dashes say. A row that does not fit below them, as pasted ones do not,
    is cut at its blanks; what is too much belongs to the first column. Raises
    UnreadableExportError, with the line, for a row with too few values, and for a text beyond
    `powershell_lexis.MAX_CHARACTERS` or a table beyond `MAX_COLUMNS`.
    """
    objects: list[ExportedObject] = []
    columns: list[_Column] = []
    before = ""
    for number, line in enumerate(normalised(text).split("\n"), start=1):
        line = line.rstrip()
        if not line or _PROMPT.match(line):
            columns = []
        elif _RULE.fullmatch(line) and (header := _columns(before, line, number)):
            columns = header
        elif columns:
            objects.append(ExportedObject(_row(line, columns, number), line=number))
        before = line
    return objects


class _Column:
    """A column's name and where its dashes are."""

    def __init__(self, name: str, dashes: re.Match[str]) -> None:
        self.name = name
        self.start, self.end = dashes.span()

    def fits(self, start: int, end: int) -> bool:
        """Whether a cell stands below the dashes, to the left or to the right."""
        return start == self.start or end == self.end


def _columns(header: str, rule: str, number: int) -> list[_Column]:
    """The columns of a table; none if these lines are no header of one."""
    names, dashes = header.split(), list(_DASHES.finditer(rule))
    if len(dashes) > MAX_COLUMNS:
        raise UnreadableExportError(f"a table has more than {MAX_COLUMNS} columns", number)
    if [len(name) for name in names] != [match.end() - match.start() for match in dashes]:
        names = [header[match.start() : match.end()].strip() for match in dashes]
        if len(names) < 2 or not all(names) or " ".join(names).split() != header.split():
            return []
    return [_Column(name, match) for name, match in zip(names, dashes, strict=True)]


def _row(line: str, columns: list[_Column], number: int) -> dict[str, Value]:
    cells = _cut_below_dashes(line, columns) or _cut_at_blanks(line, len(columns))
    if cells is None:
        message = f"this row has fewer values than the table has columns ({len(columns)})"
        raise UnreadableExportError(message, number)
    return {column.name: _cell_value(cell) for column, cell in zip(columns, cells, strict=True)}


def _cut_below_dashes(line: str, columns: list[_Column]) -> list[str] | None:
    """The cells of a row that is laid out as its header is."""
    cuts = [0]
    for left, right in pairwise(columns):
        if left.end >= len(line):
            cuts.append(len(line))
            continue
        cut = line.rfind(" ", left.end, right.start)
        if cut < 0:
            return None
        cuts.append(cut)
    cuts.append(len(line))
    cells = [line[start:end].strip() for start, end in pairwise(cuts)]
    for column, cell, (start, end) in zip(columns, cells, pairwise(cuts), strict=True):
        last = start + len(line[start:end].rstrip())
        if cell and ("  " in cell or not column.fits(last - len(cell), last)):
            return None
    return cells if cells[0] else None


def _cut_at_blanks(line: str, count: int) -> list[str] | None:
    """The cells of a row that was moved together; all words too many are the first's."""
    atoms = list(_ATOM.finditer(line))
    if len(atoms) < count:
        return None
    first_end = atoms[len(atoms) - count].end()
    rest = [atom[0] for atom in atoms[len(atoms) - count + 1 :]]
    return [line[:first_end].strip(), *rest]


def _cell_value(cell: str) -> Value:
    """A cell's value; what the column was too narrow for is not known."""
    if not cell.endswith(CUT_OFF):
        return printed_value(cell)
    if not cell.startswith("{"):
        return Unresolved(cell)
    whole, separator, _cut = cell.rpartition(", ")
    return printed_value(f"{whole}...}}" if separator else "{...}")
