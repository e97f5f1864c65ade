"""Whose turn it is among the next hops of a route. No I/O.

Exchange shares connections out among smart hosts round robin. Postfix asks for a route more often
than once a message, and does not say which message it asks for: smtpd(8) at RCPT TO, then qmgr(8)
for each recipient. So a turn lasts a moment, that the recipients of one message leave by one
session; and the order within a round is another every time: in a fixed one, a host of two would
have all the turns that are only asked for and never used.
"""

import random
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

_TURN = 0.05
"""Seconds that a turn lasts."""

_MOST = 10_000


@dataclass(slots=True)
class _Round:
    """`left`: who has had no turn in this round, the one whose turn it is last."""

    left: list[int] = field(default_factory=list)
    until: float = 0.0


class Turns:
    """Deals out turns by key; the `most` that were asked for last are remembered."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        shuffle: Callable[[list[int]], None] = random.shuffle,
        most: int = _MOST,
    ) -> None:
        self._clock = clock
        self._shuffle = shuffle
        self._most = most
        self._rounds: OrderedDict[str, _Round] = OrderedDict()

    @property
    def remembered(self) -> int:
        """How many keys are remembered."""
        return len(self._rounds)

    def whose(self, key: str, count: int) -> int:
        """Whose turn it is of `count` (one at least): each once a round."""
        now = self._clock()
        current = self._rounds.pop(key, None) or _Round()
        self._rounds[key] = current
        if len(self._rounds) > self._most:
            self._rounds.popitem(last=False)
        if current.left and now < current.until:
            return current.left[-1]
        if current.left:
            current.left.pop()
        if not current.left:
            current.left = list(range(count))
            self._shuffle(current.left)
        current.until = now + _TURN
        return current.left[-1]
