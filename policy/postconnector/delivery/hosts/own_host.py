"""This host, as other people's DNS may name it: mail must not come back to it. No I/O."""

from collections.abc import Container
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

IpAddress = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class OwnHost:
    """`names` in lower case; `addresses` at which we receive mail, proxies' in front included."""

    names: frozenset[str] = frozenset()
    addresses: Container[IpAddress] = frozenset()

    def is_called(self, host: str) -> bool:
        """Whether this is a name of ours."""
        return host.lower() in self.names

    def is_at(self, address: IpAddress) -> bool:
        """Whether this is an address of ours."""
        return address in self.addresses
