"""What our tables and files are called in the folder of a generation."""

TRANSPORT_TABLE = "transport"
FOREIGN_TABLE = "foreign"
"""Patterns for addresses that are not SMTP addresses."""

ROUTE_TABLES = (TRANSPORT_TABLE, FOREIGN_TABLE)
"""Tables whose values name services."""

DOMAIN_SECURE_TABLE = "domain-secure"
"""TLS policies of the domains in TLSSendDomainSecureList."""

DNS_FAILURES_TABLE = "dns-failures"
"""What DowngradeDnsFailures makes of failures: a table of patterns."""


def certificate_file(service: str) -> str:
    """A service's own certificate, with its key."""
    return f"certificates/{service}.pem"


def password_table(service: str) -> str:
    """A service's credentials by next hop."""
    return f"passwords/{service}"


def tls_policy_table(service: str) -> str:
    """A service's TLS policies by next hop, where it has several."""
    return f"tls-policies/{service}"
