"""The recipients of messages that are being received, by the request attribute `instance`. Pure."""

from collections import OrderedDict
from collections.abc import Sequence

MOST_OPEN_RECIPIENTS = 200_000


class OpenMessages:
    """Bounded: the oldest are forgotten first."""

    def __init__(self, most_recipients: int = MOST_OPEN_RECIPIENTS) -> None:
        self._most = most_recipients
        self._count = 0
        self._messages: OrderedDict[str, list[str]] = OrderedDict()

    def add(self, instance: str, recipient: str) -> None:
        """Remember a recipient of a message."""
        self._messages.setdefault(instance, []).append(recipient)
        self._count += 1
        while self._count > self._most:
            self.forget(next(iter(self._messages)))

    def recipients(self, instance: str) -> Sequence[str]:
        """The recipients of a message, each as often as it was named."""
        return self._messages.get(instance, ())

    def forget(self, instance: str) -> None:
        """The message has ended."""
        self._count -= len(self._messages.pop(instance, ()))
