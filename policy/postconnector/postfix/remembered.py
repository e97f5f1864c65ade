"""Answers of Postfix that are good for a minute: its commands need not run for each message."""

import time
from collections.abc import Collection, Hashable, Mapping
from typing import Generic, TypeVar

_FRESH = 60.0
_MOST = 10_000

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """Answers by question, all forgotten a minute after the first question; nothing blocks.

    One thread may look answers up while another puts some in.
    """

    def __init__(self) -> None:
        self._answers: dict[K, V] = {}
        self._since = -_FRESH

    @property
    def is_over(self) -> bool:
        """Whether it is time to `begin` anew, and to look at Postfix' configuration again."""
        return self._is_old() or len(self._answers) > _MOST

    def begin(self) -> None:
        """Forget everything: a new minute begins."""
        self._answers = {}  # who is just looking something up keeps the old ones
        self._since = time.monotonic()

    def missing(self, questions: Collection[K]) -> list[K]:
        """Those that nobody has asked in this minute."""
        return [each for each in questions if each not in self._answers]

    def add(self, answers: Mapping[K, V]) -> Mapping[K, V]:
        """What was found out, for longer than a minute perhaps: another begins then. Gives all."""
        self._answers.update(answers)
        if self._is_old():
            self._since = time.monotonic()
        return self._answers

    def get(self, questions: Collection[K]) -> Mapping[K, V] | None:
        """All answers; None if one of these is missing, or the minute is over."""
        answers = self._answers
        is_known = not self._is_old() and all(each in answers for each in questions)
        return answers if is_known else None

    def _is_old(self) -> bool:
        return time.monotonic() - self._since > _FRESH
