"""From a document (nested tables, as any source reads them) to an organization.

Finds every problem of the document, not only the first: a connector in error does not hide
the problems of the others, nor one property those of its neighbours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from postconnector.model.organization import HostSettings, Organization
from postconnector.model.problem import Problem, Severity, quoted
from postconnector.model.property_names import folded
from postconnector.model.send_connector import SendConnector
from postconnector.sources.connector_entry import CONNECTORS, Around, read_connector
from postconnector.sources.fields import by_field, unknown, validate
from postconnector.sources.organization_table import ORGANIZATION, read_organization_table

HOST = "host"
_TABLES = {
    folded(CONNECTORS): CONNECTORS,
    folded("SendConnectors"): CONNECTORS,
    folded(ORGANIZATION): ORGANIZATION,
    folded(HOST): HOST,
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a document says: an organization if nothing in it is an error."""

    organization: Organization | None
    problems: tuple[Problem, ...]


def read_document(document: Mapping[str, Any], *, shown: bool = False) -> Reading:
    """Read the whole document and find all that is wrong with it.

    `shown`: its connectors are as Get-SendConnector shows them, with properties that can't be
    set and those of later versions.
    """
    tables = by_field(document, _TABLES, "table")
    problems = list(tables.problems)
    known = [CONNECTORS, ORGANIZATION, HOST]
    problems += [unknown((key,), key, known, "table") for key in tables.unknown]
    spelling = {name: tables.spelling.get(name, name) for name in known}
    settings, found, unsure = read_organization_table(
        spelling[ORGANIZATION], tables.fields.get(ORGANIZATION, {})
    )
    problems += found
    connectors, found = _read_connectors(
        spelling[CONNECTORS], tables.fields.get(CONNECTORS, []), Around(settings, unsure, shown)
    )
    problems += found
    host, found = _read_host(spelling[HOST], tables.fields.get(HOST, {}))
    problems += found
    if host.server is not None and "servers" not in unsure and not settings.server(host.server):
        message = "the organization declares no server of this name"
        problems.append(Problem(message, (spelling[HOST], "server"), None, "server"))
    if any(problem.severity is Severity.ERROR for problem in problems):
        return Reading(None, tuple(problems))
    return Reading(Organization(connectors, host, settings), tuple(problems))


def _read_connectors(
    key: str, entries: object, around: Around
) -> tuple[tuple[SendConnector, ...], list[Problem]]:
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        return (), [Problem(f"write [[{CONNECTORS}]], in double brackets", path=(key,))]
    connectors: list[SendConnector] = []
    problems: list[Problem] = []
    for index, entry in enumerate(entries):
        connector, found = read_connector(entry, (key, index), around)
        problems += found
        if connector is not None:
            connectors.append(connector)
    return tuple(connectors), problems + _duplicate_names(entries, key)


def _duplicate_names(entries: Sequence[object], key: str) -> list[Problem]:
    first: dict[str, int] = {}
    problems: list[Problem] = []
    for index, entry in enumerate(entries):
        if not isinstance(entry, Mapping):
            continue
        for spelled, name in entry.items():
            if folded(spelled) != "name" or not isinstance(name, str):
                continue
            earlier = first.setdefault(name.strip().casefold(), index)
            if earlier != index:
                problems.append(
                    Problem(
                        f"connector number {earlier + 1} has this name too; names are unique",
                        (key, index, spelled),
                        quoted(name, 256)[1:-1],
                        "name",
                    )
                )
    return problems


def _read_host(key: str, table: object) -> tuple[HostSettings, list[Problem]]:
    if not isinstance(table, Mapping):
        return HostSettings(), [Problem(f"write [{HOST}] and one setting a line", (key,))]
    known = {folded(name): name for name in HostSettings.model_fields}
    entries = by_field(table, known, "setting")
    host, _, found = validate(HostSettings, entries.fields)
    problems = entries.problems + found
    problems += [unknown((name,), name, known.values(), "setting") for name in entries.unknown]
    return host or HostSettings(), entries.as_spelled(problems, (key,))
