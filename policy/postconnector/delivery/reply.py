"""Replies of SMTP and LMTP servers: a code, an enhanced code (RFC 3463), lines of text. No I/O."""

import re
from dataclasses import dataclass

from postconnector.model.plain_text import clean

_ENHANCED = re.compile(r"(?P<code>(?P<class>[245])[.][0-9]{1,3}[.][0-9]{1,3})(?:[ \t]+|$)")
_LONGEST_LINE = 400
_MOST_LINES = 20


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply. `code` is 200 to 599; `lines` hold the text without the codes.

    `enhanced`: such as 5.1.1, of the same class as the code; None if the server said none.
    """

    code: int
    enhanced: str | None
    lines: tuple[str, ...] = ()

    @classmethod
    def said(cls, code: int, lines: tuple[str, ...]) -> "Reply":
        """A reply as a server said it: the enhanced code, if any, still in each line.

        One of another class than the code is text and nothing more.
        """
        found = [_ENHANCED.match(line) for line in lines]
        first = found[0] if found else None
        if first is None or first["class"] != str(code)[0]:
            return cls(code, None, lines)
        rest = (
            line[match.end() :] if match is not None and match["code"] == first["code"] else line
            for line, match in zip(lines, found, strict=True)
        )
        return cls(code, first["code"], tuple(rest))

    @property
    def is_positive(self) -> bool:
        """2xx, or the 3xx of an exchange that goes on."""
        return self.code < 400

    @property
    def is_temporary(self) -> bool:
        """4xx."""
        return 400 <= self.code < 500

    @property
    def is_permanent(self) -> bool:
        """5xx."""
        return self.code >= 500

    @property
    def status(self) -> str:
        """The enhanced code; where none was said, that of the class (RFC 3463: other)."""
        return self.enhanced or f"{min(max(self.code // 100, 2), 5)}.0.0"

    @property
    def text(self) -> str:
        """All lines in one."""
        return " ".join(line for line in self.lines if line)

    def __str__(self) -> str:
        """In one line, as people quote a reply."""
        return " ".join(part for part in (str(self.code), self.enhanced, self.text) if part)

    def encode(self) -> bytes:
        """The lines that go over the wire: printable, not endless, each with both codes."""
        shown = [clean(line)[:_LONGEST_LINE] for line in self.lines[:_MOST_LINES]] or [""]
        codes = "" if self.code // 100 == 3 else f"{self.status} "
        last = len(shown) - 1
        return b"".join(
            f"{self.code}{' ' if number == last else '-'}{codes}{line}".rstrip().encode() + b"\r\n"
            for number, line in enumerate(shown)
        )
