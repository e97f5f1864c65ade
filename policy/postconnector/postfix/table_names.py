"""What our tables and files are called in the folder of a generation."""

TRANSPORT_TABLE = "transport"
FOREIGN_TABLE = "foreign"
"""Patterns for addresses that are not SMTP addresses."""

MILTER_TABLE = "milter-headers"
"""What the milter's marker header does."""

ROUND_ROBIN_TABLE = "round-robin"
"""Routes whose smart hosts take turns; the lookup service says whose it is."""

ROUTE_TABLES = (TRANSPORT_TABLE, FOREIGN_TABLE, ROUND_ROBIN_TABLE)
"""Tables whose values name services."""

DOMAIN_SECURE_TABLE = "domain-secure"
"""TLS policies of the domains in TLSSendDomainSecureList."""


CERTIFICATE_FAILURES_TABLE = "certificate-failures"
"""Patterns of failures of which the lookup service knows the reason."""

CERTIFICATE_STATES = "certificates.json"
"""What everybody may know of the certificates of connectors."""

_AGENT_FOLDERS = ("agent-passwords", "agent-certificates")
_FOLDERS_OF_SECRETS = ("passwords", "certificates", *_AGENT_FOLDERS)
_REASONS = {
    TRANSPORT_TABLE: "AddressSpaces",
    FOREIGN_TABLE: "AddressSpaces",
    ROUND_ROBIN_TABLE: "SmartHosts",
    CERTIFICATE_FAILURES_TABLE: "TlsCertificateName",
    DOMAIN_SECURE_TABLE: "DomainSecureEnabled",
    MILTER_TABLE: "MaxMessageSize",
    "failures": "ErrorPolicies",
    "headers": "Usage, CloudServicesMailEnabled",
    "tls-policies": "RequireTLS, TlsAuthLevel, TlsDomain",
    "passwords": "AuthenticationCredential",
    "certificates": "TlsCertificateName",
    "agent-passwords": "AuthenticationCredential",
    "agent-certificates": "TlsCertificateName",
    CERTIFICATE_STATES: "TlsCertificateName",
}


def reason_of(file: str) -> str:
    """The properties that a file of a generation carries out; empty for others."""
    return _REASONS.get(file.partition("/")[0], "")


def is_secret(file: str) -> bool:
    """Whether a file of a generation is never shown, and only for root, or for the agent too."""
    return file.startswith(tuple(f"{folder}/" for folder in _FOLDERS_OF_SECRETS))


def is_for_agent(file: str) -> bool:
    """Whether the delivery agent may read a secret file."""
    return file.startswith(tuple(f"{folder}/" for folder in _AGENT_FOLDERS))


def agent_password(name: str) -> str:
    """The password of a connector that the agent carries out, by the name for its service."""
    return f"agent-passwords/{name}"


def agent_certificate(name: str) -> str:
    """The certificate, with its key, that the agent shows for a connector."""
    return f"agent-certificates/{name}.pem"


def certificate_file(service: str) -> str:
    """A service's own certificate, with its key."""
    return f"certificates/{service}.pem"


def password_table(service: str) -> str:
    """A service's credentials by next hop."""
    return f"passwords/{service}"


def tls_policy_table(service: str) -> str:
    """A service's TLS policies by next hop, where it has several."""
    return f"tls-policies/{service}"
