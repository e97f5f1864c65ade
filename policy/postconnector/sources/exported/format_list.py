"""What `Get-SendConnector | Format-List` prints: `Name : value`, the colons below each other.

Name          : Internet
AddressSpaces : {SMTP:*;1}
Comment       : a text longer than the window is wide goes on
                below its own beginning
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from postconnector.sources.exported.objects import ExportedObject
from postconnector.sources.exported.powershell_lexis import normalised
from postconnector.sources.exported.printed_values import printed_value

_PROPERTY = re.compile(r"( *+)(\w++)( ++):(?: (.*)|$)")
_RULE = re.compile(r"\s*+\*{5,}+\s*+")


@dataclass(slots=True)
class _Printed:
    """One object as it was printed: the lines of each property's value."""

    line: int
    column: int
    """Where the values begin."""
    pieces: dict[str, list[str]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    is_over: bool = False
    """Whether a blank line has followed."""

    def takes(self, name: str, column: int) -> bool:
        """Whether a property of that name belongs to this object."""
        return not self.is_over and column == self.column and name.lower() not in self.names

    def begin(self, name: str, piece: str) -> None:
        """Add a property with the first line of its value."""
        self.names.add(name.lower())
        self.pieces[name] = [piece]

    def go_on(self, line: str) -> None:
        """Add a further line to the last property's value."""
        self.pieces[next(reversed(self.pieces))].append(line[self.column :])


def read_format_list(text: str) -> list[ExportedObject]:
    """The objects of a text, in order; a blank line, or a name once more, begins the next.

    Text around them is passed over: prompts, headings, the frame of a transcript. Raises
    UnreadableExportError for a text beyond `powershell_lexis.MAX_CHARACTERS`.
    """
    printed: list[_Printed] = []
    current: _Printed | None = None
    for number, line in _outside_of_frames(normalised(text).split("\n")):
        if not line.strip():
            if current is not None:
                current.is_over = True
        elif current is not None and not line[: current.column].strip():
            current.go_on(line)
        else:
            current = _begun(current, line, number)
            if current is not None and not (printed and printed[-1] is current):
                printed.append(current)
    width = _width(printed)
    return [_exported(one, width) for one in printed]


def _begun(current: _Printed | None, line: str, number: int) -> _Printed | None:
    """The object to which this line adds a property; None if it shows no property."""
    match = _PROPERTY.fullmatch(line)
    if match is None:
        return None
    column = match.end(3) + 2
    if current is None or not current.takes(match[2], column):
        current = _Printed(number, column)
    current.begin(match[2], match[4] or "")
    return current


def _outside_of_frames(lines: list[str]) -> Iterator[tuple[int, str]]:
    """The lines with their numbers, but for a transcript's header and footer between asterisks."""
    in_frame = False
    for number, line in enumerate(lines, start=1):
        is_rule = _RULE.fullmatch(line) is not None
        following = lines[number] if number < len(lines) else ""
        if not is_rule and not in_frame:
            yield number, line
        elif is_rule:
            in_frame = not in_frame and "PowerShell" in following
        elif not line.strip():
            in_frame = False


def _width(printed: list[_Printed]) -> int:
    """How wide the window was, as far as wrapped lines tell."""
    return max(
        (
            one.column + len(piece)
            for one in printed
            for pieces in one.pieces.values()
            for piece in pieces[:-1]
        ),
        default=0,
    )


def _exported(one: _Printed, width: int) -> ExportedObject:
    properties = {
        name: printed_value(_joined(pieces, width - one.column))
        for name, pieces in one.pieces.items()
    }
    return ExportedObject(properties, line=one.line)


def _joined(pieces: list[str], width: int) -> str:
    """A value from its lines, which PowerShell cuts at blanks, and within words too long for one.

    `width` is that of the longest line. Where the blank at a cut is lost, as copying does, it is
    put back if the line is shorter than that, or the word would have fitted into a line.
    """
    parts: list[str] = []
    for piece, following in pairwise(pieces):
        bare = piece.rstrip()
        is_list = pieces[0].startswith("{") and bare.endswith(",")
        word = len(bare.rpartition(" ")[2]) + len(following.partition(" ")[0])
        at_blank = bare != piece or is_list or len(piece) < width or word <= width
        parts.append(bare + " " if at_blank else bare)
    return "".join([*parts, pieces[-1]])
