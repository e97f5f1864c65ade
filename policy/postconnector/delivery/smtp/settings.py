"""How sessions of one connector with its next hops are held. No I/O."""

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from postconnector.delivery.tls.policy import TlsPolicy


@dataclass(frozen=True, slots=True)
class Login:
    """`only_encrypted`: never without TLS (BasicAuthRequireTLS)."""

    user_name: str
    password: str = field(repr=False)
    only_encrypted: bool
    oauth: bool = False


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds (RFC 5321, 4.5.3.2). `chunk`: for each piece of the message to be taken."""

    connect: float = 30.0
    tls: float = 300.0
    greeting: float = 300.0
    ehlo: float = 300.0
    mail: float = 300.0
    rcpt: float = 300.0
    data_start: float = 120.0
    chunk: float = 180.0
    data_end: float = 600.0
    quit: float = 10.0


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """`messages`: as many at most in one connection; `idle`: seconds it is kept unused."""

    helo_name: str
    tls: TlsPolicy
    force_helo: bool = False
    source_address: IPv4Address | IPv6Address | None = None
    login: Login | None = None
    messages: int = 20
    idle: float = 600.0
    timeouts: Timeouts = field(default_factory=Timeouts)
