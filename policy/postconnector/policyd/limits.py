"""How long the policy service waits for its clients, and how many it has."""

import resource
from dataclasses import dataclass, field

_RESERVED = 64
"""File descriptors for reading connectors, asking Postfix and whatever else is open."""


def _most_connections() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(soft - _RESERVED, 1)


@dataclass(frozen=True, slots=True)
class Limits:
    """`connections`: at once; by default as many as there may be open files, nearly.

    In seconds: `idle` between two requests, which is longer than Postfix keeps a connection
    (smtpd_policy_service_max_ttl, 1000 s); `stalled` in the middle of a request, or while answers
    are not read, which is as long as smtpd(8) itself waits (timeout=20s, as apply compiles it).
    """

    connections: int = field(default_factory=_most_connections)
    idle: float = 1800.0
    stalled: float = 20.0
