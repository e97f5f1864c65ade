"""Clients of a policy service that ask one question after the other, as smtpd(8) does.

    python -m tests.benchmarks.policy_load SOCKET CONNECTIONS SECONDS

Each connection asks for one recipient and at the end of the message, in turn, under one `instance`,
and waits for each answer: requests of Postfix 3.7, whose client, sender and recipient are others
with each message. Prints the answers per second, and the latencies in microseconds. No asyncio:
what loads a server must be quicker than it.
"""

import json
import select
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path

SAMPLES = Path(__file__).parents[1] / "unit" / "policy_requests"
WARMING_UP = 0.3
"""Seconds that are not counted."""

_CONTEXT = "asked-here; ; "
"""What compiled settings have smtpd(8) say where there is no content filter."""

_MESSAGES = 40
"""Of each connection, again and again."""


@dataclass(frozen=True)
class Result:
    """`asked`: in all, those of warming up among them. `p50` and `p99` in microseconds; `busy`: the
    part of the time that we worked ourselves.
    """

    asked: int
    rate: float
    p50: float
    p99: float
    busy: float


class Client:
    """One connection, and when it asked."""

    def __init__(self, path: str, number: int) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.asked = 0.0
        self._requests = cycle(list(requests(number)))

    def ask(self) -> None:
        """Send the next request."""
        request = next(self._requests)
        self.asked = time.perf_counter()
        self.socket.send(request)


def requests(number: int) -> Iterator[bytes]:
    """The requests of one connection."""
    texts = [(SAMPLES / f"3.7-{state}.txt").read_text() for state in ("rcpt", "end")]
    samples = [text.replace("policy_context=\n", f"policy_context={_CONTEXT}\n") for text in texts]
    for message in range(_MESSAGES):
        changes = {
            "client_address=127.0.0.1": f"client_address=10.1.{number}.{message}",
            "client_port=": f"client_port={message}",
            "client.contoso.test": f"client{number}.contoso.test",
            "alice@": f"alice{message}@",
            "b@other.test": f"bob{message}@d{(number * _MESSAGES + message) % 997}.other.test",
            "instance=": f"instance={number:x}.{message:x}.",
            "size=21": f"size={1000 + 100 * message}",
        }
        for text in samples:
            for old, new in changes.items():
                text = text.replace(old, new)
            yield text.encode()


def load(path: str, connections: int, seconds: float) -> Result:
    """Ask for so many seconds. AssertionError for an answer that is not DUNNO."""
    poll = select.epoll()
    clients: dict[int, Client] = {}
    for number in range(connections):
        client = Client(path, number)
        clients[client.socket.fileno()] = client
        poll.register(client.socket, select.EPOLLIN)
    for client in clients.values():
        client.ask()
    latencies: list[float] = []
    asked = 0
    counted_from = time.perf_counter() + WARMING_UP
    until = counted_from + seconds
    now = worked = 0.0
    while now < until:
        events = poll.poll()
        worked -= time.process_time()
        asked += len(events)
        for descriptor, _ in events:
            client = clients[descriptor]
            answer = client.socket.recv(4096)
            now = time.perf_counter()
            assert answer == b"action=DUNNO\n\n", answer
            if client.asked >= counted_from:
                latencies.append(now - client.asked)
            client.ask()
        worked += time.process_time()
    latencies.sort()
    count = len(latencies)
    p50, p99 = (latencies[int(count * part)] * 1e6 for part in (0.5, 0.99))
    return Result(asked, count / seconds, p50, p99, worked / (seconds + WARMING_UP))


if __name__ == "__main__":
    print(json.dumps(asdict(load(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))))
