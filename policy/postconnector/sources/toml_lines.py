"""On which line of a TOML document does a value stand?

TOML libraries give values or text, not lines. This scans a document that is already known to
be valid TOML, and only when there is a problem to report, so it checks nothing by itself.
"""

import re

import tomli

from postconnector.model.problem import DocumentPath

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|' r"'''.*?'{3,5}|" r'"(?:[^"\\\n]|\\.)*"|' r"'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]\}\r\n#]+")


def locate(text: str) -> dict[DocumentPath, int]:
    """Return the line (from 1) of every table, array element and key of the document."""
    return _Scanner(text).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._line = 1
        self._lines: dict[DocumentPath, int] = {}
        self._lengths: dict[DocumentPath, int] = {}

    def scan(self) -> dict[DocumentPath, int]:
        table: DocumentPath = ()
        while self._skip_blank():
            if self._next() == "[":
                table = self._header()
            else:
                self._pair(table)
        return self._lines

    def _next(self) -> str:
        return self._text[self._position : self._position + 1]

    def _advance(self, pattern: re.Pattern[str]) -> str:
        """Go over what `pattern` matches here, and count its lines; return it."""
        match = pattern.match(self._text, self._position)
        found = match[0] if match is not None else self._next()
        self._position += len(found)
        self._line += found.count("\n")
        return found

    def _skip_blank(self) -> bool:
        self._advance(_BLANK)
        return self._position < len(self._text)

    def _header(self) -> DocumentPath:
        line = self._line
        is_array = self._text.startswith("[[", self._position)
        self._position += 2 if is_array else 1
        path = self._within_arrays(self._key())
        if is_array:
            index = self._lengths.get(path, 0)
            self._lengths[path] = index + 1
            self._lines.setdefault(path, line)
            path = (*path, index)
        self._lines[path] = line  # also of a table that an earlier header only implied
        self._position += 2 if is_array else 1
        return path

    def _within_arrays(self, key: tuple[str, ...]) -> DocumentPath:
        """The path of a header: a parent that is an array of tables means its last table."""
        path: DocumentPath = ()
        for part in key[:-1]:
            path = (*path, part)
            self._lines.setdefault(path, self._line)
            if path in self._lengths:
                path = (*path, self._lengths[path] - 1)
        return (*path, key[-1])

    def _key(self) -> tuple[str, ...]:
        parts: list[str] = []
        while True:
            self._advance(_BLANK)
            quote = self._next() in ("'", '"')
            part = self._advance(_STRING if quote else _BARE_KEY)
            parts.append(next(iter(tomli.loads(f"{part} = 0"))) if quote else part)
            self._advance(_BLANK)
            if self._next() != ".":
                return tuple(parts)
            self._position += 1

    def _pair(self, table: DocumentPath) -> None:
        path = table
        for part in self._key():
            path = (*path, part)
            self._lines.setdefault(path, self._line)
        self._position += 1  # the equals sign
        self._value(path)

    def _value(self, path: DocumentPath) -> None:
        self._advance(_BLANK)
        match self._next():
            case "[":
                self._array(path)
            case "{":
                self._inline_table(path)
            case "'" | '"':
                self._advance(_STRING)
            case _:
                self._advance(_SCALAR)

    def _array(self, path: DocumentPath) -> None:
        self._position += 1
        index = 0
        while self._skip_blank() and self._next() != "]":
            if self._next() == ",":
                self._position += 1
                continue
            self._lines[(*path, index)] = self._line
            self._value((*path, index))
            index += 1
        self._position += 1

    def _inline_table(self, path: DocumentPath) -> None:
        self._position += 1
        while self._skip_blank() and self._next() != "}":
            if self._next() == ",":
                self._position += 1
                continue
            self._pair(path)
        self._position += 1
