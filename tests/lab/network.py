"""Networks of a test's own: namespaces, links between them, and what goes wrong on a link.

A namespace lasts while the process that holds it open does, which ends with ours however we end
(tests.lab.child); links go with their namespaces. Root alone can make them.
"""

import ctypes
import ipaddress
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.lab.child import Child, Server, start_child, stop_child
from tests.lab.loopback import wait_until

_HOLD = "ip link set lo up && echo up && exec sleep infinity"
_CLONE_NEWNET = 0x40000000
_NEAR_MAC, _FAR_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
# Of the queue at each end of a slow link: room for one packet at once, and no packet is lost.
_BURST, _QUEUE = "2kb", "64mb"


class Namespace(Server):
    """A machine as the network sees it, at first with nothing but loopback."""

    def __init__(self, root: Path, name: str) -> None:
        self._output = root / f"{name}.namespace"
        self._holder: Child | None = None
        self._links = 0

    def start(self) -> None:
        """Make the namespace."""
        self._holder = start_child(["unshare", "--net", "/bin/sh", "-c", _HOLD], self._output)
        wait_until(lambda: self._output.read_bytes() or None, "a network namespace")

    def stop(self) -> None:
        """Let it go; servers that still run in it keep it."""
        if self._holder is not None:
            stop_child(self._holder)
            self._holder = None

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Be inside with this thread.

        Sockets made, programs run and servers started here are of this namespace for all their
        life, also when used outside.
        """
        with (
            Path("/proc/thread-self/ns/net").open("rb") as outside,
            Path(f"/proc/{self.process_id}/ns/net").open("rb") as within,
        ):
            _enter(within.fileno())
            try:
                yield
            finally:
                _enter(outside.fileno())

    def run(self, *command: str) -> str:
        """Run a program inside, and return what it prints."""
        with self.inside():
            result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise OSError(f"{' '.join(command)}: {result.stderr.strip()}")
        return result.stdout

    @property
    def process_id(self) -> int:
        """A process that is inside."""
        assert self._holder is not None, "the namespace is up inside a with statement only"
        return self._holder.pid

    def new_interface(self) -> str:
        """A name for one more interface."""
        self._links += 1
        return f"link{self._links}"


class Link:
    """A cable between two namespaces that are up.

    `near_addresses`, `far_addresses`: of IPv4 or IPv6 with their prefix length; all of a family in
    one network, as "192.0.2.1/24", "192.0.2.11/24" here and "192.0.2.2/24" there.
    """

    def __init__(
        self,
        near: Namespace,
        far: Namespace,
        near_addresses: Sequence[str],
        far_addresses: Sequence[str],
    ) -> None:
        self._near_end = _End(near, near.new_interface())
        self._far_end = _End(far, far.new_interface())
        self._far_addresses = far_addresses
        near.run(
            *("ip", "link", "add", self._near_end.interface, "address", _NEAR_MAC, "type", "veth"),
            *("peer", "name", self._far_end.interface, "address", _FAR_MAC),
            *("netns", str(far.process_id)),
        )
        self._near_end.bring_up(near_addresses)
        self._far_end.bring_up(far_addresses)
        self._near_end.know(far_addresses, _FAR_MAC)
        self._far_end.know(near_addresses, _NEAR_MAC)

    def swallow(self, network: str) -> None:
        """Have the near end send packets to this network over the link, where they are lost.

        So is a host that is silent: connecting to it only ever times out.
        """
        version = ipaddress.ip_network(network).version
        router = next(
            address.ip
            for address in map(ipaddress.ip_interface, self._far_addresses)
            if address.version == version
        )
        self._far_end.ip("route", "add", "blackhole", network)
        self._near_end.ip("route", "add", network, "via", str(router))

    def silence(self) -> None:
        """Lose every packet from now on, both ways, of standing connections too."""
        for end in (self._near_end, self._far_end):
            end.queue("blackhole")

    def slow(self, kilobits: int) -> None:
        """Let through no more than so many kilobits a second, either way; none is lost."""
        for end in (self._near_end, self._far_end):
            end.queue("tbf", "rate", f"{kilobits}kbit", "burst", _BURST, "limit", _QUEUE)

    def repair(self) -> None:
        """Be a good link again."""
        for end in (self._near_end, self._far_end):
            end.run("tc", "qdisc", "delete", "dev", end.interface, "root")

    def waiting_bytes(self) -> int:
        """How much the near end has yet to send, on a slow link."""
        return self._near_end.backlog()


class _End:
    """An end of a link."""

    def __init__(self, namespace: Namespace, interface: str) -> None:
        self.interface = interface
        self.run = namespace.run

    def ip(self, *arguments: str) -> None:
        self.run("ip", *arguments)

    def bring_up(self, addresses: Sequence[str]) -> None:
        for address in addresses:
            # An IPv6 address would first be tried out for a second.
            flags = ["nodad"] if ":" in address else []
            self.ip("address", "add", address, "dev", self.interface, *flags)
        self.ip("link", "set", self.interface, "up")

    def know(self, addresses: Sequence[str], mac: str) -> None:
        """Know where they are for ever: behind a dead link nobody says that a host is gone."""
        for address in addresses:
            ip = str(ipaddress.ip_interface(address).ip)
            self.ip(
                *("neighbour", "replace", ip, "lladdr", mac),
                *("dev", self.interface, "nud", "permanent"),
            )

    def queue(self, *kind: str) -> None:
        self.run("tc", "qdisc", "replace", "dev", self.interface, "root", *kind)

    def backlog(self) -> int:
        (queue,) = json.loads(self.run("tc", "-j", "-s", "qdisc", "show", "dev", self.interface))
        return int(queue["backlog"])


def _enter(namespace: int) -> None:
    # os.setns is of Python 3.12.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
