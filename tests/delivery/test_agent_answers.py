"""What becomes of each recipient, and what Postfix, its queue and the sender are told of it."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab.administrator import Administrator
from tests.lab.agent_connectors import SERVICE, by_dns, deliver, server, submit
from tests.lab.dns_server import NsdServer, zone
from tests.lab.loopback import free_address, free_port, wait_until
from tests.lab.peers import Peer
from tests.postfix.conftest import HostMaker

PORT = free_port()
ANSWERS = {
    "gone": "550 5.1.1 <gone> no such user here",
    "busy": "450 4.2.1 mailbox is busy",
    "policy": "550 5.7.1 not from you",
    "plain": "553 never heard of it",
}


def strict(root: Path, enter: ExitStack, name: str, answers: Mapping[str, str] = ANSWERS) -> Peer:
    """A receiver of a.test and b.test with an answer for each user."""
    table = ", ".join(f"{{ {user}@ = {answer} }}" for user, answer in answers.items())
    settings = {"smtpd_recipient_restrictions": f"check_recipient_access inline:{{ {table} }}"}
    address, domains = free_address(PORT), ["a.test", "b.test"]
    peer = Peer(root, name, domains, address=address, port=PORT, main_cf=settings)
    return enter.enter_context(peer)


class Answering:
    """A host with an agent, and a receiver behind a.test and b.test."""

    def __init__(self, root: Path, enter: ExitStack, new_host: HostMaker) -> None:
        self.peer = strict(root, enter, "strict")
        dead = free_address(PORT)
        zones = {
            "test": zone("test", ()),  # knows that the others are not there
            "a.test": zone("a.test", ["@ MX 10 mx", f"mx A {self.peer.address}"]),
            "b.test": zone("b.test", [f"@ A {self.peer.address}"]),
            "dead.test": zone("dead.test", ["@ MX 10 mx", f"mx A {dead}"]),
            "nomail.test": zone("nomail.test", ["@ MX 0 ."]),
        }
        self.dns = enter.enter_context(NsdServer(root, zones))
        self.host = new_host()
        self.agent = enter.enter_context(self.host.delivery_agent())

    def publish(self, *connectors: str, organization: str = "") -> None:
        tables = server(
            self.dns.address, organization=organization, host='unmatched = "unreachable"'
        )
        self.host.publish(tables + "".join(connectors))


@pytest.fixture
def world(root: Path, enter: ExitStack, new_host: HostMaker) -> Answering:
    return Answering(root, enter, new_host)


def bounce(host: Administrator) -> str:
    """The non-delivery report that came to alice, unfolded."""
    found = wait_until(lambda: next(iter(host.host.mail()), None), "the non-delivery report")
    return " ".join(found.decode().split())


def test_each_recipient_of_one_message_has_its_own_answer(world: Answering) -> None:
    world.publish(
        by_dns("A", PORT), by_dns("B", PORT), by_dns("Dead", PORT), by_dns("NoMail", PORT)
    )
    recipients = (
        *("bob@a.test", "gone@a.test", "busy@a.test", "carol@b.test", "plain@b.test"),
        *("dave@dead.test", "erin@nomail.test"),
    )
    found = deliver(world.host, "mixed@contoso.test", *recipients)
    assert {f.recipient: (f.status, f.dsn) for f in found} == {
        "bob@a.test": ("sent", "2.0.0"),
        "gone@a.test": ("bounced", "5.1.1"),
        "busy@a.test": ("deferred", "4.2.1"),
        "carol@b.test": ("sent", "2.0.0"),
        "plain@b.test": ("bounced", "5.7.1"),
        "dave@dead.test": ("deferred", "4.4.1"),
        "erin@nomail.test": ("bounced", "5.1.10"),
    }
    assert {f.service for f in found} == {SERVICE}
    assert len({f.queue_id for f in found}) == 1
    texts = {f.recipient: f.text for f in found}
    peer = f"[{world.peer.address}]:{PORT}"
    assert f"mx.a.test{peer} said: 550 5.1.1 <gone@a.test>" in texts["gone@a.test"]
    assert "(in reply to RCPT TO command)" in texts["gone@a.test"]
    assert f"mx.a.test{peer} said: 450 4.2.1 <busy@a.test>" in texts["busy@a.test"]
    assert "mx.dead.test" in texts["dave@dead.test"]
    assert "Connection refused" in texts["dave@dead.test"]
    world.host.host.wait_idle()  # the non-delivery report was in the queue, too
    [queued] = world.host.host.queue()
    waiting = {r["address"]: r["delay_reason"] for r in queued["recipients"]}
    assert set(waiting) == {"busy@a.test", "dave@dead.test"}
    assert "mailbox is busy" in waiting["busy@a.test"]
    report = bounce(world.host)
    assert "<gone@a.test>" in report
    assert f"mx.a.test{peer} said: 550 5.1.1 <gone@a.test>" in report
    assert "Status: 5.1.10" in report
    assert "bob@a.test" not in report
    log = world.host.agent_log.read_text()
    for delivery in found:
        [line] = [x for x in log.splitlines() if f"to=<{delivery.recipient}>" in x]
        assert f"{delivery.queue_id}: to=" in line
        assert f"dsn={delivery.dsn}, status={delivery.status}" in line
        name = delivery.recipient.rpartition("@")[2].removesuffix(".test")
        assert f"connector=pc-{name}, " in line


def test_the_lists_decide_what_is_temporary_and_permanent(world: Answering) -> None:
    both = 'error_policies = ["DowngradeCustomFailures", "UpgradeCustomFailures"]'
    world.publish(
        by_dns("A", PORT, more=both),
        by_dns("B", PORT),
        by_dns("NoMail", PORT, "gone.test", more='error_policies = ["DowngradeDnsFailures"]'),
        by_dns("Strict", PORT, "lost.test"),
        organization='downgraded_failures = ["5.7.1"]\nupgraded_failures = ["4.2.1"]',
    )
    found = deliver(
        world.host,
        "policies@contoso.test",
        *("policy@a.test", "busy@a.test", "gone@a.test", "policy@b.test", "busy@b.test"),
        *("x@gone.test", "x@lost.test"),
    )
    assert {f.recipient: (f.status, f.dsn) for f in found} == {
        "policy@a.test": ("deferred", "4.7.1"),
        "busy@a.test": ("bounced", "5.2.1"),
        "gone@a.test": ("bounced", "5.1.1"),
        "policy@b.test": ("bounced", "5.7.1"),
        "busy@b.test": ("deferred", "4.2.1"),
        "x@gone.test": ("deferred", "4.4.4"),
        "x@lost.test": ("bounced", "5.4.4"),
    }
    assert "not from you" in found[0].text


def test_what_postfix_still_brings_for_a_connector_that_is_gone_goes_round_once(
    world: Answering,
) -> None:
    """As after a publication: what is in the lmtp(8) clients was routed by the one before. Postfix
    gets it back, and if it still brings it to the agent, it waits.
    """
    world.publish(by_dns("A", PORT))
    route = "{c.test = pc-delivery-agent:unix:postconnector/deliver}"
    world.host.host.postconf("-e", f"transport_maps = inline:{{ {route} }}")
    world.host.host.settle()
    world.host.host.postfix("reload")
    submit(world.host, "gone@contoso.test", "bob@c.test")
    log = world.host.host.log
    first, then = wait_until(
        lambda: found if len(found := list(log.deliveries())) == 2 else None, "two deliveries"
    )
    assert first.status == "sent"
    assert "pc-agent-return" in first.text
    assert (then.status, then.dsn) == ("deferred", "4.4.6")
    assert "different connectors" in then.text


def test_a_hundred_recipients_of_one_message(world: Answering) -> None:
    world.publish(by_dns("A", PORT), by_dns("B", PORT))
    recipients = [f"user{n}@{'ab'[n % 2]}.test" for n in range(100)]
    found = deliver(world.host, "hundred@contoso.test", *recipients)
    assert {f.status for f in found} == {"sent"}
    received = wait_until(
        lambda: r if len(r := world.peer.received()) >= 100 else None, "a hundred"
    )
    assert sorted(m.recipient for m in received) == sorted(recipients)
    transactions = {m.received_header.partition(" id ")[2].split()[0] for m in received}
    assert len(transactions) <= 6
