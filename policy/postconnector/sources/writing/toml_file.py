"""A connectors file in TOML, as we write one: a comment above what wants one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import tomlkit
from tomlkit.items import AoT, Array, InlineTable, Table

from postconnector.model.organization import Organization
from postconnector.sources.connector_entry import CONNECTORS
from postconnector.sources.organization_table import ORGANIZATION
from postconnector.sources.writing.canonical import (
    connector_as_toml,
    host_as_toml,
    settings_as_toml,
)

_LONGEST_LINE = 88


@dataclass(frozen=True, slots=True)
class ConnectorTable:
    """One connector to be written: its properties, and comments above it."""

    properties: Mapping[str, Any]
    comments: Sequence[str] = field(default=())


def organization_as_toml(organization: Organization) -> str:
    """The whole organization as a TOML file."""
    settings = organization.settings
    return toml_file(
        [ConnectorTable(connector_as_toml(c, settings)) for c in organization.connectors],
        settings_as_toml(settings),
        host_as_toml(organization.host),
    )


def toml_file(
    connectors: Iterable[ConnectorTable],
    settings: Mapping[str, Any],
    host: Mapping[str, Any] | None = None,
    header: Iterable[str] = (),
) -> str:
    """A connectors file; `header` and comments are lines of text."""
    document = tomlkit.document()
    _comments(document, header)
    if settings:
        document.add(ORGANIZATION, _settings_table(settings))
    if host:
        document.add("host", _table(host))
    tables = tomlkit.aot()
    for connector in connectors:
        tables.append(connector_table(connector))
    document.add(CONNECTORS, tables)
    return tomlkit.dumps(document)


def connector_table(connector: ConnectorTable) -> Table:
    """One connector as a table of a TOML document."""
    table = tomlkit.table()
    _comments(table, connector.comments)
    for name, value in connector.properties.items():
        table.add(name, toml_value(value))
    return table


def toml_value(value: object) -> object:
    """A value as it is written: long lists one element a line, tables in braces."""
    if isinstance(value, list | tuple):
        return _array(value)
    return _inline(value) if isinstance(value, Mapping) else value


def _array(value: Sequence[Any]) -> Array:
    array = tomlkit.array()
    array.extend(value)
    return array.multiline(len(array.as_string()) > _LONGEST_LINE)


def _inline(value: Mapping[str, Any]) -> InlineTable:
    table = tomlkit.inline_table()
    table.update(value)
    return table


def _settings_table(settings: Mapping[str, Any]) -> Table:
    table = tomlkit.table()
    for name, value in settings.items():
        if isinstance(value, list) and value and isinstance(value[0], Mapping):
            table.add(name, _tables(value))
        else:
            table.add(name, toml_value(value))
    return table


def _tables(entries: Iterable[Mapping[str, Any]]) -> AoT:
    tables = tomlkit.aot()
    for entry in entries:
        tables.append(_table(entry))
    return tables


def _table(entries: Mapping[str, Any]) -> Table:
    table = tomlkit.table()
    for name, value in entries.items():
        if value is not None:
            table.add(name, toml_value(value))
    return table


def _comments(container: tomlkit.TOMLDocument | Table, lines: Iterable[str]) -> None:
    for line in lines:
        container.add(tomlkit.comment(_one_line(line)) if line else tomlkit.nl())


def _one_line(text: str) -> str:
    """Whatever an export said, a comment stays a comment."""
    return "".join(c if c.isprintable() else " " for c in text)
