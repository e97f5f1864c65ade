"""Addresses, ports and events on loopback."""

import os
import random
import socket
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_INTERVAL = 0.02
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_given: set[int] = set()


def free_port(address: str = "127.0.0.1") -> int:
    """A TCP port on which nobody listens, and that nobody else is given.

    Not one of those that clients connect from; tests that run beside us have others.
    """
    while True:
        port = random.randrange(10_000 + _WORKER, 32_000, _WORKERS)
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            try:
                probe.bind((address, port))
            except OSError:
                continue
        if port not in _given:
            _given.add(port)
            return port


def free_address(port: int) -> str:
    """An address 127.x.y.z on which `port` is free for TCP and UDP."""
    for _ in range(100):
        address = ".".join(["127", *(str(random.randint(16, 250)) for _ in range(3))])
        try:
            with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
                tcp.bind((address, port))
                udp.bind((address, port))
        except OSError:
            continue
        return address
    raise OSError(f"no loopback address with a free port {port}")


def wait_until(condition: Callable[[], T | None], what: str, timeout: float = 20.0) -> T:
    """Wait for `condition` to return something, and return it; TimeoutError says what for."""
    deadline = time.monotonic() + timeout
    while (found := condition()) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout:.0f} s for {what}")
        time.sleep(_INTERVAL)
    return found


def wait_for_port(address: str, port: int, timeout: float = 20.0) -> None:
    """Wait until somebody listens."""

    def connected() -> bool | None:
        try:
            socket.create_connection((address, port), timeout=1.0).close()
        except OSError:
            return None
        return True

    wait_until(connected, f"a server at {address}:{port}", timeout)
