"""PowerShell's letters and how to step over them: blanks, comments, quoted texts, brackets.

Like PowerShell itself, this takes the typographic quotes and dashes that word processors and
blogs put in for plain ones. Everything runs in time linear to the text; brackets and
sub-expressions nest at most `MAX_DEPTH` deep.
"""

import re
from bisect import bisect_right

from postconnector.sources.exported.objects import UnreadableExportError

MAX_CHARACTERS = 16 * 1024 * 1024
MAX_DEPTH = 32
SINGLE_QUOTES = "'\u2018\u2019\u201a\u201b"
DOUBLE_QUOTES = '"\u201c\u201d\u201e'
OPENERS = "({["
DASHES = "-\u2013\u2014\u2015"

_CLOSERS = {"(": ")", "{": "}", "[": "]"}
# Possessive quantifiers on single characters only: on groups, Python 3.11.2 (Debian 12) gets them
# wrong (gh-106052).
_BLANKS = re.compile(r"(?:[^\S\n]++|`[^\S\n]*+(?:\n|\Z))*")
_SPACE = re.compile(r"(?:\s++|`[^\S\n]*+(?:\n|\Z))*")
_SINGLE_QUOTED = re.compile(f"[{SINGLE_QUOTES}](?:[^{SINGLE_QUOTES}]++|[{SINGLE_QUOTES}]{{2}})*")
_DOUBLE_QUOTED_PLAIN = re.compile(f"[^`${DOUBLE_QUOTES}]*+")
_HERE_STRING = re.compile(rf"@([{SINGLE_QUOTES}{DOUBLE_QUOTES}])[^\S\n]*+\n")
_HERE_END = re.compile(rf"\n[{SINGLE_QUOTES}{DOUBLE_QUOTES}]@")
_ENDS_VALUE = ";|,)}&"
_ENDS_EXPRESSION = "\n;)}"
_CONTINUES = ("+", ",", "|")
_WORD = re.compile(rf"[^\s;|&(){{}}`#@<${SINGLE_QUOTES}{DOUBLE_QUOTES}]++|[^\S\n]++")
_QUOTED_IN_LINE = re.compile(
    rf"[{SINGLE_QUOTES}][^\n{SINGLE_QUOTES}]*+[{SINGLE_QUOTES}]"
    rf"|[{DOUBLE_QUOTES}](?:[^`\n{DOUBLE_QUOTES}]|`.)*[{DOUBLE_QUOTES}]"
)
_COMMENT_MAY_FOLLOW = "({[;,=|&\n"


def normalised(text: str) -> str:
    """The text with line ends `\\n` and without a byte order mark.

    Raises UnreadableExportError for a text beyond `MAX_CHARACTERS`.
    """
    if len(text) > MAX_CHARACTERS:
        raise UnreadableExportError(f"the text is longer than {MAX_CHARACTERS} characters")
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


class Lexis:
    """A text with its lines; each `skip_…` takes a position and gives the one behind.

    They raise UnreadableExportError, with the line, for what is never closed or nests too deep.
    """

    def __init__(self, text: str, first_line: int = 1) -> None:
        self.text = text
        self._first_line = first_line
        self._line_ends = [match.start() for match in re.finditer("\n", text)]

    def error(self, message: str, position: int) -> UnreadableExportError:
        """What to raise for something at this position."""
        return UnreadableExportError(message, self.line(position))

    def line(self, position: int) -> int:
        """The number of the line on which a position lies."""
        return self._first_line + bisect_right(self._line_ends, position - 1)

    def skip_blanks(self, position: int) -> int:
        """Behind blanks and continued line ends, but not behind the end of the command's line."""
        while True:
            position = _end(_BLANKS, self.text, position)
            if not self.text.startswith("<#", position):
                return position
            position = self.skip_comment(position)

    def skip_space(self, position: int) -> int:
        """Behind blanks, line ends and comments."""
        while True:
            position = _end(_SPACE, self.text, position)
            if not self.text.startswith(("#", "<#"), position):
                return position
            position = self.skip_comment(position)

    def skip_comment(self, position: int) -> int:
        """Behind the comment that begins here, `# …` to the end of the line or `<# … #>`."""
        if self.text.startswith("#", position):
            end = self.text.find("\n", position)
            return len(self.text) if end < 0 else end
        end = self.text.find("#>", position + 2)
        if end < 0:
            raise self.error("this comment is never closed: #> is missing", position)
        return end + 2

    def skip_single_quoted(self, position: int) -> int:
        """Behind the text in single quotes that begins here."""
        end = _end(_SINGLE_QUOTED, self.text, position)
        if end >= len(self.text):
            raise self.error("this quote is never closed: ' is missing", position)
        return end + 1

    def skip_double_quoted(self, position: int, depth: int = 0) -> int:
        """Behind the text in double quotes that begins here, with its `$(…)`."""
        start, text = position, self.text
        position += 1
        while True:
            position = _end(_DOUBLE_QUOTED_PLAIN, text, position)
            if position >= len(text):
                raise self.error('this quote is never closed: " is missing', start)
            if text[position] == "`":
                position += 2
            elif text[position] == "$":
                is_expression = text.startswith("$(", position)
                position = (
                    self.skip_brackets(position + 1, depth) if is_expression else position + 1
                )
            elif text[position + 1 : position + 2] in tuple(DOUBLE_QUOTES):
                position += 2
            else:
                return position + 1

    def skip_quoted(self, position: int, depth: int = 0) -> int:
        """Behind the text in quotes of either sort that begins here."""
        if self.text[position] in SINGLE_QUOTES:
            return self.skip_single_quoted(position)
        return self.skip_double_quoted(position, depth)

    def here_string(self, position: int) -> tuple[int, int] | None:
        """Begin and end of the contents if a here-string (`@"…"@` over lines) begins here."""
        opening = _HERE_STRING.match(self.text, position)
        if opening is None:
            return None
        same_sort = SINGLE_QUOTES if opening[1] in SINGLE_QUOTES else DOUBLE_QUOTES
        for closing in _HERE_END.finditer(self.text, opening.end() - 1):
            if self.text[closing.start() + 1] in same_sort:
                return opening.end(), closing.start()
        raise self.error(f"this text is never closed: {opening[1]}@ is missing", position)

    def skip_brackets(self, position: int, depth: int = 0) -> int:
        """Behind the bracket that closes the one here, whatever stands between."""
        start, text = position, self.text
        expected: list[str] = []
        while position < len(text):
            char = text[position]
            if char in _CLOSERS:
                expected.append(_CLOSERS[char])
                if depth + len(expected) > MAX_DEPTH:
                    raise self.error(f"brackets nest deeper than {MAX_DEPTH}", position)
            elif char == expected[-1]:
                expected.pop()
                if not expected:
                    return position + 1
            position = self.skip_one(position, depth + len(expected))
        raise self.error(f"this bracket is never closed: {_CLOSERS[text[start]]} is missing", start)

    def skip_whole(self, position: int, depth: int = 0) -> int:
        """As `skip_one`, and behind the closing bracket if one opens here."""
        if self.text[position] in OPENERS:
            return self.skip_brackets(position, depth)
        return min(self.skip_one(position, depth), len(self.text))

    def skip_expression(self, position: int, depth: int = 0) -> int:
        """To the end of the statement that goes on here; a line end after `+` is none."""
        last = ""
        while not self.ends_expression(position) or (
            last in _CONTINUES and self.text.startswith("\n", position)
        ):
            last = last if self.text[position].isspace() else self.text[position]
            position = self.skip_whole(position, depth)
        return position

    def skip_one(self, position: int, depth: int = 0) -> int:
        """Behind one character, or the quoted text, comment or escape that begins here."""
        text = self.text
        char = text[position]
        if char == "`":
            return position + 2
        if char in SINGLE_QUOTES or char in DOUBLE_QUOTES:
            return self.skip_quoted(position, depth)
        if self.begins_comment(position):
            return self.skip_comment(position)
        if char == "@":
            contents = self.here_string(position)
            return position + 1 if contents is None else contents[1] + 3
        return position + 1

    def skip_loosely(self, position: int) -> int:
        """Behind the word, quoted text, comment or character here, in what may be prose.

        An apostrophe is none of PowerShell's quotes there; quotes close on their line or are none.
        """
        text = self.text
        word = _WORD.match(text, position)
        if word is not None:
            return word.end()
        if text[position] not in SINGLE_QUOTES and text[position] not in DOUBLE_QUOTES:
            return min(self.skip_one(position), len(text))
        is_apostrophe = position > 0 and text[position - 1].isalnum()
        quoted = None if is_apostrophe else _QUOTED_IN_LINE.match(text, position)
        return position + 1 if quoted is None else quoted.end()

    def ends_value(self, position: int) -> bool:
        """Whether a value that stands before this position has come to its end."""
        text = self.text
        if position >= len(text) or text[position].isspace() or text[position] in _ENDS_VALUE:
            return True
        return text[position] == "`" and self.skip_blanks(position) > position

    def ends_expression(self, position: int) -> bool:
        """Whether a statement has come to its end."""
        at_end = position >= len(self.text) or self.text[position] in _ENDS_EXPRESSION
        return at_end or self.begins_comment(position)

    def begins_comment(self, position: int) -> bool:
        """Whether a comment begins here; a # within a word begins none."""
        if self.text.startswith("<#", position):
            return True
        if not self.text.startswith("#", position):
            return False
        before = self.text[position - 1 : position]
        return position == 0 or before.isspace() or before in _COMMENT_MAY_FOLLOW


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    """Where the match at a position ends; the position itself if there is none."""
    match = pattern.match(text, position)
    return position if match is None else match.end()
