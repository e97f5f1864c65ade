"""What deliveries go by at one moment: connectors, secrets, and the host that they leave from.

A delivery keeps to what was in force when it began.
"""

from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from postconnector.delivery.protocol_log import ProtocolLog
from postconnector.delivery.secrets import Secrets
from postconnector.delivery.surroundings import Surroundings
from postconnector.delivery.tls.contexts import TlsContexts, Trust
from postconnector.model.organization import HostSettings
from postconnector.postfix.local_routing import LocalRouting

_NUMBERS = count(1)


@dataclass(frozen=True, slots=True)
class InForce:
    """`hostname`: what we greet as where a connector says nothing. `number`: of this moment.

    `protocol_log`: of the connectors that have one.
    """

    local: LocalRouting
    secrets: Secrets
    hostname: str
    contexts: TlsContexts
    protocol_log: ProtocolLog
    number: int = field(default_factory=lambda: next(_NUMBERS))

    @classmethod
    def on(
        cls,
        surroundings: Surroundings,
        local: LocalRouting,
        secrets: Secrets,
        protocol_log: ProtocolLog,
    ) -> "InForce":
        """These connectors on this host."""
        trust = _trust(local.organization.host, surroundings)
        return cls(local, secrets, surroundings.hostname, TlsContexts(trust), protocol_log)

    @property
    def external_dns_servers(self) -> tuple[str, ...]:
        """ExternalDNSServers of the server that this host is."""
        server = self.local.server
        return server.external_dns_servers if server is not None else ()


def _trust(host: HostSettings, surroundings: Surroundings) -> Trust:
    """What `[host]` says is trusted, or else what Postfix trusts, or else the machine."""
    lists = host.certificate_revocation_lists
    crl_directory = Path(lists) if lists is not None else None
    if host.trusted_certificates is not None:
        return Trust(Path(host.trusted_certificates), None, crl_directory)
    named = surroundings.ca_file, surroundings.ca_directory
    file, directory = (Path(text) if text else None for text in named)
    return Trust(file, directory, crl_directory)
