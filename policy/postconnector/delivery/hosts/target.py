"""One address to connect to. No I/O."""

from dataclasses import dataclass

from postconnector.delivery.reply import Reply


@dataclass(frozen=True, slots=True)
class Target:
    """An address of a host, and the port there.

    `host`: the name that led to the address, in A-labels without a final dot; the address itself
    where there is no name. An address may be the path of a UNIX socket, too.
    """

    host: str
    address: str
    port: int

    @property
    def is_socket(self) -> bool:
        """Whether it is a UNIX socket, and no port of a host."""
        return self.address.startswith("/")

    def __str__(self) -> str:
        """As Postfix writes relays in its log."""
        if self.is_socket:
            return f"{self.host}[{self.address}]"
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
