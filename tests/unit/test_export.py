"""Export: what is written is read again as the same organization; commands recreate connectors."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from postconnector.cli.main import main
from postconnector.model.organization import Organization
from postconnector.sources.connectors_file import parse_connectors
from postconnector.sources.document import read_document
from postconnector.sources.exported.formats import read_export
from postconnector.sources.importing.connectors import import_objects
from postconnector.sources.writing.canonical import organization_as_json
from postconnector.sources.writing.powershell import organization_as_commands
from postconnector.sources.writing.toml_file import organization_as_toml

TEXT = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), max_size=12)
NAMES = TEXT.filter(lambda text: text.strip() != "")
DOMAINS = st.sampled_from(["contoso.com", "*.contoso.com", "*", "Fabrikam.NET", "bücher.example"])
SPACES = st.builds(lambda domain, cost: f"{domain};{cost}", DOMAINS, st.integers(1, 100))
SIZES = st.sampled_from(["0", "1 KB", "1500", "25 MB", "1.0.0", "unlimited", "2147483647"])
BOOLEANS = st.booleans()
CREDENTIAL = st.builds(
    lambda user, file: {"user_name": user, "password_file": file},
    st.sampled_from(["contoso", "o'neill@contoso.com", "contoso\\relay"]),
    st.sampled_from(["passwords/a", "/etc/b c"]),
)

COMMON = {
    "enabled": BOOLEANS,
    "usage": st.sampled_from(["Custom", "Internal", "Internet", "Partner"]),
    "comment": TEXT,
    "max_message_size": SIZES.filter(lambda size: size != "1.0.0"),
    "port": st.integers(0, 65535),
    "fqdn": st.sampled_from(["mail.contoso.com", "xn--bcher-kva.example"]),
    "source_ip_address": st.sampled_from(["192.0.2.1", "2001:db8::1", "0.0.0.0"]),
    "frontend_proxy_enabled": BOOLEANS,
    "is_scoped_connector": BOOLEANS,
    "use_external_dns_servers_enabled": BOOLEANS,
    "domain_secure_enabled": BOOLEANS,
    "cloud_services_mail_enabled": BOOLEANS,
    "error_policies": st.lists(
        st.sampled_from(["Default", "DowngradeDnsFailures", "UpgradeCustomFailures"]), max_size=3
    ),
    "connection_inactivity_time_out": st.sampled_from(["00:00:01", "00:01:02.5", "1.00:00:00"]),
    "smtp_max_messages_per_connection": st.integers(1, 2**31 - 1),
    "protocol_logging_level": st.sampled_from(["None", "Verbose"]),
    "require_oorg": BOOLEANS,
    "tls_certificate_name": st.sampled_from(
        ['<I>CN=CA, O="A, ""B"" <S>"<S>CN=mail.contoso.com', "<i>CN=x<s>CN=y"]
    ),
}
ROUTES: list[dict[str, st.SearchStrategy[Any]]] = [
    {},
    {
        "dns_routing_enabled": st.just(False),
        "smart_hosts": st.lists(
            st.sampled_from(["10.0.0.1", "[2001:db8::2]", "relay.contoso.com"]), min_size=1
        ),
    },
]
TLS: list[dict[str, st.SearchStrategy[Any]]] = [
    {},
    {"force_helo": st.just(True)},
    {"ignore_starttls": st.just(True)},
    {"require_tls": st.just(True)},
    {
        "require_tls": st.just(True),
        "tls_auth_level": st.just("DomainValidation"),
        "tls_domain": st.sampled_from(["mail.fabrikam.com", "*.fabrikam.com"]),
    },
    {"require_tls": st.just(True), "tls_auth_level": st.just("CertificateValidation")},
]


@st.composite
def connectors(draw: st.DrawFn) -> dict[str, Any]:
    optional = {**COMMON, **draw(st.sampled_from(ROUTES)), **draw(st.sampled_from(TLS))}
    required = {key: value for key, value in optional.items() if key not in COMMON}
    entry: dict[str, Any] = {
        "name": draw(NAMES),
        "address_spaces": draw(st.lists(SPACES, min_size=1, max_size=3)),
        **draw(st.fixed_dictionaries(required, optional=COMMON)),
    }
    if "smart_hosts" in entry and "force_helo" not in entry and draw(BOOLEANS):
        entry["smart_host_auth_mechanism"] = "BasicAuth"
        entry["authentication_credential"] = draw(CREDENTIAL)
    return entry


def codes(status_class: str) -> st.SearchStrategy[str]:
    number = st.integers(0, 999).map(str)
    return st.builds(f"{status_class}.{{}}.{{}}".format, number, number | st.just("*"))


SITES = ["HQ", "Branch"]
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "exchange_version": st.sampled_from(["2013", "2016", "2019", "SE"]),
        "tls_send_domain_secure_list": st.just(["woodgrove.com"]),
        "downgraded_failures": st.lists(codes("5"), max_size=3),
        "upgraded_failures": st.lists(codes("4"), max_size=3) | codes("4"),
        "accepted_domains": st.just(
            [
                {"domain_name": "contoso.com", "default": True},
                {"domain_name": "*.x.org", "domain_type": "ExternalRelay"},
            ]
        ),
        "site": st.just([{"name": "HQ"}, {"name": "Branch", "hub_site_enabled": True}]),
    },
)


@st.composite
def organizations(draw: st.DrawFn) -> Organization:
    settings_ = draw(SETTINGS)
    if "site" in settings_:
        settings_["site_link"] = [
            {"name": "L", "sites": SITES, "ad_cost": 7, "max_message_size": "64 KB"},
            {"name": "M", "sites": SITES, "exchange_cost": 3},
        ]
    entries = draw(
        st.lists(connectors(), max_size=3, unique_by=lambda c: c["name"].strip().casefold())
    )
    reading = read_document({"organization": settings_, "send_connector": entries})
    errors = [str(problem) for problem in reading.problems if problem.severity == "error"]
    assert reading.organization is not None, errors
    return reading.organization


def read(text: str) -> Organization:
    file = parse_connectors(text.encode(), Path("file"))
    assert file.organization is not None, [str(problem) for problem in file.problems]
    return file.organization


@settings(max_examples=80)
@given(organizations())
def test_toml_and_json_are_read_again_as_the_same(organization: Organization) -> None:
    assert read(organization_as_toml(organization)) == organization
    written = json.dumps(organization_as_json(organization))
    assert read(written) == organization
    assert json.dumps(organization_as_json(read(written))) == written


@settings(max_examples=60)
@given(organizations())
def test_commands_recreate_the_connectors(organization: Organization) -> None:
    assume(organization.connectors)
    plain = [
        c.model_copy(update={"authentication_credential": None}) for c in organization.connectors
    ]
    export = read_export(organization_as_commands(organization).encode())
    assert export.format == "PowerShell commands"
    assert len(export.objects) == len(plain)
    imported = import_objects(export.objects, "x", Path("x"))
    version = f'[organization]\nexchange_version = "{organization.settings.exchange_version}"\n'
    _, _, tables = imported.toml.partition("[[send_connector]]")
    text = version + "[[send_connector]]" + tables
    again = parse_connectors(text.encode(), Path("x"))
    if any(c.authenticates for c in plain):
        assert all(
            "AuthenticationCredential" in str(p) for p in again.problems if p.severity == "error"
        )
        return
    assert again.organization is not None, [str(problem) for problem in again.problems]
    assert list(again.organization.connectors) == plain


FILE = """\
[[send_connector]]
name = "O'Neill's relay"
address_spaces = ["*"]
dns_routing_enabled = false
smart_hosts = ["10.0.0.1", "relay.contoso.com"]
smart_host_auth_mechanism = "BasicAuthRequireTLS"
authentication_credential = { user_name = "contoso", password_file = "passwords/relay" }
"""


def test_the_commands_as_exchange_reads_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "connectors.toml"
    file.write_text(FILE)
    assert main(["export", "-c", str(file), "--format", "powershell"]) == os.EX_OK
    output = capsys.readouterr().out
    assert "-Name 'O''Neill''s relay' `\n" in output
    assert "-SmartHosts '[10.0.0.1]','relay.contoso.com' `\n" in output
    assert "-MaxMessageSize 26214400 `\n" in output
    assert "-AuthenticationCredential (Get-Credential -UserName 'contoso')" in output
    assert "passwords/relay" not in output
