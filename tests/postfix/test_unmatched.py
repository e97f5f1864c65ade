"""`[host] unmatched`: what becomes of mail that no connector matches."""

import json
import smtplib
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.demo.journey import compose
from tests.lab.administrator import Administrator
from tests.lab.loopback import free_address, free_port, wait_until
from tests.lab.maillog import Delivery
from tests.lab.peers import Peer, plain_receiver
from tests.postfix.conftest import HostMaker

UNREACHABLE = '[host]\nunmatched = "unreachable"\n'
REASON = "no matching Send connector"


def connector(domain: str, peer: Peer) -> str:
    return (
        f'[[send_connector]]\nname = "{domain}"\naddress_spaces = ["{domain}"]\n'
        f'dns_routing_enabled = false\nsmart_hosts = ["{peer.address}"]\nport = {peer.port}\n'
        'max_message_size = "unlimited"\n'
    )


def receiver(root: Path, enter: ExitStack, name: str, *domains: str) -> Peer:
    port = free_port()
    return enter.enter_context(
        plain_receiver(root, name, domains, address=free_address(port), port=port)
    )


@pytest.fixture
def peer(root: Path, enter: ExitStack) -> Peer:
    return receiver(root, enter, "peer", "fabrikam.test", "nowhere.test", "relayed.test")


def by_sendmail(administrator: Administrator, recipient: str) -> Delivery:
    text = compose(recipient, 1000, "<unmatched@contoso.test>").replace(b"\r\n", b"\n")
    administrator.host.sendmail("alice@contoso.test", [recipient], text)
    return administrator.host.log.wait_for_delivery(recipient)


def by_smtp(administrator: Administrator, *recipients: str) -> dict[str, tuple[int, bytes]]:
    """Send by SMTP; return what was said to each recipient that was refused."""
    with administrator.smtp() as session:
        message = compose(recipients[0], 1000, "<unmatched@contoso.test>")
        try:
            return session.sendmail("alice@contoso.test", recipients, message)
        except smtplib.SMTPRecipientsRefused as error:
            return error.recipients


def received(peer: Peer, count: int) -> list[str]:
    """The recipients of a receiver's mail, once there are as many."""
    wait_until(lambda: len(peer.received()) >= count or None, f"{count} messages")
    return sorted(message.recipient for message in peer.received())


def sent_by(administrator: Administrator, recipient: str) -> str:
    """The service by which a recipient's message left."""
    log = administrator.host.log

    def found() -> str | None:
        sent = (d for d in log.deliveries() if (d.recipient, d.status) == (recipient, "sent"))
        return next((delivery.service for delivery in sent), None)

    return wait_until(found, f"a message to {recipient}")


def waiting(administrator: Administrator) -> dict[str | None, tuple[int, str]]:
    """What status says of the queue: by connector, how many recipients and why."""
    found = json.loads(administrator.run("status", "--json").stdout)
    assert found["problems"] == []
    return {w["connector"]: (w["recipients"], w["reason"]) for w in found["waiting"]}


def test_clients_hear_at_once_that_it_can_not_go_now(new_host: HostMaker, peer: Peer) -> None:
    """Also where the host has a relayhost: that is for mail that Postfix routes by itself."""
    host = new_host({"relayhost": f"[{peer.address}]:{peer.port}"})
    host.publish(UNREACHABLE + connector("fabrikam.test", peer))
    refused = by_smtp(host, "bob@nowhere.test", "bob@fabrikam.test", "carol@sub.fabrikam.test")
    said = f"4.4.4 <%s>: Recipient address rejected: {REASON}"
    assert refused == {
        name: (450, (said % name).encode())
        for name in ("bob@nowhere.test", "carol@sub.fabrikam.test")
    }
    wait_until(lambda: not host.host.queue() or None, "an empty queue")
    assert received(peer, 1) == ["bob@fabrikam.test"]


def test_route_says_that_it_waits(new_host: HostMaker, peer: Peer) -> None:
    host = new_host()
    host.write_connectors(UNREACHABLE + connector("fabrikam.test", peer))
    said = host.run("route", "bob@nowhere.test").stdout
    assert "no connector matches: mail waits, as in Exchange ([host] unmatched)" in said


def test_mail_by_sendmail_waits_until_there_is_a_connector_for_it(
    new_host: HostMaker, peer: Peer
) -> None:
    host = new_host()
    host.publish(UNREACHABLE + connector("fabrikam.test", peer))
    delivery = by_sendmail(host, "bob@nowhere.test")
    assert (delivery.service, delivery.status, delivery.dsn) == ("error", "deferred", "4.4.4")
    assert delivery.text == REASON
    peer.stop()
    assert by_sendmail(host, "carol@fabrikam.test").status == "deferred"
    host.host.wait_idle()
    found = waiting(host)
    assert found[None] == (1, REASON)
    assert found["fabrikam.test"][0] == 1
    assert "Connection refused" in found["fabrikam.test"][1]
    peer.start()
    host.publish(UNREACHABLE + connector("fabrikam.test", peer) + connector("nowhere.test", peer))
    host.host.flush()
    assert received(peer, 2) == ["bob@nowhere.test", "carol@fabrikam.test"]
    assert sent_by(host, "bob@nowhere.test") == "pc-nowhere-test/smtp"
    assert waiting(host) == {}


def test_what_postfix_delivers_itself_goes_on(
    new_host: HostMaker, root: Path, enter: ExitStack, peer: Peer
) -> None:
    """Its local, virtual and relay domains, and what its own transport_maps say."""
    own = receiver(root, enter, "own", "whole.test", "bare.test", "sub.parent.test")
    to_own = f"[{own.address}]:{own.port}"
    host = new_host(
        {
            "mydestination": "local.test",
            "mailbox_size_limit": "0",
            "alias_maps": "inline:{bob=bob@contoso.test}",
            "virtual_alias_domains": "alias.test",
            "virtual_alias_maps": "inline:{bob@alias.test=carol@contoso.test}",
            "relay_domains": "relayed.test",
            "relay_transport": "$default_transport",
            "relayhost": f"[{peer.address}]:{peer.port}",
            "transport_maps": f"inline:{{ {{ whole.test = smtp:{to_own} }}, "
            f"{{ bare.test = :{to_own} }}, {{ .parent.test = :{to_own} }} }}",
        }
    )
    host.publish(UNREACHABLE + connector("fabrikam.test", peer))
    recipients = (
        *("bob@local.test", "bob@alias.test", "dave@contoso.test", "bob@relayed.test"),
        *("bob@whole.test", "bob@bare.test", "bob@sub.parent.test"),
    )
    assert by_smtp(host, *recipients, "bob@nowhere.test").keys() == {"bob@nowhere.test"}
    wait_until(lambda: not host.host.queue() or None, "an empty queue")
    assert len(host.host.mail()) == 3
    assert received(peer, 1) == ["bob@relayed.test"]
    assert received(own, 3) == sorted(recipients[-3:])


def test_by_default_the_host_routes_it(new_host: HostMaker, peer: Peer) -> None:
    """Also what has waited, once unmatched mail is the host's again."""
    host = new_host({"relayhost": f"[{peer.address}]:{peer.port}"})
    host.publish(UNREACHABLE + connector("fabrikam.test", peer))
    assert by_sendmail(host, "carol@nowhere.test").status == "deferred"
    host.publish(connector("fabrikam.test", peer))
    assert by_smtp(host, "bob@nowhere.test") == {}
    host.host.flush()
    assert received(peer, 2) == ["bob@nowhere.test", "carol@nowhere.test"]
    for recipient in ("bob@nowhere.test", "carol@nowhere.test"):
        assert sent_by(host, recipient) == "smtp"
