"""A next hop on every loopback address whose dialogues break off in garbage."""

import random
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress

from tests.lab.child import Server

_PATIENCE = 60.0
_READ_SIZE = 65536
_DIALOGUE = (
    b"220 peer.test ESMTP\r\n",
    b"250-peer.test\r\n250-SIZE 1000000\r\n250-8BITMIME\r\n250-DSN\r\n250 SMTPUTF8\r\n",
    b"250 2.1.0 ok\r\n",
    b"250 2.1.5 ok\r\n",
    b"354 go on\r\n",
    b"250 2.0.0 taken\r\n",
)
_END = b"\r\n.\r\n"


class GarbagePeer(Server):
    """Says in each session a number of good replies, then garbage, then nothing more.

    `seed` and the address that it is connected at say what. By address: `heard` and `said`.
    """

    def __init__(self, seed: int, port: int, words: Sequence[bytes]) -> None:
        self.port = port
        self.heard: dict[str, bytes] = {}
        self.said: dict[str, bytes] = {}
        self._seed = seed
        self._words = words
        self._listener: socket.socket | None = None
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def start(self) -> None:
        """Listen."""
        self._listener = socket.create_server(("", self.port), backlog=100)
        self._threads[0].start()

    def stop(self) -> None:
        """Stop listening. The clients must have left."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            for (
                thread
            ) in self._threads:  # it grows until the first of them, which accepts, has ended
                thread.join(_PATIENCE)
                assert not thread.is_alive(), "a client did not leave"
            self._listener.close()

    def took(self, address: str) -> bool:
        """Whether a whole message came in at this address, and was told that it is taken."""
        _, data, content = self.heard.get(address, b"").partition(b"\r\nDATA\r\n")
        return bool(data) and _END in content and b"250" in self.said[address]

    def _accept(self) -> None:
        assert self._listener is not None
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._talk, args=(client,), daemon=True))
            self._threads[-1].start()

    def _talk(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            client.settimeout(_PATIENCE)
            self._converse(client, client.getsockname()[0])

    def _converse(self, client: socket.socket, address: str) -> None:
        chance = random.Random(f"{self._seed} {address}")
        good = chance.randrange(len(_DIALOGUE))
        garbage = b"".join(self._garbage(chance) for _ in range(chance.randrange(1, 4)))
        heard = self.heard.setdefault(address, b"")
        for reply in _DIALOGUE[:good]:
            self._say(client, address, reply)
            if not (data := client.recv(_READ_SIZE)):
                return
            while b"354" in reply and _END not in data:
                data += client.recv(_READ_SIZE)
            heard += data
            self.heard[address] = heard
        self._say(client, address, garbage)
        client.shutdown(socket.SHUT_WR)
        while data := client.recv(_READ_SIZE):
            heard += data
            self.heard[address] = heard

    def _say(self, client: socket.socket, address: str, data: bytes) -> None:
        self.said[address] = self.said.get(address, b"") + data
        client.sendall(data)

    def _garbage(self, chance: random.Random) -> bytes:
        reply = chance.choice((*_DIALOGUE, *self._words))
        start = chance.randrange(len(reply) + 1)
        between = chance.choice((b"", chance.randbytes(4), reply * chance.randrange(200), b"\0\r"))
        return reply[:start] + between + reply[start + chance.randrange(3) :]
