"""What can be told of a session while it goes on. No I/O; `protocol_log` writes it."""

from typing import Protocol


class DialogueLog(Protocol):
    """Told each step of one session with a next hop, in order.

    Endpoints are `address:port`. Lines come without their line end; secrets are masked already.
    """

    def information(self, text: str, context: str = "") -> None: ...  # noqa: D102

    def connected(self, local: str, remote: str) -> None: ...  # noqa: D102

    def sent(self, line: str) -> None: ...  # noqa: D102

    def received(self, line: str) -> None: ...  # noqa: D102

    def disconnected(self, reason: str) -> None:
        """`reason`: Local, Remote or TimedOut."""
        ...


class NoDialogueLog:
    """Nothing is to be logged."""

    def information(self, text: str, context: str = "") -> None:  # noqa: D102
        pass

    def connected(self, local: str, remote: str) -> None:  # noqa: D102
        pass

    def sent(self, line: str) -> None:  # noqa: D102
        pass

    def received(self, line: str) -> None:  # noqa: D102
        pass

    def disconnected(self, reason: str) -> None:  # noqa: D102
        pass
