"""Reading a connectors file (TOML) from disk, with every problem and its line.

Bounds: a file of more than 64 MB is refused; it would be no connectors file.
"""

import codecs
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import tomli

from postconnector.model.organization import Organization
from postconnector.model.problem import Problem
from postconnector.sources.document import read_document
from postconnector.sources.toml_lines import line_of, locate

DEFAULT_FILE = Path("/etc/postconnector/connectors.toml")
_LARGEST_FILE = 64 * 1024**2


class UnreadableFileError(Exception):
    """The file can't be read at all; the text says which and why."""


@dataclass(frozen=True, slots=True)
class ConnectorsFile:
    """A connectors file as it was read: what it says, and what is wrong with it."""

    path: Path
    data: bytes
    organization: Organization | None
    problems: tuple[Problem, ...]

    def located(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """The problems with this file's name and their lines, in the order of the lines."""
        problems = list(problems)
        if not problems:
            return ()
        lines = locate(_normal(self.data.decode("utf-8")))
        placed = [p.at(str(self.path), line_of(lines, p.path)) for p in problems]
        return tuple(sorted(placed, key=lambda problem: problem.line or 0))


def read_connectors_file(path: Path) -> ConnectorsFile:
    """Read and validate a connectors file.

    Raises UnreadableFileError when there is no such file, or it may not be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise UnreadableFileError(f"{path}: {error.strerror}") from None
    if len(data) > _LARGEST_FILE:
        raise UnreadableFileError(f"{path}: larger than {_LARGEST_FILE} bytes")
    return parse_connectors(data, path)


def parse_connectors(data: bytes, path: Path) -> ConnectorsFile:
    """Validate the contents of a connectors file; `path` names it in messages."""
    if data.startswith(codecs.BOM_UTF8):
        message = "the file begins with a byte order mark; save it as UTF-8 without one"
        return _refused(data, path, message, 1)
    try:
        document = tomli.loads(_normal(data.decode("utf-8")))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return _refused(data, path, "this line is not UTF-8; save the file as UTF-8", line)
    except tomli.TOMLDecodeError as error:
        return _refused(data, path, f"this is not TOML: {error.msg}", error.lineno)
    except ValueError as error:  # a number that Python would rather not read
        return _refused(data, path, f"this is not TOML: {error}", None)
    except RecursionError:
        return _refused(data, path, "this is nested too deeply", None)
    reading = read_document(document)
    file = ConnectorsFile(path, data, reading.organization, ())
    return replace(file, problems=file.located(reading.problems))


def _refused(data: bytes, path: Path, message: str, line: int | None) -> ConnectorsFile:
    return ConnectorsFile(path, data, None, (Problem(message).at(str(path), line),))


def _normal(text: str) -> str:
    return text.replace("\r\n", "\n")
