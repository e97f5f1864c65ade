"""The addresses of this machine, without a list of them."""

import socket
from ipaddress import IPv4Address, IPv6Address


class LocalAddresses:
    """Contains every address that this machine has at the moment, loopback included."""

    def __contains__(self, address: object) -> bool:
        """Only an address of one's own can be bound to."""
        if not isinstance(address, IPv4Address | IPv6Address):
            return False
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.bind((str(address), 0))
        except OSError:
            return False
        return not address.is_unspecified
