"""Everything that main.cf and master.cf name is staged too: found before Postfix would."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings

from postconnector.model.organization import Organization
from postconnector.model.send_connector import SendConnector
from postconnector.postfix.compile import compile_organization
from postconnector.postfix.compiled import Compiled
from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.host import ConfigurationFiles
from postconnector.postfix.host_entries import HostEntries
from postconnector.postfix.local_routing import LocalRouting
from postconnector.postfix.own_domains import OwnNames
from postconnector.postfix.references import broken_references
from postconnector.postfix.rendered import Rendered, render
from tests.unit.connectors import connector, organizations
from tests.unit.test_compile import FACTS

EVERYTHING = [
    connector("Internet", error_policies=["DowngradeDnsFailures"]),
    connector(
        "Partner",
        address_spaces=["fabrikam.com"],
        dns_routing_enabled=False,
        smart_hosts=["relay.fabrikam.com"],
        smart_host_auth_mechanism="BasicAuth",
        authentication_credential={"user_name": "u", "password_file": "secrets/u"},
        tls_certificate_name="<I>CN=a<S>CN=b",
    ),
]


def staged(connectors: Sequence[SendConnector]) -> tuple[Compiled, Rendered]:
    local = LocalRouting(Organization.of(connectors), None)
    passwords = {c.name: "secret" for c in connectors if c.authenticates}
    certificates = {c.name: b"PEM" for c in connectors if c.tls_certificate_name}
    compiled = compile_organization(
        local, FACTS, OwnNames(), passwords, certificates, HostEntries()
    )
    return compiled, render(compiled, FACTS, ConfigurationFiles("", ""), b"")


@settings(max_examples=100)
@given(organizations())
def test_whatever_is_compiled_is_whole(connectors: Sequence[SendConnector]) -> None:
    assert list(broken_references(*staged(connectors), FACTS)) == []


@pytest.mark.parametrize(
    "file", ["transport", "passwords/pc-partner", "certificates/pc-partner.pem", "failures/dns"]
)
def test_a_file_that_is_not_staged(file: str) -> None:
    compiled, rendered = staged(EVERYTHING)
    files = {name: data for name, data in rendered.files.items() if name != file}
    [found] = broken_references(compiled, replace(rendered, files=files), FACTS)
    assert found.endswith(f"{file} is named, but there is no such file")


def test_a_type_of_tables_that_postfix_does_not_have() -> None:
    without: PostfixFacts = replace(FACTS, table_types=frozenset({"lmdb"}))
    found = list(broken_references(*staged(EVERYTHING), without))
    assert found
    assert all(text.endswith("has no tables of type regexp") for text in found)


def test_a_route_to_a_service_that_is_not_there() -> None:
    compiled, rendered = staged(EVERYTHING)
    master_cf = rendered.configuration.master_cf.replace("pc-partner unix", "pc-other unix")
    broken = replace(rendered, configuration=replace(rendered.configuration, master_cf=master_cf))
    [found] = broken_references(compiled, broken, FACTS)
    assert found == "mail is routed to pc-partner, but master.cf has no such service"
