"""The messages that Postfix is just handing over, so that the milter can end between two."""

import threading


class Underway:
    """Counts them, for any number of threads, until it is told to."""

    def __init__(self) -> None:
        self._count = 0
        self._stopped = False
        self._changed = threading.Condition()

    def begin(self) -> bool:
        """The content of a message begins to come; return whether it is counted."""
        with self._changed:
            self._count += not self._stopped
            return not self._stopped

    def end(self) -> None:
        """A message that was counted is answered, or given up."""
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def stop(self) -> int:
        """Count no more that begin; return how many there are."""
        with self._changed:
            self._stopped = True
            return self._count

    def wait_for_none(self, seconds: float) -> bool:
        """Wait until all have ended, not longer than this; return whether they have."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._count, seconds)
