"""From the entries of one table to a model: spelling, duplicates, and what each value must be."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from postconnector.model.problem import DocumentPath, Problem, quoted
from postconnector.model.property_names import folded, nearest
from postconnector.model.send_connector import Credential

ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(slots=True)
class Entries:
    """What a table says by field name, how each name is spelled there, and what fits no field."""

    fields: dict[str, Any] = field(default_factory=dict)
    spelling: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def as_spelled(self, problems: Iterable[Problem], path: DocumentPath) -> list[Problem]:
        """The problems with the path of this table before theirs, in the table's spelling."""
        return [replace(p, path=(*path, *self._spelled(p.path))) for p in problems]

    def _spelled(self, path: DocumentPath) -> DocumentPath:
        first = path[:1]
        if first and isinstance(first[0], str):
            return (self.spelling.get(first[0], first[0]), *path[1:])
        return path


def by_field(entry: Mapping[str, Any], names: Mapping[str, str], what: str) -> Entries:
    """Sort the entries of a table by `names` (folded spelling to field).

    null says nothing, and is left out. `what` they are is said of one that stands there twice.
    """
    entries = Entries()
    for key, value in entry.items():
        name = names.get(folded(key))
        if name is None:
            entries.unknown[key] = value
        elif name in entries.spelling:
            entries.problems.append(twice(key, entries.spelling[name], (key,), what))
        else:
            entries.spelling[name] = key
            if value is not None:
                entries.fields[name] = value
    return entries


def unknown(path: DocumentPath, key: str, known: Iterable[str], what: str) -> Problem:
    """An entry that no field has the name of."""
    known = list(known)
    message = f"unknown {what}"
    if (guess := nearest(key, known)) is not None:
        message += f"; did you mean {guess}?"
    else:
        message += f"; known are {', '.join(known)}"
    return Problem(message, path, property=quoted(key)[1:-1])


def twice(key: str, earlier: str, path: DocumentPath, what: str) -> Problem:
    """An entry that another spelling already named."""
    return Problem(f"the same {what} as {earlier}; leave one of them", path, property=key)


def validate(
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
            message = "required" if len(path) == 1 else f"{path[-1]} is missing"
        case "extra_forbidden":
            message = f"unknown entry {quoted(str(path[-1]))}"
            if (guess := nearest(str(path[-1]), Credential.model_fields)) is not None:
                message += f"; did you mean {guess}?"
        case _ if name == "authentication_credential":
            message = 'not a credential; write { user_name = "…", password_file = "…" }'
        case _:
            message = f"{quoted(str(fields[name]))} does not fit: {detail['msg']}"
    return Problem(message, path, property=name)
