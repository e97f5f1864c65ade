"""Answers of DNS, kept as long as they hold (RFC 1035, 2308, 9520). No I/O.

Bounds: a count of answers, the least recently used leaving first; and a longest time by kind.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from postconnector.delivery.hosts.answer import Answer, Status

_DAY, _HOUR = 86400.0, 3600.0
_LONGEST = {
    Status.FOUND: _DAY,
    # RFC 2308, 5: one to three hours.
    Status.NO_DATA: 3 * _HOUR,
    Status.NO_NAME: 3 * _HOUR,
    # Long enough that a burst of mail asks once, short enough that nobody waits for us
    # when the DNS server is back (RFC 9520, 3.2: a second at least, 5 minutes at most).
    Status.FAILED: 5.0,
}

T = TypeVar("T")


class AnswerCache(Generic[T]):
    """Answers by name, all of one record type; `clock` gives seconds that never go back."""

    def __init__(self, clock: Callable[[], float], most: int = 5000) -> None:
        self._clock = clock
        self._most = most
        self._answers: OrderedDict[str, tuple[float, Answer[T]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, name: str) -> Answer[T] | None:
        """The answer to this question, if there is one that still holds."""
        known = self._answers.get(name)
        if known is None:
            return None
        ends, answer = known
        if self._clock() >= ends:
            del self._answers[name]
            return None
        self._answers.move_to_end(name)
        return answer

    def put(self, name: str, answer: Answer[T]) -> None:
        """Keep an answer; one with a TTL of zero is for those who asked, and not kept."""
        self._answers.pop(name, None)
        holds = min(answer.ttl, _LONGEST[answer.status])
        if holds <= 0:
            return
        self._answers[name] = self._clock() + holds, answer
        if len(self._answers) > self._most:
            self._answers.popitem(last=False)
