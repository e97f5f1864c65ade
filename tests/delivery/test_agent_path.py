"""The agent path: recipients of one message that differ get what is theirs, and nobody else's."""

import smtplib
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


def submit(
    administrator: Administrator, *recipients: str, size: int, port: int | None = None
) -> tuple[int, str]:
    message = compose(recipients[0], size, "<path@contoso.test>")
    with administrator.smtp() if port is None else smtplib.SMTP("127.0.0.1", port) as session:
        session.mail(SENDER)
        for recipient in recipients:
            assert session.rcpt(recipient)[0] == 250
        code, text = session.data(message)
    return code, text.decode()


def test_an_alias_that_was_left_for_later_is_followed_on_the_way_back(
    new_host: HostMaker, peer: Peer, enter: ExitStack
) -> None:
    host = new_host(
        {
            "receive_override_options": "no_address_mappings",
            "virtual_alias_domains": "alias.test",
            "virtual_alias_maps": "inline:{ all@alias.test=a@small.test }",
        }
    )
    enter.enter_context(host.delivery_agent())
    host.publish(connectors(peer))
    assert submit(host, "all@alias.test", "c@other.test", size=50 * KB)[0] == 250
    assert host.host.log.wait_for_delivery("c@other.test").status == "bounced"
    wait_until(lambda: peer.received() or None, "the message")
    assert {m.recipient for m in peer.received()} == {"a@small.test"}
    host.host.wait_idle()


def test_a_message_just_below_the_hosts_own_limit(
    new_host: HostMaker, peer: Peer, enter: ExitStack
) -> None:
    """It grows by a line on its way; that must not make it too large where it is handed back."""
    host = new_host({"message_size_limit": str(60 * KB)})
    enter.enter_context(host.delivery_agent())
    host.publish(connectors(peer))
    # The queue file counts, so the largest that Postfix takes at first is found by trying.
    sizes = range(60 * KB - 200, 58 * KB, -50)
    assert any(submit(host, "a@small.test", "c@other.test", size=n)[0] == 250 for n in sizes)
    wait_until(lambda: peer.received() or None, "the message")
    assert {m.recipient for m in peer.received()} == {"a@small.test"}
    assert host.host.log.wait_for_delivery("c@other.test").status == "bounced"
    host.host.wait_idle()


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


@pytest.mark.parametrize(
    "setting",
    [
        "always_bcc=archive@contoso.test",
        "header_checks=regexp:{{/^Subject:/ BCC archive@contoso.test}}",
    ],
)
def test_a_copy_that_postfix_adds_does_not_leave_with_what_is_moved(
    administrator: Administrator, peer: Peer, setting: str
) -> None:
    administrator.host.postconf("-e", setting)
    administrator.host.postfix("reload")
    assert submit(administrator, "b@tiny.test", size=50 * KB)[0] == 250
    assert administrator.host.log.wait_for_delivery("archive@contoso.test").status == "sent"
    wait_until(lambda: peer.received() or None, "the message")
    administrator.host.wait_idle()
    assert [m.recipient for m in peer.received()] == ["b@tiny.test"]
    found = [d for d in administrator.host.log.deliveries() if d.recipient.startswith("archive@")]
    assert {d.service for d in found} == {"pc-agent-path/lmtp", "discard"}


@pytest.fixture
def submission() -> int:
    """The port of a listener with restrictions of its own, as in Debian's master.cf."""
    return free_port()


@pytest.fixture
def with_submission(
    new_host: HostMaker, peer: Peer, enter: ExitStack, submission: int
) -> Administrator:
    host = new_host(
        {"virtual_mailbox_base": "/nowhere", "virtual_transport": "discard:"},
        master_cf=f"127.0.0.1:{submission} inet n - y - - smtpd\n"
        "  -o smtpd_recipient_restrictions=permit_mynetworks,reject\n",
    )
    enter.enter_context(host.delivery_agent())
    host.publish(connectors(peer))
    return host


def test_a_listener_that_does_not_ask_at_rcpt_to(
    with_submission: Administrator, peer: Peer, submission: int
) -> None:
    """Postfix does not name them at the end of data: the agent judges for each."""
    recipients = "a@small.test", "b@tiny.test", "c@other.test", "bob@contoso.test"
    assert submit(with_submission, *recipients, size=50 * KB, port=submission)[0] == 250
    host = with_submission.host
    assert host.log.wait_for_delivery("c@other.test").status == "bounced"
    assert host.log.wait_for_delivery("bob@contoso.test").status == "sent"
    wait_until(lambda: len(peer.received()) == 2 or None, "two messages")
    assert {m.recipient for m in peer.received()} == {"a@small.test", "b@tiny.test"}
    host.wait_idle()


@pytest.mark.parametrize(
    ("recipients", "size", "code"),
    [
        (("a@small.test", "bob@contoso.test"), 5 * KB, 250),
        (("bob@contoso.test", "eve@contoso.test"), 200 * KB, 250),
        (("c@other.test",), 50 * KB, 552),
    ],
)
def test_what_it_takes_and_refuses_at_once(
    with_submission: Administrator,
    submission: int,
    recipients: tuple[str, ...],
    size: int,
    code: int,
) -> None:
    assert submit(with_submission, *recipients, size=size, port=submission)[0] == code
    with_submission.host.wait_idle()
    statuses = {each.status for each in with_submission.host.log.deliveries()}
    assert statuses == ({"sent"} if code == 250 else set())
