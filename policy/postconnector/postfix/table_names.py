"""What our tables and files are called in the folder of a generation."""

TRANSPORT_TABLE = "transport"
FOREIGN_TABLE = "foreign"
"""Patterns for addresses that are not SMTP addresses."""

ROUTE_TABLES = (TRANSPORT_TABLE, FOREIGN_TABLE)
"""Tables whose values name services."""

DOMAIN_SECURE_TABLE = "domain-secure"
"""TLS policies of the domains in TLSSendDomainSecureList."""


_FOLDERS_OF_SECRETS = ("passwords", "certificates")
_REASONS = {
    TRANSPORT_TABLE: "AddressSpaces",
    FOREIGN_TABLE: "AddressSpaces",
    DOMAIN_SECURE_TABLE: "DomainSecureEnabled",
    "failures": "ErrorPolicies",
    "headers": "Usage, CloudServicesMailEnabled",
    "tls-policies": "RequireTLS, TlsAuthLevel, TlsDomain",
    "passwords": "AuthenticationCredential",
    "certificates": "TlsCertificateName",
}


def reason_of(file: str) -> str:
    """The properties that a file of a generation carries out; empty for others."""
    return _REASONS.get(file.partition("/")[0], "")


def is_secret(file: str) -> bool:
    """Whether a file of a generation is for root alone, and never shown."""
    return file.startswith(tuple(f"{folder}/" for folder in _FOLDERS_OF_SECRETS))


def certificate_file(service: str) -> str:
    """A service's own certificate, with its key."""
    return f"certificates/{service}.pem"


def password_table(service: str) -> str:
    """A service's credentials by next hop."""
    return f"passwords/{service}"


def tls_policy_table(service: str) -> str:
    """A service's TLS policies by next hop, where it has several."""
    return f"tls-policies/{service}"
