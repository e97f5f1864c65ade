"""Reading Postfix' log: deliveries, and what TLS they had."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.lab.loopback import wait_until

_LINE = re.compile(r"^\w+ +\d+ [\d:]+ \S+ postfix/(?P<service>\S+?)\[(?P<pid>\d+)\]: (?P<text>.*)$")
_DELIVERY = re.compile(
    r"(?P<id>[0-9A-Za-z]+): to=<(?P<to>[^>]*)>,.*? relay=(?P<relay>[^,]+),.*?"
    r" dsn=(?P<dsn>[\d.]+), status=(?P<status>\w+) \((?P<text>.*)\)$"
)
_TLS_PEER = re.compile(r"TLS connection established to (?P<peer>\S+\[[^\]]+\]:\d+): ")
_MESSAGE_ID = re.compile(r"(?P<id>[0-9A-Za-z]+): message-id=(?P<message_id><.*>)$")


@dataclass(frozen=True)
class LogLine:
    """One line: `service` is the tag behind postfix/, such as pc-fabrikam/smtp."""

    number: int
    service: str
    pid: int
    text: str


@dataclass(frozen=True)
class Delivery:
    """One attempt to deliver to a recipient, as logged."""

    line: LogLine
    queue_id: str
    recipient: str
    relay: str
    dsn: str
    status: str
    text: str

    @property
    def service(self) -> str:
        """The tag of the service that delivered, such as pc-fabrikam/smtp."""
        return self.line.service


class LogReader:
    """The log of one Postfix instance."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def lines(self) -> Iterator[LogLine]:
        """Every line so far."""
        if not self._path.exists():
            return
        for number, line in enumerate(self._path.read_text(errors="replace").splitlines()):
            if match := _LINE.match(line):
                yield LogLine(number, match["service"], int(match["pid"]), match["text"])

    def deliveries(self) -> Iterator[Delivery]:
        """Every attempt to deliver so far."""
        for line in self.lines():
            if match := _DELIVERY.match(line.text):
                yield Delivery(
                    line,
                    match["id"],
                    match["to"],
                    match["relay"],
                    match["dsn"],
                    match["status"],
                    match["text"],
                )

    def queue_ids(self, message_id: str) -> set[str]:
        """The queue ids under which a message with this Message-ID was here."""
        return {
            match["id"]
            for line in self.lines()
            if (match := _MESSAGE_ID.match(line.text)) and match["message_id"] == message_id
        }

    def wait_for_delivery(
        self, recipient: str, *, message_id: str | None = None, timeout: float = 30.0
    ) -> Delivery:
        """Wait for the first attempt to deliver to a recipient (of one message)."""

        def attempted() -> Delivery | None:
            wanted = self.queue_ids(message_id) if message_id is not None else None
            for delivery in self.deliveries():
                if delivery.recipient == recipient and (
                    wanted is None or delivery.queue_id in wanted
                ):
                    return delivery
            return None

        return wait_until(attempted, f"a delivery to {recipient}", timeout)

    def tls_line(self, delivery: Delivery) -> str | None:
        """The "… TLS connection established to …" line of a delivery, if it had TLS.

        That is the last one for the same relay that the same process logged while it had the
        same message. Failed deliveries name the relay without its port.
        """
        found: str | None = None
        for line in self.lines():
            if line.number >= delivery.line.number:
                break
            if line.pid != delivery.line.pid:
                continue
            if (other := _DELIVERY.match(line.text)) and other["id"] != delivery.queue_id:
                found = None
            if (tls := _TLS_PEER.search(line.text)) and delivery.relay in (
                tls["peer"],
                tls["peer"].rpartition(":")[0],
            ):
                found = line.text
        return found
