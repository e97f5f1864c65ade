"""How much the LMTP server takes from its clients."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """`message_size` in bytes, 0 for none; `recipients` of one message; `idle` in seconds.

    `connections`: at once. `bad_commands`: as many since the last message end a session.
    """

    message_size: int = 0
    recipients: int = 1000
    bad_commands: int = 20
    connections: int = 256
    idle: float = 300.0
