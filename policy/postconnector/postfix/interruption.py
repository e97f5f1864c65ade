"""Ctrl-C, SIGTERM and SIGHUP while a host is being changed: heeded between steps, never in one."""

import signal
from types import FrameType, TracebackType
from typing import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class InterruptedByError(KeyboardInterrupt):
    """Somebody wants this command to end; `number` is the signal."""

    def __init__(self, number: int, text: str = "") -> None:
        super().__init__(text)
        self.number = number


class Interruption:
    """Inside, signals are only noted. The main thread's.

    The last one is forgotten at the end: what is not undone by then is done.
    """

    def __init__(self) -> None:
        self._noted: int | None = None
        self._before: dict[signal.Signals, signal._HANDLER] = {}

    def heed(self) -> None:
        """Here everything can be undone: raise InterruptedByError if a signal has come."""
        if self._noted is not None:
            number, self._noted = self._noted, None
            raise InterruptedByError(number, "everything was put back as it was")

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._noted = number


def end_in_order() -> None:
    """Let signals that would kill this process raise InterruptedByError, so that it cleans up."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _raise)


def _raise(number: int, _frame: FrameType | None) -> None:
    raise InterruptedByError(number)
