"""Keeping what we log in with out of logs and replies, though the next hop says it. No I/O.

Some quote the command that they do not like, or its beginning, and it may be AUTH.
"""

import re

MASKED = "****"

_BASE64 = re.compile(r"[A-Za-z0-9+/=]{6,}")
"""Nothing shorter is worth hiding, or could be told from what anybody says."""


class Secrets:
    """What was said that nobody else may see."""

    def __init__(self, password: str) -> None:
        self._password = password
        self._said = ""

    def remember(self, lines: tuple[str, ...], shown: str) -> None:
        """Lines that were sent, and what may be seen of them: the other words are secrets."""
        kept = shown.split()
        hidden = (word for line in lines for word in line.split() if word not in kept)
        self._said = " ".join((self._said, *hidden)).lower()

    def masked(self, text: str, *, logging_in: bool) -> str:
        """A next hop's text without what was said, or parts of it, in whatever case.

        While we log in, without the password either: later it may be a word like any other.
        """
        if not self._said:
            return text
        if logging_in and self._password:
            text = text.replace(self._password, MASKED)
        return _BASE64.sub(lambda word: MASKED if word[0].lower() in self._said else word[0], text)
