"""Where Postfix is told to ask the lookup service, and where not."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from postconnector.model.organization import HostSettings, Organization
from postconnector.model.send_connector import SendConnector
from postconnector.postfix.compiled import Compiled
from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.live_routes import live_transport, needing_lookups
from postconnector.postfix.local_routing import LocalRouting
from postconnector.postfix.quoting import UnquotableError, main_cf_value, master_cf_option
from tests.unit.connectors import connector
from tests.unit.test_compile import FACTS, LIVE, compiled, parameters, transport

ASKING = replace(FACTS, table_types=frozenset({"lmdb", "regexp", "pipemap", "socketmap"}))
SEVERAL = {"dns_routing_enabled": False, "smart_hosts": ["192.0.2.1", "relay.contoso.com"]}
ROUTE = "[192.0.2.1]:25, relay.contoso.com:25"
SERVICE = "socketmap:unix:postconnector/lookup"
CERTIFICATE = {"tls_certificate_name": "<I>CN=CA<S>CN=smtp.contoso.com"}


def table(result: Compiled, name: str) -> dict[str, str] | None:
    return next((dict(t.entries) for t in result.tables if t.name == name), None)


def needing(connectors: Sequence[SendConnector], facts: PostfixFacts = ASKING) -> dict[str, str]:
    return dict(needing_lookups(LocalRouting(Organization.of(connectors), None), facts))


def test_domains_of_connectors_with_several_smart_hosts() -> None:
    result = compiled(
        [
            connector("A", address_spaces=["*.a.com"], **SEVERAL),
            connector("B", address_spaces=["b.com"], **{**SEVERAL, "smart_hosts": ["192.0.2.1"]}),
            connector("C", address_spaces=["c.com"]),
        ],
        ASKING,
    )
    assert table(result, "round-robin") == {"a.com": f"pc-a:{ROUTE}", ".a.com": f"pc-a:{ROUTE}"}
    assert transport(result) == {"b.com": "pc-b:[192.0.2.1]:25", "c.com": "pc-c:"}
    assert parameters(result)["transport_maps"] == (
        f"lmdb:{LIVE}/transport, pipemap:{{lmdb:{LIVE}/round-robin,{SERVICE}:transport}}"
    )
    assert result.warnings == ()


def test_before_the_hosts_own_tables() -> None:
    host = replace(ASKING, parameters={"transport_maps": "hash:/etc/postfix/transport"})
    result = compiled([connector(address_spaces=["a.com"], **SEVERAL)], host)
    *_, live, theirs = parameters(result)["transport_maps"].split(", ")
    assert live.startswith("pipemap:")
    assert theirs == "hash:/etc/postfix/transport"


@pytest.mark.parametrize(
    "properties",
    [
        {"address_spaces": ["a.com"]},
        {"address_spaces": ["*"], **SEVERAL},
        {"address_spaces": ["a.com"], **SEVERAL, "enabled": False},
        {"address_spaces": ["a.com"], **SEVERAL, "smart_hosts": ["192.0.2.1", "192.0.2.1"]},
    ],
)
def test_nobody_asks_for(properties: dict[str, object]) -> None:
    result = compiled([connector(**properties)], ASKING)
    assert table(result, "round-robin") is None
    assert "socketmap" not in repr(result.parameters)
    assert needing([connector(**properties)]) == {}


def test_the_default_route_is_fixed_and_that_is_said() -> None:
    result = compiled([connector("All", address_spaces=["*", "a.com"], **SEVERAL)], ASKING)
    assert parameters(result)["default_transport"] == f"pc-all:{ROUTE}"
    assert table(result, "round-robin") == {"a.com": f"pc-all:{ROUTE}"}
    (warning,) = result.warnings
    assert '"All"' in warning


@pytest.mark.parametrize(
    ("properties", "policies", "then"),
    [
        ({}, "", "postconnector_smtp_tls_policy_maps"),
        ({"require_tls": True}, "", None),
    ],
)
def test_a_service_asks_for_its_certificate(
    properties: dict[str, object], policies: str, then: str | None
) -> None:
    host = replace(ASKING, parameters={"smtp_tls_policy_maps": "hash:/etc/postfix/tls"})
    result = compiled([connector("Fabrikam, Ä", **CERTIFICATE, **properties)], host)
    (service,) = result.native
    found = {setting.name: (setting.value, setting.then) for setting in service.settings}
    name = "Fabrikam%2C%20%C3%84"
    assert found["smtp_tls_policy_maps"] == (f"{SERVICE}:certificate/{name}{policies}", then)
    assert found["smtp_delivery_status_filter"] == (
        f"pipemap:{{regexp:{LIVE}/certificate-failures,{SERVICE}:reason/{name}}}",
        None,
    )
    assert table(result, "certificate-failures") is not None
    names = [setting.name for setting in service.settings]
    assert len(names) == len(set(names))


def test_what_certificates_say_comes_before_error_policies() -> None:
    properties = {"error_policies": ["DowngradeDnsFailures"], **CERTIFICATE}
    (service,) = compiled([connector(**properties)], ASKING).native
    values = [s.value for s in service.settings if s.name == "smtp_delivery_status_filter"]
    (first, second) = values[0].split(", ")
    assert first.startswith("pipemap:")
    assert second.startswith("regexp:")


def test_a_certificate_that_is_not_shown_is_not_asked_for() -> None:
    result = compiled([connector(ignore_starttls=True, **CERTIFICATE)], ASKING)
    assert "socketmap" not in repr(result.services)
    assert table(result, "certificate-failures") is None


def test_shared_services_ask_for_one_of_theirs() -> None:
    many = [
        connector(
            f"C{n:02}",
            address_spaces=[f"c{n}.com"],
            dns_routing_enabled=False,
            smart_hosts=[f"192.0.2.{n + 1}"],
            **CERTIFICATE,
        )
        for n in reversed(range(31))
    ]
    (service,) = compiled(many, ASKING).native
    values = [s.value for s in service.settings if s.name == "smtp_tls_policy_maps"]
    assert values == [f"{SERVICE}:certificate/C00"]


def test_who_needs_the_service() -> None:
    assert needing(
        [
            connector("A", address_spaces=["a.com"], **SEVERAL),
            connector("B", address_spaces=["*"], **CERTIFICATE),
            connector("C", address_spaces=["c.com"]),
        ]
    ) == {
        "A": "it has several smart hosts",
        "B": "it has a certificate of its own (TlsCertificateName)",
    }


def test_a_postfix_that_can_not_ask() -> None:
    connectors = [connector("A", address_spaces=["a.com"], **SEVERAL, **CERTIFICATE)]
    result = compiled(connectors)
    assert transport(result) == {"a.com": f"pc-a:{ROUTE}"}
    assert "socketmap" not in repr((result.parameters, result.services))
    (warning,) = result.warnings
    assert "pipemap, socketmap" in warning
    assert needing(connectors, FACTS) == {}


def test_another_endpoint() -> None:
    host = HostSettings.model_validate({"lookup_service": "inet:127.0.0.1:10026"})
    organization = Organization((connector("A", address_spaces=["a.com"], **SEVERAL),), host)
    assert live_transport(ASKING, organization.host) == (
        f"pipemap:{{lmdb:{LIVE}/round-robin,socketmap:inet:127.0.0.1:10026:transport}}"
    )


def test_a_pipe_keeps_its_braces_and_nothing_else_has_any() -> None:
    pipe = "pipemap:{lmdb:/a,socketmap:unix:b:c}"
    assert main_cf_value(pipe) == pipe
    assert master_cf_option("name", f"{pipe}, regexp:/d") == f"-o {{ name = {pipe}, regexp:/d }}"
    for value in ("{x}", "pipemap:{a b}", "pipemap:{a", f"{pipe}}}", "pipemap:{a{b}}"):
        with pytest.raises(UnquotableError):
            main_cf_value(value)
