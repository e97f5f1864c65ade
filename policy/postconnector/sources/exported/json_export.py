"""`Get-SendConnector | ConvertTo-Json`: one object, or a list of them.

Bounds: those of `text`; nesting up to 32 levels.
"""

import json
from collections.abc import Sequence
from typing import Any

from postconnector.sources.exported.objects import ExportedObject, UnreadableExportError, Value
from postconnector.sources.exported.text import decode

_DEEPEST = 32


def read_json_export(data: bytes) -> list[ExportedObject]:
    """Read the objects; raises UnreadableExportError for what is no JSON or no object."""
    text = decode(data)
    try:
        document = json.loads(text, parse_float=str, parse_constant=str)
    except json.JSONDecodeError as error:
        raise UnreadableExportError(f"this is not JSON: {error.msg}", error.lineno) from None
    except ValueError:
        raise UnreadableExportError("this is not JSON: a number has too many digits") from None
    except RecursionError:
        raise UnreadableExportError("this is nested too deeply") from None
    entries = _value(document, 0)
    if not isinstance(entries, list):
        entries = [entries]
    return [_object(entry) for entry in entries]


def _object(entry: Value) -> ExportedObject:
    if not isinstance(entry, dict):
        raise UnreadableExportError("this is no list of objects with properties")
    return ExportedObject(entry)


def _value(value: Any, depth: int) -> Value:  # noqa: ANN401 (what JSON holds)
    """Windows PowerShell wraps a list as `{"value": […], "Count": n}`."""
    if depth > _DEEPEST:
        raise UnreadableExportError("this is nested too deeply")
    if isinstance(value, dict):
        if value.keys() == {"value", "Count"} and isinstance(value["value"], Sequence):
            return _value(value["value"], depth + 1)
        return {name: _value(content, depth + 1) for name, content in value.items()}
    if isinstance(value, list):
        return [_value(element, depth + 1) for element in value]
    known: Value = value
    return known
