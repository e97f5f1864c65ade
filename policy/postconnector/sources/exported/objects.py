"""What every reader of an export gives: objects with properties, in the export's own spelling."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A value that only Exchange's own shell could have computed: `$Node.Name`, `(Get-…)`."""

    text: str


Value: TypeAlias = "str | int | bool | Unresolved | list[Value] | dict[str, Value] | None"
"""None is $null or an empty cell; a list has been a collection; a dict an object of its own."""


@dataclass(frozen=True, slots=True)
class ExportedObject:
    """One connector (or whatever else was exported), uninterpreted.

    `line` is where it begins in the file, from 1. `type_name` is what the export says the object
    is, if it says so: a .NET type, a DSC resource. `command` is the command it was given to
    (New-SendConnector, Set-SendConnector), None where the export shows what there is.
    """

    properties: Mapping[str, Value]
    line: int | None = None
    type_name: str | None = None
    command: str | None = None


class UnreadableExportError(Exception):
    """The file is no export of this format, or is broken or hostile; the text says why.

    `line` is where, from 1, if known.
    """

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line
