"""The DNS servers that the system asks: resolv.conf(5), read anew when it changes."""

from pathlib import Path

import dns.inet

RESOLV_CONF = Path("/etc/resolv.conf")

_MOST = 3
_LOCAL = ("127.0.0.1",)
"""Where none is named (resolv.conf(5))."""

_LONGEST_FILE = 64 * 1024

Nameservers = tuple[str, ...]


class SystemNameservers:
    """Gives the servers whenever called; a file that cannot be read leaves those from before.

    What else the file says (search, options) is not for mail: names are asked for as they are.
    """

    def __init__(self, path: Path = RESOLV_CONF) -> None:
        self._path = path
        self._version: tuple[int, ...] | None = None
        self._servers: Nameservers = _LOCAL

    def __call__(self) -> Nameservers:
        """The servers of now."""
        try:
            found = self._path.stat()
            version = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
            if version != self._version:
                self._servers = _parse(self._read())
                self._version = version
        except OSError:
            pass
        return self._servers

    def _read(self) -> str:
        with self._path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_LONGEST_FILE)


def _parse(text: str) -> Nameservers:
    words = (line.split() for line in text.splitlines())
    named = (line[1] for line in words if len(line) > 1 and line[0] == "nameserver")
    return tuple(server for server in named if dns.inet.is_address(server))[:_MOST] or _LOCAL
