"""One address to connect to. No I/O."""

from dataclasses import dataclass

from postconnector.delivery.reply import Reply


@dataclass(frozen=True, slots=True)
class Target:
    """An address of a host, and the port there.

    `host`: the name that led to the address, in A-labels without a final dot; the address itself
    where there is no name.
    """

    host: str
    address: str
    port: int

    def __str__(self) -> str:
        """As Postfix writes relays in its log."""
        return f"{self.host}[{self.address}]:{self.port}"


class NoTargetError(Exception):
    """There is nowhere to deliver to; `reply` is what the sender is told, 4xx or 5xx.

    `not_found`: DNS says that the name, or its mail, does not exist, which DowngradeDnsFailures
    is for.
    """

    def __init__(self, reply: Reply, *, not_found: bool = False) -> None:
        super().__init__(str(reply))
        self.reply = reply
        self.not_found = not_found
