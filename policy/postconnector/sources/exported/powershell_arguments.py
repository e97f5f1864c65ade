"""The arguments of one command: parameters by name, switches, splatted hash tables, a first value.

Read as PowerShell reads them, which needs to know the names of switches; no other parameter is
known here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from postconnector.sources.exported.objects import Unresolved, Value
from postconnector.sources.exported.powershell_lexis import DASHES, Lexis
from postconnector.sources.exported.powershell_values import ValueReader

_PARAMETER = re.compile(rf"[{DASHES}]([A-Za-z_]\w*+)(?:(:)|(?=[\s;|,(){{}}&`]|\Z))")
_SPLATTED = re.compile(r"@(\w++)")
_REDIRECTION = re.compile(r"[\d*]?>")
_BOOLEAN = re.compile(r"\$(?:true|false)\b", re.IGNORECASE)
_ENDS_COMMAND = "\n;|)}&"
_OPTIONAL_PARAMETER = re.compile(rf"\[[{DASHES}]")
_SWITCHES = {
    *("custom", "internal", "internet", "partner"),
    *("confirm", "force", "whatif", "verbose", "debug"),
}


@dataclass(frozen=True, slots=True)
class Arguments:
    """What follows a command's name, up to `end`.

    `names_parameters` is False for `Set-SendConnector Internet` and for prose.
    """

    properties: Mapping[str, Value]
    end: int
    names_parameters: bool


def read_arguments(
    lexis: Lexis, variables: Mapping[str, Value], position: int, first: str
) -> Arguments:
    """The arguments from a position on; a value without a parameter's name is that of `first`.

    Raises UnreadableExportError for a parameter that is given twice, a second value without a
    name, and what cannot be read as values.
    """
    return _ArgumentsReader(ValueReader(lexis, variables, position), variables, first).read()


class _ArgumentsReader:
    def __init__(self, reader: ValueReader, variables: Mapping[str, Value], first: str) -> None:
        self._reader = reader
        self._lexis = reader.lexis
        self._variables = variables
        self._first = first
        self._properties: dict[str, Value] = {}
        self._given: set[str] = set()
        self._unnamed: list[tuple[Value, int]] = []

    def read(self) -> Arguments:
        is_syntax = False
        while not self._at_end():
            start = self._reader.position
            is_syntax = is_syntax or bool(_OPTIONAL_PARAMETER.match(self._lexis.text, start))
            if parameter := _PARAMETER.match(self._lexis.text, start):
                self._named(parameter)
            elif splatted := _SPLATTED.match(self._lexis.text, start):
                self._splat(splatted)
            else:
                self._unnamed.append((self._reader.argument(), start))
        names_parameters = bool(self._properties) and not is_syntax
        self._place_unnamed(names_parameters)
        return Arguments(self._properties, self._reader.position, names_parameters)

    def _at_end(self) -> bool:
        """Whether the command ends behind the blanks here."""
        text = self._lexis.text
        before = self._reader.position
        position = self._reader.position = self._lexis.skip_blanks(before)
        if position == before and text[position : position + 1] == ";":
            self._refuse_cost_without_quotes(position)
        return self._ends_here(position)

    def _ends_here(self, position: int) -> bool:
        text = self._lexis.text
        return (
            position >= len(text)
            or text[position] in _ENDS_COMMAND
            or self._lexis.begins_comment(position)
            or _REDIRECTION.match(text, position) is not None
        )

    def _refuse_cost_without_quotes(self, position: int) -> None:
        """`-AddressSpaces SMTP:*;100` would silently lose all that follows the `;`."""
        if self._lexis.text[position + 1 : position + 2].isdigit():
            message = "PowerShell ends the command at this ;: the value needs quotes"
            raise self._lexis.error(message, position)

    def _named(self, parameter: re.Match[str]) -> None:
        self._reader.position = self._lexis.skip_blanks(parameter.end())
        value: Value = True
        if parameter[2] or self._has_value(parameter[1]):
            value = self._reader.argument()
        self._give(parameter[1], value, parameter.start())

    def _has_value(self, name: str) -> bool:
        """Whether the next argument belongs to this parameter, written without a colon."""
        text, position = self._lexis.text, self._reader.position
        if name.lower() in _SWITCHES:
            return _BOOLEAN.match(text, position) is not None
        is_next = _PARAMETER.match(text, position) or _SPLATTED.match(text, position)
        return not (is_next or self._ends_here(position))

    def _splat(self, splatted: re.Match[str]) -> None:
        self._reader.position = splatted.end()
        table = self._variables.get(splatted[1].lower())
        if not isinstance(table, dict):
            table = {splatted[0]: Unresolved(splatted[0])}
        for name, value in table.items():
            self._give(name, value, splatted.start())

    def _give(self, name: str, value: Value, position: int) -> None:
        if name.lower() in self._given:
            raise self._lexis.error(f"-{name} is given twice", position)
        self._given.add(name.lower())
        self._properties[name] = value

    def _place_unnamed(self, names_parameters: bool) -> None:
        """Of several values without names one is too many, but prose has many words."""
        free = 0 if self._first.lower() in self._given else 1
        if names_parameters and len(self._unnamed) > free:
            position = self._unnamed[free][1]
            raise self._lexis.error("this value has no parameter's name before it", position)
        if free and self._unnamed:
            self._properties = {self._first: self._unnamed[0][0], **self._properties}
