"""plan's list of changes: each by its connector, from what to what, and why; no secrets."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from postconnector.model.organization import Organization
from postconnector.model.send_connector import SendConnector
from postconnector.postfix.changes import Change, Comparison
from postconnector.postfix.compile import compile_organization
from postconnector.postfix.compiled import Compiled
from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.host import ConfigurationFiles
from postconnector.postfix.host_entries import HostEntries
from postconnector.postfix.local_routing import LocalRouting
from postconnector.postfix.own_domains import OwnNames
from postconnector.postfix.plan import Live
from postconnector.postfix.rendered import Rendered, render
from tests.unit.connectors import connector

FACTS = PostfixFacts(
    config_directory=Path("/etc/postfix"),
    queue_directory=Path("/var/spool/postfix"),
    version=(3, 7),
    map_type="lmdb",
    parameters={
        "transport_maps": "hash:/etc/postfix/transport",
        "relayhost": "[isp.example]",
        "default_transport": "smtp",
        "relay_transport": "relay",
        "smtpd_recipient_restrictions": "",
        "smtpd_end_of_data_restrictions": "",
    },
)
HOST_FILES = ConfigurationFiles("relayhost = [isp.example]\n", "smtp unix - - y - - smtp\n")
NOTHING_LIVE = Live(HOST_FILES, {})
PASSWORD = "correct horse"
LOGIN = {
    "dns_routing_enabled": False,
    "smart_hosts": ["relay.fabrikam.com"],
    "smart_host_auth_mechanism": "BasicAuth",
    "authentication_credential": {"user_name": "contoso", "password_file": "secrets/f"},
}
INTERNET = connector("Internet", fqdn="mail.contoso.com")
FABRIKAM = connector("Fabrikam", address_spaces=["fabrikam.com", "*.fabrikam.com"], **LOGIN)
MANY = [connector(f"Customer {n}", address_spaces=[f"customer{n}.com"], **LOGIN) for n in range(40)]


def changes(
    now: Sequence[SendConnector], then: Sequence[SendConnector], password: str = PASSWORD
) -> list[Change]:
    """What publishing `then` changes where `now` was published."""
    live, before = NOTHING_LIVE, None
    if now:
        published, _, before = published_by(now, PASSWORD, HOST_FILES)
        files = {name: file.data for name, file in published.files.items()}
        live = Live(published.configuration, files)
    rendered, compiled, local = published_by(then, password, live.configuration)
    return list(Comparison(FACTS, live, before, compiled, rendered, local).changes())


def published_by(
    connectors: Sequence[SendConnector], password: str, files: ConfigurationFiles
) -> tuple[Rendered, Compiled, LocalRouting]:
    local = LocalRouting(Organization.of(connectors), None)
    passwords = {c.name: password for c in connectors if c.authenticates}
    compiled = compile_organization(local, FACTS, OwnNames(), passwords, {}, HostEntries())
    return render(compiled, FACTS, files, b"connectors"), compiled, local


def of(
    found: Sequence[Change], connector_name: str | None
) -> list[tuple[str, str, object, object]]:
    return [(c.file, c.subject, c.before, c.after) for c in found if c.connector == connector_name]


def test_nothing_changes_where_it_is_published() -> None:
    assert changes([INTERNET, FABRIKAM], [INTERNET, FABRIKAM]) == []


def test_a_first_publication_names_parameters_from_and_to() -> None:
    found = of(changes([], [INTERNET]), None)
    assert ("main.cf", "default_transport", "smtp", "pc-internet") in found
    assert ("main.cf", "relayhost", "[isp.example]", "") in found
    assert ("main.cf", "relay_transport", "relay", "relay:[isp.example]") in found


def test_everything_of_a_connector_stands_under_its_name() -> None:
    found = of(changes([], [INTERNET, FABRIKAM]), "Fabrikam")
    route = "pc-fabrikam:relay.fabrikam.com:25"
    assert ("master.cf", "pc-fabrikam", None, "smtp") in found
    assert ("master.cf", "pc-fabrikam smtp_sasl_auth_enable", None, "yes") in found
    assert ("transport", "fabrikam.com", None, route) in found
    assert ("transport", ".fabrikam.com", None, route) in found
    assert ("passwords/pc-fabrikam", "relay.fabrikam.com:25", None, "") in found


def test_one_property_is_one_change_with_its_name() -> None:
    renamed = INTERNET.model_copy(update={"fqdn": "out.contoso.com"})
    [change] = changes([INTERNET, FABRIKAM], [renamed, FABRIKAM])
    assert change == Change(
        "Internet",
        "master.cf",
        "pc-internet smtp_helo_name",
        "mail.contoso.com",
        "out.contoso.com",
        "Fqdn",
    )


def test_a_connector_that_goes_takes_its_own_things_along() -> None:
    found = changes([INTERNET, FABRIKAM], [INTERNET])
    assert {change.connector for change in found} - {"Fabrikam", None} == set()
    assert ("master.cf", "pc-fabrikam", "smtp", None) in of(found, "Fabrikam")
    assert all(change.after is None for change in found if change.connector == "Fabrikam")


def test_taking_the_default_route_back_gives_the_host_its_own_value() -> None:
    found = of(changes([INTERNET, FABRIKAM], [FABRIKAM]), None)
    assert ("main.cf", "default_transport", "pc-internet", "smtp") in found
    assert ("main.cf", "relayhost", "", "[isp.example]") in found


def test_a_new_password_is_a_change_that_is_not_shown() -> None:
    [change] = changes([FABRIKAM], [FABRIKAM], password="battery staple")
    assert (change.connector, change.file, change.secret) == (
        "Fabrikam",
        "passwords/pc-fabrikam",
        True,
    )
    assert (change.before, change.after) == ("", "")


def test_no_password_in_any_change() -> None:
    for found in (changes([], [FABRIKAM]), changes([FABRIKAM], [INTERNET])):
        assert PASSWORD not in repr(found)


def test_members_of_a_shared_service_are_told_apart() -> None:
    moved = [*MANY[:7], replaced(MANY[7], smart_hosts=["other.example"]), *MANY[8:]]
    found = changes(MANY, moved)
    assert {change.connector for change in found} == {"Customer 7"}
    assert {change.file.partition("/")[0] for change in found} == {"transport", "passwords"}


def replaced(known: SendConnector, **properties: object) -> SendConnector:
    said = {"address_spaces": [str(s) for s in known.address_spaces], **LOGIN, **properties}
    return connector(known.name, **said)


def test_what_a_human_changed_in_our_block_is_put_right() -> None:
    published, compiled, local = published_by([INTERNET], PASSWORD, HOST_FILES)
    main_cf = published.configuration.main_cf
    edited = replace(
        published.configuration,
        main_cf=main_cf.replace("default_transport = pc-internet", "default_transport = smtp"),
    )
    files = {name: file.data for name, file in published.files.items()}
    comparison = Comparison(
        FACTS,
        Live(edited, files),
        local,
        compiled,
        Rendered(published.configuration, published.files),
        local,
    )
    [change] = comparison.changes()
    assert (change.subject, change.before, change.after) == (
        "default_transport",
        "smtp",
        "pc-internet",
    )


def test_the_columns_of_a_service_are_told_too() -> None:
    """Whether the host's smtp(8) is chrooted, connectors are."""
    published, _, before = published_by([INTERNET], PASSWORD, HOST_FILES)
    files = {name: file.data for name, file in published.files.items()}
    changed = published.configuration.master_cf.replace(
        "unix - - - - - smtp", "unix - - y - - smtp"
    )
    live = Live(ConfigurationFiles(published.configuration.main_cf, changed), files)
    rendered, compiled, local = published_by([INTERNET], PASSWORD, live.configuration)
    [change] = Comparison(FACTS, live, before, compiled, rendered, local).changes()
    assert (change.connector, change.file, change.subject) == (
        "Internet",
        "master.cf",
        "pc-internet",
    )
    assert (change.before, change.after) == ("unix - - y - - smtp", "unix - - - - - smtp")
