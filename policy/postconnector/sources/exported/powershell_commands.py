"""New-SendConnector and Set-SendConnector commands in scripts, documentation and logs.

Everything else in the text is stepped over, never evaluated; it may be prose. Read strictly are
the connector commands alone.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from postconnector.sources.exported.objects import (
    ExportedObject,
    UnreadableExportError,
    Unresolved,
    Value,
)
from postconnector.sources.exported.powershell_arguments import Arguments, read_arguments
from postconnector.sources.exported.powershell_lexis import Lexis, normalised
from postconnector.sources.exported.powershell_scripts import Script
from postconnector.sources.exported.powershell_transcripts import typed_parts

_UPSTREAM_SHOWN = 200
_PIPE = re.compile(r"\|[\s`]*+")
_FIRST_ARGUMENT = {"new": "Name", "set": "Identity", "get": "Identity"}


def read_commands(text: str) -> list[ExportedObject]:
    """Every New-SendConnector and Set-SendConnector command of a text, in order.

    A switch is True. A hash table that is splatted without being known is a property
    `@name`, Unresolved. A Set that takes its connector from a pipeline has the Identity that the
    Get before it named, else an Unresolved one. Without any parameter by name it is no command but
    prose. Raises UnreadableExportError, with the line, if a command cannot be read, and for a text
    beyond `powershell_lexis.MAX_CHARACTERS`.
    """
    objects: list[ExportedObject] = []
    for typed in typed_parts(normalised(text)):
        objects += _commands_of(Script(Lexis(typed.text, typed.line)))
    return objects


@dataclass(frozen=True, slots=True)
class _Stage:
    """A connector command within a pipeline: where it ends, which connector comes out of it."""

    end: int
    identity: Value


def _commands_of(script: Script) -> list[ExportedObject]:
    objects: list[ExportedObject] = []
    before = _Stage(-1, None)
    while (command := script.next_command()) is not None:
        verb = command[1].lower()
        arguments = _arguments(script, verb)
        script.position = arguments.end
        properties = dict(arguments.properties)
        if verb == "set" and _named(properties, "identity") is None:
            properties = _from_pipeline(script, command.start(), before) | properties
        identity = _named(properties, _FIRST_ARGUMENT[verb].lower())
        before = _Stage(script.lexis.skip_space(arguments.end), identity)
        if verb != "get" and arguments.names_parameters:
            line = script.lexis.line(command.start())
            name = f"{verb.capitalize()}-SendConnector"
            objects.append(ExportedObject(properties, line=line, command=name))
    return objects


def _arguments(script: Script, verb: str) -> Arguments:
    try:
        return read_arguments(
            script.lexis, script.variables, script.position, _FIRST_ARGUMENT[verb]
        )
    except UnreadableExportError:
        if verb != "get":
            raise
        return Arguments({}, script.position, names_parameters=False)


def _named(properties: Mapping[str, Value], name: str) -> Value:
    """A property by its name in lower case, also shortened, as `-id`; None if it is not given."""
    given = (key for key in properties if len(key) > 1 and name.startswith(key.lower()))
    return next((properties[key] for key in given), None)


def _from_pipeline(script: Script, command: int, before: _Stage) -> dict[str, Value]:
    """The Identity that the pipeline before a command gives to it, if there is one."""
    text, start = script.lexis.text, script.pipeline
    upstream = text[start : min(command, start + _UPSTREAM_SHOWN)].strip()
    if not upstream:
        return {}
    is_next = before.end >= start and _PIPE.fullmatch(text, before.end, command)
    if is_next and before.identity is not None:
        return {"Identity": before.identity}
    return {"Identity": Unresolved(upstream.rstrip("| `\n"))}
