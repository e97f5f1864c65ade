"""Keeping what we log in with out of logs and replies, though the next hop says it. No I/O.

Some quote the command that they do not like, or its beginning, and it may be AUTH.
"""

import re

MASKED = "****"

_BASE64 = re.compile(r"([A-Za-z0-9+/]{6,})=*")
"""Nothing shorter is worth hiding, or could be told from what anybody says."""


class Secrets:
    """What was said that nobody else may see."""

    def __init__(self, password: str) -> None:
        self._password = password
        self._said: list[str] = []

    def remember(self, lines: tuple[str, ...], shown: str) -> None:
        """Lines that were sent, and what may be seen of them: the other words are secrets."""
        kept = shown.split()
        self._said += [word for line in lines for word in line.split() if word not in kept]

    @property
    def were_said(self) -> bool:
        """Whether there is anything to hide."""
        return bool(self._said)

    def masked(self, text: str, *, logging_in: bool) -> str:
        """A next hop's text without what was said, or parts of it, in whatever case.

        While we log in, without the password either: later it may be a word like any other.
        """
        if not self.were_said:
            return text
        whole = [*self._said, self._password] if logging_in and self._password else self._said
        for secret in sorted(whole, key=len, reverse=True):
            text = re.sub(re.escape(secret), MASKED, text, flags=re.IGNORECASE)
        said = " ".join(self._said).lower()
        return _BASE64.sub(lambda word: MASKED if word[1].lower() in said else word[0], text)
