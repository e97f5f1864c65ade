"""From a document (nested tables, as any source reads them) to an organization.

Finds every problem of the document, not only the first: a connector in error does not hide
the problems of the others, nor one property those of its neighbours.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from postconnector.model.organization import HostSettings, Organization
from postconnector.model.problem import DocumentPath, Problem, Severity, quoted
from postconnector.model.property_names import (
    EXCHANGE_NAMES,
    NOT_CARRIED_OUT,
    folded,
    nearest,
)
from postconnector.model.rules import rule_problems
from postconnector.model.send_connector import Credential, SendConnector

CONNECTORS = "send_connector"
HOST = "host"

ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a document says: an organization if nothing in it is an error."""

    organization: Organization | None
    problems: tuple[Problem, ...]


def read_document(document: Mapping[str, Any]) -> Reading:
    """Read the whole document and find all that is wrong with it."""
    problems: list[Problem] = []
    connectors: list[SendConnector] = []
    tables: dict[str, tuple[str, object]] = {}
    for key, value in document.items():
        known = {
            folded(CONNECTORS): CONNECTORS,
            folded("SendConnectors"): CONNECTORS,
            folded(HOST): HOST,
        }.get(folded(key))
        if known is None:
            problems.append(_unknown((key,), key, [CONNECTORS, HOST], "table"))
        elif known in tables:
            problems.append(_twice(key, tables[known][0], (key,), "table"))
        else:
            tables[known] = (key, value)
    key, entries = tables.get(CONNECTORS, (CONNECTORS, []))
    if not isinstance(entries, list):
        problems.append(Problem(f"write [[{CONNECTORS}]], in double brackets", path=(key,)))
        entries = []
    for index, entry in enumerate(entries):
        connector, found = _read_connector(entry, (key, index))
        problems.extend(found)
        if connector is not None:
            connectors.append(connector)
    problems.extend(_duplicate_names(entries, key))
    host, found = _read_host(*tables.get(HOST, (HOST, {})))
    problems.extend(found)
    if any(problem.severity is Severity.ERROR for problem in problems):
        return Reading(None, tuple(problems))
    return Reading(Organization(tuple(connectors), host), tuple(problems))


def _read_connector(
    entry: object, path: DocumentPath
) -> tuple[SendConnector | None, list[Problem]]:
    if not isinstance(entry, Mapping):
        return None, [Problem(f"write [[{CONNECTORS}]] and one property a line", path=path)]
    fields, spelling, problems = _by_field(entry)
    if "name" not in fields:
        problems.append(Problem('required; write e.g. name = "Internet"', property="name"))
        fields["name"] = "?"
    name = entry.get(spelling.get("name", ""))
    shown = quoted(name)[1:-1] if isinstance(name, str) else f"number {int(path[-1]) + 1}"
    draft, broken, found = _validate(SendConnector, fields)
    problems.extend(found)
    if draft is not None:
        problems.extend(rule_problems(draft, broken))
    problems = [
        replace(problem, connector=shown, path=path + _as_spelled(problem.path, spelling))
        for problem in problems
    ]
    return (None if broken else draft), problems


def _by_field(
    entry: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, str], list[Problem]]:
    """A connector's entries by field name, how each is spelled, and what fits no field."""
    known = {folded(name): name for name in EXCHANGE_NAMES}
    later = {folded(name): name for name in NOT_CARRIED_OUT}
    fields: dict[str, Any] = {}
    spelling: dict[str, str] = {}
    problems: list[Problem] = []
    for key, value in entry.items():
        field = known.get(folded(key))
        if field is None and folded(key) in later:
            problems.append(
                Problem(
                    "a property of Exchange that this version does not carry out; take it out",
                    (key,),
                    property=key,
                )
            )
        elif field is None:
            problems.append(_unknown((key,), key, EXCHANGE_NAMES, "property"))
        elif field in fields:
            problems.append(_twice(key, spelling[field], (key,), "property"))
        else:
            fields[field] = value
            spelling[field] = key
    return fields, spelling, problems


def _as_spelled(path: DocumentPath, spelling: Mapping[str, str]) -> DocumentPath:
    first = path[:1]
    if first and isinstance(first[0], str):
        return (spelling.get(first[0], first[0]), *path[1:])
    return path


def _unknown(path: DocumentPath, key: str, known: Iterable[str], what: str) -> Problem:
    message = f"unknown {what}"
    if (guess := nearest(key, known)) is not None:
        message += f"; did you mean {guess}?"
    else:
        message += f"; known are {', '.join(known)}"
    return Problem(message, path, property=quoted(key)[1:-1])


def _twice(key: str, earlier: str, path: DocumentPath, what: str) -> Problem:
    return Problem(f"the same {what} as {earlier}; leave one of them", path, property=key)


def _validate(
    kind: type[ModelT], fields: Mapping[str, Any]
) -> tuple[ModelT | None, frozenset[str], list[Problem]]:
    """Validate each field; where some are broken, also what the others make by themselves."""
    try:
        return kind.model_validate(fields), frozenset(), []
    except ValidationError as error:
        details = error.errors(include_url=False)
    broken = frozenset(str(detail["loc"][0]) for detail in details)
    problems = [_field_problem(detail, fields) for detail in details]
    sound = {name: value for name, value in fields.items() if name not in broken}
    if "name" in broken:
        sound["name"] = "?"
    try:
        return kind.model_validate(sound), broken, problems
    except ValidationError:
        return None, broken, problems


def _field_problem(detail: ErrorDetails, fields: Mapping[str, Any]) -> Problem:
    path = tuple(detail["loc"])
    name = str(path[0])
    match detail["type"]:
        case "value_error":
            message = str(detail["ctx"]["error"])
            value = detail["input"]
            if isinstance(value, str) and not message.startswith('"'):
                message = f"{quoted(value)}: {message}"
        case "missing":
            message = f"{path[-1]} is missing"
        case "extra_forbidden":
            message = f"unknown entry {quoted(str(path[-1]))}"
            if (guess := nearest(str(path[-1]), Credential.model_fields)) is not None:
                message += f"; did you mean {guess}?"
        case _ if name == "authentication_credential":
            message = 'not a credential; write { user_name = "…", password_file = "…" }'
        case _:
            message = f"{quoted(str(fields[name]))} does not fit: {detail['msg']}"
    return Problem(message, path, property=name)


def _duplicate_names(entries: list[object], key: str) -> list[Problem]:
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
                        quoted(name)[1:-1],
                        "name",
                    )
                )
    return problems


def _read_host(key: str, entry: object) -> tuple[HostSettings, list[Problem]]:
    if not isinstance(entry, Mapping):
        return HostSettings(), [Problem(f"write [{HOST}] and one setting a line", (key,))]
    known = {folded(name): name for name in HostSettings.model_fields}
    fields: dict[str, Any] = {}
    spelling: dict[str, str] = {}
    problems: list[Problem] = []
    for spelled, value in entry.items():
        field = known.get(folded(spelled))
        if field is None:
            problems.append(_unknown((key, spelled), spelled, known.values(), "setting"))
        elif field in fields:
            problems.append(_twice(spelled, spelling[field], (key, spelled), "setting"))
        else:
            fields[field] = value
            spelling[field] = spelled
    settings, _, found = _validate(HostSettings, fields)
    problems.extend(
        replace(problem, path=(key, *_as_spelled(problem.path, spelling))) for problem in found
    )
    return settings or HostSettings(), problems
