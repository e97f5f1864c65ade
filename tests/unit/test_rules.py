"""What the properties of a connector demand of each other: each rule, broken and kept."""

import pytest

from postconnector.model.organization import OrganizationSettings
from postconnector.model.problem import Severity
from postconnector.model.rules import rule_problems
from postconnector.model.send_connector import SendConnector
from postconnector.model.values import as_list
from postconnector.sources.connector_entry import Around, read_connector
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
            "can't be spoken here",
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


# --- by server role: V13 to V16, V21; and domain security, V24

HQ = {"sites": [{"name": "HQ"}]}
MBX1 = {"name": "MBX1", "fqdn": "mbx1.contoso.com", "site": "HQ"}
EDGE1 = {"name": "EDGE1", "server_role": "Edge"}
SUBSCRIBED = {"edge_subscriptions": [{"name": "EDGE1", "site": "HQ"}]}
ORGANIZATIONS: dict[str, dict[str, object]] = {
    "none": {},
    "mailbox": {**HQ, "servers": [MBX1]},
    "edge": {"servers": [EDGE1]},
    "mixed": {**HQ, "servers": [MBX1, EDGE1], **SUBSCRIBED},
}
FAX = {**RELAY, "address_spaces": ["FAX:*"]}
FROM_EDGE = {"source_transport_servers": ["edge1"]}
FROM_MAILBOX = {"source_transport_servers": ["MBX1.contoso.com"]}
NOT_SMTP = "on an Edge server the type of an address space must be SMTP"
DASHES = "-- (all accepted domains) can only be used on an Edge server"
SITE_DASHES = "-- (the servers of the subscribed site) can only be used on an Edge server"
SOURCE_ADDRESS = "SourceIPAddress can only be used on an Edge server"


def errors_in(organization: dict[str, object], properties: dict[str, object]) -> list[str]:
    settings = OrganizationSettings.model_validate(organization)
    problems = rule_problems(connector(**properties), settings)
    return [problem.message for problem in problems if problem.severity is Severity.ERROR]


@pytest.mark.parametrize(
    ("properties", "refused_in", "message"),
    [
        (FAX, {"edge"}, NOT_SMTP),
        ({**FAX, **FROM_EDGE}, {"edge", "mixed"}, NOT_SMTP),
        ({**FAX, **FROM_MAILBOX}, set(), NOT_SMTP),
        ({**RELAY, "address_spaces": ["a.com", "X400:c=US;1"]}, {"edge"}, NOT_SMTP),
        ({"address_spaces": ["--"]}, {"none", "mailbox", "mixed"}, DASHES),
        ({"address_spaces": ["a.com", "--;5"]}, {"none", "mailbox", "mixed"}, DASHES),
        ({"address_spaces": ["--"], **FROM_EDGE}, {"none"}, DASHES),
        ({"address_spaces": ["--"], **FROM_MAILBOX}, {"none", "mailbox", "mixed"}, DASHES),
        ({**RELAY, "smart_hosts": ["--"]}, {"none", "mailbox", "mixed"}, SITE_DASHES),
        ({**RELAY, "smart_hosts": ["a.com", "--"], **FROM_EDGE}, {"none"}, SITE_DASHES),
        ({"source_ip_address": "192.0.2.1"}, {"mailbox", "mixed"}, SOURCE_ADDRESS),
        ({"source_ip_address": "192.0.2.1", **FROM_EDGE}, set(), SOURCE_ADDRESS),
        ({"source_ip_address": "::1", **FROM_MAILBOX}, {"mailbox", "mixed"}, SOURCE_ADDRESS),
        ({"source_ip_address": "0.0.0.0", **FROM_MAILBOX}, set(), SOURCE_ADDRESS),
        ({"source_ip_address": "::", **FROM_MAILBOX}, set(), SOURCE_ADDRESS),
    ],
)
def test_what_depends_on_the_role_of_the_servers(
    properties: dict[str, object], refused_in: set[str], message: str
) -> None:
    names = properties.get("source_transport_servers", [])
    for name, organization in ORGANIZATIONS.items():
        declared = str(organization).casefold()
        if name != "none" and any(str(n).casefold() not in declared for n in as_list(names)):
            continue
        errors = errors_in(organization, properties)
        assert [e for e in errors if message not in e] == []
        assert bool(errors) == (name in refused_in), f"{name}: {errors}"


@pytest.mark.parametrize(
    ("spaces", "refused"),
    [
        (["FAX:*"], 1),
        (["X400:c=US;1", "a.com", "NOTES:x"], 2),
        (["SMTP:a.com", "smtp:*"], 0),
    ],
)
def test_other_types_need_smart_hosts(spaces: list[str], refused: int) -> None:
    """V13."""
    by_dns = errors_in({}, {"address_spaces": spaces})
    assert len(by_dns) == refused
    assert all("needs SmartHosts and DNSRoutingEnabled false" in error for error in by_dns)
    assert errors_in({}, {**RELAY, "address_spaces": spaces}) == []


@pytest.mark.parametrize(
    ("organization", "sources", "expected"),
    [
        ("none", ["anything"], []),
        ("mailbox", ["mbx1"], []),
        ("mailbox", ["MBX1", "MBX2"], ["error: there is no server MBX2"]),
        ("mixed", ["EDGE1", "MBX1"], ["error: Mailbox and Edge servers can't"]),
        ("mixed", ["EDGE1"], []),
        ("mixed", ["mbx1"], []),
        (
            "edge",
            ["EDGE1"],
            ["warning: SourceTransportServers can't be given on an Edge server; take it out"],
        ),
    ],
)
def test_source_servers(organization: str, sources: list[str], expected: list[str]) -> None:
    """V15."""
    settings = OrganizationSettings.model_validate(ORGANIZATIONS[organization])
    problems = rule_problems(connector(source_transport_servers=sources), settings)
    found = [f"{problem.severity}: {problem.message}" for problem in problems]
    assert len(found) == len(expected)
    assert all(one.startswith(wanted) for one, wanted in zip(found, expected, strict=True))


def test_an_edge_server_without_subscription_is_a_warning() -> None:
    settings = OrganizationSettings.model_validate({**HQ, "servers": [MBX1, EDGE1]})
    [problem] = rule_problems(connector(**FROM_EDGE), settings)
    assert problem.severity is Severity.WARNING
    assert "EDGE1 is subscribed to no site" in problem.message


def test_scope_says_nothing_without_servers() -> None:
    [problem] = rule_problems(connector(is_scoped_connector=True))
    assert (problem.property, problem.severity) == ("is_scoped_connector", Severity.WARNING)
    settings = OrganizationSettings.model_validate(ORGANIZATIONS["mailbox"])
    assert rule_problems(connector(is_scoped_connector=True), settings) == []


@pytest.mark.parametrize(
    ("servers", "sources", "warns"),
    [
        ([], [], True),
        ([{"name": "A"}], [], True),
        ([{"name": "A", "external_dns_servers": ["192.0.2.1"]}], [], False),
        ([{"name": "A", "external_dns_servers": ["192.0.2.1"]}, {"name": "B"}], ["A"], False),
        ([{"name": "A", "external_dns_servers": ["192.0.2.1"]}, {"name": "B"}], ["B"], True),
    ],
)
def test_external_dns_servers(servers: list[object], sources: list[str], warns: bool) -> None:
    settings = OrganizationSettings.model_validate({"servers": servers})
    candidate = connector(use_external_dns_servers_enabled=True, source_transport_servers=sources)
    messages = [problem.message for problem in rule_problems(candidate, settings)]
    assert [m.partition(":")[0] for m in messages] == (
        ["UseExternalDNSServersEnabled is not carried out"] if warns else []
    )


@pytest.mark.parametrize(
    ("organization", "policies", "fill"),
    [
        ({}, [], []),
        ({}, ["DowngradeDnsFailures", "DowngradeAuthFailures"], []),
        ({}, ["DowngradeCustomFailures"], ["downgraded_failures"]),
        ({}, ["UpgradeCustomFailures"], ["upgraded_failures"]),
        (
            {},
            ["UpgradeCustomFailures", "DowngradeCustomFailures"],
            ["downgraded_failures", "upgraded_failures"],
        ),
        ({"downgraded_failures": ["5.7.1"]}, ["DowngradeCustomFailures"], []),
        ({"upgraded_failures": ["4.4.*"]}, ["UpgradeCustomFailures"], []),
        (
            {"downgraded_failures": ["5.7.1"]},
            ["UpgradeCustomFailures"],
            ["upgraded_failures"],
        ),
    ],
)
def test_error_policies_for_which_no_failures_are_said(
    organization: dict[str, object], policies: list[str], fill: list[str]
) -> None:
    settings = OrganizationSettings.model_validate({"exchange_version": "2010", **organization})
    problems = rule_problems(connector(error_policies=policies), settings)
    assert [(p.property, p.severity) for p in problems] == [
        ("error_policies", Severity.WARNING) for _ in fill
    ]
    for problem, name in zip(problems, fill, strict=True):
        assert f"say it under [organization], such as {name} = [" in problem.message


SECURE = {"domain_secure_enabled": True, "address_spaces": ["contoso.com"]}
SECURE_LIST: dict[str, object] = {"tls_send_domain_secure_list": ["contoso.com"]}
HAS_NO_EFFECT = "works only with DNSRoutingEnabled true and IgnoreSTARTTLS false"


@pytest.mark.parametrize(
    ("organization", "properties", "warnings"),
    [
        (SECURE_LIST, SECURE, []),
        ({}, SECURE, ["tls_send_domain_secure_list under [organization] names no domain"]),
        (SECURE_LIST, {**SECURE, **RELAY}, [HAS_NO_EFFECT]),
        (SECURE_LIST, {**SECURE, "ignore_starttls": True}, [HAS_NO_EFFECT]),
        ({}, {**SECURE, "ignore_starttls": True}, [HAS_NO_EFFECT]),
        (SECURE_LIST, {**SECURE, **VALIDATION}, ["both DomainSecureEnabled and TlsAuthLevel"]),
        (
            SECURE_LIST,
            {**SECURE, "frontend_proxy_enabled": True},
            ["does not support DomainSecureEnabled with FrontendProxyEnabled", "not carried out"],
        ),
        (SECURE_LIST, {**SECURE, "address_spaces": ["*"]}, ["with the address space *"]),
    ],
)
def test_domain_security(
    organization: dict[str, object], properties: dict[str, object], warnings: list[str]
) -> None:
    """V24: warnings, as Exchange refuses nothing."""
    settings = OrganizationSettings.model_validate(organization)
    problems = rule_problems(connector(**properties), settings)
    assert [problem.severity for problem in problems] == [Severity.WARNING] * len(warnings)
    for problem, wanted in zip(problems, warnings, strict=True):
        assert wanted in problem.message


@pytest.mark.parametrize(
    ("properties", "usage", "properties_at_fault"),
    [
        ({}, "Custom", []),
        ({"usage": "partner"}, "Partner", []),
        ({"Internal": True}, "Internal", []),
        ({"INTERNET": True}, "Internet", []),
        ({"Partner": False}, "Custom", []),
        ({"Partner": True, "Internal": False}, "Partner", []),
        ({"usage": "Internal", "Partner": False}, "Internal", []),
        ({"usage": "Internal", "Internal": True}, None, ["usage"]),
        ({"usage": "Internal", "custom": True}, None, ["usage"]),
        ({"Partner": True, "Internal": True}, None, ["usage"]),
        ({"Partner": True, "PARTNER": True}, None, ["usage"]),
        ({"Custom": True, "Partner": True, "Internal": True, "usage": "x"}, None, ["usage"] * 2),
        ({"Partner": "yes"}, None, ["Partner"]),
        ({"Partner": 1}, None, ["Partner"]),
        ({"Partner": []}, None, ["Partner"]),
    ],
)
def test_usage(
    properties: dict[str, object], usage: str | None, properties_at_fault: list[str]
) -> None:
    """V1."""
    entry = {"name": "A", "address_spaces": ["*"], **properties}
    found, problems = read_connector(entry, ("send_connector", 0), Around(OrganizationSettings()))
    assert [problem.property for problem in problems] == properties_at_fault
    if usage is not None:
        assert found is not None
        assert found.usage == usage
