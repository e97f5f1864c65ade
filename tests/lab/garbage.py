"""Sessions of clients that are out of their minds, and what a daemon holds on to after them."""

import random
import selectors
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

_PATIENCE = 30.0
_READ_SIZE = 65536
_MOST_AGAIN = 3000
_AWKWARD = (b"\n", b"\r", b"\0", b"\xff", b"\r\n.\r\n", b"\xe2\x80\xa8", b"\x1b[2J", b" ")


def garbage(seed: int, count: int, good: Sequence[bytes]) -> Iterator[bytes]:
    """What such clients send: bytes by chance, and sessions that were good before we had them."""
    chance = random.Random(seed)
    for _ in range(count):
        if chance.random() < 0.2:
            yield chance.randbytes(chance.choice([1, 10, 300, 5000]))
        else:
            data = b"".join(chance.choices(good, k=chance.randrange(1, 4)))
            for _ in range(chance.randrange(1, 6)):
                data = _damaged(chance, data, good)
            yield data


def converse(client: socket.socket, data: bytes) -> bytes:
    """Send all, hearing beside what is said, until the server closes; what it said."""
    heard = bytearray()
    client.setblocking(False)
    with selectors.DefaultSelector() as selector:
        selector.register(client, selectors.EVENT_READ | selectors.EVENT_WRITE)
        with suppress(ConnectionError):
            while True:
                ready = selector.select(_PATIENCE)
                assert ready, f"neither an answer nor an end after {data[:200]!r}"
                if ready[0][1] & selectors.EVENT_READ:
                    if not (said := client.recv(_READ_SIZE)):
                        break
                    heard += said
                elif data:
                    data = data[client.send(data) :]
                if not data and selector.get_key(client).events & selectors.EVENT_WRITE:
                    client.shutdown(socket.SHUT_WR)
                    selector.modify(client, selectors.EVENT_READ)
    return bytes(heard)


def said_to(path: Path, data: bytes) -> bytes:
    """The same with whoever listens at a UNIX socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(_PATIENCE)
        client.connect(str(path))
        return converse(client, data)


def leave(path: Path, data: bytes) -> None:
    """Say as much as is taken at once, and be gone without hearing anything."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(_PATIENCE)
        client.connect(str(path))
        client.setblocking(False)
        with suppress(BlockingIOError):
            client.send(data)


def open_files(pid: int) -> int:
    """How many file descriptors a process has."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def memory(pid: int) -> int:
    """How many bytes of memory a process uses of its own (RssAnon)."""
    status = Path(f"/proc/{pid}/status").read_text()
    [kilobytes] = [line.split()[1] for line in status.splitlines() if line.startswith("RssAnon:")]
    return int(kilobytes) * 1024


def _damaged(chance: random.Random, data: bytes, good: Sequence[bytes]) -> bytes:
    start = chance.randrange(len(data) + 1)
    end = min(start + chance.randrange(1, 30), len(data))
    before, between, after = data[:start], data[start:end], data[end:]
    match chance.randrange(6):
        case 0:
            return before + after
        case 1:
            return before + chance.randbytes(len(between)) + after
        case 2:
            return before + between * chance.randrange(2, _MOST_AGAIN) + after
        case 3:
            return before + chance.choice(good) + between + after
        case 4:
            return before + chance.choice(_AWKWARD) + between + after
        case _:
            return before + between
