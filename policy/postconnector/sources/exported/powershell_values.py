"""PowerShell's literals as they stand in command lines and hash tables; nothing is ever computed.

What is no literal becomes Unresolved with its own text. Variables of which the caller knows the
values are put in.
"""

import re
from collections.abc import Mapping
from contextlib import suppress

from postconnector.sources.exported.objects import Unresolved, Value
from postconnector.sources.exported.powershell_lexis import (
    DASHES,
    DOUBLE_QUOTES,
    MAX_DEPTH,
    SINGLE_QUOTES,
    Lexis,
    normalised,
)
from postconnector.sources.exported.powershell_strings import VARIABLE, expanded, literal

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_NUMBER = re.compile(rf"[{DASHES}]?[0-9][\w.]*")
_KEY = re.compile(r"[\w.-]+")
_PLACEHOLDER = re.compile(r"<[^<>\n]+>")
_COMPUTED_IN_TEXT = re.compile("[$`]")
_CONSTANTS: dict[str, Value] = {"true": True, "false": False, "null": None}
_COMPUTED = Unresolved("")
"""A mark on the way out; `_single` gives it the text that was to be computed."""


class _NoLiteralError(Exception):
    """Here stands something to be computed."""


def parse_value(text: str) -> Value:
    """The value of one PowerShell literal, written as the argument of a command.

    Quotes, `$true`, arrays and hash tables are understood; `25MB` stays text, `25` is an int;
    variables and expressions give Unresolved with the whole text. Raises UnreadableExportError
    for an empty text, for what is never closed, and for nesting beyond `MAX_DEPTH`.
    """
    text = normalised(text).strip()
    reader = ValueReader(Lexis(text), {})
    value = reader.argument()
    return value if reader.lexis.skip_space(reader.position) >= len(text) else Unresolved(text)


class ValueReader:
    """Reads values of a text one after another, from `position` on.

    `variables` maps names in lower case to values. All methods raise UnreadableExportError.
    """

    def __init__(self, lexis: Lexis, variables: Mapping[str, Value], position: int = 0) -> None:
        self.lexis = lexis
        self.position = position
        self._variables = variables
        self._depth = 0

    def argument(self) -> Value:
        """The argument here: a bare word too, or several values with commas between."""
        try:
            return self._array(bare_words=True)
        except _NoLiteralError:
            raise self.lexis.error("a value is missing", self.position) from None

    def expression(self) -> Value:
        """What is assigned here, up to the end of the statement; Unresolved if no literal."""
        lexis, start = self.lexis, self.position
        value = self.literal_statement()
        if self.position > start:
            return value
        self.position = lexis.skip_expression(start, self._depth)
        if self.position == start:
            raise lexis.error("a value is missing", start)
        return Unresolved(lexis.text[start : self.position].strip())

    def literal_statement(self) -> Value:
        """The literal that is all of the statement here; Unresolved, without a step, if none is."""
        start = self.position
        with suppress(_NoLiteralError):
            value = self._array(bare_words=False)
            self.position = self.lexis.skip_blanks(self.position)
            if self.lexis.ends_expression(self.position):
                return value
        self.position = start
        return _COMPUTED

    def hash_table(self) -> dict[str, Value]:
        """The `{ Key = value … }` here, keys as spelled, entries apart by `;` or a line end."""
        lexis, start = self.lexis, self.position
        entries: dict[str, Value] = {}
        spelled: set[str] = set()
        self._enter(start)
        while not self._at_end_of_block("}", start):
            key_start = self.position
            key = self._key()
            if key.lower() in spelled:
                raise lexis.error(f"{key} is given twice", key_start)
            spelled.add(key.lower())
            self.position = lexis.skip_space(self.position)
            if not lexis.text.startswith("=", self.position):
                raise lexis.error(f"after {key} there must be =", key_start)
            self.position = lexis.skip_space(self.position + 1)
            entries[key] = self.expression()
        self._leave()
        return entries

    def _array(self, bare_words: bool) -> Value:
        values = [self._single(bare_words)]
        while self.lexis.text.startswith(",", comma := self.lexis.skip_blanks(self.position)):
            self.position = self.lexis.skip_space(comma + 1)
            values.append(self._single(bare_words))
        return values[0] if len(values) == 1 else values

    def _single(self, bare_words: bool) -> Value:
        """One value; what hangs on to it (a property, an index) makes it Unresolved."""
        start, text = self.position, self.lexis.text
        if self.lexis.ends_value(start):
            raise _NoLiteralError
        value = self._begun_by(text[start], bare_words)
        while not self.lexis.ends_value(self.position):
            value = _COMPUTED
            self.position = self.lexis.skip_whole(self.position, self._depth)
        return Unresolved(text[start : self.position]) if isinstance(value, Unresolved) else value

    def _begun_by(self, char: str, bare_words: bool) -> Value:
        """The value that begins with this character."""
        if char in SINGLE_QUOTES or char in DOUBLE_QUOTES:
            return self._quoted(char)
        if char == "$":
            return self._variable()
        if char == "(":
            return self._parenthesis()
        if char == "@":
            return self._collection()
        if char == "{":
            self.position = self.lexis.skip_whole(self.position, self._depth)
            return _COMPUTED
        return self._word() if bare_words else self._number()

    def _quoted(self, quote: str) -> Value:
        start = self.position
        self.position = self.lexis.skip_quoted(start, self._depth)
        inside = self.lexis.text[start + 1 : self.position - 1]
        if quote in SINGLE_QUOTES:
            return literal(inside)
        value = expanded(inside, self._variables)
        return _COMPUTED if value is None else value

    def _word(self) -> Value:
        """A word without quotes; a quoted part within one is left to the shell."""
        start, text = self.position, self.lexis.text
        placeholder = _PLACEHOLDER.match(text, start)
        if placeholder is not None:
            self.position = placeholder.end()
            return _COMPUTED
        while not self.lexis.ends_value(self.position) and text[self.position] not in "({":
            self.position = min(self.lexis.skip_one(self.position, self._depth), len(text))
        word = text[start : self.position]
        if _INTEGER.fullmatch(word):
            return int(word)
        is_quoted = any(quote in word for quote in SINGLE_QUOTES + DOUBLE_QUOTES)
        value = None if is_quoted else expanded(word, self._variables)
        return _COMPUTED if value is None else value

    def _number(self) -> Value:
        match = _NUMBER.match(self.lexis.text, self.position)
        if match is None:
            raise _NoLiteralError
        self.position = match.end()
        return int(match[0]) if _INTEGER.fullmatch(match[0]) else match[0]

    def _variable(self) -> Value:
        match = VARIABLE.match(self.lexis.text, self.position)
        if match is None:
            self.position += 1
            return _COMPUTED
        self.position = match.end()
        name = (match[1] or match[2]).lower()
        value = _CONSTANTS.get(name, self._variables.get(name, _COMPUTED))
        return value if _is_flat(value) else _COMPUTED

    def _parenthesis(self) -> Value:
        start, lexis = self.position, self.lexis
        self._enter(start)
        self.position = lexis.skip_space(self.position)
        value: Value = _COMPUTED
        if not lexis.text.startswith(")", self.position):
            value = self.expression()
            self.position = lexis.skip_space(self.position)
        self._leave()
        if lexis.text.startswith(")", self.position - 1):
            return value
        self.position = lexis.skip_brackets(start, self._depth)
        return _COMPUTED

    def _collection(self) -> Value:
        """What begins with @: an array, a hash table, a here-string, or a word to be splatted."""
        start, lexis = self.position, self.lexis
        contents = lexis.here_string(start)
        if contents is not None:
            self.position = contents[1] + 3
            inside = lexis.text[contents[0] : contents[1]]
            is_literal = lexis.text[start + 1] in SINGLE_QUOTES
            return inside if is_literal or not _COMPUTED_IN_TEXT.search(inside) else _COMPUTED
        self.position += 1
        if lexis.text.startswith("{", self.position):
            return self.hash_table()
        if lexis.text.startswith("(", self.position):
            return self._array_of_statements()
        return _COMPUTED

    def _array_of_statements(self) -> Value:
        start = self.position
        self._enter(start)
        values: list[Value] = []
        is_literal = True
        while not self._at_end_of_block(")", start):
            value = self.expression()
            is_literal = is_literal and not isinstance(value, Unresolved)
            values += value if isinstance(value, list) else [value]
        self._leave()
        return values if is_literal else _COMPUTED

    def _key(self) -> str:
        start, text = self.position, self.lexis.text
        if text[start] in SINGLE_QUOTES or text[start] in DOUBLE_QUOTES:
            key = self._quoted(text[start])
            if isinstance(key, str):
                return key
        match = _KEY.match(text, start)
        if match is None:
            raise self.lexis.error("here the name of a property must stand", start)
        self.position = match.end()
        return match[0]

    def _at_end_of_block(self, closer: str, start: int) -> bool:
        """Whether only the closing bracket is left; goes on to the next statement, if not."""
        text = self.lexis.text
        self.position = self.lexis.skip_space(self.position)
        while text.startswith(";", self.position):
            self.position = self.lexis.skip_space(self.position + 1)
        if self.position >= len(text):
            raise self.lexis.error(f"this bracket is never closed: {closer} is missing", start)
        return text[self.position] == closer

    def _enter(self, position: int) -> None:
        self._depth += 1
        self.position = position + 1
        if self._depth > MAX_DEPTH:
            raise self.lexis.error(f"brackets nest deeper than {MAX_DEPTH}", position)

    def _leave(self) -> None:
        self._depth -= 1
        self.position += 1


def _is_flat(value: Value) -> bool:
    """Whether a variable's value may be put in: nothing that could grow with every use."""
    if isinstance(value, list):
        return not any(isinstance(one, list | dict) for one in value)
    return not isinstance(value, dict)
