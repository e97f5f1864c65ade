"""What a connector may say depends on the version of Exchange: V22, defaults, what is shown."""

import pytest

from postconnector.model.exchange_form import exchange_form
from postconnector.model.exchange_version import ExchangeVersion
from postconnector.model.organization import Organization, OrganizationSettings
from postconnector.model.problem import Problem, Severity
from postconnector.model.property_names import EXCHANGE_NAMES
from postconnector.model.rules import rule_problems
from postconnector.model.versions import is_in_version
from postconnector.sources.document import read_document
from tests.unit.connectors import connector

VERSIONS = [version.value for version in ExchangeVersion]
VALUES: dict[str, tuple[object, object]] = {
    "frontend_proxy_enabled": (False, True),
    "tls_certificate_name": ("", "<I>CN=a<S>CN=b"),
    "cloud_services_mail_enabled": (False, True),
    "connector_type": ("Default", "XPremises"),
    "is_coexistence_connector": (False, True),
    "linked_receive_connector": ("", "MBX1\\From Internet"),
}
"""Of the properties that came and went: the default, and a value that says something."""
IN = {
    "frontend_proxy_enabled": {"2013", "2016", "2019", "SE"},
    "tls_certificate_name": {"2013", "2016", "2019", "SE"},
    "cloud_services_mail_enabled": {"2013", "2016", "2019", "SE"},
    "connector_type": {"2016", "2019", "SE"},
    "is_coexistence_connector": {"2010"},
    "linked_receive_connector": {"2010"},
}
"""New-SendConnector, V22."""


def organization(version: object, *connectors: dict[str, object]) -> dict[str, object]:
    return {
        "organization": {"exchange_version": version},
        "send_connector": [
            {"name": "A", "address_spaces": ["*"], **c} for c in connectors or ({},)
        ],
    }


def valid(document: dict[str, object]) -> Organization:
    reading = read_document(document)
    assert [str(p) for p in reading.problems if p.severity is Severity.ERROR] == []
    assert reading.organization is not None
    return reading.organization


def found(version: str, **properties: object) -> list[Problem]:
    settings = OrganizationSettings(exchange_version=ExchangeVersion(version))
    return rule_problems(connector(**properties), settings)


@pytest.mark.parametrize("version", VERSIONS)
def test_which_version_has_which_property(version: str) -> None:
    has = [field for field in EXCHANGE_NAMES if version in IN.get(field, VERSIONS)]
    assert [f for f in EXCHANGE_NAMES if is_in_version(f, ExchangeVersion(version))] == has
    shown = exchange_form(connector(), ExchangeVersion(version))
    assert list(shown) == [EXCHANGE_NAMES[field] for field in has]


@pytest.mark.parametrize("value", [0, 1], ids=["default", "other"])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("field", VALUES)
def test_a_property_that_the_version_lacks_is_refused_whatever_its_value(
    field: str, version: str, value: int
) -> None:
    """V22, but with the default in the form in which a newer Exchange shows it."""
    problems = [
        p
        for p in found(version, **{field: VALUES[field][value]})
        if p.property == field and p.severity is Severity.ERROR
    ]
    if version in IN[field]:
        assert problems == []
        return
    [problem] = problems
    assert EXCHANGE_NAMES[field] in problem.message
    assert "take it out" in problem.message


@pytest.mark.parametrize(
    ("field", "advice"),
    [
        ("is_coexistence_connector", "TlsDomain mail.protection.outlook.com"),
        ("linked_receive_connector", "content_filter"),
    ],
)
@pytest.mark.parametrize("version", VERSIONS)
def test_deprecated_properties_come_with_what_to_do_instead(
    field: str, advice: str, version: str
) -> None:
    [problem] = [p for p in found(version, **{field: VALUES[field][1]}) if p.property == field]
    assert advice in problem.message
    assert problem.severity == ("warning" if version == "2010" else "error")


@pytest.mark.parametrize(
    ("field", "default", "other"),
    [
        ("connector_type", "Default", "XPremises"),
        ("require_oorg", False, True),
        ("frontend_proxy_enabled", False, True),
    ],
)
def test_what_nothing_carries_out_is_kept_and_reported(
    field: str, default: object, other: object
) -> None:
    assert found("SE", **{field: default}) == []
    problems = found("SE", require_tls=True, **{field: other})
    assert [(p.property, p.severity) for p in problems] == [(field, Severity.WARNING)]
    assert problems[0].message.startswith(f"{EXCHANGE_NAMES[field]} is not carried out: ")
    shown = exchange_form(connector(**{field: other}), ExchangeVersion.SE)
    assert shown[EXCHANGE_NAMES[field]] == other


def test_who_writes_the_protocol_log_is_said() -> None:
    [problem] = found("SE", protocol_logging_level="Verbose")
    assert (problem.property, problem.severity) == ("protocol_logging_level", Severity.WARNING)
    assert "the delivery agent" in problem.message


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "policy", ["DowngradeDnsFailures", "DowngradeCustomFailures", "UpgradeCustomFailures"]
)
def test_error_policies_of_all_versions(version: str, policy: str) -> None:
    problems = found(version, error_policies=[policy])
    assert [p for p in problems if p.severity is Severity.ERROR] == []


@pytest.mark.parametrize("version", VERSIONS)
def test_downgrade_auth_failures_is_only_known_to_2010(version: str) -> None:
    problems = found(version, error_policies="DowngradeDnsFailures, downgradeauthfailures")
    errors = [p.message for p in problems if p.severity is Severity.ERROR]
    expected = [] if version == "2010" else ["DowngradeAuthFailures is only known to Exchange 2010"]
    assert errors == expected


@pytest.mark.parametrize(
    ("version", "usage", "shown"),
    [
        ("2010", "Custom", "10 MB (10,485,760 bytes)"),
        ("2010", "Internal", "10 MB (10,485,760 bytes)"),
        ("2013", "Internet", "25 MB (26,214,400 bytes)"),
        ("2013", "Internal", "25 MB (26,214,400 bytes)"),
        (2013, "Partner", "25 MB (26,214,400 bytes)"),
        ("2016", "Custom", "35 MB (36,700,160 bytes)"),
        ("2016", "Internet", "35 MB (36,700,160 bytes)"),
        ("2019", "Partner", "35 MB (36,700,160 bytes)"),
        ("2019", "Internal", "Unlimited"),
        ("se", "Internal", "Unlimited"),
        ("SE", "Custom", "35 MB (36,700,160 bytes)"),
    ],
)
def test_default_limits(version: object, usage: str, shown: str) -> None:
    ways: list[dict[str, object]]
    ways = [{"usage": usage}, {"Usage": usage.lower()}, {usage: True}]
    for said in ways:
        [candidate] = valid(organization(version, said)).connectors
        assert str(candidate.max_message_size) == shown


def test_a_limit_that_is_said_is_no_default() -> None:
    document = organization("2016", {"usage": "Internal", "max_message_size": "1 MB"})
    assert valid(document).connectors[0].max_message_size.limit == 1024**2


def test_without_a_version_2013_holds() -> None:
    read = valid({"send_connector": [{"name": "A", "address_spaces": ["*"]}]})
    assert read.settings.exchange_version is ExchangeVersion.V2013
    assert read.connectors[0].max_message_size.limit == 25 * 1024**2


@pytest.mark.parametrize(
    "version",
    [
        "2007",
        "2012",
        "2022",
        "",
        "Exchange 2016",
        2010.0,
        True,
        [],
        {},
        10**30,
        "\u0662\u0660\u0661\u0663",
    ],
)
def test_what_is_no_version(version: object) -> None:
    reading = read_document(organization(version))
    assert reading.organization is None
    assert [p.property for p in reading.problems] == ["exchange_version"]


@pytest.mark.parametrize(
    ("older", "newer", "expected"),
    [("2010", "2013", True), ("2019", "SE", True), ("2013", "2013", False), ("SE", "2010", False)],
)
def test_the_order_of_versions(older: str, newer: str, expected: bool) -> None:
    assert ExchangeVersion(older).is_before(ExchangeVersion(newer)) is expected


LINK = {"linked_receive_connector": "MBX1\\From Internet"}
LINKED: dict[str, object] = {
    **LINK,
    "address_spaces": [],
    "dns_routing_enabled": False,
    "max_message_size": "unlimited",
    "smart_hosts": ["192.0.2.1"],
    "smart_host_auth_mechanism": "ExternalAuthoritative",
}


def test_a_linked_connector_of_2010() -> None:
    """V2, V3, V23; the command line that is documented for it."""
    assert [(p.property, p.severity) for p in found("2010", **LINKED)] == [
        ("linked_receive_connector", Severity.WARNING)
    ]


@pytest.mark.parametrize(
    ("change", "errors"),
    [
        ({"address_spaces": ["*"]}, ["address_spaces"]),
        ({"dns_routing_enabled": True}, ["smart_hosts", "dns_routing_enabled"]),
        ({"max_message_size": "10 MB"}, ["max_message_size"]),
        ({"smart_hosts": []}, ["dns_routing_enabled", "smart_hosts"]),
        ({"smart_host_auth_mechanism": "None"}, ["smart_host_auth_mechanism"]),
        ({"linked_receive_connector": ""}, ["address_spaces"]),
    ],
)
def test_what_a_linked_connector_needs(change: dict[str, object], errors: list[str]) -> None:
    problems = found("2010", **{**LINKED, **change})
    assert [p.property for p in problems if p.severity is Severity.ERROR] == errors


def test_a_linked_connector_after_2010_is_refused_once() -> None:
    problems = found("2016", **LINK)
    errors = [p.property for p in problems if p.severity is Severity.ERROR]
    assert errors == ["linked_receive_connector"]


def test_an_unknown_version_brings_no_refusals_by_version() -> None:
    reading = read_document(organization("2022", {"connector_type": "XPremises"}))
    assert [p.property for p in reading.problems] == ["exchange_version"]


@pytest.mark.parametrize(
    ("sites", "errors"),
    [(["HQ", "HQ"], []), (["HQ", "hq"], []), (["HQ", "Branch"], ["source_transport_servers"])],
)
@pytest.mark.parametrize("version", ["2010", "2013", "SE"])
def test_in_2010_the_source_servers_stand_in_one_site(
    version: str, sites: list[str], errors: list[str]
) -> None:
    document = organization(version, {"source_transport_servers": ["S0", "S1"]})
    document["organization"] = {
        "exchange_version": version,
        "sites": [{"name": "HQ"}, {"name": "Branch"}],
        "site_links": [{"name": "L", "sites": ["HQ", "Branch"]}],
        "servers": [{"name": f"S{number}", "site": site} for number, site in enumerate(sites)],
    }
    problems = [p.property for p in read_document(document).problems]
    assert problems == (errors if version == "2010" else [])
