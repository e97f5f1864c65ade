"""Metrics by HTTP, on a loopback address.

One thread serves one client after the other, each for ten seconds at most: whoever is on this
host can keep Prometheus waiting, but takes neither threads nor files from those who bring mail.
"""

import contextlib
import logging
import socket
import socketserver
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from threading import Thread, Timer
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import make_wsgi_app

from postconnector.daemon.metrics import Metrics

_LONGEST_EXCHANGE = 10.0
"""Seconds."""

_SWITCH = 0.0005
"""Seconds for which one thread may keep the others from running; Python's own 5 ms would hold up
every answer while thousands of series are written."""

log = logging.getLogger(__name__)


class MetricsServer:
    """Listens from the beginning; answers when it is started."""

    def __init__(self, address: tuple[str, int], metrics: Metrics) -> None:
        """Raises OSError."""
        self._server = _Server(address)
        self._server.set_app(make_wsgi_app(metrics.registry))
        self.address = host, port = address
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}/metrics"

    def start(self) -> None:
        """Answer, in a thread of its own, until the process ends."""
        sys.setswitchinterval(_SWITCH)
        Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()


def loopback_address(text: str) -> tuple[str, int]:
    """Read HOST:PORT, the host a loopback address. Raises ValueError for anything else."""
    host, _, port = text.rpartition(":")
    is_port = port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) < 65536
    if not is_port:
        raise ValueError(f"{text!r} is no place for metrics; write 127.0.0.1:PORT or [::1]:PORT")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        is_loopback = ip_address(bare).is_loopback and "%" not in bare
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise ValueError(
            f"metrics are for this host alone, and {host!r} is no loopback address;"
            " write 127.0.0.1:PORT or [::1]:PORT"
        )
    return bare, int(port)


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401
        """A scrape is nothing to log."""


class _Server(WSGIServer):
    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Without asking DNS for a name of the address, as HTTPServer does."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self._address
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        with _ended_after(request, _LONGEST_EXCHANGE):
            super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002
        error = sys.exception()
        if isinstance(error, OSError):
            log.debug("a client of the metrics went away: %s", error)
        else:
            log.error("our own fault in telling metrics", exc_info=error)


@contextlib.contextmanager
def _ended_after(client: socket.socket, seconds: float) -> Iterator[None]:
    def end() -> None:
        with contextlib.suppress(OSError):  # it has just been closed
            client.shutdown(socket.SHUT_RDWR)

    timer = Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
