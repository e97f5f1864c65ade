"""NOTIFY=SUCCESS through the delivery agent: somebody always tells the sender."""

import email
import email.message
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab.administrator import Administrator
from tests.lab.agent_connectors import SENDER, by_dns, message, server
from tests.lab.dns_server import NsdServer, zone
from tests.lab.loopback import free_address, free_port, wait_until
from tests.lab.peers import Peer
from tests.postfix.conftest import HostMaker
from tests.unit.test_success_report import parts

PORT = free_port()


@pytest.fixture
def host(root: Path, enter: ExitStack, new_host: HostMaker) -> Administrator:
    """Its agent finds a.test at a host with DSN, and b.test at one without."""
    zones = {}
    for domain, discarded in (("a.test", ""), ("b.test", "dsn")):
        address, settings = free_address(PORT), {"smtpd_discard_ehlo_keywords": discarded}
        name = domain.removesuffix(".test")
        enter.enter_context(
            Peer(root, name, [domain], address=address, port=PORT, main_cf=settings)
        )
        zones[domain] = zone(domain, [f"@ A {address}"])
    dns = enter.enter_context(NsdServer(root, zones))
    administrator = new_host()
    enter.enter_context(administrator.delivery_agent())
    administrator.publish(server(dns.address) + by_dns("Both", PORT, *zones))
    return administrator


def send(
    host: Administrator, name: str, recipient: str, *options: str, sender: str = SENDER
) -> None:
    with host.smtp() as session:
        assert session.mail(sender, ["RET=HDRS", "ENVID=mine"])[0] == 250
        assert session.rcpt(recipient, options)[0] == 250
        assert session.data(message(f"{name}@contoso.test"))[0] == 250
    delivery = host.host.log.wait_for_delivery(recipient, message_id=f"<{name}@contoso.test>")
    assert delivery.status == "sent"


def reports(host: Administrator) -> list[email.message.Message]:
    """What alice has got so far."""
    return [email.message_from_bytes(data) for data in host.host.mail()]


def test_a_next_hop_without_dsn_is_reported_by_us(host: Administrator) -> None:
    original = "ORCPT=rfc822;Bob@b.test"
    send(host, "without", "bob@b.test", "NOTIFY=SUCCESS,FAILURE", original)
    [report] = wait_until(lambda: reports(host) or None, "the report")
    assert report["Return-Path"] == "<>"
    assert report["X-Original-To"] == SENDER
    _, status, returned = parts(report)
    of_message, of_bob = parts(status)
    assert of_message["Original-Envelope-Id"] == "mine"
    assert (of_bob["Action"], of_bob["Status"]) == ("relayed", "2.0.0")
    assert of_bob["Original-Recipient"] == "rfc822; Bob@b.test"
    assert "<without@contoso.test>" in str(returned.get_payload())


def test_a_next_hop_with_dsn_reports_by_itself(host: Administrator) -> None:
    """It gets the wish, and we say nothing; so do we where nobody has asked."""
    send(host, "with", "bob@a.test", "NOTIFY=SUCCESS")
    send(host, "unasked", "bob@b.test")
    send(host, "never", "bob@b.test", "NOTIFY=NEVER")
    send(host, "failure", "bob@b.test", "NOTIFY=FAILURE")
    send(host, "null", "bob@b.test", "NOTIFY=SUCCESS", sender="")
    host.host.wait_idle()
    assert reports(host) == []
