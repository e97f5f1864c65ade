"""The table `organization`: what it takes in every spelling, and what its parts say of each other.

The mistakes of administrators are files in tests/unit/broken; here are the odd ones.
"""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postconnector.model.enhanced_status_code import EnhancedStatusCode as Code
from postconnector.model.organization import OrganizationSettings
from postconnector.model.problem import Severity
from postconnector.model.size import MaxMessageSize
from postconnector.model.topology import DomainType, ServerRole
from postconnector.sources.document import read_document
from postconnector.sources.organization_table import read_organization_settings

Table = dict[str, Any]
HQ: Table = {"name": "HQ"}
BRANCH: Table = {"name": "Branch"}
LINK: Table = {"name": "L", "sites": ["HQ", "Branch"]}
EDGE: Table = {"name": "EDGE1", "fqdn": "edge1.contoso.com", "server_role": "Edge"}


def read(table: object) -> OrganizationSettings:
    found, problems = read_organization_settings("organization", table)
    assert [str(problem) for problem in problems] == []
    return found


def problems_of(table: object) -> list[tuple[str | None, str]]:
    _, problems = read_organization_settings("organization", table)
    return [(problem.property, problem.message) for problem in problems]


def properties(table: object) -> list[str | None]:
    return [name for name, _ in problems_of(table)]


# --- what is taken


def test_all_of_it() -> None:
    found = read(
        {
            "exchange_version": "2016",
            "accepted_domains": [
                {"domain_name": "contoso.com", "default": True},
                {"domain_name": "*.Fabrikam.com", "domain_type": "internalrelay"},
                {"domain_name": "bücher.example", "domain_type": "ExternalRelay"},
            ],
            "site": [HQ, {"name": "Branch", "hub_site_enabled": True}],
            "site_link": [{**LINK, "ad_cost": 99_999, "max_message_size": "64 KB"}],
            "server": [
                {"name": "MBX1", "fqdn": "mbx1.contoso.com", "site": "hq"},
                {**EDGE, "external_dns_servers": ["192.0.2.53", "2001:DB8:0::53"]},
            ],
            "edge_subscription": [{"name": "edge1.Contoso.com", "site": "BRANCH"}],
            "tls_send_domain_secure_list": ["fabrikam.com"],
            "downgraded_failures": ["5.7.1", "5.2.*"],
            "upgraded_failures": "4.4.1",
        }
    )
    assert [d.domain_name for d in found.accepted_domains] == [
        "contoso.com",
        "*.Fabrikam.com",
        "xn--bcher-kva.example",
    ]
    assert [d.domain_type for d in found.accepted_domains] == list(DomainType)
    assert [site.hub_site_enabled for site in found.sites] == [False, True]
    [link] = found.site_links
    assert (link.cost, link.max_message_size) == (99_999, MaxMessageSize(65_536))
    assert [server.server_role for server in found.servers] == list(ServerRole)
    assert found.servers[1].external_dns_servers == ("192.0.2.53", "2001:db8::53")
    assert found.subscribed_site(found.servers[1]) == "BRANCH"
    assert found.subscribed_site(found.servers[0]) is None
    assert found.downgraded_failures == (Code(5, 7, 1), Code(5, 2))
    assert found.upgraded_failures == (Code(4, 4, 1),)


def test_defaults() -> None:
    found = read({"sites": [HQ, BRANCH], "site_links": [LINK]})
    assert (found.site_links[0].cost, found.site_links[0].max_message_size.limit) == (100, None)
    assert read({}) == OrganizationSettings()
    assert read({"servers": [{"name": "A"}]}).servers[0].server_role is ServerRole.MAILBOX


def test_the_cost_of_exchange_replaces_that_of_active_directory() -> None:
    costs = {"ad_cost": 5, "exchange_cost": 500}
    assert read({"sites": [HQ, BRANCH], "site_links": [LINK | costs]}).site_links[0].cost == 500


@pytest.mark.parametrize("name", ["site", "sites", "Site", "Sites", "SITES", "s_ites"])
def test_parts_in_the_singular_the_plural_and_any_case(name: str) -> None:
    assert len(read({name: [HQ]}).sites) == 1


@pytest.mark.parametrize(
    ("part", "entry"),
    [
        (
            "AcceptedDomains",
            {"DomainName": "a.com", "DomainType": "Authoritative", "Default": False},
        ),
        ("Sites", {"Name": "HQ", "HubSiteEnabled": True}),
        ("SiteLinks", {"Name": "L", "Sites": [], "ADCost": 7, "ExchangeCost": 8}),
        ("SiteLinks", {"name": "L", "SITES": [], "adcost": 7, "max_messagesize": "Unlimited"}),
        ("Servers", {"Name": "A", "Fqdn": "a.com", "Site": None, "ServerRole": "MAILBOX"}),
        ("Servers", {"Name": "A", "ExternalDNSServers": "192.0.2.1"}),
        ("EdgeSubscriptions", {"Name": "EDGE1", "Site": "HQ"}),
    ],
)
def test_entries_in_exchanges_names(part: str, entry: Table) -> None:
    assert not [p for p in problems_of({part: [entry]}) if "unknown entry" in p[1]]


@pytest.mark.parametrize(
    "name", ["downgraded_failures", "DowngradedFailures", "downgradedfailures"]
)
def test_failures_in_every_spelling(name: str) -> None:
    assert read({name: [" 5.7.1 ", "5.0.0", "5.999.*"]}).downgraded_failures == (
        Code(5, 7, 1),
        Code(5, 0, 0),
        Code(5, 999),
    )


@pytest.mark.parametrize("version", [2013, "2013", "se", "Se"])
def test_versions_may_stand_without_quotes(version: object) -> None:
    assert read({"exchange_version": version}).exchange_version.value == str(version).upper()


@pytest.mark.parametrize("name", ["MBX1", "mbx1", "MBX1.contoso.com", "mbx1.CONTOSO.com"])
def test_servers_go_by_their_name_or_full_name(name: str) -> None:
    found = read({"servers": [{"name": "A"}, {"name": "Mbx1", "fqdn": "mbx1.Contoso.com"}]})
    assert found.server(name) is found.servers[1]


@pytest.mark.parametrize("name", ["contoso.com", "MBX", "mbx1.contoso.com.", " MBX1"])
def test_servers_that_are_not_there(name: str) -> None:
    assert read({"servers": [{"name": "Mbx1", "fqdn": "mbx1.contoso.com"}]}).server(name) is None


def test_no_name_is_no_server() -> None:
    assert read({"servers": [{"name": "MBX1"}]}).server("") is None


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("downgraded_failures", "4.4.1", "permanent failures begin with 5; write e.g. 5.7.1"),
        ("downgraded_failures", "2.0.0", "permanent failures begin with 5"),
        ("upgraded_failures", "5.7.1", "temporary failures begin with 4; write e.g. 4.4.1"),
        ("upgraded_failures", "450", "write e.g. 4.4.1, or 4.4.* for all of 4.4"),
        ("downgraded_failures", "550", "write e.g. 5.7.1, or 5.7.* for all of 5.7"),
        *(
            ("downgraded_failures", code, "this is no enhanced status code (RFC 3463)")
            for code in (
                *("", "5", "5.7", "5.*", "5.*.*", "5.*.1", "*", "5.7.1*", "5.7.1.2", "5.7.1000"),
                *("5.07.1", "5.7.01", "550 5.7.1", "5.7.-1", "5,7,1", "x.7.1", "5.7.\u0661"),
            )
        ),
        ("upgraded_failures", 4, "is not a string; put it in double quotes"),
        ("upgraded_failures", 4.4, "is not a string; put it in double quotes"),
    ],
)
def test_what_names_no_failure(name: str, code: object, message: str) -> None:
    [(found, said)] = problems_of({name: [code]})
    assert found == name
    assert message in said


@pytest.mark.parametrize(
    ("name", "example"), [("downgraded_failures", "5.7.1"), ("upgraded_failures", "4.4.1")]
)
def test_no_list_of_failures(name: str, example: str) -> None:
    message = f'4 is not a list of strings; write e.g. ["{example}"]'
    assert problems_of({name: 4}) == [(name, message)]


@pytest.mark.parametrize("name", ["downgraded_failures", "upgraded_failures"])
def test_a_broken_list_of_failures_breaks_no_connector(name: str) -> None:
    document = {
        "organization": {name: ["550"]},
        "send_connector": [
            {
                "name": "C",
                "address_spaces": ["*"],
                "error_policies": ["DowngradeCustomFailures", "UpgradeCustomFailures"],
            }
        ],
    }
    assert [problem.property for problem in read_document(document).problems] == [name]


# --- what its parts say of each other


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"sites": [HQ, {"name": "hq"}]}, ["name"]),
        ({"sites": [{"name": "Straße"}, {"name": "STRASSE"}]}, ["name"]),
        ({"servers": [EDGE, {"name": "edge1"}]}, ["name"]),
        ({"sites": [HQ, BRANCH], "site_links": [LINK, LINK | {"name": "l"}]}, ["name"]),
        (
            {"accepted_domains": [{"domain_name": "A.com"}, {"domain_name": "a.COM"}]},
            ["domain_name"],
        ),
        (
            {"accepted_domains": [{"domain_name": f"{n}.com", "default": True} for n in "abc"]},
            ["default", "default"],
        ),
        ({"sites": [HQ], "servers": [{**EDGE, "site": "HQ"}]}, ["site"]),
        ({"servers": [{**EDGE, "site": "Mars"}]}, ["site"]),
        ({"servers": [{"name": "A", "site": "Mars"}]}, ["site"]),
        ({"sites": [HQ], "servers": [{"name": "A"}]}, ["site"]),
        ({"sites": [HQ], "site_links": [{"name": "L", "sites": ["HQ"]}]}, ["sites"]),
        ({"sites": [HQ], "site_links": [{"name": "L", "sites": ["HQ", "hq"]}]}, ["sites"]),
        ({"site_links": [{"name": "L"}]}, ["sites"]),
        ({"site_links": [LINK]}, ["sites", "sites"]),
        ({"sites": [HQ], "edge_subscriptions": [{"name": "EDGE1", "site": "HQ"}]}, ["name"]),
        ({"servers": [EDGE], "edge_subscriptions": [{"name": "EDGE1", "site": "HQ"}]}, ["site"]),
        (
            {
                "sites": [HQ],
                "servers": [{"name": "A", "site": "HQ"}],
                "edge_subscriptions": [{"name": "A", "site": "HQ"}],
            },
            ["name"],
        ),
    ],
)
def test_contradictions(table: Table, expected: list[str]) -> None:
    _, problems = read_organization_settings("organization", table)
    errors = [p for p in problems if p.severity is Severity.ERROR]
    assert [p.property for p in errors] == expected


def test_a_site_that_no_link_reaches_is_a_warning() -> None:
    table = {"sites": [HQ, BRANCH, {"name": "Island"}], "site_links": [LINK]}
    _, [problem] = read_organization_settings("organization", table)
    assert (problem.severity, problem.path) == (
        Severity.WARNING,
        ("organization", "sites", 2, "name"),
    )
    assert "no site link reaches this site" in problem.message


def test_one_site_needs_no_link() -> None:
    assert problems_of({"sites": [HQ]}) == []


@pytest.mark.parametrize(
    "table",
    [
        {"sites": [HQ | {"hub_site_enabled": "yes"}], "servers": [{"name": "A", "site": "HQ"}]},
        {"sites": [HQ, BRANCH], "site_links": [LINK | {"ad_cost": 0}]},
        {"sites": [HQ, BRANCH], "site_links": [LINK | {"max_message_size": "1 KB"}]},
        {"servers": [EDGE | {"fqdn": "a..b"}]},
        {"accepted_domains": [{"domain_name": "a.com", "domain_type": "x", "default": True}]},
    ],
)
def test_a_broken_entry_brings_no_other_problem(table: Table) -> None:
    assert len(problems_of(table)) == 1


@pytest.mark.parametrize(
    ("server", "connector"),
    [
        ({"name": "A", "server_role": "Hub"}, {"source_transport_servers": ["A"]}),
        ({"name": "A", "server_role": "Egde"}, {"address_spaces": ["--"]}),
        ({"name": "A", "server_role": "Egde"}, {"source_ip_address": "192.0.2.1"}),
    ],
)
def test_a_broken_server_breaks_no_connector(server: Table, connector: Table) -> None:
    document = {
        "organization": {"servers": [server, {"name": "B"}]},
        "send_connector": [{"name": "C", "address_spaces": ["*"], **connector}],
        "host": {"server": "A"},
    }
    problems = read_document(document).problems
    assert [problem.property for problem in problems] == ["server_role"]


def test_broken_sites_break_no_server() -> None:
    assert properties({"sites": "HQ", "servers": [{"name": "A", "site": "HQ"}]}) == ["sites"]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        pytest.param(
            {"servers": [{"name": "A", "fqdn": "x.a.com"}, {"name": "B", "fqdn": "X.a.com"}]},
            ["fqdn"],
            id="two servers of one full name",
        ),
        pytest.param(
            {"servers": [{"name": "A", "fqdn": "b"}, {"name": "B", "fqdn": "x.a.com"}]},
            ["name"],
            id="the name of one server is the full name of another",
        ),
        pytest.param(
            {
                "sites": [HQ, BRANCH],
                "site_links": [LINK],
                "servers": [EDGE],
                "edge_subscriptions": [
                    {"name": "EDGE1", "site": "HQ"},
                    {"name": "edge1.contoso.com", "site": "Branch"},
                ],
            },
            ["name"],
            id="an Edge server is subscribed to two sites",
        ),
        pytest.param(
            {"accepted_domains": [{"domain_name": "*", "default": True}]},
            ["default"],
            id="the default domain is all domains",
        ),
        pytest.param(
            {"accepted_domains": [{"domain_name": "*.a.com", "default": True}]},
            ["default"],
            id="the default domain is a wildcard",
        ),
    ],
)
def test_contradictions_that_are_overlooked(table: Table, expected: list[str]) -> None:
    assert properties(table) == expected


# --- whatever stands there


@pytest.mark.parametrize("table", [None, "x", 5, [], [{}], True, 1.5, datetime.now(UTC)])
def test_no_table(table: object) -> None:
    assert problems_of(table) == [(None, "write [organization]")]


@pytest.mark.parametrize("value", ["HQ", 5, {}, {"name": "HQ"}, True, datetime.now(UTC)])
@pytest.mark.parametrize("part", ["accepted_domain", "site", "site_link", "server"])
def test_no_list(part: str, value: object) -> None:
    assert problems_of({part: value}) == [
        (part, f"write [[organization.{part}]], in double brackets")
    ]


@pytest.mark.parametrize("entry", [None, "HQ", 5, [], [HQ], 1.5])
def test_no_entry(entry: object) -> None:
    assert problems_of({"sites": [entry]}) == [("site", "this is not a table")]


def test_two_spellings_of_one_part() -> None:
    [(name, message)] = problems_of({"site": [HQ], "Sites": [BRANCH]})
    assert (name, message) == ("Sites", "the same entry as site; leave one of them")


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("sever", "did you mean server?"),
        ("exchangeversoin", "did you mean exchange_version?"),
        ("send_connector", "known are exchange_version"),
    ],
)
def test_unknown_entries(key: str, message: str) -> None:
    [(name, found)] = problems_of({key: []})
    assert name == key
    assert message in found


def test_messages_have_a_bound() -> None:
    sites = [{"name": f"Site number {number}"} for number in range(2000)]
    [(_, message)] = [
        problem
        for problem in problems_of({"sites": sites, "servers": [{"name": "A", "site": "Mars"}]})
        if problem[0] == "site"
    ]
    assert len(message) < 1000


SCALARS = st.one_of(
    st.sampled_from(
        ["", "HQ", "Branch", "A", "Edge", "a.com", "*", "1 MB", "\0", "\ud800", "a\nb"]
    ),
    st.integers(-1, 100_001),
    st.sampled_from([True, False, None, float("inf"), float("nan"), 10**5000, datetime.now(UTC)]),
)
VALUES = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.just("name"), SCALARS)
NAMES = st.sampled_from(
    [
        "name",
        "Name",
        "site",
        "sites",
        "domain_name",
        "default",
        "server_role",
        "fqdn",
        "ad_cost",
        "exchange_cost",
        "nonsense",
        "max_message_size",
        "hub_site_enabled",
        "external_dns_servers",
        "domain_type",
    ]
)
PARTS = st.sampled_from(
    [
        "accepted_domains",
        "Sites",
        "site_link",
        "server",
        "Servers",
        "edge_subscription",
        "exchange_version",
        "tls_send_domain_secure_list",
        "downgraded_failures",
        "UpgradedFailures",
        "nonsense",
    ]
)


@settings(max_examples=150)
@given(
    st.dictionaries(
        PARTS,
        VALUES | st.lists(VALUES | st.dictionaries(NAMES, VALUES), max_size=3),
        max_size=4,
    )
)
def test_nonsense_is_refused_in_printable_lines_with_a_place(table: Table) -> None:
    document = {"Organization": table}
    reading = read_document(document)
    errors = [p for p in reading.problems if p.severity is Severity.ERROR]
    assert (reading.organization is None) == bool(errors)
    for problem in reading.problems:
        assert str(problem).isprintable()
        assert problem.path[0] == "Organization"
        value: Any = document
        for part in problem.path:
            if isinstance(value, str):  # as a list of one
                value = [value]
            if part in value if isinstance(value, dict) else isinstance(part, int):
                value = value[part]
            else:
                assert part == problem.path[-1], "only what is missing is not there"
