"""Several smart hosts of one connector: whose turn it is, and what if none is to be had. No I/O.

Exchange shares connections out among them round robin and takes the next after a failed
connection. One whose name DNS does not know is a fault in the configuration: it is passed over,
and mail waits if there is no other.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import TypeVar

from postconnector.delivery.hosts.target import NoTargetError
from postconnector.delivery.reply import Reply
from postconnector.model.plain_text import clean
from postconnector.model.smart_host import SmartHost

_DNS_FAILED = "4.4.3"
_MOST_SHOWN = 3

T = TypeVar("T")


class RoundRobin:
    """Whose turn it is, by connector; the `most` that were used last are remembered."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._turns: OrderedDict[str, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._turns)

    def take_turn(self, key: str, hosts: Sequence[T]) -> list[T]:
        """These hosts, the one whose turn it is first, the others behind it in their order."""
        if not hosts:
            return []
        turn = self._turns.pop(key, 0) % len(hosts)
        self._turns[key] = turn + 1
        if len(self._turns) > self._most:
            self._turns.popitem(last=False)
        return [*hosts[turn:], *hosts[:turn]]


def no_smart_host(failures: Sequence[tuple[SmartHost, Reply]]) -> NoTargetError:
    """Why none of them can be used: temporary, whatever DNS says of their names."""
    if not failures:
        return NoTargetError(Reply(451, "4.4.4", ("the connector has no smart host",)))
    unsure = any(reply.enhanced == _DNS_FAILED for _, reply in failures)
    shown = "; ".join(f"{clean(str(host))}: {reply.text}" for host, reply in failures[:_MOST_SHOWN])
    text = f"no smart host can be found: {shown}"
    return NoTargetError(Reply(451, _DNS_FAILED if unsure else "4.4.4", (text,)))
