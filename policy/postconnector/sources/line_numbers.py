"""From where a value stands in a document to its line."""

from collections.abc import Mapping

from postconnector.model.problem import DocumentPath
from postconnector.model.property_names import folded
from postconnector.sources.connector_entry import CONNECTORS

_SPELLINGS = (folded(CONNECTORS), folded("SendConnectors"))


def line_of(lines: Mapping[DocumentPath, int], path: DocumentPath) -> int | None:
    """Return the line of `path`, or of the nearest thing around it that has one.

    The list of connectors may be named in another spelling than the path has it.
    """
    if path[:1] == (CONNECTORS,) and path[:1] not in lines:
        named = (p for p in lines if len(p) == 1 and folded(str(p[0])) in _SPELLINGS)
        path = (*next(named, path[:1]), *path[1:])
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return None
