"""What connectors become: tables that answer as the selection does, settings of services."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postconnector.model.organization import HostSettings, Organization, OrganizationSettings
from postconnector.model.send_connector import SendConnector
from postconnector.model.topology import AcceptedDomain
from postconnector.postfix.compile import compile_organization
from postconnector.postfix.compiled import Compiled
from postconnector.postfix.facts import RESTRICTIONS, PostfixFacts
from postconnector.postfix.host_entries import AS_WITHOUT_TABLE, HostEntries
from postconnector.postfix.local_routing import LocalRouting
from postconnector.postfix.own_domains import OwnNames
from postconnector.postfix.service_names import service_names
from postconnector.postfix.table_names import TRANSPORT_TABLE
from postconnector.selection.outcome import Selected
from tests.unit.connectors import RECIPIENT_DOMAINS, connector, organizations, routing_table

FACTS = PostfixFacts(
    config_directory=Path("/etc/postfix"),
    queue_directory=Path("/var/spool/postfix"),
    version=(3, 7),
    map_type="lmdb",
    parameters={"smtp_tls_CAfile": "/etc/ssl/certs/ca-certificates.crt"},
)
NO_NAMES = OwnNames()
LIVE = "/etc/postfix/postconnector/live"
RELAY = {"dns_routing_enabled": False, "smart_hosts": ["relay.contoso.com"]}
LOGIN = {
    "smart_host_auth_mechanism": "BasicAuth",
    "authentication_credential": {"user_name": "contoso", "password_file": "secrets/relay"},
}


def facts(**parameters: str) -> PostfixFacts:
    return replace(FACTS, parameters={**FACTS.parameters, **parameters})


def compiled(
    connectors: Sequence[SendConnector],
    host: PostfixFacts = FACTS,
    own: OwnNames = NO_NAMES,
    certificates: Mapping[str, bytes] | None = None,
    entries: HostEntries | None = None,
) -> Compiled:
    passwords = {c.name: f"password of {c.name}" for c in connectors if c.authenticates}
    local = LocalRouting(Organization.of(connectors), None)
    return compile_organization(
        local, host, own, passwords, certificates or {}, entries or HostEntries()
    )


def transport(result: Compiled) -> dict[str, str]:
    (table,) = (table for table in result.tables if table.name == TRANSPORT_TABLE)
    assert len(dict(table.entries)) == len(table.entries), "no key twice"
    return dict(table.entries)


def parameters(result: Compiled) -> dict[str, str]:
    values = {parameter.name: parameter.value for parameter in result.parameters}
    assert len(values) == len(result.parameters), "no parameter twice"
    return values


def transport_lookup(table: Mapping[str, str], domain: str) -> str | None:
    """TABLE LOOKUP ORDER of transport(5), for the domain of a recipient."""
    if domain in table:
        return table[domain]
    while "." in domain:
        domain = domain.partition(".")[2]
        if f".{domain}" in table:
            return table[f".{domain}"]
    return table.get("*")


# --- Routing ---


OWN_DOMAINS = ("a.com", "b.a.com", "x.a.com", "net", "elsewhere.org")


@settings(max_examples=150)
@given(organizations(), st.sets(st.sampled_from(OWN_DOMAINS), max_size=3))
def test_postfix_routes_small_messages_as_the_selection_does(
    connectors: Sequence[SendConnector], own: set[str]
) -> None:
    result = compiled(connectors, own=OwnNames(frozenset(own)))
    table, default = transport(result), parameters(result).get("default_transport")
    names = service_names(c.name for c in connectors)
    routing = routing_table(connectors)
    assert "*" not in table
    for written in RECIPIENT_DOMAINS:
        domain = written.lower().removesuffix(".")  # as smtpd(8) and trivial-rewrite(8) make it
        found = transport_lookup({} if domain.startswith("[") else table, domain) or default
        outcome = routing.select(f"bob@{written}")
        if domain in own:
            # Local and virtual domains are Postfix' own before default_transport is asked.
            assert transport_lookup(table, domain) in (None, AS_WITHOUT_TABLE), written
        elif isinstance(outcome, Selected):
            assert found is not None, written
            service, _, hop = found.partition(":")
            assert service == names[outcome.connector.name], written
            assert (hop == "") is outcome.connector.dns_routing_enabled
        else:
            assert found is None, written


@pytest.mark.parametrize(
    ("spaces", "table"),
    [
        (["contoso.com"], {"contoso.com": "pc-test:"}),
        (["Contoso.COM"], {"contoso.com": "pc-test:"}),
        (["*.contoso.com"], {"contoso.com": "pc-test:", ".contoso.com": "pc-test:"}),
        (
            ["bücher.example"],
            {"xn--bcher-kva.example": "pc-test:", "bücher.example": "pc-test:"},
        ),
        (
            ["*.xn--bcher-kva.example"],
            {
                f"{dot}{domain}.example": "pc-test:"
                for dot in ("", ".")
                for domain in ("xn--bcher-kva", "bücher")
            },
        ),
        (["xn--0.example"], {"xn--0.example": "pc-test:"}),
        (["xn--strae-oqa.example"], {"xn--strae-oqa.example": "pc-test:"}),
        (["*"], {}),
    ],
)
def test_address_spaces_in_the_transport_table(spaces: list[str], table: dict[str, str]) -> None:
    assert transport(compiled([connector(address_spaces=spaces)])) == table


@pytest.mark.parametrize(
    ("spaces", "own", "table", "warnings"),
    [
        (["*"], {"contoso.com"}, {}, 0),
        (["contoso.com"], {"fabrikam.com"}, {"contoso.com": "pc-test:"}, 0),
        (["contoso.com"], {"contoso.com"}, {"contoso.com": ":"}, 1),
        (
            ["*.contoso.com"],
            {"contoso.com"},
            {"contoso.com": ":", ".contoso.com": "pc-test:"},
            0,
        ),
        (
            ["*.contoso.com"],
            {"mail.contoso.com"},
            {"contoso.com": "pc-test:", ".contoso.com": "pc-test:", "mail.contoso.com": ":"},
            0,
        ),
    ],
)
def test_what_postfix_delivers_itself_stays_there(
    spaces: list[str], own: set[str], table: dict[str, str], warnings: int
) -> None:
    result = compiled([connector(address_spaces=spaces)], own=OwnNames(frozenset(own)))
    assert transport(result) == table
    assert len(result.warnings) == warnings


@pytest.mark.parametrize(
    ("spaces", "warned"), [(["*"], False), (["contoso.com"], False), (["*.contoso.com"], True)]
)
def test_domains_that_cant_be_listed_are_told(spaces: list[str], warned: bool) -> None:
    own = OwnNames(frozenset(), ("mysql:/etc/postfix/domains.cf",))
    warnings = compiled([connector(address_spaces=spaces)], own=own).warnings
    assert [("mysql:/etc/postfix/domains.cf" in w) for w in warnings] == [True] * warned


@pytest.mark.parametrize(
    ("properties", "hop"),
    [
        ({}, ""),
        ({"port": 26}, ""),
        (RELAY, "relay.contoso.com:25"),
        ({**RELAY, "port": 587}, "relay.contoso.com:587"),
        ({**RELAY, "smart_hosts": ["192.0.2.1"]}, "[192.0.2.1]:25"),
        ({**RELAY, "smart_hosts": ["2001:db8::1"], "port": 26}, "[2001:db8::1]:26"),
        (
            {**RELAY, "smart_hosts": ["192.0.2.1", "a.contoso.com"]},
            "[192.0.2.1]:25, a.contoso.com:25",
        ),
    ],
)
def test_next_hop(properties: dict[str, object], hop: str) -> None:
    one = compiled([connector(address_spaces=["contoso.com"], **properties)])
    assert transport(one) == {"contoso.com": f"pc-test:{hop}"}
    default = parameters(compiled([connector(**properties)]))["default_transport"]
    assert default == (f"pc-test:{hop}" if hop else "pc-test")


@pytest.mark.parametrize(
    ("connectors", "host", "expected"),
    [
        (
            [connector(address_spaces=["contoso.com"])],
            FACTS,
            {"transport_maps": f"lmdb:{LIVE}/transport"},
        ),
        (
            [connector(address_spaces=["contoso.com"])],
            facts(transport_maps="hash:/etc/postfix/transport", relayhost="[relay]"),
            {"transport_maps": f"lmdb:{LIVE}/transport, hash:/etc/postfix/transport"},
        ),
        (
            [connector()],
            FACTS,
            {"transport_maps": f"lmdb:{LIVE}/transport", "default_transport": "pc-test"},
        ),
        (
            [connector()],
            facts(relayhost="[relay.contoso.com]:587", relay_transport="relay"),
            {
                "transport_maps": f"lmdb:{LIVE}/transport",
                "default_transport": "pc-test",
                "relayhost": "",
                "relay_transport": "relay:[relay.contoso.com]:587",
            },
        ),
        (
            [connector()],
            facts(relayhost="[relay.contoso.com]", relay_transport="lmtp:inside"),
            {
                "transport_maps": f"lmdb:{LIVE}/transport",
                "default_transport": "pc-test",
                "relayhost": "",
            },
        ),
        (
            [connector(**RELAY)],
            facts(relayhost="[elsewhere]", relay_transport="relay"),
            {
                "transport_maps": f"lmdb:{LIVE}/transport",
                "default_transport": "pc-test:relay.contoso.com:25",
            },
        ),
        (
            [connector(enabled=False), connector("Zero", max_message_size="0")],
            facts(relayhost="[elsewhere]", relay_transport="relay"),
            {"transport_maps": f"lmdb:{LIVE}/transport"},
        ),
    ],
)
def test_routing_parameters(
    connectors: list[SendConnector], host: PostfixFacts, expected: dict[str, str]
) -> None:
    found = parameters(compiled(connectors, host))
    asking = "smtpd_", "postconnector_return_"
    assert {n: v for n, v in found.items() if not n.startswith(asking)} == expected


@pytest.mark.parametrize("name", ["smtpd_recipient_restrictions", "smtpd_end_of_data_restrictions"])
@pytest.mark.parametrize("theirs", ["", "permit_mynetworks, reject_unauth_destination"])
def test_the_policy_service_is_asked_first(name: str, theirs: str) -> None:
    organization = Organization((), HostSettings(policy_service="inet:127.0.0.1:10040"))
    local = LocalRouting(organization, None)
    result = compile_organization(local, facts(**{name: theirs}), NO_NAMES, {}, {}, HostEntries())
    value = parameters(result)[name]
    assert value.startswith("check_policy_service { inet:127.0.0.1:10040, ")
    assert "{ default_action=451 4.3.5 " in value
    ours = value.removesuffix(f", {theirs}")
    assert (ours != value) is bool(theirs)
    assert ours.endswith(" } }")


def test_authoritative_domains_take_no_connector() -> None:
    domains = [
        AcceptedDomain(domain_name="a.com", domain_type="Authoritative"),
        AcceptedDomain(domain_name="*.b.com", domain_type="Authoritative"),
        AcceptedDomain(domain_name="c.com", domain_type="InternalRelay"),
    ]
    organization = Organization(
        (connector(address_spaces=["*", "*.com"]),),
        settings=OrganizationSettings(accepted_domains=domains),
    )
    own = OwnNames(frozenset({"b.com"}))
    result = compile_organization(
        LocalRouting(organization, None), FACTS, own, {}, {}, HostEntries()
    )
    table = transport(result)
    assert {key for key, value in table.items() if value == AS_WITHOUT_TABLE} == {
        "a.com",
        "b.com",
        ".b.com",
    }
    warnings = [text for text in result.warnings if "authoritative" in text]
    assert ["a.com" in text for text in warnings] == [True]


# --- The settings of a service ---

PLAIN = {
    "syslog_name": "postfix/pc-test",
    "smtp_fallback_relay": "",
    "smtp_header_checks": f"regexp:{LIVE}/headers/keep-routing-cross-premises-removed",
    "smtp_tls_security_level": "may",
    "smtp_sasl_auth_enable": "no",
}
DEMANDING = {"smtp_tls_policy_maps": "", "smtp_tls_loglevel": "1"}
ENCRYPT = {"smtp_tls_security_level": "encrypt", **DEMANDING}
AUTH = {
    "smtp_sasl_auth_enable": "yes",
    "smtp_sasl_password_maps": f"lmdb:{LIVE}/passwords/pc-test",
    "smtp_sasl_security_options": "noanonymous",
    "smtp_sasl_tls_security_options": "noanonymous",
    "smtp_sender_dependent_authentication": "no",
}
VALIDATION = {"require_tls": True, "tls_auth_level": "DomainValidation"}


def secure(match: str) -> dict[str, str]:
    return {
        "smtp_tls_security_level": "secure",
        **DEMANDING,
        "smtp_tls_secure_cert_match": match,
    }


def service_settings(
    properties: Mapping[str, object], host: PostfixFacts = FACTS
) -> dict[str, str]:
    (service,) = compiled([connector(**properties)], host).native
    found = {setting.name: setting.value for setting in service.settings}
    assert len(found) == len(service.settings), "no setting twice"
    return found


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({}, {}),
        ({"comment": "Contract 4711", "usage": "Internet"}, {}),
        (
            {"usage": "Partner", "cloud_services_mail_enabled": True},
            {"smtp_header_checks": f"regexp:{LIVE}/headers/keep-neither-cross-premises-made"},
        ),
        ({"max_message_size": "1 MB"}, {}),
        (RELAY, {}),
        ({**RELAY, "port": 587}, {}),
        ({"port": 587}, {"smtp_tcp_port": "587"}),
        ({"fqdn": "mail.contoso.com"}, {"smtp_helo_name": "mail.contoso.com"}),
        ({"force_helo": True}, {"smtp_never_send_ehlo": "yes", "smtp_always_send_ehlo": "no"}),
        (
            {"source_ip_address": "192.0.2.10"},
            {
                "smtp_bind_address": "192.0.2.10",
                "inet_protocols": "ipv4",
                "smtp_bind_address_enforce": "yes",
            },
        ),
        (
            {"source_ip_address": "2001:DB8::1"},
            {
                "smtp_bind_address6": "2001:db8::1",
                "inet_protocols": "ipv6",
                "smtp_bind_address_enforce": "yes",
            },
        ),
        ({"source_ip_address": "0.0.0.0"}, {}),
        (
            {"ignore_starttls": True},
            {"smtp_tls_security_level": "none", "smtp_tls_policy_maps": ""},
        ),
        ({"require_tls": True}, ENCRYPT),
        ({"require_tls": True, "tls_auth_level": "EncryptionOnly"}, ENCRYPT),
        (VALIDATION, secure("nexthop")),
        ({**VALIDATION, "tls_domain": "mail.contoso.com"}, secure("mail.contoso.com")),
        ({**VALIDATION, "tls_domain": "*.contoso.com"}, secure(".contoso.com")),
        (
            {"tls_certificate_name": "<I>CN=a<S>CN=b"},
            {"smtp_tls_chain_files": f"{LIVE}/certificates/pc-test.pem"},
        ),
        ({"tls_certificate_name": ""}, {}),
        ({**RELAY, **LOGIN}, AUTH),
        (
            {**RELAY, **LOGIN, "smart_host_auth_mechanism": "BasicAuthRequireTLS"},
            {**AUTH, **secure("nexthop")},
        ),
        (
            {
                **RELAY,
                **LOGIN,
                "smart_host_auth_mechanism": "BasicAuthRequireTLS",
                "require_tls": True,
                "tls_auth_level": "CertificateValidation",
            },
            {**AUTH, **secure("nexthop")},
        ),
        (
            {
                **RELAY,
                **LOGIN,
                **VALIDATION,
                "smart_host_auth_mechanism": "BasicAuthRequireTLS",
                "tls_domain": "mail.contoso.com",
            },
            {**AUTH, **secure("mail.contoso.com")},
        ),
        ({**RELAY, "smart_host_auth_mechanism": "ExternalAuthoritative"}, {}),
        (LOGIN, {}),
    ],
)
def test_settings(properties: dict[str, object], expected: dict[str, str]) -> None:
    assert service_settings(properties) == {**PLAIN, **expected}


@pytest.mark.parametrize(
    ("host", "level"),
    [
        (facts(), "may"),
        (facts(smtp_tls_security_level="none"), "may"),
        (facts(smtp_tls_security_level="may"), None),
        (facts(smtp_tls_security_level="dane"), None),
        (facts(smtp_tls_security_level="encrypt"), None),
        (facts(smtp_enforce_tls="yes"), None),
        (facts(smtp_use_tls="yes"), None),
        (facts(smtp_use_tls="no"), "may"),
    ],
)
def test_without_demand_the_hosts_tls_level_holds_if_it_is_at_least_may(
    host: PostfixFacts, level: str | None
) -> None:
    assert service_settings({}, host).get("smtp_tls_security_level") == level


@pytest.mark.parametrize(
    ("properties", "emptied"),
    [({}, False), ({"require_tls": True}, True), ({"ignore_starttls": True}, True)],
)
def test_the_hosts_exceptions_do_not_weaken_a_demand(
    properties: dict[str, object], emptied: bool
) -> None:
    found = service_settings(properties, facts(smtp_tls_per_site="hash:/etc/postfix/per_site"))
    assert found.get("smtp_tls_per_site") == ("" if emptied else None)
    assert found.get("smtp_tls_policy_maps") == ("" if emptied else None)


def test_before_3_7_there_is_no_bind_address_enforce() -> None:
    host = replace(FACTS, version=(3, 6))
    assert service_settings({"source_ip_address": "192.0.2.10"}, host) == {
        **PLAIN,
        "smtp_bind_address": "192.0.2.10",
        "inet_protocols": "ipv4",
    }


def test_the_log_tag_begins_as_the_hosts_does() -> None:
    host = replace(FACTS, syslog_name="postfix-out")
    assert service_settings({}, host)["syslog_name"] == "postfix-out/pc-test"


@settings(max_examples=100)
@given(organizations())
def test_the_settings_of_one_connector_do_not_depend_on_the_others(
    connectors: Sequence[SendConnector],
) -> None:
    together = {service.connectors[0].name: service for service in compiled(connectors).native}
    for each in connectors:
        alone = {service.connectors[0].name: service for service in compiled([each]).native}
        assert together.get(each.name) == alone.get(each.name)
        assert (each.name in together) is each.enabled


def test_what_postfix_cant_do_goes_to_the_delivery_agent() -> None:
    validating = connector("Validating", require_tls=True, tls_auth_level="CertificateValidation")
    result = compiled([validating, connector("Plain", address_spaces=["a.b"])])
    assert [service.connectors[0].name for service in result.native] == ["Plain"]
    assert [agent.connector.name for agent in result.agent_only] == ["Validating"]
    assert "CertificateValidation" in result.agent_only[0].reason
    programs = {service.name: service.program for service in result.services}
    assert programs == {
        "pc-plain": "smtp",
        "pc-delivery-agent": "lmtp",
        "pc-agent-path": "lmtp",
        "pc-agent-return": "smtpd",
        "pc-agent-cleanup": "cleanup",
    }
    default = {p.name: p.value for p in result.parameters}["default_transport"]
    assert default == "pc-delivery-agent:unix:postconnector/deliver"


LATE = {"receive_override_options": "no_milters, no_address_mappings"}
SCAN = "scan:[127.0.0.1]:10025"
AT_25 = replace(FACTS, programs={"smtp/inet": "smtpd", "[::1]:10026/inet": "smtpd"})
FILTERED = replace(AT_25, queueing={"smtp/inet/content_filter": SCAN})
FILTERED_LATE = replace(
    AT_25,
    parameters={"content_filter": SCAN, **LATE},
    queueing={
        "[::1]:10026/inet/content_filter": "",
        "[::1]:10026/inet/receive_override_options": "no_milters",
    },
)
TWO_FILTERS = replace(FILTERED, parameters={"content_filter": "other:"})
OTHER_WAY = f"filtered-{sha256(SCAN.encode()).hexdigest()[:8]}"


@pytest.mark.parametrize(
    ("host", "ways"),
    [
        (FACTS, {"": ("", False)}),
        (facts(receive_override_options="no_milters"), {"": ("", False)}),
        (facts(**LATE), {"": ("", False), "-late": ("", True)}),
        (FILTERED, {"": ("", False), "-filtered": (SCAN, False)}),
        (FILTERED_LATE, {"": ("", False), "-late-filtered": (SCAN, False)}),
        (
            TWO_FILTERS,
            {"": ("", False), "-filtered": ("other:", False), f"-{OTHER_WAY}": (SCAN, False)},
        ),
    ],
    ids=["plain", "other", "mapped late", "filtered", "filtered, mapped late", "two filters"],
)
def test_what_comes_back_from_the_agent_goes_on_as_from_its_listener(
    host: PostfixFacts, ways: Mapping[str, tuple[str, bool]]
) -> None:
    """The content filter of each way, and whether it maps addresses."""
    services = {service.name: service for service in compiled([connector()], host).services}
    prefix, found = "pc-agent-return", {}
    for name in services:
        if name.startswith(prefix):
            said = {s.name: s.value for s in services[name].settings}
            maps = "no_address_mappings" not in said["receive_override_options"]
            found[name.removeprefix(prefix)] = said["content_filter"], maps
    assert found == ways
    for way in ways:
        path = {s.name: s.value for s in services[f"pc-agent-path{way}"].settings}
        assert path["lmtp_lhlo_name"] == f"postconnector-agent-path{way}"


@pytest.mark.parametrize(
    ("host", "context"),
    [
        (FACTS, "asked-here; $content_filter; $receive_override_options"),
        (FILTERED, "asked-behind filtered; $content_filter; $receive_override_options"),
        (FILTERED_LATE, "asked-behind late-filtered; $content_filter; $receive_override_options"),
        (
            replace(FILTERED, service_settings={f"[::1]:10026/inet/{RESTRICTIONS[0]}": "reject"}),
            "asked-here filtered; $content_filter; $receive_override_options",
        ),
        (
            replace(FILTERED, programs={"smtp/inet": "smtpd"}),
            "asked-here filtered; $content_filter; $receive_override_options",
        ),
    ],
    ids=["plain", "filtered", "filtered, mapped late", "not asked behind", "nobody behind"],
)
def test_a_listener_says_how_it_goes_on_from_there(host: PostfixFacts, context: str) -> None:
    found = {p.name: p.value for p in compiled([connector()], host).parameters}
    for name in RESTRICTIONS:
        assert f" {{ policy_context={context} }}, " in found[name]
    assert "policy_context" not in found["postconnector_return_restrictions"]


# --- Secrets ---


def test_credentials_are_looked_up_by_each_next_hop_in_a_secret_table() -> None:
    relay = connector(
        **{**RELAY, **LOGIN, "smart_hosts": ["192.0.2.1", "relay.contoso.com"], "port": 587}
    )
    (table,) = (table for table in compiled([relay]).tables if table.secret)
    assert table.name == "passwords/pc-test"
    assert dict(table.entries) == {
        "[192.0.2.1]:587": "contoso:password of Test",
        "relay.contoso.com:587": "contoso:password of Test",
    }
    assert "password of Test" not in repr(compiled([relay]))


@pytest.mark.parametrize(
    "properties", [{**RELAY, **LOGIN, "enabled": False}, LOGIN, RELAY], ids=["off", "dns", "none"]
)
def test_no_credentials_without_need(properties: dict[str, object]) -> None:
    assert not any(table.secret for table in compiled([connector(**properties)]).tables)


def test_certificates_are_files_of_their_service() -> None:
    named = {"tls_certificate_name": "<I>CN=a<S>CN=b"}
    result = compiled(
        [connector("One", **named), connector("Off", enabled=False, **named)],
        certificates={"One": b"PEM 1"},
    )
    assert result.certificates == {"certificates/pc-one.pem": b"PEM 1"}


def test_a_content_filter_that_is_none_is_refused() -> None:
    host = replace(AT_25, queueing={"smtp/inet/content_filter": "scan:{a  b}"})
    result = compiled([connector()], host)
    assert any("scan:{a  b}" in refusal for refusal in result.refusals)
    assert "pc-agent-path-filtered" not in {service.name for service in result.services}


# --- Warnings ---


@pytest.mark.parametrize(
    ("properties", "host", "warning"),
    [
        (VALIDATION, replace(FACTS, parameters={}), "this mail will wait"),
        ({}, facts(content_filter="scan:"), "passes the content filter scan: by"),
        ({}, FILTERED, "where it comes back, which may be [::1]:10026/inet, the rules are asked"),
        (
            {},
            facts(sender_dependent_default_transport_maps="hash:/x"),
            "sender_dependent_default_transport_maps of main.cf wins",
        ),
        (
            {**RELAY},
            facts(sender_dependent_relayhost_maps="hash:/x"),
            "wins over sender_dependent_relayhost_maps",
        ),
        (
            {},
            replace(FACTS, service_settings={"smtp/unix/smtp_fallback_relay": "${transport_maps}"}),
            "which follows transport_maps: it gets the value that connectors need",
        ),
        (
            {},
            replace(FACTS, service_settings={"smtps/inet/smtpd_recipient_restrictions": "reject"}),
            "smtps/inet",
        ),
        (
            {"source_ip_address": "192.0.2.10"},
            replace(FACTS, version=(3, 6)),
            "this is Postfix 3.6: before 3.7 mail leaves from another address",
        ),
        (
            {"require_tls": True},
            replace(facts(tls_required_enable="yes"), version=(3, 10)),
            "set tls_required_enable = no",
        ),
        ({}, facts(use_srv_lookup="submission, smtp"), "SRV records instead of MX"),
        (
            {"require_tls": True},
            replace(facts(smtp_tls_per_site="hash:/x"), version=(3, 9)),
            "turn it into smtp_tls_policy_maps",
        ),
        (
            {"address_spaces": ["*.xn--strae-oqa.example"]},
            FACTS,
            "names xn--strae-oqa.example: mail to straße.example, written so (SMTPUTF8), is mail to"
            " strasse.example for Postfix",
        ),
        (
            VALIDATION,
            replace(FACTS, missing_files=("smtp_tls_CAfile",)),
            "smtp_tls_CAfile of main.cf names /etc/ssl/certs/ca-certificates.crt, which is not",
        ),
    ],
)
def test_warnings(properties: dict[str, object], host: PostfixFacts, warning: str) -> None:
    (found,) = compiled([connector(**properties)], host).warnings
    assert warning in found


@pytest.mark.parametrize("properties", [RELAY, {"port": 26}], ids=["smart host", "own port"])
def test_srv_records_are_not_asked_for_with_a_port(properties: dict[str, object]) -> None:
    assert compiled([connector(**properties)], facts(use_srv_lookup="smtp")).warnings == ()


@pytest.mark.parametrize(
    ("spaces", "entries", "warning"),
    [
        (
            ["contoso.com"],
            HostEntries(transport={"contoso.com": "smtp:[own]"}),
            'send contoso.com to smtp:[own], but connector "Test" (contoso.com) wins',
        ),
        (
            ["contoso.com"],
            HostEntries(transport={"bob@contoso.com": "smtp:[own]"}),
            "send bob@contoso.com to smtp:[own], which is more precise than contoso.com",
        ),
        (
            ["*.contoso.com"],
            HostEntries(transport={".eu.contoso.com": "smtp:[own]"}),
            "send .eu.contoso.com to smtp:[own], which is more precise than *.contoso.com",
        ),
        (["*"], HostEntries(transport={"*": "smtp:[own]"}), 'connector "Test" (*) gets nothing'),
        (
            ["contoso.com"],
            HostEntries(addresses={"contoso.com": "smtp:[own]"}),
            'and wins over connector "Test"',
        ),
        (["*"], HostEntries(addresses={"*": "smtp:[own]"}), "no connector gets anything"),
        (
            ["contoso.com"],
            HostEntries(failing={"mysql:/x": "no such server"}),
            "table mysql:/x can't be asked (no such server)",
        ),
    ],
)
def test_warnings_of_the_hosts_own_tables(
    spaces: list[str], entries: HostEntries, warning: str
) -> None:
    (found,) = compiled([connector(address_spaces=spaces)], entries=entries).warnings
    assert warning in found


@pytest.mark.parametrize(
    ("spaces", "key"),
    [
        (["contoso.com"], ".contoso.com"),
        (["contoso.com"], "bob@fabrikam.com"),
        (["*.contoso.com"], "com"),
        (["*.contoso.com"], ".com"),
    ],
)
def test_entries_that_do_no_harm_give_no_warning(spaces: list[str], key: str) -> None:
    entries = HostEntries(transport={key: "smtp:[own]"})
    assert compiled([connector(address_spaces=spaces)], entries=entries).warnings == ()


def test_a_policy_of_the_host_that_would_weaken_a_demand() -> None:
    partner = connector(address_spaces=["contoso.com"], require_tls=True)
    entries = HostEntries(tls_policies={"contoso.com": "none"})
    (found,) = compiled([partner], entries=entries).warnings
    assert "say 'none' for contoso.com, but connector \"Test\" demands 'encrypt' and wins" in found


@pytest.mark.parametrize(
    ("host_transport", "entry"),
    [
        ({}, ":"),
        ({"shop.contoso.com": "lmtp:unix:x"}, None),
        ({".contoso.com": "lmtp:unix:y"}, "lmtp:unix:y"),
        ({".com": "lmtp:unix:z", "*": "smtp:[all]"}, "lmtp:unix:z"),
        ({"*": "smtp:[all]"}, "smtp:[all]"),
    ],
)
def test_a_domain_of_the_hosts_own_keeps_the_route_that_the_host_gives_it(
    host_transport: dict[str, str], entry: str | None
) -> None:
    """No entry of ours: the same key is found in the host's table."""
    result = compiled(
        [connector(address_spaces=["*.contoso.com"])],
        own=OwnNames(frozenset({"shop.contoso.com"})),
        entries=HostEntries(transport=host_transport),
    )
    assert transport(result).get("shop.contoso.com") == entry


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        (replace(FACTS, version=(3, 4)), "this is Postfix 3.4"),
        (facts(parent_domain_matches_subdomains="relay_domains, transport_maps"), "subdomains too"),
        (
            replace(FACTS, service_settings={"rewrite/unix/transport_maps": "hash:/x"}),
            "master.cf sets rewrite/unix/transport_maps",
        ),
        (facts(sender_dependent_relayhost_maps="hash:/x"), "without the login of their own"),
        (
            facts(sender_dependent_default_transport_maps="hash:/x", relayhost="[isp]"),
            "no longer go to relayhost",
        ),
    ],
)
def test_hosts_that_would_route_otherwise_are_refused(host: PostfixFacts, reason: str) -> None:
    (found,) = compiled([connector()], host).refusals
    assert reason in found
    assert compiled([connector()]).refusals == ()


def test_what_tlsproxy_would_do_is_left_to_smtp() -> None:
    shared = facts(smtp_tls_connection_reuse="yes")
    (service,) = compiled([connector(require_tls=True)], shared).native
    assert ("smtp_tls_connection_reuse", "no") in {(s.name, s.value) for s in service.settings}


@pytest.mark.parametrize(
    ("properties", "host"),
    [
        ({}, FACTS),
        (VALIDATION, FACTS),
        (VALIDATION, replace(FACTS, parameters={"smtp_tls_CApath": "/etc/ssl/certs"})),
        ({"source_ip_address": "192.0.2.10"}, FACTS),
        (
            {"address_spaces": ["contoso.com"]},
            facts(sender_dependent_default_transport_maps="hash:/x"),
        ),
    ],
)
def test_no_warning(properties: dict[str, object], host: PostfixFacts) -> None:
    assert compiled([connector(**properties)], host).warnings == ()


# --- Service names ---

HOSTILE = (
    "Fabrikam, partner",
    "a\tb",
    "../../etc/passwd",
    "$(reboot) `x` ; rm -rf /",
    "-o smtpd_foo=bar",
    "naïve Größe",
    "例え",
    "例え2",
    "…",
    "smtp inet n - y - - smtpd",
    "x" * 300,
    "x" * 299 + "y",
    "A!",
    "a?",
    "İ",
)


@pytest.mark.parametrize(
    ("name", "service"),
    [
        ("Internet", "pc-internet"),
        ("Fabrikam, partner", "pc-fabrikam-partner"),
        (" (EdgeSync) - Site 1 to Internet ", "pc-edgesync-site-1-to-internet"),
        ("../../etc/passwd", "pc-etc-passwd"),
    ],
)
def test_a_service_name_is_recognisable(name: str, service: str) -> None:
    assert service_names([name]) == {name: service}


@given(st.lists(st.one_of(st.sampled_from(HOSTILE), st.text()), unique_by=str.casefold))
def test_service_names_are_safe_unique_and_stable(names: list[str]) -> None:
    services = service_names(names)
    assert list(services) == names
    assert len(set(services.values())) == len(names)
    for service in services.values():
        assert re.fullmatch(r"pc-[a-z0-9-]{1,48}", service)
    assert service_names(reversed(names)) == services


def test_no_name_can_be_chosen_to_take_another_connectors_service() -> None:
    names = ["Partner!", "Partner?"]
    services = service_names(names)
    hostile = services["Partner!"].removeprefix("pc-").replace("-", " ")
    assert len(set(service_names([*names, hostile]).values())) == 3


@pytest.mark.parametrize(
    ("host", "properties", "expected"),
    [
        ({"smtp_tls_wrappermode": "yes"}, {}, {"smtp_tls_wrappermode": "no"}),
        ({"smtp_never_send_ehlo": "yes"}, {}, {"smtp_never_send_ehlo": "no"}),
        ({"smtp_never_send_ehlo": "yes"}, {"force_helo": True}, {"smtp_never_send_ehlo": "yes"}),
        ({"disable_dns_lookups": "yes"}, {}, {"disable_dns_lookups": "no"}),
        ({"smtp_dns_support_level": "disabled"}, {}, {"smtp_dns_support_level": "enabled"}),
        ({"smtp_dns_support_level": "dnssec"}, {}, {}),
        ({"smtp_tcp_port": "2525"}, {}, {"smtp_tcp_port": "25"}),
        ({"smtp_tcp_port": "2525"}, {"port": 587}, {"smtp_tcp_port": "587"}),
        ({"smtp_tcp_port": "smtp"}, {}, {}),
        (
            {"disable_dns_lookups": "yes", "smtp_tcp_port": "2525"},
            {"dns_routing_enabled": False, "smart_hosts": ["192.0.2.1"]},
            {},
        ),
    ],
)
def test_what_the_host_has_for_all_its_mail_does_not_undo_what_a_connector_says(
    host: dict[str, str], properties: dict[str, object], expected: dict[str, str]
) -> None:
    [service] = compiled([connector(**properties)], host=facts(**host)).native
    names = {"smtp_tls_wrappermode", "smtp_never_send_ehlo", "smtp_dns_support_level"}
    names |= {"disable_dns_lookups", "smtp_tcp_port"}
    assert {s.name: s.value for s in service.settings if s.name in names} == expected
