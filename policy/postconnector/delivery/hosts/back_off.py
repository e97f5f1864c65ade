"""Remembering which places do not answer, so that not every message waits for them. No I/O.

The rhythm is Exchange's (Message retry, resubmit, and expiration intervals): after a failed
connection four tries a minute apart (QueueGlitchRetryCount, -Interval), six each 5 minutes
(TransientFailureRetryCount, -Interval), then one each 10 minutes
(OutboundConnectionFailureRetryInterval). Exchange lets its queue wait; we have none, so we leave
a dead place aside while another lives, and where none does the mail is answered 451 at once and
waits in Postfix' queue. When a place is due, one connection tries it; the others do as before.

A connection that was made and then did not do (TLS, a refusal) is no matter of this memory.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from postconnector.delivery.hosts.target import NoTargetError, Target
from postconnector.delivery.reply import Reply
from postconnector.model.plain_text import clean

_RHYTHM = ((4, 60.0), (6, 300.0))
_AFTERWARDS = 600.0
_FORGOTTEN = 3600.0
"""Seconds: who failed so long ago, and was not asked since, starts afresh."""

_LONGEST_TRY = 900.0
"""Seconds after which a try of which nobody told how it went is over."""

_LONGEST_REASON = 120
_MOST_SHOWN = 3

_Place = tuple[str, int]


@dataclass(slots=True)
class _Dead:
    """`due`: when it may be tried again; `tried_until`: somebody is at it, at most so long."""

    failures: int
    due: float
    reason: str
    tried_until: float = float("-inf")


class BackOff:
    """By address and port; `clock` gives seconds that never go back.

    The `most` that failed last are remembered.
    """

    def __init__(self, clock: Callable[[], float], most: int = 10_000) -> None:
        self._clock = clock
        self._most = most
        self._dead: OrderedDict[_Place, _Dead] = OrderedDict()

    def __len__(self) -> int:
        return len(self._dead)

    def usable(self, targets: Sequence[Target]) -> list[Target]:
        """Those that live or are due, in their order; NoTargetError (451 4.4.1) if there is none.

        A primary that is due keeps its place before a backup that lives: else nobody would
        notice that it is back.
        """
        found = [target for target in targets if self._may_be_tried(target)]
        if not found:
            raise self.refusal(targets)
        return found

    def claim(self, target: Target) -> bool:
        """To be asked right before connecting. False: somebody else is trying it just now.

        After True say `succeeded`, `failed` or `released`.
        """
        if not self._may_be_tried(target):
            return False
        if (dead := self._dead.get(_place(target))) is not None:
            dead.tried_until = self._clock() + _LONGEST_TRY
        return True

    def failed(self, target: Target, reason: str) -> None:
        """No connection could be made, or no greeting came that lets us stay.

        Connections that were under way together fail together, and that counts once.
        """
        now = self._clock()
        place = _place(target)
        dead = self._dead.pop(place, None)
        if dead is None or now >= dead.due + _FORGOTTEN:
            dead = _Dead(0, now, "")
        if now >= dead.due:
            dead.failures += 1
            dead.due = now + _interval(dead.failures)
            dead.tried_until = float("-inf")
        dead.reason = clean(reason)[:_LONGEST_REASON]
        self._dead[place] = dead
        if len(self._dead) > self._most:
            self._dead.popitem(last=False)

    def succeeded(self, target: Target) -> None:
        """It answers."""
        self._dead.pop(_place(target), None)

    def released(self, target: Target) -> None:
        """A try that was given up for reasons of our own; the next may try."""
        if (dead := self._dead.get(_place(target))) is not None:
            dead.tried_until = float("-inf")

    def refusal(self, targets: Sequence[Target]) -> NoTargetError:
        """What is answered while these are dead: 451 4.4.1, with why and for how long."""
        shown = "; ".join(self._story(target) for target in targets[:_MOST_SHOWN])
        return NoTargetError(Reply(451, "4.4.1", (f"no host answers: {shown}",)))

    def _may_be_tried(self, target: Target) -> bool:
        dead = self._dead.get(_place(target))
        return dead is None or self._clock() >= max(dead.due, dead.tried_until)

    def _story(self, target: Target) -> str:
        dead = self._dead.get(_place(target))
        if dead is None:
            return str(target)
        wait = dead.due - self._clock()
        again = f"next try in {wait:.0f} s" if wait > 0 else "being tried again"
        return f"{target}: {dead.reason} ({again})"


def _place(target: Target) -> _Place:
    return target.address, target.port


def _interval(failures: int) -> float:
    """Seconds to wait after so many failures in a row."""
    for count, seconds in _RHYTHM:
        if failures <= count:
            return seconds
        failures -= count
    return _AFTERWARDS
