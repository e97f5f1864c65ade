"""Reading a connectors file (TOML or JSON, by content) from disk, with every problem's line.

Bounds: a file of more than 64 MB is refused; it would be no connectors file.
"""

import codecs
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tomli

from postconnector.model.organization import Organization
from postconnector.model.problem import Problem, Severity
from postconnector.model.property_names import exchange_name
from postconnector.sources import json_lines, toml_lines
from postconnector.sources.document import read_document
from postconnector.sources.line_numbers import line_of
from postconnector.sources.regular_file import read_regular_file

_JSON_LIST = re.compile(rb"\s*\[\s*\{")
_FIELD = re.compile(r"[a-z]+(?:_[a-z]+)*")
_LARGEST_FILE = 64 * 1024**2
_EMPTY = Problem(
    "there is no connector in it: all mail takes the way that it takes without connectors",
    severity=Severity.WARNING,
)


class UnreadableFileError(Exception):
    """The file can't be read at all; the text says which and why."""


class _BrokenDocumentError(Exception):
    """The data is no document; the text says why, `line` where if known."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class ConnectorsFile:
    """A connectors file as it was read: what it says, and what is wrong with it."""

    path: Path
    data: bytes
    organization: Organization | None
    problems: tuple[Problem, ...]

    @property
    def is_json(self) -> bool:
        """Whether the file is JSON; a TOML file never begins with a brace."""
        return self.data.lstrip()[:1] == b"{" or _JSON_LIST.match(self.data) is not None

    def located(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """The problems with this file's name and their lines, in the order of the lines."""
        problems = list(problems)
        if not problems:
            return ()
        text = _with_line_feeds(self.data.decode("utf-8"))
        try:
            lines = (json_lines if self.is_json else toml_lines).locate(text)
        except RecursionError:  # nested so deeply that only the parser could follow
            lines = {}
        placed = [self._spelled(p).at(str(self.path), line_of(lines, p.path)) for p in problems]
        return tuple(sorted(placed, key=lambda problem: problem.line or 0))

    def _spelled(self, problem: Problem) -> Problem:
        """In JSON, properties have Exchange's names."""
        if not self.is_json or problem.property is None:
            return problem
        if not _FIELD.fullmatch(problem.property):
            return problem  # as it is spelled there
        return replace(problem, property=exchange_name(problem.property))


def read_connectors_file(path: Path) -> ConnectorsFile:
    """Read and validate a connectors file.

    Raises UnreadableFileError when there is no such file, or it may not be read.
    """
    return parse_connectors(read_bytes(path), path)


def read_bytes(path: Path) -> bytes:
    """Read a connectors file as it is. Raises UnreadableFileError."""
    try:
        data = read_regular_file(path, _LARGEST_FILE + 1)
    except OSError as error:
        raise UnreadableFileError(f"{path}: {error.strerror}") from None
    if len(data) > _LARGEST_FILE:
        raise UnreadableFileError(f"{path}: larger than {_LARGEST_FILE} bytes")
    return data


def parse_connectors(data: bytes, path: Path) -> ConnectorsFile:
    """Validate the contents of a connectors file; `path` names it in messages."""
    file = ConnectorsFile(path, data, None, ())
    try:
        document = (_parse_json if file.is_json else _parse_toml)(_text(data))
    except _BrokenDocumentError as error:
        return replace(file, problems=(Problem(str(error)).at(str(path), error.line),))
    reading = read_document(document, shown=file.is_json)
    file = replace(file, organization=reading.organization)
    problems = file.located(reading.problems)
    if reading.organization is not None and not reading.organization.connectors:
        problems += (_EMPTY.at(str(path), None),)
    return replace(file, problems=problems)


def _text(data: bytes) -> str:
    if data.startswith(codecs.BOM_UTF8):
        raise _BrokenDocumentError(
            "the file begins with a byte order mark; save it as UTF-8 without one", 1
        )
    try:
        return _with_line_feeds(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _BrokenDocumentError("this line is not UTF-8; save the file as UTF-8", line) from None


def _parse_toml(text: str) -> dict[str, Any]:
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise _BrokenDocumentError(f"this is not TOML: {error.msg}", error.lineno) from None
    except ValueError:  # a number that Python would rather not read
        raise _BrokenDocumentError("this is not TOML: a number has too many digits") from None
    except RecursionError:
        raise _BrokenDocumentError("this is nested too deeply") from None


def _parse_json(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise _BrokenDocumentError(f"this is not JSON: {error.msg}", error.lineno) from None
    except ValueError:
        raise _BrokenDocumentError("this is not JSON: a number has too many digits") from None
    except RecursionError:
        raise _BrokenDocumentError("this is nested too deeply") from None
    except _RepeatedNameError as error:
        raise _BrokenDocumentError(
            f"{json.dumps(str(error))} stands twice in one object", json_lines.first_repeated(text)
        ) from None
    if not isinstance(document, dict):
        raise _BrokenDocumentError(
            'write {"SendConnectors": [ … ]}; postconnector import reads a list of connectors', 1
        )
    return document


class _RepeatedNameError(Exception):
    """An object has this name twice."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _RepeatedNameError(name)
        found[name] = value
    return found


def _with_line_feeds(text: str) -> str:
    """CRLF ends a line just as LF does."""
    return text.replace("\r\n", "\n")
