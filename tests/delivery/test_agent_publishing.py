"""Publishing connectors that the agent carries out: what it needs, may read, and is told."""

import os
import re
import stat
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab.administrator import Administrator
from tests.lab.agent_connectors import SERVICE, by_smart_hosts, deliver
from tests.lab.certificates import CertificateAuthority
from tests.lab.load import Load, Outcome
from tests.lab.loopback import free_address, free_port, wait_until
from tests.lab.peers import Peer, tls_partner
from tests.postfix.conftest import HostMaker

PORT = free_port()
SECRETS = {"agent": "of-the-agent", "native": "of-postfix"}


@pytest.fixture
def peer(root: Path, enter: ExitStack, authority: CertificateAuthority) -> Peer:
    """A receiver of mail by TLS."""
    certificate = authority.issue("peer", common_name=None, dns_names=["smart.test"])
    receiver = tls_partner(
        root,
        "peer",
        ["smart.test", "other.test"],
        certificate,
        authority.ca_file,
        address=free_address(PORT),
        port=PORT,
    )
    return enter.enter_context(receiver)


@pytest.fixture
def host(new_host: HostMaker) -> Administrator:
    return new_host({"minimal_backoff_time": "1s", "queue_run_delay": "1s"})


def native(peer: Peer) -> str:
    """What Postfix can do by itself."""
    return by_smart_hosts("Smart", PORT, [peer.address]).replace(
        '"CertificateValidation"', '"EncryptionOnly"'
    )


def test_without_the_agent_nothing_that_needs_it_is_published(
    host: Administrator, peer: Peer
) -> None:
    host.write_connectors(by_smart_hosts("Smart", PORT, [peer.address]))
    before = host.host.postconf("-n"), host.host.postconf("-M")
    result = host.run("apply")
    assert (result.returncode, result.stdout) == (os.EX_UNAVAILABLE, "")
    [line] = result.stderr.splitlines()
    assert "the delivery agent does not answer at unix:" in line
    assert '"Smart"' in line
    assert (host.host.postconf("-n"), host.host.postconf("-M")) == before
    assert not (host.host.config_directory / "postconnector/live").exists()


def test_status_says_that_the_agent_is_down(host: Administrator, peer: Peer) -> None:
    with host.delivery_agent():
        host.publish(by_smart_hosts("Smart", PORT, [peer.address]))
        assert host.run("status").returncode == 0
    down = host.run("status")
    assert down.returncode != 0
    assert "the delivery agent does not answer" in down.stdout + down.stderr
    [waiting] = deliver(host, "down@contoso.test", "bob@smart.test")
    assert waiting.status == "deferred"
    with host.delivery_agent():
        host.host.flush()
        wait_until(lambda: peer.received() or None, "the message that waited")
        assert host.run("status").returncode == 0


def test_from_postfix_to_the_agent_and_back_no_mail_is_lost(
    host: Administrator, peer: Peer, enter: ExitStack
) -> None:
    load = enter.enter_context(Load(host, ["smart.test"]))
    outcome = Outcome(load, host, [peer])

    def used(service: str) -> Callable[[], bool | None]:
        return lambda: any(d.service == service for d in host.host.log.deliveries()) or None

    host.publish(native(peer))
    with host.delivery_agent():
        load.begin(60)
        wait_until(used("pc-smart/smtp"), "mail by Postfix' own service")
        host.publish(by_smart_hosts("Smart", PORT, [peer.address]))
        load.begin(60)
        wait_until(used(SERVICE), "mail by the agent")
        rollback = host.run("rollback")
        assert rollback.returncode == 0, rollback.stderr
        load.begin(20)
        load.end()
        outcome.wait_drained()
    assert not outcome.duplicates()
    assert not host.host.mail()
    assert SERVICE.partition("/")[0] not in host.host.postconf("-M")
    [found] = deliver(host, "back@contoso.test", "bob@smart.test")
    assert (found.service, found.status) == ("pc-smart/smtp", "sent")


def login(name: str) -> str:
    return (
        'smart_host_auth_mechanism = "BasicAuth"\nauthentication_credential = '
        f'{{ user_name = "contoso", password_file = "secrets/{name}" }}'
    )


def as_agent(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as the user that the agent is."""
    return subprocess.run(
        ["setpriv", "--reuid=postconnector", "--regid=postconnector", "--init-groups", *command],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_agent_may_read_what_it_needs_and_no_more(
    host: Administrator, peer: Peer, authority: CertificateAuthority
) -> None:
    for name, password in SECRETS.items():
        host.store_password(name, password)
    host.store_certificate("own", authority.issue("own", common_name="smtp.contoso.test"))
    names = "<I>CN=Contoso Test CA,O=Contoso<S>CN=smtp.contoso.test,O=Contoso"
    shown = f'\ntls_certificate_name = "{names}"\n'
    other = by_smart_hosts("Other", PORT, [peer.address], more=login("native") + shown)
    with host.delivery_agent():
        host.publish(
            by_smart_hosts("Smart", PORT, [peer.address], more=login("agent") + shown)
            + other.replace('"CertificateValidation"', '"EncryptionOnly"')
        )
        plan = host.run("plan", "--json")
    live = host.host.config_directory / "postconnector/live"
    for name, mode in {
        "agent-passwords": 0o40750,
        "agent-passwords/pc-smart": 0o100640,
        "agent-certificates": 0o40750,
        "agent-certificates/pc-smart.pem": 0o100640,
    }.items():
        path = live / name
        status = path.stat()
        assert (status.st_mode, path.owner(), path.group()) == (mode, "root", "postconnector")
    assert sorted(p.name for p in live.glob("agent-*/*")) == ["pc-smart", "pc-smart.pem"]
    assert as_agent("cat", str(live / "agent-passwords/pc-smart")).stdout == "of-the-agent\n"
    readable = as_agent("find", "-L", str(live), "-type", "f", "-readable").stdout.split()
    texts = [Path(name).read_bytes() for name in readable]
    assert not any(b"of-postfix" in text for text in texts)
    keys = [name for name, text in zip(readable, texts, strict=True) if b"PRIVATE KEY" in text]
    assert keys == [str(live / "agent-certificates/pc-smart.pem")]
    hidden = [p for p in live.resolve().rglob("*") if p.is_file() and str(p) not in readable]
    assert hidden
    everything = plan.stdout + plan.stderr + host.run("plan").stdout + host.run("status").stdout
    for secret in (*SECRETS.values(), "PRIVATE KEY"):
        assert secret not in everything
    assert not any(stat.S_IMODE(p.stat().st_mode) & 0o007 for p in live.glob("agent-*"))


def test_a_plan_never_shows_a_secret(host: Administrator, peer: Peer) -> None:
    host.store_password("agent", "of-the-agent")
    with host.delivery_agent():
        connectors = by_smart_hosts("Smart", PORT, [peer.address], more=login("agent"))
        host.write_connectors(connectors)
        shown = [host.run("plan"), host.run("plan", "--json"), host.run("apply")]
        host.store_password("agent", "another-one")
        shown += [host.run("plan"), host.run("apply"), host.run("history"), host.run("rollback")]
    everything = "".join(result.stdout + result.stderr for result in shown)
    assert not re.search("of-the-agent|another-one", everything)
    assert "agent-passwords/pc-smart" in everything or "password" in everything
