"""Sites, servers, Edge and other address types on real hosts: mail goes where `route` says."""

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab.certificates import CertificateAuthority
from tests.lab.dns_server import NsdServer, zone
from tests.lab.loopback import free_address, free_port, wait_until
from tests.lab.peers import Peer, plain_receiver, tls_partner
from tests.postfix.conftest import HostMaker
from tests.postfix.test_properties import send, sent

FAX = "IMCEAFAX-+2B1+20425+20555+200100@contoso.test"
ORGANIZATION = """\
[organization]
exchange_version = "2016"
[[organization.accepted_domains]]
domain_name = "contoso.test"
default = true
[[organization.accepted_domains]]
domain_name = "*.relayed.test"
domain_type = "InternalRelay"
[[organization.accepted_domains]]
domain_name = "owned.test"
[[organization.site]]
name = "HQ"
[[organization.site]]
name = "Branch"
[[organization.site_link]]
name = "line"
sites = ["HQ", "Branch"]
ad_cost = 10
max_message_size = "64 KB"
[[organization.server]]
name = "MBX01"
fqdn = "host.contoso.test"
site = "HQ"
[[organization.server]]
name = "BR01"
fqdn = "br01.contoso.test"
site = "Branch"
[[organization.server]]
name = "EDGE01"
fqdn = "edge01.contoso.test"
server_role = "Edge"
[[organization.edge_subscription]]
name = "EDGE01"
site = "Branch"
"""


@pytest.fixture
def peer(root: Path, enter: ExitStack) -> Peer:
    """Receives for everybody, on port 25 of an address of its own."""
    domains = ["fabrikam.test", "contoso.test", "a.relayed.test", "owned.test"]
    return enter.enter_context(
        plain_receiver(root, "peer", domains, address=free_address(25), port=25)
    )


def resolver(root: Path, enter: ExitStack, peer: Peer) -> str:
    """DNS that leads to the peer under every name that servers of the organization have."""
    names = [f"{name} A {peer.address}" for name in ("br01", "edge01", "mbx", "fax")]
    dns = NsdServer(root, {"contoso.test": zone("contoso.test", names)})
    return enter.enter_context(dns).address


def connector(name: str, spaces: str, servers: str, more: str = "") -> str:
    return (
        f'[[send_connector]]\nname = "{name}"\naddress_spaces = [{spaces}]\n'
        f"source_transport_servers = [{servers}]\n{more}\n"
    )


def test_mail_for_anothers_connector_goes_to_its_source_server(
    new_host: HostMaker, root: Path, enter: ExitStack, peer: Peer
) -> None:
    administrator = new_host(resolver=resolver(root, enter, peer))
    administrator.publish(ORGANIZATION + connector("Internet", '"*"', '"BR01"'))
    received = sent(administrator, peer)
    assert (received.recipient, received.helo) == ("bob@fabrikam.test", "host.contoso.test")
    delivery = administrator.host.log.wait_for_delivery("bob@fabrikam.test")
    assert delivery.relay.startswith("br01.contoso.test[")
    assert delivery.service == "smtp"


def test_the_nearer_connector_wins_over_the_cheaper(
    new_host: HostMaker, root: Path, enter: ExitStack, peer: Peer
) -> None:
    here = f'dns_routing_enabled = false\nsmart_hosts = ["{peer.address}"]\nfqdn = "near.test"'
    administrator = new_host(resolver=resolver(root, enter, peer))
    administrator.publish(
        ORGANIZATION
        + connector("Far", '"fabrikam.test;1"', '"BR01"')
        + connector("Near", '"fabrikam.test;10"', '"MBX01"', here)
    )
    assert sent(administrator, peer).helo == "near.test"
    shown = administrator.run("route", "bob@fabrikam.test", "--server", "MBX01", "--json").stdout
    assert json.loads(shown)[0]["connector"] == "Near"
    shown = administrator.run("route", "bob@fabrikam.test", "--server", "BR01", "--json").stdout
    assert json.loads(shown)[0]["connector"] == "Far"


def test_a_site_links_limit_refuses(
    new_host: HostMaker, root: Path, enter: ExitStack, peer: Peer
) -> None:
    administrator = new_host(resolver=resolver(root, enter, peer))
    administrator.publish(ORGANIZATION + connector("Internet", '"*"', '"BR01"'))
    with administrator.smtp() as session:
        session.mail("alice@contoso.test", ["SIZE=65537"])
        code, text = session.rcpt("bob@fabrikam.test")
    assert code == 552
    assert b'64 KB (65,536 bytes) of site link "line"' in text


def test_an_address_of_another_type_takes_its_connector(
    new_host: HostMaker, root: Path, enter: ExitStack, peer: Peer
) -> None:
    """Also from a host that delivers all other mail for that domain itself."""
    to_fax = f'dns_routing_enabled = false\nsmart_hosts = ["{peer.address}"]\nfqdn = "fax.test"'
    administrator = new_host(resolver=resolver(root, enter, peer))
    administrator.publish(ORGANIZATION + connector("Fax", '"FAX:*;1"', '"MBX01"', to_fax))
    received = sent(administrator, peer, FAX)
    assert (received.recipient, received.helo) == (FAX, "fax.test")
    assert send(administrator, "ann@contoso.test").service != "pc-fax"
    looked_up = json.loads(administrator.run("route", FAX, "--json").stdout)[0]
    assert (looked_up["connector"], looked_up["path"]) == ("Fax", "native")


def test_an_edge_server_sends_accepted_domains_to_the_subscribed_site(
    new_host: HostMaker, root: Path, enter: ExitStack, peer: Peer
) -> None:
    names = [f"br01 A {peer.address}"]
    dns = enter.enter_context(NsdServer(root, {"contoso.test": zone("contoso.test", names)}))
    administrator = new_host(
        {"myhostname": "edge01.contoso.test", "virtual_mailbox_domains": ""}, resolver=dns.address
    )
    inbound = 'dns_routing_enabled = false\nsmart_hosts = ["--"]\nfqdn = "edge.test"'
    administrator.publish(ORGANIZATION + connector("Inbound", '"--"', '"EDGE01"', inbound))
    for recipient in ("ann@contoso.test", "bob@a.relayed.test"):
        assert send(administrator, recipient).relay.startswith("br01.contoso.test[")
    received = wait_until(lambda: peer.received()[1:] or None, "both messages")
    assert received[0].helo == "edge.test"


@pytest.mark.parametrize(
    ("names", "status"), [(["secure.test"], "sent"), (["mx.secure.test"], "deferred")]
)
def test_domain_secure_demands_the_domains_own_certificate(
    new_host: HostMaker,
    root: Path,
    enter: ExitStack,
    authority: CertificateAuthority,
    names: list[str],
    status: str,
) -> None:
    """For the domains in TLSSendDomainSecureList, and for no others."""
    port = free_port()
    partner = enter.enter_context(
        tls_partner(
            root,
            "partner",
            ["secure.test", "other.test"],
            authority.issue("peer", common_name=names[0], dns_names=names),
            authority.ca_file,
            address=free_address(port),
            port=port,
        )
    )
    zones = {
        domain: zone(domain, ["@ MX 10 mx", f"mx A {partner.address}"])
        for domain in ("secure.test", "other.test")
    }
    dns = enter.enter_context(NsdServer(root, zones))
    administrator = new_host({"smtp_tls_security_level": "may"}, resolver=dns.address)
    administrator.publish(
        '[organization]\ntls_send_domain_secure_list = ["secure.test"]\n'
        '[[send_connector]]\nname = "Internet"\naddress_spaces = ["*"]\n'
        f"domain_secure_enabled = true\nport = {port}\n"
    )
    assert send(administrator, "bob@secure.test").status == status
    assert send(administrator, "bob@other.test").status == "sent"


def test_a_host_that_is_no_server_of_the_organization_is_refused(new_host: HostMaker) -> None:
    administrator = new_host({"myhostname": "other.contoso.test"})
    administrator.write_connectors(ORGANIZATION + connector("Internet", '"*"', '"BR01"'))
    result = administrator.run("apply")
    assert result.returncode == 78
    assert "none of the organization's servers is other.contoso.test" in result.stderr
    assert "[host] server = one of MBX01, BR01, EDGE01" in result.stderr


def test_the_organization_may_be_json(
    new_host: HostMaker, root: Path, enter: ExitStack, peer: Peer
) -> None:
    administrator = new_host(resolver=resolver(root, enter, peer))
    administrator.write_connectors(ORGANIZATION + connector("Internet", '"*"', '"BR01"'))
    exported = administrator.run("export", "--format", "json").stdout
    administrator.publish(exported)
    assert sent(administrator, peer).helo == "host.contoso.test"
    assert administrator.run("plan").returncode == 0
