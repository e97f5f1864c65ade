"""The canonical form: what is shown of any valid organization is read back as the same."""

import contextlib
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postconnector.cli.main import main
from postconnector.model.exchange_form import exchange_form, shown_value
from postconnector.model.exchange_version import ExchangeVersion
from postconnector.model.organization import Organization
from postconnector.model.problem import Severity
from postconnector.model.property_names import EXCHANGE_NAMES
from postconnector.model.send_connector import SendConnector
from postconnector.model.versions import is_in_version
from postconnector.sources.document import read_document

Properties = dict[str, Any]
LARGEST = 2_147_483_647

PRINTABLE = st.text(
    st.characters(exclude_categories=["C", "Z"]) | st.just(" "), min_size=1, max_size=12
)
LINES = PRINTABLE.filter(lambda text: text.strip() == text)
LABELS = st.sampled_from(
    ("a", "B", "3com", "xn--bcher-kva", "bücher", "x-y", "0", "a" * 63, "com", "ΣΊΣΥΦΟΣ")
)
DOMAINS = st.lists(LABELS, max_size=2).map(lambda labels: ".".join([*labels, "Example"]))
COSTS = st.sampled_from(("", ";1", ";07", " ; 100 "))
SMTP_SPACES = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(("", "SMTP:", "smtp:")),
    st.sampled_from(("", "*.")),
    DOMAINS,
    COSTS,
) | st.just("*")
OTHER_SPACES = st.sampled_from(
    ("X400:c=US;a= ;P=Contoso;5", "x400:*", "FAX:*;9", "fax:+1 425;;7", "Notes:a/b@c;1", "X-1:--")
)
ADDRESSES = st.ip_addresses().filter(lambda address: getattr(address, "scope_id", None) is None)
SMART_HOSTS = DOMAINS | ADDRESSES.map(str) | ADDRESSES.map("[{}]".format)
SIZES = (
    st.integers(0, LARGEST).map(str)
    | st.builds("{}{}KB".format, st.integers(0, LARGEST // 1024), st.sampled_from(("", " ")))
    | st.integers(0, 2047).map("{} MB".format)
    | st.sampled_from(("unlimited", "1GB", "25 MB (26,214,400 bytes)", "1,048,577 bytes"))
)
TIME_OUTS = st.sampled_from(("1", "00:00:01", "0:10", "23:59:59.9999999", "1.00:00:00", "0.1:2:3"))
CERTIFICATE_NAMES = st.sampled_from(
    (
        "<I>CN=CA, O=X, C=US<S>CN=mail.contoso.com",
        '<i>CN="A <S> B", O="Contoso, Ltd."<s>CN=a + OU=b',
        ' <I>CN=ü, O="a ""b"" c"<S>E=x@y.z, OID.1.2.3=q ',
        "",
    )
)
ERROR_POLICIES = st.lists(
    st.sampled_from(
        ("Default", "downgradednsfailures", "DowngradeCustomFailures", "UpgradeCustomFailures")
    ),
    max_size=4,
)
CREDENTIALS = st.fixed_dictionaries(
    {"user_name": LINES.filter(lambda text: ":" not in text), "password_file": PRINTABLE}
)

TLS: st.SearchStrategy[Properties] = st.sampled_from(
    (
        {},
        {"ignore_starttls": True},
        {"require_tls": True},
        {"require_tls": True, "tls_auth_level": "EncryptionOnly"},
        {"require_tls": True, "tls_auth_level": "certificatevalidation"},
        {
            "require_tls": True,
            "tls_auth_level": "DomainValidation",
            "tls_domain": "*.Contoso.com",
        },
    )
)
"""What the rules V9 to V12 let pass, whatever the routing."""

ANY_TIME: Mapping[str, st.SearchStrategy[Any]] = {
    "enabled": st.booleans(),
    "usage": st.sampled_from(("Custom", "internal", "Internet", "PARTNER")),
    "comment": st.just("") | PRINTABLE,
    "is_scoped_connector": st.booleans(),
    "max_message_size": SIZES,
    "port": st.integers(0, 65535),
    "fqdn": DOMAINS,
    "use_external_dns_servers_enabled": st.booleans(),
    "domain_secure_enabled": st.booleans(),
    "error_policies": ERROR_POLICIES | ERROR_POLICIES.filter(bool).map(", ".join),
    "connection_inactivity_time_out": TIME_OUTS,
    "smtp_max_messages_per_connection": st.integers(1, LARGEST),
    "protocol_logging_level": st.sampled_from(("None", "verbose")),
    "require_oorg": st.booleans(),
    "frontend_proxy_enabled": st.booleans(),
    "cloud_services_mail_enabled": st.booleans(),
    "tls_certificate_name": CERTIFICATE_NAMES,
    "connector_type": st.sampled_from(("Default", "xpremises")),
    "is_coexistence_connector": st.booleans(),
}
"""Properties that no rule but that of the version (V22) ties to others."""

LINKED = {
    "linked_receive_connector": "MBX1\\From Internet",
    "max_message_size": "unlimited",
    "dns_routing_enabled": False,
    "smart_hosts": ["192.0.2.1"],
    "smart_host_auth_mechanism": "ExternalAuthoritative",
}
"""V2, V3, V23: the one form of a linked connector."""

MAILBOX_SERVERS = [
    {"name": "MBX1", "fqdn": "mbx1.contoso.com", "site": "HQ"},
    {"name": "mbx 2", "site": "HQ", "server_role": "mailbox", "external_dns_servers": ["::1"]},
]
EDGE_SERVER = {"name": "EDGE1", "fqdn": "edge1.contoso.com", "server_role": "Edge"}
ORGANIZATIONS: Mapping[str, Properties] = {
    "none": {},
    "mailbox": {"sites": [{"name": "HQ"}], "servers": MAILBOX_SERVERS},
    "edge": {"servers": [EDGE_SERVER]},
    "both": {
        "sites": [{"name": "HQ"}],
        "servers": [*MAILBOX_SERVERS, EDGE_SERVER],
        "edge_subscriptions": [{"name": "EDGE1", "site": "HQ"}],
    },
}
SOURCES: Mapping[str, tuple[list[str], ...]] = {
    "none": ([], ["anything"], ["A", "B"]),
    "mailbox": ([], ["MBX1"], ["mbx1.contoso.com", "MBX 2"]),
    "edge": ([], ["edge1"]),
    "both": (["MBX1"], ["EDGE1"]),
}


@st.composite
def connectors(draw: st.DrawFn, name: str, surroundings: str, version: str) -> Properties:
    """A connector that keeps every rule of the version and of the servers around it."""
    sources = draw(st.sampled_from(SOURCES[surroundings]))
    on_edge = surroundings == "edge" or sources == ["EDGE1"]
    properties = draw(st.fixed_dictionaries({}, optional=dict(ANY_TIME)))
    properties |= {"name": name, "source_transport_servers": sources, **draw(TLS)}
    if on_edge or surroundings == "none":
        properties["source_ip_address"] = str(draw(ADDRESSES))
    if version == "2010" and draw(st.integers(0, 5)) == 0:
        properties |= LINKED
    else:
        properties |= draw(routes(on_edge=on_edge))
    demands_ehlo = "require_tls" in properties or str(
        properties.get("smart_host_auth_mechanism")
    ).startswith("Basic")
    if not demands_ehlo:
        properties["force_helo"] = draw(st.booleans())
    if properties.get("smart_host_auth_mechanism") == "BasicAuthRequireTLS":
        properties.pop("ignore_starttls", None)
    return {
        field: value
        for field, value in properties.items()
        if is_in_version(field, ExchangeVersion(version))
    }


@st.composite
def routes(draw: st.DrawFn, *, on_edge: bool) -> Properties:
    """By DNS or by smart hosts, with the address spaces and logins that go with it."""
    dashes = ("--",) if on_edge else ()
    smtp = SMTP_SPACES | st.sampled_from(dashes) if dashes else SMTP_SPACES
    if draw(st.booleans()):
        return {"address_spaces": draw(st.lists(smtp, min_size=1, max_size=3))}
    spaces = smtp if on_edge else smtp | OTHER_SPACES
    hosts = SMART_HOSTS | st.sampled_from(dashes) if dashes else SMART_HOSTS
    route: Properties = {
        "address_spaces": draw(st.lists(spaces, min_size=1, max_size=3)),
        "dns_routing_enabled": False,
        "smart_hosts": draw(st.lists(hosts, min_size=1, max_size=3)),
        "smart_host_auth_mechanism": draw(
            st.sampled_from(("None", "BasicAuth", "BasicAuthRequireTLS", "externalauthoritative"))
        ),
    }
    if route["smart_host_auth_mechanism"].startswith("Basic"):
        route["authentication_credential"] = draw(CREDENTIALS)
    return route


@st.composite
def documents(draw: st.DrawFn) -> Properties:
    """A connectors file that `check` finds no error in."""
    version = draw(st.sampled_from([version.value for version in ExchangeVersion]))
    surroundings = draw(st.sampled_from(sorted(ORGANIZATIONS)))
    names = draw(st.lists(LINES, max_size=3, unique_by=str.casefold))
    return {
        "organization": {"exchange_version": version, **ORGANIZATIONS[surroundings]},
        "send_connector": [draw(connectors(name, surroundings, version)) for name in names],
    }


def read(document: Properties, *, shown: bool = False) -> tuple[Organization, list[str]]:
    """The organization of a document without errors, and its warnings."""
    reading = read_document(document, shown=shown)
    errors = [str(p) for p in reading.problems if p.severity is Severity.ERROR]
    assert errors == []
    assert reading.organization is not None
    return reading.organization, [p.message for p in reading.problems]


def as_shown(document: Properties, organization: Organization) -> Properties:
    """The same document with its connectors as Get-SendConnector shows them."""
    version = organization.settings.exchange_version
    shown = [exchange_form(connector, version) for connector in organization.connectors]
    return {"Organization": document["organization"], "SendConnectors": shown}


@settings(max_examples=120)
@given(documents())
def test_what_is_shown_is_read_back(document: Properties) -> None:
    organization, warnings = read(document)
    shown = json.loads(json.dumps(as_shown(document, organization)))
    again, warnings_again = read(shown, shown=True)
    assert [dict(connector) for connector in again.connectors] == [
        dict(connector) for connector in organization.connectors
    ]
    assert again.settings == organization.settings
    # What is shown has been converted already.
    assert warnings_again == [text for text in warnings if " is taken for " not in text]
    assert as_shown(document, again) == shown


@settings(max_examples=40)
@given(documents())
def test_a_newer_exchange_shows_nothing_that_an_older_one_refuses(document: Properties) -> None:
    """With the defaults of its own properties, which the older one does not have."""
    organization, _ = read(document)
    shown = as_shown(document, organization)
    for connector in shown["SendConnectors"]:
        for field, name in EXCHANGE_NAMES.items():
            default = shown_value(field, SendConnector.model_fields[field].default)
            connector.setdefault(name, default)
    again, _ = read(shown, shown=True)
    assert [dict(connector) for connector in again.connectors] == [
        dict(connector) for connector in organization.connectors
    ]


def show(path: Path) -> list[Properties]:
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(io.StringIO()):
        assert main(["show", "--json", "-c", str(path)]) == os.EX_OK
    shown: list[Properties] = json.loads(output.getvalue())
    return shown


def test_show_as_json_is_a_file_that_shows_the_same(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("shown") / "connectors"

    @settings(max_examples=25)
    @given(documents())
    def shows_the_same(document: Properties) -> None:
        path.write_text(json.dumps(document))
        shown = show(path)
        assert [connector["Name"] for connector in shown] == [
            connector["name"] for connector in document["send_connector"]
        ]
        path.write_text(
            json.dumps({"Organization": document["organization"], "SendConnectors": shown})
        )
        assert show(path) == shown

    shows_the_same()


@pytest.mark.parametrize("version", ExchangeVersion)
def test_every_property_of_the_version_is_shown_in_one_order(
    version: ExchangeVersion, tmp_path: Path
) -> None:
    path = tmp_path / "connectors.toml"
    path.write_text(
        f'[organization]\nexchange_version = "{version}"\n'
        '[[send_connector]]\nname = "A"\naddress_spaces = ["*"]\n'
    )
    [connector] = show(path)
    assert list(connector) == [
        name for field, name in EXCHANGE_NAMES.items() if is_in_version(field, version)
    ]
