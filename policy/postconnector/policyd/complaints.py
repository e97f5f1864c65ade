"""Complaints of one kind at most once a minute: who floods us does not flood the log.

How often there was reason besides is said when the minute is over.
"""

import logging
import time

from postconnector.model.plain_text import clean
from postconnector.postfix.host import PostfixError

_EVERY = 60.0
"""Seconds."""


class Complaints:
    """Kinds are sentences, as many as callers have: few, and nothing a client sent is in them."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._said_at: dict[str, float] = {}
        self._kept_back: dict[str, int] = {}

    def about(self, sentence: str) -> None:
        """Warn of what a client did."""
        if self._is_new(sentence):
            self._log.warning("%s", sentence)

    def about_postfix(self, error: PostfixError) -> None:
        """Say why Postfix can't be asked; the client is asked to try again."""
        sentence = "Postfix can't be asked, mail whose size matters is deferred"
        if self._is_new(sentence):
            self._log.error("%s: %s", sentence, clean(str(error)))

    def about_ourselves(self, error: Exception) -> None:
        """Say where we failed, as an error with its traceback; the client is asked to try again."""
        if self._is_new(f"our own fault ({type(error).__name__})"):
            self._log.error("our own fault; asking to try again", exc_info=error)

    def sum_up(self, *, at_end: bool = False) -> None:
        """Say how often what was kept back, where a minute is over."""
        now = time.monotonic()
        for sentence, said_at in list(self._said_at.items()):
            if at_end or now - said_at >= _EVERY:
                del self._said_at[sentence]
                if count := self._kept_back.pop(sentence, 0):
                    self._log.warning("%s: %d times more", sentence, count)

    def _is_new(self, sentence: str) -> bool:
        if sentence not in self._said_at:
            self._said_at[sentence] = time.monotonic()
            return True
        self._kept_back[sentence] = self._kept_back.get(sentence, 0) + 1
        return False
