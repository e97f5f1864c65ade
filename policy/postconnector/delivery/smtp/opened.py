"""What is known of a session, from its greeting on. No I/O."""

from dataclasses import dataclass, field

from postconnector.delivery.smtp.extensions import Extensions
from postconnector.delivery.tls.policy import TlsFacts


@dataclass(slots=True)
class Opened:
    """As far as the session came.

    `banner`: the greeting, printable. `in_clear`: what was offered before TLS; None where TLS was
    not thought of. `extensions`: what is offered now. `mechanism`: by which we have logged in.
    """

    banner: str = ""
    in_clear: Extensions | None = None
    extensions: Extensions = field(default_factory=Extensions)
    tls: TlsFacts | None = None
    mechanism: str | None = None
    spoke_ehlo: bool = True
