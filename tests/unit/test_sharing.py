"""Connectors that share a service get from it what they would get from one of their own."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postconnector.model.address_space import Specificity
from postconnector.model.send_connector import SendConnector
from postconnector.postfix import sharing
from postconnector.postfix.compiled import Compiled, Service
from postconnector.postfix.native import next_hops, tls_demand
from tests.unit.connectors import connector
from tests.unit.test_compile import compiled


@pytest.fixture
def _few_own_services(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "MOST_OWN_SERVICES", 0)


def relay(name: str, host: str, **properties: object) -> SendConnector:
    return connector(
        name,
        address_spaces=[f"{name}.example"],
        dns_routing_enabled=False,
        smart_hosts=[host],
        **properties,
    )


def login(user: str) -> dict[str, object]:
    return {
        "smart_host_auth_mechanism": "BasicAuth",
        "authentication_credential": {"user_name": user, "password_file": f"secrets/{user}"},
    }


def policy_of(result: Compiled, service: Service, hop: str) -> str:
    """What smtp(8) demands of a next hop: tls_policy_lookup_one, then the service's level."""
    said = {setting.name: setting.value for setting in service.settings}
    tables = {table.name: dict(table.entries) for table in result.tables}
    (table,) = (
        (entries for name, entries in tables.items() if said["smtp_tls_policy_maps"].endswith(name))
        if said.get("smtp_tls_policy_maps")
        else ({},)
    )
    for key in asked_for(hop):
        if key in table:
            return table[key]
    match = said.get("smtp_tls_secure_cert_match")
    return said["smtp_tls_security_level"] + (f" match={match}" if match else "")


def asked_for(hop: str) -> Iterator[str]:
    yield hop
    parent = hop if ":" not in hop else ""
    while parent := parent.partition(".")[2]:
        yield f".{parent}"


def hops_of(each: SendConnector) -> Iterator[str]:
    """Next hops that the connector's mail may have."""
    yield from next_hops(each)
    if each.dns_routing_enabled:
        for space in each.address_spaces:
            if space.specificity is not Specificity.WILDCARD:
                yield space.domain or "anything.example"
            if space.specificity is Specificity.WILDCARD:
                yield from (space.domain, f"deep.below.{space.domain}")
                # Another connector's, but a message too large for that one comes here.
                yield from (d for d in ("a.com", "x.a.com") if d.endswith(f".{space.domain}"))


DEMANDS: tuple[dict[str, object], ...] = (
    {},
    {"ignore_starttls": True},
    {"require_tls": True},
    {"require_tls": True, "tls_auth_level": "DomainValidation", "tls_domain": "a.com"},
    {"require_tls": True, "tls_auth_level": "DomainValidation", "tls_domain": "*.b.net"},
)
ROUTES: tuple[dict[str, object], ...] = (
    {},
    {},
    {"dns_routing_enabled": False, "smart_hosts": ["mx.a.com", "192.0.2.1"]},
    {"dns_routing_enabled": False, "smart_hosts": ["mx.b.net"], **login("one")},
    {"dns_routing_enabled": False, "smart_hosts": ["mx.b.net", "mx.c.org"], **login("two")},
)
SPACES = ("a.com", "*.a.com", "x.a.com", "*.x.a.com", "b.net", "*.com", "*")
several = st.lists(
    st.tuples(
        st.sampled_from(DEMANDS),
        st.sampled_from(ROUTES),
        st.lists(st.sampled_from(SPACES), min_size=1, max_size=2, unique=True),
        st.sampled_from((None, "mail.a.com")),
    ),
    min_size=1,
    max_size=12,
)


@pytest.mark.usefixtures("_few_own_services")
@settings(max_examples=200)
@given(several)
def test_each_next_hop_gets_what_its_connector_says(
    drawn: Sequence[tuple[dict[str, object], dict[str, object], list[str], str | None]],
) -> None:
    connectors = [
        connector(f"C{number}", address_spaces=spaces, fqdn=fqdn, **demand, **route)
        for number, (demand, route, spaces, fqdn) in enumerate(drawn)
    ]
    result = compiled(connectors)
    tables = {table.name: dict(table.entries) for table in result.tables}
    assert sorted(c.name for s in result.native for c in s.connectors) == sorted(
        c.name for c in connectors
    )
    assert len({service.name for service in result.native}) == len(result.native)
    for service in result.native:
        for each in service.connectors:
            said = {setting.name: setting.value for setting in service.settings}
            assert said.get("smtp_helo_name") == each.fqdn
            for hop in hops_of(each):
                policy = tls_demand(each).policy
                assert policy_of(result, service, hop) == (policy or "may")
                user = tables.get(f"passwords/{service.name}", {}).get(hop, "").partition(":")[0]
                credential = each.authentication_credential
                assert said["smtp_sasl_auth_enable"] == ("yes" if credential else "no")
                assert user == (credential.user_name if credential else "")


@pytest.mark.usefixtures("_few_own_services")
@pytest.mark.parametrize("spaces", [["x.a.com", "*.a.com"], ["*.a.com", "x.a.com"]])
def test_address_spaces_one_below_the_other_share_only_with_the_same_demand(
    spaces: list[str],
) -> None:
    for domains, services in ((["b.net", "c.org"], 2), (["b.net", "b.net"], 1)):
        connectors = [
            connector(space, address_spaces=[space], **{**DEMANDS[3], "tls_domain": domain})
            for space, domain in zip(spaces, domains, strict=True)
        ]
        assert len(compiled(connectors).native) == services


def provider(count: int) -> list[SendConnector]:
    return [relay(f"c{n}", f"mx{n}.example", **login(f"u{n}")) for n in range(count)]


def test_few_connectors_have_a_service_each() -> None:
    connectors = provider(sharing.MOST_OWN_SERVICES)
    assert len(compiled(connectors).native) == len(connectors)


def test_many_connectors_with_an_own_smart_host_and_credential_share() -> None:
    special = relay("own", "own.example", fqdn="other.contoso.com")
    alone = relay("c0-too", "mx0.example", **login("another"))
    shared, own, other = compiled([*provider(200), special, alone]).native
    assert len(shared.connectors) == 200
    assert shared.name.startswith("pc-shared-")
    assert (own.name, own.why_own) == (
        "pc-c0-too",
        '"c0" has the same next hop with another credential or TLS name',
    )
    assert other.why_own is not None and "Fqdn" in other.why_own


def test_connectors_share_only_with_the_same_error_policies() -> None:
    def policy(number: int) -> list[str]:
        return ["DowngradeDnsFailures", "Default"] if number % 2 else ["UpgradeCustomFailures"]

    connectors = [
        relay(f"c{n}", f"mx{n}.example", error_policies=policy(n))
        for n in range(2 * sharing.MOST_OWN_SERVICES)
    ]
    services = compiled(connectors).native
    assert [len(service.connectors) for service in services] == [sharing.MOST_OWN_SERVICES] * 2


def test_the_name_of_a_shared_service_stays_while_connectors_come_and_go() -> None:
    (before,) = compiled(provider(100)).native
    (after,) = compiled(provider(150)[50:]).native
    assert (before.name, before.settings) == (after.name, after.settings)


def test_a_password_is_found_by_one_connector_alone() -> None:
    result = compiled([*provider(50), relay("plain", "plain.example")])
    (table,) = (table for table in result.tables if table.secret)
    assert dict(table.entries)["mx7.example:25"] == "u7:password of c7"
    assert "plain.example:25" not in dict(table.entries)


@pytest.mark.usefixtures("_few_own_services")
def test_next_hops_that_differ_in_case_alone_are_one() -> None:
    """postmap(1) folds keys: two logins for one key would be one login."""
    connectors = [relay("up", "Smtp.Isp.example", **login("u1"))]
    connectors += [relay("low", "smtp.isp.example", **login("u2"))]
    connectors += [relay("third", "smtp.ISP.example", **login("u1"))]
    result = compiled(connectors)
    shared = [sorted(c.name for c in service.connectors) for service in result.native]
    assert sorted(shared) == [["low"], ["third", "up"]]
    found = [dict(table.entries) for table in result.tables if table.secret]
    assert sorted(entries["smtp.isp.example:25"].partition(":")[0] for entries in found) == [
        "u1",
        "u2",
    ]
