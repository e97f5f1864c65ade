"""Endpoints as Postfix writes them: unix:PATH (in the queue directory) and inet:HOST:PORT."""

import socket
import stat
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the policy service listens: `path`, or `host` and `port`."""

    path: Path | None = None
    host: str = ""
    port: int = 0

    @classmethod
    def parse(cls, text: str, queue_directory: Path) -> "Endpoint":
        """Read an endpoint; a relative path starts in Postfix' queue directory.

        Raises ValueError for anything that is none.
        """
        kind, _, rest = text.partition(":")
        if kind == "unix" and rest:
            return cls(path=queue_directory / rest)
        host, _, port = rest.rpartition(":")
        if kind == "inet" and host and port.isdecimal() and int(port) < 65536:
            return cls(host=host.strip("[]"), port=int(port))
        raise ValueError(f"{text!r} is no endpoint; write unix:PATH or inet:HOST:PORT")

    def listen(self) -> socket.socket:
        """Bind, taking the place of a socket that nobody listens on any more.

        Whoever may enter the folder of a UNIX socket may connect. Raises OSError.
        """
        if self.path is None:
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            return socket.create_server((self.host, self.port), family=family, backlog=1024)
        if self.path.exists() and stat.S_ISSOCK(self.path.stat().st_mode):
            if self._answers():
                raise OSError(f"another program listens on {self.path}")
            self.path.unlink()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self.path))
        self.path.chmod(0o666)
        listener.listen(1024)
        return listener

    def connect(self, timeout: float) -> socket.socket:
        """Connect as a client, each step within `timeout` seconds. Raises OSError."""
        if self.path is None:
            return socket.create_connection((self.host, self.port), timeout=timeout)
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(timeout)
        try:
            client.connect(str(self.path))
        except OSError:
            client.close()
            raise
        return client

    def _answers(self) -> bool:
        try:
            self.connect(timeout=1.0).close()
        except OSError:
            return False
        return True

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.path is not None else f"inet:{self.host}:{self.port}"
