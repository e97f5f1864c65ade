"""Whether the system knows a way to an address."""

import socket


def has_route(address: str) -> bool:
    """Whether a packet to this IP address would leave; none does, a datagram socket is enough.

    Hosts without IPv6 are told apart here from mail hosts that do not answer.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
    except OSError:
        return False
    return True
