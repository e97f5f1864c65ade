"""A real authoritative DNS server (nsd) on a loopback address of its own."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import dns.exception
import dns.message
import dns.query

from tests.lab.child import Child, Server, start_child, stop_child
from tests.lab.loopback import free_address, wait_for_port, wait_until

_PORT = 53


def zone(origin: str, records: Iterable[str]) -> str:
    """A zone file: SOA and NS, and then the given records, relative to `origin`."""
    return "\n".join(
        [
            f"$ORIGIN {origin}.",
            "$TTL 60",
            "@ SOA ns hostmaster 1 3600 600 86400 60",
            "@ NS ns",
            "ns A 127.0.0.1",
            *records,
            "",
        ]
    )


class NsdServer(Server):
    """nsd with these zones (by origin); a context manager."""

    def __init__(self, root: Path, zones: Mapping[str, str]) -> None:
        self._directory = root / "nsd"
        self._zones = dict(zones)
        self._process: Child | None = None
        self.address = free_address(_PORT)

    def start(self) -> None:
        """Start nsd and wait until it answers."""
        self._write()
        self._process = start_child(
            ["nsd", "-d", "-c", str(self._directory / "nsd.conf")], self._directory / "console"
        )
        # A question to a port where nobody listens would only be asked again after a time-out.
        wait_for_port(self.address, _PORT)
        wait_until(self._answers, "the DNS server")

    def stop(self) -> None:
        """Stop nsd."""
        if self._process is not None:
            stop_child(self._process)
            self._process = None

    def _write(self) -> None:
        self._directory.mkdir()
        lines = [
            "server:",
            f"  ip-address: {self.address}@{_PORT}",
            '  username: ""',
            '  chroot: ""',
            '  database: ""',
            f'  zonesdir: "{self._directory}"',
            f'  pidfile: "{self._directory}/nsd.pid"',
            f'  xfrdfile: "{self._directory}/xfrd.state"',
            f'  xfrdir: "{self._directory}"',
            f'  zonelistfile: "{self._directory}/zone.list"',
            "  server-count: 1",
            "  rrl-ratelimit: 0",  # or it stops answering those who ask as much as tests do
            "remote-control:",
            "  control-enable: no",
        ]
        for origin, text in self._zones.items():
            (self._directory / f"{origin}.zone").write_text(text)
            lines += ["zone:", f"  name: {origin}", f"  zonefile: {origin}.zone"]
        (self._directory / "nsd.conf").write_text("\n".join(lines) + "\n")

    def _answers(self) -> bool | None:
        origin = next(iter(self._zones), "test")
        try:
            dns.query.udp(dns.message.make_query(origin, "SOA"), self.address, timeout=0.5)
        except (OSError, dns.exception.DNSException):
            return None
        return True
