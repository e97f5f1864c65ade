"""The recipients of messages that are being received, by the request attribute `instance`."""

import re
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

MOST_OPEN_RECIPIENTS = 200_000

_UNDERWAY = 600.0
"""Seconds from our start in which messages may end that began before it."""

_BEGAN = re.compile(r"[0-9a-f]{1,16}\.([0-9a-f]{1,16})\.([0-9a-f]{1,8})\.[0-9a-f]{1,16}")
"""How smtpd(8) of Postfix 3 makes an `instance`: process, MAIL FROM (s, µs since 1970), number."""


class OpenMessages:
    """Bounded: the oldest are forgotten first.

    `now`: the time in seconds since 1970, by the clock that Postfix goes by.
    """

    def __init__(
        self,
        most_recipients: int = MOST_OPEN_RECIPIENTS,
        now: Callable[[], float] = time.time,
        uptime: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most_recipients
        self._count = 0
        self._messages: OrderedDict[str, list[str]] = OrderedDict()
        self._since = now()
        self._uptime = uptime
        self._underway_until = uptime() + _UNDERWAY

    def add(self, instance: str, recipient: str) -> None:
        """Remember a recipient of a message."""
        self._messages.setdefault(instance, []).append(recipient)
        self._count += 1
        while self._count > self._most:
            self.forget(next(iter(self._messages)))

    def recipients(self, instance: str) -> Sequence[str]:
        """The recipients of a message, each as often as it was named.

        None of a message that began before us: those that were named since may be as many as
        Postfix counts and yet be others, as some are refused after we were asked.
        """
        if self.began_before_us(instance):
            return ()
        return self._messages.get(instance, ())

    def forget(self, instance: str) -> Sequence[str]:
        """The message has ended; returns the recipients that were remembered."""
        recipients = self._messages.pop(instance, ())
        self._count -= len(recipients)
        return recipients

    def began_before_us(self, instance: str) -> bool:
        """Whether a message began before our start, so that we know part of it at most."""
        if self._uptime() > self._underway_until:
            return False
        began = _BEGAN.fullmatch(instance)
        return began is not None and int(began[1], 16) + int(began[2], 16) / 1e6 < self._since
