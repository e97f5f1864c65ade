"""On which line of a JSON document does a value stand?

As `toml_lines`: for a document that is already known to be valid, and only when there is a
problem to report.
"""

import json
import re
from collections.abc import Iterator

from postconnector.model.problem import DocumentPath

_MARK = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+')


def locate(text: str) -> dict[DocumentPath, int]:
    """Return the line (from 1) of every key and array element of the document."""
    lines: dict[DocumentPath, int] = {}
    for path, line in _places(text):
        lines.setdefault(path, line)
    return lines


def first_repeated(text: str) -> int | None:
    """Return the line of the first key that its object has already."""
    seen: set[DocumentPath] = set()
    for path, line in _places(text):
        if path in seen:
            return line
        seen.add(path)
    return None


def _places(text: str) -> Iterator[tuple[DocumentPath, int]]:
    path: list[str | int] = []
    key_expected = element_expected = False
    line, position = 1, 0
    for match in _MARK.finditer(text):
        line += text.count("\n", position, match.start())
        position = match.start()
        mark = match[0]
        if element_expected and mark != "]":
            yield tuple(path), line
        element_expected = False
        if mark in "{[":
            path.append("" if mark == "{" else 0)
            key_expected, element_expected = mark == "{", mark == "["
        elif mark in "}]":
            path.pop()
        elif mark == ",":
            last = path[-1]
            key_expected = isinstance(last, str)
            if isinstance(last, int):
                path[-1], element_expected = last + 1, True
        elif key_expected:
            path[-1], key_expected = json.loads(mark), False
            yield tuple(path), line
