"""Postfix hosts as they are found, each with connectors: see drop_in for what is claimed."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab.administrator import Administrator
from tests.lab.host_configurations import (
    FILTER_MARK,
    MILTER_MARK,
    ConfiguredHost,
    ContentFilter,
    Mail,
    SigningMilter,
    TlsPolicyServer,
)
from tests.lab.loopback import free_port
from tests.postfix.drop_in import (
    Neighbours,
    Workshop,
    apply,
    configuration,
    expect,
    expect_claimed,
    expect_places,
    place_of,
    remove,
    running_neighbours,
    to,
)

REQUIRE_TLS = (
    "require_tls = true\ntls_auth_level = 'DomainValidation'\ntls_domain = 'mail.fabrikam.test'\n"
)


@pytest.fixture(scope="module")
def neighbours() -> Iterator[Neighbours]:
    with running_neighbours() as running:
        yield running


@pytest.fixture
def workshop(root: Path, enter: ExitStack, neighbours: Neighbours) -> Workshop:
    return Workshop(root, enter, neighbours)


# --- (1) local and virtual domains


@pytest.mark.parametrize("internet_too", [False, True], ids=["partners", "partners and *"])
def test_local_and_virtual_domains(workshop: Workshop, internet_too: bool) -> None:
    etc, mail = workshop.etc(), workshop.root / "host" / "mail"
    host = workshop.host(
        f"""\
# See /usr/share/postfix/main.cf.dist for a commented, more complete version

smtpd_banner = $myhostname ESMTP $mail_name (Debian/GNU)
biff = no
# appending .domain is the MUA's job.
append_dot_mydomain = no
readme_directory = no
compatibility_level = 3.6

mydomain = contoso.test
myhostname = mail.$mydomain
alias_maps = lmdb:{etc}/aliases
alias_database = lmdb:{etc}/aliases
mydestination = $myhostname, $mydomain, localhost.$mydomain, localhost
relayhost =
mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128
mailbox_size_limit = 0
recipient_delimiter = +
smtp_tls_security_level=may

virtual_alias_domains = lmdb:{etc}/alias_domains
virtual_alias_maps = lmdb:{etc}/virtual
virtual_mailbox_domains = {etc}/mailbox_domains
virtual_mailbox_base = {mail}
virtual_mailbox_maps = lmdb:{etc}/mailboxes
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 1
""",
        tables={
            "aliases": f"bob: {mail}/bob/\nroot: bob\ninfo: press@internet.test\n",
            "alias_domains": "aliases.test x\nold.fabrikam.test x\n",
            "virtual": "sales@aliases.test bob@contoso.test\n"
            "@old.fabrikam.test anna@mailboxes.test\n"
            "partner@aliases.test eve@fabrikam.test\n",
            "mailboxes": "anna@mailboxes.test anna/\njoe@hosted.fabrikam.test joe/\n",
        },
        files={"mailbox_domains": "# hosted here\nmailboxes.test\nhosted.fabrikam.test\n"},
    )
    ways = {
        Mail("bob@contoso.test"): "mailbox bob",
        Mail("bob+lists@mail.contoso.test"): "mailbox bob",
        Mail("root@localhost", by_sendmail=True): "mailbox bob",
        Mail("nobody-here@contoso.test"): "refused",
        Mail("sales@aliases.test"): "mailbox bob",
        Mail("other@aliases.test"): "refused",
        Mail("anyone@old.fabrikam.test"): "mailbox anna",
        Mail("anna@mailboxes.test"): "mailbox anna",
        Mail("joe@hosted.fabrikam.test"): "mailbox joe",
        Mail("nobody@hosted.fabrikam.test"): "refused",
        Mail("info@contoso.test"): "internet",
        Mail("someone@internet.test", by_sendmail=True): "internet",
        Mail("eve@fabrikam.test", by_sendmail=True): "internet",
        Mail("partner@aliases.test"): "internet",
        Mail("eve@sub.contoso.test"): "internet",
    }
    claimed = {
        Mail("eve@fabrikam.test", by_sendmail=True): "partner",
        Mail("partner@aliases.test"): "partner",
        Mail("eve@sub.contoso.test"): "partner",
    }
    connectors = workshop.connector(
        "Fabrikam", ["fabrikam.test", "*.fabrikam.test", "*.contoso.test"], "partner"
    )
    if internet_too:
        connectors += workshop.connector("Internet", ["*"], "gateway")
        claimed[Mail("info@contoso.test")] = "gateway"
        claimed[Mail("someone@internet.test", by_sendmail=True)] = "gateway"
    workshop.drop_in(host, connectors, ways, claimed)


# --- (2) relay domains and transport tables


@pytest.mark.parametrize("internet_too", [False, True], ids=["partners", "partners and *"])
def test_relay_domains_and_transport_maps(workshop: Workshop, internet_too: bool) -> None:
    etc, hop = workshop.etc(), workshop.neighbours.hop
    host = workshop.host(
        f"""\
compatibility_level = 3.6
myhostname = mail.contoso.test
mydestination =
smtp_tls_security_level = may
relay_domains = $mydestination, relayed.test, branch.test, lists.fabrikam.test
transport_maps = lmdb:{etc}/transport, hash:{etc}/transport.partners
virtual_mailbox_domains = groups.fabrikam.test
virtual_mailbox_maps = static:all/
parent_domain_matches_subdomains = relay_domains
""",
        services="lists unix - - y - - smtp\n  -o smtp_helo_name=lists.contoso.test\n",
        tables={
            "transport": f"branch.test relay:{hop('branch')}\n"
            f"lab.branch.test smtp:{hop('gateway')}\n"
            f".wide.test smtp:{hop('branch')}\n"
            f"anna@relayed.test smtp:{hop('gateway')}\n"
            f"closed.test error:5.1.2 we do not write to them\n"
            f"lists.fabrikam.test lists:{hop('gateway')}\n"
            f"groups.fabrikam.test lists:{hop('gateway')}\n",
            "hash:transport.partners": f"hop.test :{hop('gateway')}\nmx.test lists:\n",
        },
    )
    ways = to(
        {
            "a@branch.test": "branch",
            "a@lab.branch.test": "gateway",
            "a@other.branch.test": "internet",
            "a@sub.wide.test": "branch",
            "a@wide.test": "internet",
            "anna@relayed.test": "gateway",
            "bob@relayed.test": "internet",
            "bob@sub.relayed.test": "internet",
            "a@closed.test": "refused",
            "a@lists.fabrikam.test": "gateway",
            "a@groups.fabrikam.test": "gateway",
            "a@hop.test": "gateway",
            "a@mx.test": "internet",
            "a@internet.test": "internet",
            "eve@fabrikam.test": "internet",
            "eve@sub.fabrikam.test": "internet",
            "eve@new.branch.test": "internet",
        }
    )
    claimed = to(
        {
            "eve@fabrikam.test": "partner",
            "eve@sub.fabrikam.test": "partner",
            "eve@new.branch.test": "partner",
        }
    )
    connectors = workshop.connector(
        "Fabrikam", ["fabrikam.test", "*.fabrikam.test", "new.branch.test"], "partner"
    )
    if internet_too:
        connectors += workshop.connector("Internet", ["*"], "isp")
        claimed |= to({"a@wide.test": "isp", "a@internet.test": "isp"})
    before = workshop.drop_in(host, connectors, ways, claimed)
    assert before[Mail("a@mx.test")].helo == "lists.contoso.test"


# --- (3) relayhost


@pytest.mark.parametrize(
    ("internet", "relay_transport"),
    [
        pytest.param("", "", id="no *"),
        pytest.param("partner", "", id="* smart host"),
        pytest.param("DNS", "", id="* DNS"),
        pytest.param("DNS", "inbound", id="* DNS, own relay_transport"),
    ],
)
def test_relayhost(workshop: Workshop, internet: str, relay_transport: str) -> None:
    own = f"relay_transport = {relay_transport}\n" if relay_transport else ""
    host = workshop.host(
        f"""\
compatibility_level = 3.6
myhostname = mail.contoso.test
mydestination =
relay_domains = relayed.test
transport_maps = inline:{{ direct.test=smtp: }}
# everything else goes to our provider
relayhost = {workshop.neighbours.hop("isp")}
{own}""",
        services="inbound unix - - y - - smtp\n  -o smtp_helo_name=inbound.contoso.test\n",
    )
    ways = to(
        {
            "a@relayed.test": "isp",
            "a@direct.test": "internet",
            "a@internet.test": "isp",
            "eve@fabrikam.test": "isp",
        }
    )
    connectors = workshop.connector("Fabrikam", ["fabrikam.test"], "partner")
    claimed = to({"eve@fabrikam.test": "partner"})
    if internet:
        connectors += workshop.connector("Internet", ["*"], internet)
        claimed |= to({"a@internet.test": place_of(internet)})
    before = workshop.drop_in(host, connectors, ways, claimed)
    expected = "inbound.contoso.test" if relay_transport else "mail.contoso.test"
    assert before[Mail("a@relayed.test")].helo == expected


# --- (4) by sender


def host_with_routes_by_sender(workshop: Workshop, relay_domains: str) -> ConfiguredHost:
    etc, hop = workshop.etc(), workshop.neighbours.hop
    return workshop.host(
        f"""\
compatibility_level = 3.6
myhostname = mail.contoso.test
mydestination =
relay_domains = {relay_domains}
relayhost = {hop("isp")}
sender_dependent_relayhost_maps = lmdb:{etc}/relayhost_by_sender
sender_dependent_default_transport_maps = lmdb:{etc}/transport_by_sender
""",
        services="bulk unix - - y - - smtp\n  -o smtp_helo_name=bulk.contoso.test\n",
        tables={
            "relayhost_by_sender": f"bob@contoso.test {hop('branch')}\n"
            f"@sales.contoso.test {hop('gateway')}\n",
            "transport_by_sender": f"news@contoso.test bulk:{hop('gateway')}\n"
            "robot@contoso.test bulk:\n",
        },
    )


@pytest.mark.parametrize("internet", ["", "partner"], ids=["no *", "* smart host"])
def test_sender_dependent_routes(workshop: Workshop, internet: str) -> None:
    """With a connector for *, transports by sender win, and relay hosts by sender do not."""
    host = host_with_routes_by_sender(workshop, "relayed.test")
    alice, bob = "alice@contoso.test", "bob@contoso.test"
    sales, news = "anna@sales.contoso.test", "news@contoso.test"
    robot = "robot@contoso.test"
    ways = {
        Mail("a@internet.test", alice): "isp",
        Mail("a@internet.test", bob): "branch",
        Mail("a@internet.test", sales): "gateway",
        Mail("a@internet.test", news): "gateway",
        Mail("a@internet.test", robot): "isp",
        Mail("eve@fabrikam.test", alice): "isp",
        Mail("eve@fabrikam.test", bob): "branch",
        Mail("eve@fabrikam.test", news): "gateway",
        Mail("a@relayed.test", alice): "isp",
        Mail("a@relayed.test", bob): "branch",
        Mail("a@relayed.test", sales): "gateway",
        Mail("a@relayed.test", news): "isp",
    }
    claimed = {mail: "partner" for mail in ways if mail.recipient == "eve@fabrikam.test"}
    connectors = workshop.connector("Fabrikam", ["fabrikam.test"], "partner")
    if internet:
        connectors += workshop.connector("Internet", ["*"], internet)
        claimed[Mail("a@internet.test", alice)] = place_of(internet)
        claimed[Mail("a@internet.test", bob)] = internet
        claimed[Mail("a@internet.test", sales)] = internet
    before = workshop.drop_in(host, connectors, ways, claimed)
    assert before[Mail("a@internet.test", robot)].helo == "bulk.contoso.test"


@pytest.mark.parametrize("relay_domains", ["", "relayed.test"])
def test_routes_by_sender_beside_a_connector_for_all_by_dns(
    workshop: Workshop, relay_domains: str
) -> None:
    """Postfix can't express it: a next hop by sender, or relayhost, comes before DNS."""
    host = host_with_routes_by_sender(workshop, relay_domains)
    original = configuration(host)
    administrator = Administrator(host.directory, host)
    administrator.write_connectors(workshop.connector("Internet", ["*"], "DNS"))
    with administrator.policy_service():
        result = administrator.run("apply")
    assert result.returncode == os.EX_CONFIG
    assert "main.cf has sender_dependent_relayhost_maps" in result.stderr
    assert configuration(host) == original


# --- (5) TLS policies


def test_tls_policies_by_socketmap(workshop: Workshop) -> None:
    neighbours = workshop.neighbours
    policies = workshop.enter.enter_context(
        TlsPolicyServer(
            {
                "secured.test": "secure match=mx.internet.test servername=hostname",
                "impostor.test": "secure match=mx.somebody-else.test servername=hostname",
                "legacy.test": "encrypt",
                neighbours.hop("partner"): "secure match=mx.somebody-else.test",
                "adatum.test": "none",
            }
        )
    )
    host = workshop.host(
        f"""\
compatibility_level = 3.6
myhostname = mail.contoso.test
mydestination =
smtp_dns_support_level = enabled
smtp_tls_security_level = may
smtp_tls_policy_maps = socketmap:inet:127.0.0.1:{policies.port}:QUERYwithTLSRPT
"""
    )
    ways = to(
        {
            "a@internet.test": "internet",
            "a@secured.test": "internet",
            "a@impostor.test": "deferred",
            "a@legacy.test": "deferred",
            "eve@fabrikam.test": "internet",
            "eve@adatum.test": "internet",
            "eve@woodgrove.test": "internet",
        }
    )
    connectors = (
        workshop.connector("Fabrikam", ["fabrikam.test"], "partner", REQUIRE_TLS)
        + workshop.connector("Adatum", ["adatum.test"], "DNS", "require_tls = true\n")
        + workshop.connector("Woodgrove", ["woodgrove.test"], "isp", "require_tls = true\n")
    )
    claimed = to(
        {
            "eve@fabrikam.test": "partner",
            "eve@adatum.test": "internet",
            "eve@woodgrove.test": "deferred",
        }
    )
    before = workshop.drop_in(host, connectors, ways, claimed)
    assert {"secured.test", "impostor.test", "legacy.test"} <= set(policies.asked)
    assert before[Mail("a@secured.test")].tls is not None
    assert before[Mail("eve@adatum.test")].tls is None
    assert "not verified" in before[Mail("a@impostor.test")].reason
    assert "TLS is required" in before[Mail("a@legacy.test")].reason


# --- (6) content filter


@pytest.mark.parametrize("asks", [False, True], ids=["amavis", "way back asks as well"])
def test_content_filter(workshop: Workshop, asks: bool) -> None:
    way_back = free_port()
    content_filter = workshop.enter.enter_context(ContentFilter(way_back))
    restrictions = "" if asks else "  -o smtpd_recipient_restrictions=permit_mynetworks,reject\n"
    host = workshop.host(
        f"""\
compatibility_level = 3.6
myhostname = mail.contoso.test
mydestination =
virtual_mailbox_domains = contoso.test
virtual_mailbox_base = {workshop.root}/host/mail
virtual_mailbox_maps = inline:{{ bob@contoso.test=bob/ }}
virtual_alias_maps = inline:{{ sales@contoso.test=bob@contoso.test }}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 1
relayhost = {workshop.neighbours.hop("isp")}
content_filter = smtp:[127.0.0.1]:{content_filter.port}
receive_override_options = no_address_mappings
""",
        services=f"""\
# back from the filter
127.0.0.1:{way_back} inet n - n - 10 smtpd
  -o content_filter=
  -o receive_override_options=no_unknown_recipient_checks,no_header_body_checks,no_milters
  -o smtpd_helo_restrictions=
  -o smtpd_client_restrictions=
  -o smtpd_sender_restrictions=
{restrictions}  -o mynetworks=127.0.0.0/8
  -o smtpd_authorized_xforward_hosts=127.0.0.0/8
""",
    )
    ways = {
        Mail("bob@contoso.test"): "mailbox bob",
        Mail("sales@contoso.test", by_sendmail=True): "mailbox bob",
        Mail("a@internet.test"): "isp",
        Mail("eve@fabrikam.test"): "isp",
    }
    connectors = workshop.connector("Fabrikam", ["fabrikam.test"], "partner")
    before = workshop.drop_in(host, connectors, ways, to({"eve@fabrikam.test": "partner"}))
    assert {arrival.marks for arrival in before.values()} == {(f"{FILTER_MARK}: passed",)}


# --- (7) milter


def test_milter(workshop: Workshop) -> None:
    milter = workshop.enter.enter_context(SigningMilter(workshop.root))
    host = workshop.host(
        f"""\
compatibility_level = 3.6
myhostname = mail.contoso.test
mydestination =
virtual_mailbox_domains = contoso.test
virtual_mailbox_base = {workshop.root}/host/mail
virtual_mailbox_maps = inline:{{ bob@contoso.test=bob/ }}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 1
relayhost = {workshop.neighbours.hop("isp")}

# OpenDKIM
milter_default_action = tempfail
milter_protocol = 6
smtpd_milters = inet:127.0.0.1:{milter.port}
non_smtpd_milters = $smtpd_milters
"""
    )
    ways = {
        Mail("bob@contoso.test"): "mailbox bob",
        Mail("a@internet.test"): "isp",
        Mail("a@internet.test", by_sendmail=True): "isp",
        Mail("eve@fabrikam.test"): "isp",
        Mail("eve@fabrikam.test", by_sendmail=True): "isp",
    }
    connectors = workshop.connector("Fabrikam", ["fabrikam.test"], "partner")
    claimed = {mail: "partner" for mail in ways if mail.recipient == "eve@fabrikam.test"}
    before = workshop.drop_in(host, connectors, ways, claimed)
    for arrival in before.values():
        [mark] = arrival.marks
        assert mark.startswith(f"{MILTER_MARK}: d=contoso.test; bh="), arrival


# --- (8) several instances


def test_instances_of_postmulti(workshop: Workshop) -> None:
    """A null client, which takes mail from this machine, and a gateway that it relays to."""
    gateway = workshop.host(
        f"""\
compatibility_level = 3.6
multi_instance_group = mta
multi_instance_name = postfix-out
multi_instance_enable = yes
master_service_disable =
authorized_submit_users =
myhostname = out.contoso.test
mydestination =
relay_domains = relayed.test
transport_maps = inline:{{ relayed.test=relay:{workshop.neighbours.hop("branch")} }}
relayhost = {workshop.neighbours.hop("isp")}
""",
        name="postfix-out",
    )
    primary = workshop.host(
        f"""\
compatibility_level = 3.6
# postmulti -e init
multi_instance_wrapper = ${{command_directory}}/postmulti -p --
multi_instance_enable = yes
multi_instance_directories = {workshop.etc("postfix-out")}
multi_instance_group = mta
myhostname = mail.contoso.test
mydestination =
local_transport = error:5.1.1 no local mail here
relayhost = [127.0.0.1]:{gateway.smtp_port}
""",
        name="postfix",
    )
    sent_by_machine = [
        Mail(recipient, by_sendmail=True)
        for recipient in ("a@internet.test", "eve@fabrikam.test", "eve@woodgrove.test")
    ]
    internet, fabrikam, woodgrove = sent_by_machine
    at_gateway = Mail("eve@woodgrove.test", port=gateway.smtp_port)
    relayed = Mail("a@relayed.test", port=gateway.smtp_port)
    ways = {internet: "isp", fabrikam: "isp", woodgrove: "isp", at_gateway: "isp"}
    ways[relayed] = "branch"
    flow, mails = workshop.flow(primary), list(ways)
    before = flow.send(mails)
    expect_places(before, ways)
    original = {host: configuration(host) for host in (primary, gateway)}
    admins = {host: Administrator(host.directory, host) for host in (primary, gateway)}
    with ExitStack() as daemons:
        for administrator in admins.values():
            daemons.enter_context(administrator.policy_service())
        apply(admins[gateway], workshop.connector("Fabrikam", ["fabrikam.test"], "partner"))
        assert configuration(primary) == original[primary]
        expect_claimed(flow.send(mails), before, {fabrikam: "partner"})

        published = configuration(gateway)
        apply(admins[primary], workshop.connector("Woodgrove", ["woodgrove.test"], "gateway"))
        assert configuration(gateway) == published
        expect_claimed(flow.send(mails), before, {fabrikam: "partner", woodgrove: "gateway"})
        for administrator in admins.values():
            assert administrator.run("status").returncode == 0

        published = configuration(primary)
        remove(admins[gateway])
        assert configuration(gateway) == original[gateway]
        assert configuration(primary) == published
        expect_claimed(flow.send(mails), before, {woodgrove: "gateway"})

        remove(admins[primary])
    assert {host: configuration(host) for host in (primary, gateway)} == original
    expect(flow.send(mails), before)
    assert flow.repeated() == []
