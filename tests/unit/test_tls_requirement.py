"""What TLS properties come to, for a connector and for a recipient's domain."""

import pytest

from postconnector.enforcement.tls_requirement import (
    CertificateName,
    NameSource,
    Starttls,
    TlsRequirement,
    certificate_names,
    requirement_to,
    tls_requirement,
)
from postconnector.model.organization import OrganizationSettings
from tests.unit.connectors import connector

ENCRYPTED = TlsRequirement(Starttls.REQUIRED)
ANY_NAME = TlsRequirement(Starttls.REQUIRED, chain=True)
BY_TLS_DOMAIN = TlsRequirement(Starttls.REQUIRED, chain=True, name=NameSource.TLS_DOMAIN)
BY_RECIPIENT = TlsRequirement(Starttls.REQUIRED, chain=True, name=NameSource.RECIPIENT_DOMAIN)
BY_NEXT_HOP = TlsRequirement(Starttls.REQUIRED, chain=True, name=NameSource.NEXT_HOP)

RELAY: dict[str, object] = {
    "dns_routing_enabled": False,
    "smart_hosts": ["smtp.isp.test", "192.0.2.1", "smtp2.isp.test"],
}
LOGIN: dict[str, object] = {
    **RELAY,
    "smart_host_auth_mechanism": "BasicAuthRequireTLS",
    "authentication_credential": {"user_name": "u", "password_file": "p"},
}
VALIDATION: dict[str, object] = {"require_tls": True, "tls_auth_level": "DomainValidation"}
SECURE = OrganizationSettings.model_validate({"tls_send_domain_secure_list": ["Contoso.com"]})


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({}, TlsRequirement(Starttls.IF_OFFERED)),
        (RELAY, TlsRequirement(Starttls.IF_OFFERED)),
        ({"ignore_starttls": True}, TlsRequirement(Starttls.NEVER)),
        ({"require_tls": True}, ENCRYPTED),
        ({"require_tls": True, "tls_auth_level": "EncryptionOnly"}, ENCRYPTED),
        ({"require_tls": True, "tls_auth_level": "CertificateValidation"}, ANY_NAME),
        (VALIDATION, BY_RECIPIENT),
        ({**VALIDATION, "tls_domain": "mail.contoso.com"}, BY_TLS_DOMAIN),
        (LOGIN, BY_NEXT_HOP),
        ({**LOGIN, "smart_host_auth_mechanism": "BasicAuth"}, TlsRequirement(Starttls.IF_OFFERED)),
        ({**LOGIN, "require_tls": True}, BY_NEXT_HOP),
        ({**LOGIN, "require_tls": True, "tls_auth_level": "CertificateValidation"}, BY_NEXT_HOP),
        ({**LOGIN, **VALIDATION, "tls_domain": "*.isp.test"}, BY_TLS_DOMAIN),
    ],
)
def test_requirement(properties: dict[str, object], expected: TlsRequirement) -> None:
    assert tls_requirement(connector(**properties)) == expected


@pytest.mark.parametrize(
    ("properties", "domain", "expected"),
    [
        ({}, "contoso.com", BY_RECIPIENT),
        ({**VALIDATION, "tls_domain": "mail.contoso.com"}, "contoso.com", BY_RECIPIENT),
        ({}, "sub.contoso.com", TlsRequirement(Starttls.IF_OFFERED)),
        ({}, "fabrikam.com", TlsRequirement(Starttls.IF_OFFERED)),
        ({"domain_secure_enabled": False}, "contoso.com", TlsRequirement(Starttls.IF_OFFERED)),
        ({"ignore_starttls": True}, "contoso.com", TlsRequirement(Starttls.NEVER)),
        (RELAY, "contoso.com", TlsRequirement(Starttls.IF_OFFERED)),
    ],
)
def test_mutual_tls_for_the_domains_in_the_list(
    properties: dict[str, object], domain: str, expected: TlsRequirement
) -> None:
    secured = connector(**{"domain_secure_enabled": True, **properties})
    assert requirement_to(domain, secured, SECURE) == expected


@pytest.mark.parametrize(
    ("properties", "domain", "expected"),
    [
        ({"require_tls": True}, "contoso.com", None),
        (VALIDATION, "contoso.com", ["contoso.com"]),
        (VALIDATION, "[192.0.2.1]", []),
        ({**VALIDATION, "tls_domain": "mail.contoso.com"}, "x.com", ["mail.contoso.com"]),
        ({**VALIDATION, "tls_domain": "*.contoso.com"}, "x.com", ["*.contoso.com"]),
        (LOGIN, "contoso.com", ["smtp.isp.test", "smtp2.isp.test"]),
        ({**LOGIN, "smart_hosts": ["192.0.2.1"]}, "contoso.com", []),
        # Without smart hosts the recipient's domain is the next hop, as in Postfix.
        ({"smart_host_auth_mechanism": "BasicAuthRequireTLS"}, "contoso.com", ["contoso.com"]),
    ],
)
def test_names(properties: dict[str, object], domain: str, expected: list[str] | None) -> None:
    each = connector(**properties)
    names = certificate_names(tls_requirement(each), domain, each)
    assert (None if names is None else [str(name) for name in names]) == expected


def test_a_name_with_its_subdomains() -> None:
    each = connector(**VALIDATION, tls_domain="*.contoso.com")
    names = certificate_names(tls_requirement(each), "contoso.com", each)
    assert names == (CertificateName("contoso.com", subdomains=True),)
