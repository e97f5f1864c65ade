"""What the properties of a connector demand of each other: each rule, broken and kept."""

import pytest

from postconnector.model.rules import rule_problems
from postconnector.model.send_connector import SendConnector
from tests.unit.connectors import connector

CREDENTIAL = {"user_name": "contoso", "password_file": "secrets/relay"}
RELAY = {"dns_routing_enabled": False, "smart_hosts": ["relay.contoso.com"]}
RELAY_BY_ADDRESS = {"dns_routing_enabled": False, "smart_hosts": ["192.0.2.1"]}
LOGIN = {"smart_host_auth_mechanism": "BasicAuth", "authentication_credential": CREDENTIAL}
LOGIN_OVER_TLS = {**LOGIN, "smart_host_auth_mechanism": "BasicAuthRequireTLS"}
VALIDATION = {"require_tls": True, "tls_auth_level": "DomainValidation"}
TO_CONTOSO = {"tls_domain": "mail.contoso.com"}


def found(candidate: SendConnector) -> list[tuple[str, str]]:
    return [(str(p.property), p.severity.value) for p in rule_problems(candidate)]


@pytest.mark.parametrize(
    ("properties", "at", "severity", "message"),
    [
        ({"address_spaces": []}, "address_spaces", "error", "required; write e.g."),
        (
            {"address_spaces": ["contoso.com;5", "Contoso.com;9"]},
            "address_spaces",
            "warning",
            "Contoso.com is named more than once; its lowest cost counts",
        ),
        ({"address_spaces": ["*", "*;2"]}, "address_spaces", "warning", "* is named more than"),
        (
            {"address_spaces": ["localhost"]},
            "address_spaces",
            "warning",
            "localhost has only one label",
        ),
        (
            {"smart_hosts": ["relay.contoso.com"]},
            "smart_hosts",
            "error",
            "add dns_routing_enabled = false",
        ),
        (
            {"smart_hosts": ["relay.contoso.com"], "dns_routing_enabled": True},
            "smart_hosts",
            "error",
            "can't be used while DNSRoutingEnabled is true",
        ),
        ({"dns_routing_enabled": False}, "dns_routing_enabled", "error", "add smart_hosts"),
        (
            {**RELAY, "smart_host_auth_mechanism": "ExchangeServer"},
            "smart_host_auth_mechanism",
            "error",
            "can't be spoken by Postfix",
        ),
        (
            {**RELAY, "smart_host_auth_mechanism": "BasicAuth"},
            "smart_host_auth_mechanism",
            "error",
            "BasicAuth needs AuthenticationCredential",
        ),
        (
            {**RELAY, "smart_host_auth_mechanism": "BasicAuthRequireTLS"},
            "smart_host_auth_mechanism",
            "error",
            "BasicAuthRequireTLS needs AuthenticationCredential",
        ),
        (
            {**RELAY, "authentication_credential": CREDENTIAL},
            "authentication_credential",
            "warning",
            "not used with SmartHostAuthMechanism None",
        ),
        (
            {
                **RELAY,
                "smart_host_auth_mechanism": "ExternalAuthoritative",
                "authentication_credential": CREDENTIAL,
            },
            "authentication_credential",
            "warning",
            "not used with SmartHostAuthMechanism ExternalAuthoritative",
        ),
        (LOGIN, "smart_host_auth_mechanism", "warning", "has no effect without SmartHosts"),
        (
            {**RELAY, **LOGIN_OVER_TLS, "ignore_starttls": True},
            "ignore_starttls",
            "error",
            "must be false with BasicAuthRequireTLS",
        ),
        (
            {**RELAY_BY_ADDRESS, **LOGIN_OVER_TLS},
            "smart_hosts",
            "warning",
            "[192.0.2.1] has none: mail will wait",
        ),
        ({**RELAY, **LOGIN, "force_helo": True}, "force_helo", "error", "HELO offers no AUTH"),
        (
            {"require_tls": True, "ignore_starttls": True},
            "ignore_starttls",
            "error",
            "must be false when RequireTLS is true",
        ),
        (
            {"require_tls": True, "force_helo": True},
            "force_helo",
            "error",
            "HELO offers no STARTTLS",
        ),
        (
            {"tls_auth_level": "EncryptionOnly"},
            "tls_auth_level",
            "error",
            "add require_tls = true",
        ),
        (
            {"tls_auth_level": "EncryptionOnly", "ignore_starttls": True},
            "tls_auth_level",
            "error",
            "can't be given when RequireTLS is false",
        ),
        (
            {"require_tls": True, "tls_auth_level": "EncryptionOnly", **TO_CONTOSO},
            "tls_domain",
            "error",
            "can only be set if TlsAuthLevel is set to DomainValidation",
        ),
        (TO_CONTOSO, "tls_domain", "error", "can only be set if TlsAuthLevel"),
        (
            {**RELAY, **VALIDATION},
            "tls_domain",
            "error",
            "required when TlsAuthLevel is DomainValidation and DNSRoutingEnabled is false",
        ),
        ({"max_message_size": "0"}, "max_message_size", "warning", "no message takes this"),
        ({"port": 0}, "port", "warning", "mail will wait"),
    ],
)
def test_broken(properties: dict[str, object], at: str, severity: str, message: str) -> None:
    problems = rule_problems(connector(**properties))
    assert [(p.property, p.severity.value) for p in problems] == [(at, severity)]
    assert message in problems[0].message
    assert (problems[0].connector, problems[0].path) == ("Test", (at,))


@pytest.mark.parametrize(
    "properties",
    [
        {},
        {"address_spaces": ["contoso.com", "*.contoso.com", "*"]},
        {"dns_routing_enabled": True},
        RELAY,
        RELAY_BY_ADDRESS,
        {**RELAY, "smart_host_auth_mechanism": "None"},
        {"smart_host_auth_mechanism": "None"},
        {**RELAY, "smart_host_auth_mechanism": "ExternalAuthoritative"},
        {**RELAY, **LOGIN},
        {**RELAY, **LOGIN_OVER_TLS},
        {**RELAY_BY_ADDRESS, **LOGIN},
        {**RELAY_BY_ADDRESS, **LOGIN_OVER_TLS, **VALIDATION, **TO_CONTOSO},
        {"force_helo": True},
        {**RELAY, "force_helo": True},
        {"require_tls": True},
        {"ignore_starttls": True},
        {**RELAY, **LOGIN, "ignore_starttls": True},
        {"require_tls": True, "ignore_starttls": False},
        {"require_tls": True, "tls_auth_level": "EncryptionOnly"},
        {"require_tls": True, "tls_auth_level": "CertificateValidation"},
        VALIDATION,
        {**VALIDATION, **TO_CONTOSO},
        {**RELAY, **VALIDATION, **TO_CONTOSO},
        {"tls_certificate_name": "<I>CN=a<S>CN=b"},
        {"tls_certificate_name": ""},
        {"max_message_size": "unlimited"},
        {"max_message_size": "1"},
        {"port": 65535},
        # The documented command line to Microsoft 365:
        {
            **RELAY,
            "fqdn": "mail.contoso.com",
            "require_tls": True,
            "tls_auth_level": "CertificateValidation",
        },
    ],
)
def test_kept(properties: dict[str, object]) -> None:
    assert found(connector(**properties)) == []


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        (
            {"require_tls": True, "ignore_starttls": True, "tls_auth_level": "EncryptionOnly"},
            {("ignore_starttls", "error"), ("tls_auth_level", "error")},
        ),
        (
            {"smart_host_auth_mechanism": "BasicAuth"},
            {("smart_host_auth_mechanism", "error"), ("smart_host_auth_mechanism", "warning")},
        ),
        (
            {"address_spaces": [], "dns_routing_enabled": False, "port": 0},
            {("address_spaces", "error"), ("dns_routing_enabled", "error"), ("port", "warning")},
        ),
    ],
)
def test_every_broken_rule_is_named(
    properties: dict[str, object], expected: set[tuple[str, str]]
) -> None:
    problems = found(connector(**properties))
    assert set(problems) == expected
    assert len(problems) == len(expected)


@pytest.mark.parametrize(
    ("properties", "broken"),
    [
        ({"address_spaces": []}, "address_spaces"),
        ({"dns_routing_enabled": False}, "smart_hosts"),
        ({"smart_hosts": ["a.b"]}, "dns_routing_enabled"),
        ({**RELAY, "smart_host_auth_mechanism": "BasicAuth"}, "authentication_credential"),
        ({"tls_auth_level": "EncryptionOnly"}, "require_tls"),
        (TO_CONTOSO, "tls_auth_level"),
        ({**RELAY, **VALIDATION}, "tls_domain"),
    ],
)
def test_a_property_that_is_wrong_by_itself_breaks_no_rule_besides(
    properties: dict[str, object], broken: str
) -> None:
    assert rule_problems(connector(**properties), broken=frozenset({broken})) == []
