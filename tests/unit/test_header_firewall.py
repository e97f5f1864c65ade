"""The header firewall: which headers of Exchange leave, by version, usage and next hop."""

import re

import pytest

from postconnector.enforcement.header_firewall import HeaderFirewall, header_firewall
from postconnector.model.organization import OrganizationSettings
from postconnector.postfix.header_checks import header_patterns, header_table
from tests.unit.connectors import connector

RECEIVED = "Received: from a by b; Tue, 24 Nov 2026 01:02:03 +0000"
RESENT = "resent-message-id: <1@contoso.com>"
ORGANIZATION = "X-MS-Exchange-Organization-SCL: -1"
NOT_CROSSING = "X-MS-Exchange-Organization-AuthDomain: contoso.com"
FOREST = "x-ms-exchange-forest-RulesExecuted: EX1"
CROSS_PREMISES = "X-MS-Exchange-CrossPremises-SCL: 9"
OTHERS = (
    "Subject: X-MS-Exchange-Organization-SCL: -1",
    "X-MS-Has-Attach: yes",
    "X-MS-Exchange-Inbox-Rules-Loop: bob@contoso.com",
    "X-Received: x",
    "Return-Path: <bob@contoso.com>",
)
EXTERNALLY_SECURED = {
    "dns_routing_enabled": False,
    "smart_hosts": ["relay.contoso.com"],
    "smart_host_auth_mechanism": "ExternalAuthoritative",
}
VERIFIED = {"require_tls": True, "tls_auth_level": "DomainValidation", "tls_domain": "a.com"}


def firewall(version: str = "2013", **properties: object) -> HeaderFirewall:
    settings = OrganizationSettings.model_validate({"exchange_version": version})
    return header_firewall(connector(**properties), settings)


def leaves_as(found: HeaderFirewall, header: str) -> str | None:
    """What regexp_table(5) and header_checks(5) make of a header."""
    for pattern, action in header_patterns(found):
        match = re.match(pattern.removeprefix("/").removesuffix("/"), header, re.I | re.S)
        if match is not None:
            word, _, text = action.partition(" ")
            return match.expand(text.replace("$", "\\")) if word == "REPLACE" else None
    return header


@pytest.mark.parametrize(
    ("version", "properties", "organization", "routing"),
    [
        ("2013", {}, False, True),
        ("2013", {"usage": "Internet"}, False, True),
        ("2010", {"usage": "Internet"}, False, True),
        ("2013", {"usage": "Partner"}, False, False),
        ("2013", {"usage": "Partner", **VERIFIED}, False, True),
        ("2013", {"usage": "Internal"}, False, False),
        ("2013", {"usage": "Internal", **EXTERNALLY_SECURED}, True, True),
        ("2010", {"usage": "Internal", **EXTERNALLY_SECURED}, True, True),
        ("2013", {"usage": "Custom", **EXTERNALLY_SECURED}, False, True),
        ("2016", {"usage": "Internal", **EXTERNALLY_SECURED}, False, True),
        ("2016", {"usage": "Partner"}, False, True),
        ("SE", {"usage": "Internal"}, False, True),
    ],
)
def test_which_headers_leave(
    version: str, properties: dict[str, object], organization: bool, routing: bool
) -> None:
    found = firewall(version, **properties)
    for header, leaves in (
        (ORGANIZATION, organization),
        (FOREST, organization),
        (RECEIVED, routing),
        (RESENT, routing),
        *((other, True) for other in OTHERS),
    ):
        assert leaves_as(found, header) == (header if leaves else None), header


@pytest.mark.parametrize(
    ("version", "enabled", "cross_premises", "organization"),
    [
        ("2010", False, CROSS_PREMISES, None),
        ("2013", False, None, None),
        ("2013", True, CROSS_PREMISES, "X-MS-Exchange-CrossPremises-SCL: -1"),
        ("2019", False, None, None),
        ("2019", True, CROSS_PREMISES, "X-MS-Exchange-CrossPremises-SCL: -1"),
    ],
)
def test_cloud_services_mail(
    version: str, enabled: bool, cross_premises: str | None, organization: str | None
) -> None:
    found = firewall(version, cloud_services_mail_enabled=enabled)
    assert leaves_as(found, CROSS_PREMISES) == cross_premises
    assert leaves_as(found, ORGANIZATION) == organization
    assert leaves_as(found, NOT_CROSSING) is None


def test_a_folded_header_is_renamed_whole() -> None:
    found = firewall(cloud_services_mail_enabled=True)
    folded = "X-MS-Exchange-Organization-AuthSource:\n EX1.contoso.com"
    assert leaves_as(found, folded) == "X-MS-Exchange-CrossPremises-AuthSource:\n EX1.contoso.com"


def test_tables_have_the_same_name_only_for_the_same_patterns() -> None:
    found = {
        firewall(version, usage=usage, cloud_services_mail_enabled=cloud, **properties)
        for version in ("2010", "2013", "2016")
        for usage in ("Custom", "Internal", "Internet", "Partner")
        for cloud in (False, True)
        for properties in ({}, EXTERNALLY_SECURED, VERIFIED)
    }
    tables = {header_table(each): header_patterns(each) for each in found}
    assert len(tables) == len(set(tables.values())) == len(found)
    assert all((name is None) == (not patterns) for name, patterns in tables.items())
    assert {header_table(each) for each in found if each.is_open} == {None}


@pytest.mark.parametrize(
    ("properties", "permissions"),
    [
        ({}, ("SendRoutingHeaders",)),
        ({"usage": "Internal"}, ()),
        (
            {"usage": "Internal", **EXTERNALLY_SECURED},
            ("SendRoutingHeaders", "SendForestHeaders", "SendOrganizationHeaders"),
        ),
    ],
)
def test_permissions_by_their_names(
    properties: dict[str, object], permissions: tuple[str, ...]
) -> None:
    assert firewall("2013", **properties).permissions == permissions
