"""A PowerShell script as far as it matters here: where commands stand, what variables hold.

Nothing is evaluated. A variable is known from an assignment of a literal until something else may
have changed it: another assignment, `++` anywhere, a loop or parameter of that name, the end of
the block in which it was assigned. What is neither assignment nor connector command is stepped
over, and may be prose.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from postconnector.sources.exported.objects import UnreadableExportError, Unresolved, Value
from postconnector.sources.exported.powershell_lexis import DASHES, Lexis
from postconnector.sources.exported.powershell_values import ValueReader

_COMMAND = re.compile(rf"(New|Set|Get)[{DASHES}]SendConnector(?![{DASHES}\w])", re.IGNORECASE)
_ASSIGNMENT = re.compile(r"\$(\w++)[^\S\n]*+=[^\S\n]*+")
_DECLARATION = re.compile(r"(?:param|function\s++[\w-]++|foreach|for)\s*+(?=\()", re.IGNORECASE)
_CHANGE = re.compile(r"\$(\w++)(?:[^\S\n]*+(=)|[.\[])")
_COUNTED = re.compile(r"\$(\w++)[^\S\n]*+(?:\+\+|--|[-+*/%]=|\?\?=)|(?:\+\+|--)\$(\w++)")
_NAME = re.compile(r"\$(\w++)")
_CLOSERS = {"(": ")", "{": "}"}


@dataclass(slots=True)
class _Block:
    """What stands between two brackets: where its present pipeline began, what it assigned."""

    closer: str
    pipeline: int
    assigned: set[str] = field(default_factory=set)


class Script:
    """Goes through a script from one connector command to the next.

    Raises UnreadableExportError for comments and here-strings that are never closed.
    """

    def __init__(self, lexis: Lexis) -> None:
        self.lexis = lexis
        self.position = 0
        self._variables: dict[str, Value] = {}
        self._blocks = [_Block("", 0)]
        self._open_braces = 0
        self._may_begin = True
        self._counted = {(match[1] or match[2]).lower() for match in _COUNTED.finditer(lexis.text)}

    @property
    def variables(self) -> Mapping[str, Value]:
        """What the variables hold at `position`, by name in lower case."""
        return self._variables

    @property
    def pipeline(self) -> int:
        """Where the pipeline around `position` began."""
        return self._blocks[-1].pipeline

    def next_command(self) -> re.Match[str] | None:
        """The next New-, Set- or Get-SendConnector, `position` being behind its name."""
        text = self.lexis.text
        while self.position < len(text):
            if not self._may_begin:
                self._step()
                continue
            self.position = self.lexis.skip_blanks(self.position)
            self._may_begin = False
            command = _COMMAND.match(text, self.position)
            if command is not None:
                self.position = command.end()
                return command
            self._begin_statement()
        return None

    def _begin_statement(self) -> None:
        assignment = _ASSIGNMENT.match(self.lexis.text, self.position)
        if assignment is not None:
            self._assign(assignment[1].lower(), assignment.end())
        declaration = _DECLARATION.match(self.lexis.text, self.position)
        if declaration is not None:
            self._declare(declaration.end())
            self.position = declaration.end()

    def _assign(self, name: str, position: int) -> None:
        self._forget(name)
        reader = ValueReader(self.lexis, self._variables, position)
        value: Value = Unresolved("")
        if _ASSIGNMENT.match(self.lexis.text, position) is None:
            with suppress(UnreadableExportError):
                value = reader.literal_statement()
        if isinstance(value, Unresolved):
            self._begin_pipeline(position)
            return
        self.position = reader.position
        if name not in self._counted and self._blocks[-1].closer != ")":
            self._variables[name] = value
            self._blocks[-1].assigned.add(name)

    def _declare(self, position: int) -> None:
        """Forget what a loop or a list of parameters gives values to."""
        try:
            end = self.lexis.skip_brackets(position)
        except UnreadableExportError:
            return
        for match in _NAME.finditer(self.lexis.text, position, end):
            self._forget(match[1].lower())

    def _step(self) -> None:
        """Over the next word, quoted text or sign."""
        char = self.lexis.text[self.position]
        if char == "|":
            self.position = self.lexis.skip_space(self.position + 1)
            self._may_begin = True
        elif char in "\n;&":
            self._begin_pipeline(self.position + 1)
        elif char in _CLOSERS:
            self._blocks.append(_Block(_CLOSERS[char], self.position + 1))
            self._open_braces += char == "{"
            self._begin_pipeline(self.position + 1)
        elif char in ")}":
            self._close(char)
            self.position += 1
        else:
            if char == "$":
                self._note_change()
            self.position = self.lexis.skip_loosely(self.position)

    def _begin_pipeline(self, position: int) -> None:
        self.position = self._blocks[-1].pipeline = position
        self._may_begin = True

    def _close(self, closer: str) -> None:
        """Leave a block; in prose there may be brackets that were never opened or closed."""
        if closer == "}":
            if not self._open_braces:
                return
            while self._blocks[-1].closer != "}":
                self._leave_block()
            self._open_braces -= 1
        if self._blocks[-1].closer == closer:
            self._leave_block()

    def _leave_block(self) -> None:
        for name in self._blocks.pop().assigned:
            self._forget(name)

    def _note_change(self) -> None:
        """Forget a variable that is assigned here, or a collection that is got hold of."""
        change = _CHANGE.match(self.lexis.text, self.position)
        if change is None:
            return
        name = change[1].lower()
        if change[2] or isinstance(self._variables.get(name), list | dict):
            self._forget(name)

    def _forget(self, name: str) -> None:
        self._variables.pop(name, None)
