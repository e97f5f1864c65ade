"""The agent path: recipients of one message that differ get what is theirs, and nobody else's."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.demo.journey import compose
from tests.lab.administrator import Administrator
from tests.lab.loopback import free_address, free_port, wait_until
from tests.lab.peers import Peer, plain_receiver
from tests.postfix.conftest import HostMaker

KB = 1024
SENDER = "alice@contoso.test"


@pytest.fixture
def peer(root: Path, enter: ExitStack) -> Peer:
    port = free_port()
    domains = ["small.test", "tiny.test", "other.test"]
    return enter.enter_context(
        plain_receiver(root, "peer", domains, address=free_address(port), port=port)
    )


def connectors(peer: Peer) -> str:
    """Small takes over from Tiny, nobody from Other."""
    hop = f'dns_routing_enabled = false\nsmart_hosts = ["{peer.address}"]\nport = {peer.port}\n'
    spaces = {
        "Tiny": ('["tiny.test"]', "10 KB"),
        "Small": ('["small.test", "tiny.test;5"]', "100 KB"),
        "Other": ('["other.test"]', "20 KB"),
    }
    return "".join(
        f'[[send_connector]]\nname = "{name}"\naddress_spaces = {space}\n'
        f'max_message_size = "{size}"\n{hop}'
        for name, (space, size) in spaces.items()
    )


@pytest.fixture
def administrator(new_host: HostMaker, peer: Peer, enter: ExitStack) -> Administrator:
    host = new_host({"virtual_mailbox_base": "/nowhere", "virtual_transport": "discard:"})
    enter.enter_context(host.delivery_agent())
    host.publish(connectors(peer))
    return host


def submit(administrator: Administrator, *recipients: str, size: int) -> tuple[int, str]:
    message = compose(recipients[0], size, "<path@contoso.test>")
    with administrator.smtp() as session:
        session.mail(SENDER)
        for recipient in recipients:
            assert session.rcpt(recipient)[0] == 250
        code, text = session.data(message)
    return code, text.decode()


def test_each_recipient_gets_what_is_his(administrator: Administrator, peer: Peer) -> None:
    """One fits, one moves to a larger connector, one is refused, one is local."""
    recipients = "a@small.test", "b@tiny.test", "c@other.test", "bob@contoso.test"
    code, text = submit(administrator, *recipients, size=50 * KB)
    assert code == 250, text
    log = administrator.host.log
    assert log.wait_for_delivery("c@other.test").status == "bounced"
    wait_until(lambda: len(peer.received()) == 2 or None, "two messages")
    assert {m.recipient for m in peer.received()} == {"a@small.test", "b@tiny.test"}
    administrator.host.wait_idle()
    services = {d.service for d in log.deliveries() if d.recipient == "b@tiny.test"}
    assert services == {"pc-agent-path/lmtp", "pc-small/smtp"}
