"""Editing a connectors file (TOML): only what is meant changes; comments and order stay.

tomlkit replaces and removes values. A property or connector is put in, and a connector taken
out, by whole lines, because a comment above a connector is a comment on that connector, where
TOML has it as the end of the table before. Every edit is read back and compared.
"""

import re
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence
from dataclasses import dataclass
from typing import Any, cast

import tomlkit
import tomlkit.exceptions

from postconnector.model.problem import DocumentPath
from postconnector.model.property_names import folded
from postconnector.sources.connector_entry import CONNECTORS
from postconnector.sources.toml_lines import locate
from postconnector.sources.writing.toml_file import ConnectorTable, connector_table, toml_value

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_KEYS = (folded(CONNECTORS), folded("SendConnectors"))


class NoSuchConnectorError(Exception):
    """The file has no connector of this name."""


class UneditableFileError(Exception):
    """The file is laid out in a way that this can't edit; the text says what to do."""


def add_connector(text: str, properties: Mapping[str, Any]) -> str:
    """The file with one more connector at its end."""
    key = _key(tomlkit.parse(text))
    document = tomlkit.parse(text)
    if key in document and not isinstance(document[key], tomlkit.items.AoT):
        connectors = cast(MutableSequence[Any], document[key])
        connectors.append(toml_value(properties))
        edited = tomlkit.dumps(document)
    else:
        tables = tomlkit.aot()
        tables.append(connector_table(ConnectorTable(properties)))
        separator = "" if not text.strip() else "\n" if text.endswith("\n") else "\n\n"
        edited = text + separator + tomlkit.dumps({key: tables})
    return _checked(text, edited, lambda plain: plain.setdefault(key, []).append(dict(properties)))


def change_connector(text: str, name: str, changes: Mapping[str, Any]) -> str:
    """The file with properties of a connector changed; None takes a property out.

    Raises NoSuchConnectorError.
    """
    document = tomlkit.parse(text)
    place = _find(document, name)
    connector = cast(MutableMapping[str, Any], document[place.key][place.index])
    spelled = {folded(key): key for key in connector}
    new: dict[str, Any] = {}
    for field, value in changes.items():
        known = spelled.get(folded(field))
        if known is None and value is not None:
            new[field] = value
        elif known is not None and value is None:
            del connector[known]
        elif known is not None:
            connector[known] = toml_value(value)
    edited = tomlkit.dumps(document)
    if place.is_inline:
        connector.update({field: toml_value(value) for field, value in new.items()})
        edited = tomlkit.dumps(document)
    elif new:
        edited = _insert(edited, place, new)

    def expected(plain: dict[str, Any]) -> None:
        entry = plain[place.key][place.index]
        for field, value in changes.items():
            known = spelled.get(folded(field), field)
            entry.pop(known, None) if value is None else entry.update({known: value})

    return _checked(text, edited, expected)


def remove_connector(text: str, name: str) -> str:
    """The file without a connector, and without the comment directly above it.

    Raises NoSuchConnectorError.
    """
    document = tomlkit.parse(text)
    place = _find(document, name)
    if place.is_inline:
        del cast(MutableSequence[Any], document[place.key])[place.index]
        edited = tomlkit.dumps(document)
    else:
        lines = _LINE.findall(text)
        first, end = _block(text, lines, place)
        edited = "".join(lines[:first] + lines[end:])

    def expected(plain: dict[str, Any]) -> None:
        del plain[place.key][place.index]
        if not plain[place.key] and not place.is_inline:
            del plain[place.key]

    return _checked(text, edited, expected)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a connector stands: in a list of this key, or as one table of many."""

    key: str
    index: int
    is_inline: bool


def _key(document: Mapping[str, Any]) -> str:
    return next((key for key in document if folded(key) in _KEYS), CONNECTORS)


def _find(document: tomlkit.TOMLDocument, name: str) -> _Place:
    key = _key(document)
    wanted = name.strip().casefold()
    connectors = cast(list[Mapping[str, Any]], document.get(key, []))
    for index, connector in enumerate(connectors):
        names = [value for spelled, value in connector.items() if folded(spelled) == "name"]
        if any(str(value).strip().casefold() == wanted for value in names):
            return _Place(key, index, not isinstance(document[key], tomlkit.items.AoT))
    raise NoSuchConnectorError(name)


def _block(text: str, lines: list[str], place: _Place) -> tuple[int, int]:
    """The lines of a connector, from 0, with the comment above it: first, and behind the last."""
    where = locate(text)
    own: DocumentPath = (place.key, place.index)
    header = where[own]
    others = [n for path, n in where.items() if n > header and path[:2] != own]
    end = _above_comment(lines, min(others) - 1) if others else len(lines)
    return _above_comment(lines, header - 1), end


def _above_comment(lines: list[str], line: int) -> int:
    """The line at which the comment directly above a line begins; the line itself without one."""
    while line > 0 and lines[line - 1].lstrip().startswith("#"):
        line -= 1
    return line


def _insert(text: str, place: _Place, properties: Mapping[str, Any]) -> str:
    """Put properties behind the last one of a connector, above any table within it."""
    lines = _LINE.findall(text)
    where = locate(text)
    own: DocumentPath = (place.key, place.index)
    _, end = _block(text, lines, place)
    inner = [
        line
        for path, line in where.items()
        if path[:2] == own and len(path) == 3 and lines[line - 1].lstrip().startswith("[")
    ]
    end = min([end, *(_above_comment(lines, line - 1) for line in inner)])
    while end > where[own] and _is_blank_or_comment(lines[end - 1]):
        end -= 1
    if not lines[end - 1].endswith("\n"):
        lines[end - 1] += "\n"
    table = connector_table(ConnectorTable(properties))
    return "".join([*lines[:end], table.as_string(), *lines[end:]])


def _is_blank_or_comment(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _checked(before: str, after: str, change: Callable[[dict[str, Any]], object]) -> str:
    """The edited text, if it says what it should."""
    expected = tomlkit.parse(before).unwrap()
    change(expected)
    try:
        done = tomlkit.parse(after).unwrap() == expected
    except tomlkit.exceptions.TOMLKitError:
        done = False
    if not done:
        raise UneditableFileError("the file is laid out in a way that needs an editor")
    return after
