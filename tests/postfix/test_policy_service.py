"""The policy service in front of a real Postfix: sizes, failures, changes while it runs."""

import os
import signal
import smtplib
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.demo.journey import compose
from tests.lab.administrator import Administrator
from tests.lab.loopback import free_address, free_port, wait_until
from tests.lab.peers import Peer, plain_receiver
from tests.postfix.conftest import HostMaker

KB = 1024


@pytest.fixture
def peer(root: Path, enter: ExitStack) -> Peer:
    port = free_port()
    domains = ["small.test", "other.test", "relayed.test"]
    return enter.enter_context(
        plain_receiver(root, "peer", domains, address=free_address(port), port=port)
    )


def connectors(peer: Peer, small: str = "100 KB", everything: str = "200 KB") -> str:
    hop = f'dns_routing_enabled = false\nsmart_hosts = ["{peer.address}"]\nport = {peer.port}\n'
    return "".join(
        f'[[send_connector]]\nname = "{name}"\naddress_spaces = ["{space}"]\n'
        f'max_message_size = "{size}"\n{hop}'
        for name, space, size in (("Small", "small.test", small), ("All", "*", everything))
    )


def submit(
    administrator: Administrator, *recipients: str, size: int, declared: bool
) -> dict[str, tuple[int, str]]:
    """Send by SMTP; return the reply for each recipient that was refused, and for the data."""
    replies: dict[str, tuple[int, str]] = {}
    message = compose(recipients[0], size, "<policy@contoso.test>")
    with administrator.smtp() as session:
        session.mail("alice@contoso.test", [f"size={len(message)}"] if declared else [])
        for recipient in recipients:
            code, text = session.rcpt(recipient)
            if code != 250:
                replies[recipient] = code, text.decode()
        if len(replies) < len(recipients):
            code, text = session.data(message)
            replies["data"] = code, text.decode()
    return replies


def published_file(administrator: Administrator) -> Path:
    return administrator.host.config_directory / "postconnector" / "live" / "connectors.toml"


def test_declared_size_is_judged_for_each_recipient(new_host: HostMaker, peer: Peer) -> None:
    administrator = new_host()
    administrator.publish(connectors(peer, small="unlimited"))
    replies = submit(administrator, "a@small.test", "b@other.test", size=300 * KB, declared=True)
    code, text = replies["b@other.test"]
    assert code == 552
    for part in ("5.3.4", "b@other.test", "200 KB (204,800 bytes)", '"All"'):
        assert part in text
    assert replies["data"][0] == 250
    assert administrator.host.log.wait_for_delivery("a@small.test").status == "sent"
    assert wait_until(lambda: [m.recipient for m in peer.received()] or None, "the message") == [
        "a@small.test"
    ]


def test_real_size_counts_when_the_client_lies(new_host: HostMaker, peer: Peer) -> None:
    administrator = new_host()
    administrator.publish(connectors(peer))
    with administrator.smtp() as session:
        session.mail("alice@contoso.test", ["size=1000"])
        assert session.rcpt("b@other.test")[0] == 250
        code, text = session.data(compose("b@other.test", 300 * KB, "<lie@contoso.test>"))
    assert code == 552
    assert b"5.3.4" in text


def test_exact_limit_passes(new_host: HostMaker, peer: Peer) -> None:
    """Equal is not larger; the size is what Postfix counts, with its own Received header."""
    administrator = new_host()
    administrator.publish(connectors(peer))
    assert submit(administrator, "b@other.test", size=199 * KB, declared=True) == {
        "data": (250, submit_ok(administrator))
    }


def submit_ok(administrator: Administrator) -> str:
    queued = [
        line.text.split(":")[0]
        for line in administrator.host.log.lines()
        if "message-id=<policy@contoso.test>" in line.text
    ]
    return f"2.0.0 Ok: queued as {queued[-1]}"


def test_no_recipient_left(new_host: HostMaker, peer: Peer) -> None:
    administrator = new_host()
    administrator.publish(connectors(peer))
    replies = submit(administrator, "a@small.test", "b@other.test", size=300 * KB, declared=False)
    code, text = replies["data"]
    assert code == 552
    assert "a@small.test" in text
    assert "1 more" in text


def test_larger_connector_takes_over(new_host: HostMaker, peer: Peer) -> None:
    """Above the limit of the exact domain's connector: Exchange's rule, the next one takes it."""
    administrator = new_host()
    administrator.publish(connectors(peer))
    for declared in (True, False):
        replies = submit(administrator, "a@small.test", size=150 * KB, declared=declared)
        assert replies["data"][0] == 250
    wait_until(lambda: len(peer.received()) == 2 or None, "both messages")
    assert {d.service for d in administrator.host.log.deliveries()} == {"pc-all/smtp"}


def test_local_and_relay_domains_have_no_limit_of_a_connector(
    new_host: HostMaker, peer: Peer
) -> None:
    administrator = new_host(
        {
            "relay_domains": "relayed.test",
            "relay_transport": f"relay:[{peer.address}]:{peer.port}",
        }
    )
    administrator.publish(connectors(peer))
    for recipient, service in (("a@contoso.test", "virtual"), ("b@relayed.test", "relay/smtp")):
        for declared in (True, False):
            replies = submit(administrator, recipient, size=300 * KB, declared=declared)
            assert replies["data"][0] == 250, replies
        assert administrator.host.log.wait_for_delivery(recipient).service == service


def test_new_limits_hold_without_a_restart(new_host: HostMaker, peer: Peer) -> None:
    administrator = new_host()
    administrator.publish(connectors(peer))
    assert "b@other.test" in submit(administrator, "b@other.test", size=300 * KB, declared=True)
    administrator.publish(connectors(peer, everything="1 MB"))
    assert submit(administrator, "b@other.test", size=300 * KB, declared=True)["data"][0] == 250


def test_an_edit_that_is_not_applied_has_no_effect(new_host: HostMaker, peer: Peer) -> None:
    administrator = new_host()
    administrator.publish(connectors(peer))
    administrator.write_connectors(connectors(peer, everything="1 MB"))
    assert "b@other.test" in submit(administrator, "b@other.test", size=300 * KB, declared=True)


def test_a_bad_published_file_leaves_the_last_good_one(new_host: HostMaker, peer: Peer) -> None:
    administrator = new_host()
    administrator.publish(connectors(peer))
    assert (
        submit(administrator, "b@other.test", size=300 * KB, declared=True)["b@other.test"][0]
        == 552
    )
    published_file(administrator).write_text("[[send_connector\n")
    assert (
        submit(administrator, "b@other.test", size=300 * KB, declared=True)["b@other.test"][0]
        == 552
    )
    assert administrator.policy_log.read_text().count("the connectors in force stay") == 1


def test_a_service_that_never_had_a_good_file_defers(
    new_host: HostMaker, enter: ExitStack, peer: Peer
) -> None:
    administrator = new_host(policy_service=False)
    with administrator.policy_service():
        administrator.publish(connectors(peer))
    good = published_file(administrator).read_text()
    published_file(administrator).write_text("[[send_connector\n")
    enter.enter_context(administrator.policy_service())
    assert submit(administrator, "b@other.test", size=1000, declared=True)["b@other.test"][0] == 451
    published_file(administrator).write_text(good)
    assert submit(administrator, "b@other.test", size=1000, declared=True)["data"][0] == 250


def test_mail_is_deferred_while_the_service_is_dead(
    new_host: HostMaker, enter: ExitStack, peer: Peer
) -> None:
    administrator = new_host(policy_service=False)
    with administrator.policy_service():
        administrator.publish(connectors(peer))
    replies = submit(administrator, "b@other.test", size=1000, declared=True)
    assert replies["b@other.test"][0] == 451
    enter.enter_context(administrator.policy_service())
    assert submit(administrator, "b@other.test", size=1000, declared=True)["data"][0] == 250


def test_restart_in_the_middle_of_a_message(new_host: HostMaker, peer: Peer) -> None:
    """The new service knows no recipients: it asks to try again only where a limit is in reach."""
    administrator = new_host(policy_service=False)
    for size, expected in ((1000, 250), (150 * KB, 451)):
        session: smtplib.SMTP
        with administrator.policy_service():
            administrator.publish(connectors(peer))
            session = administrator.smtp()
            session.mail("alice@contoso.test")
            for recipient in ("a@small.test", "b@small.test"):
                assert session.rcpt(recipient)[0] == 250
        with administrator.policy_service():
            code, _ = session.data(compose("a@small.test", size, "<restart@contoso.test>"))
            session.close()
        assert code == expected


def test_the_service_is_not_root(new_host: HostMaker) -> None:
    administrator = new_host(policy_service=False)
    with administrator.policy_service() as daemon:
        status = Path(f"/proc/{daemon.pid}/status").read_text()
        [uids] = [line.split()[1:] for line in status.splitlines() if line.startswith("Uid:")]
        assert "0" not in uids


def test_a_stuck_client_and_nonsense_hurt_nobody(new_host: HostMaker, peer: Peer) -> None:
    administrator = new_host()
    administrator.publish(connectors(peer))
    path = str(administrator.host.queue_directory / "postconnector" / "policy")
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(50)]
        for number, client in enumerate(clients):
            client.settimeout(10)
            client.connect(path)
            client.sendall((b"request=smtpd_access_policy\nsender=", b"nonsense\n\n")[number % 2])
        assert clients[1].recv(100) == b""  # closed
        assert submit(administrator, "b@other.test", size=1000, declared=True)["data"][0] == 250


def test_it_ends_on_sigterm_and_starts_again_over_its_socket(new_host: HostMaker) -> None:
    administrator = new_host(policy_service=False)
    with administrator.policy_service() as daemon:
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(10) == os.EX_OK
    with administrator.policy_service() as daemon:
        daemon.kill()  # leaves its socket behind
        daemon.wait(10)
    with administrator.policy_service() as daemon:
        assert daemon.poll() is None
