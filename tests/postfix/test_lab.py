"""The lab itself: its servers really deliver, verify and authenticate, and leave nothing behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.lab.certificates import CertificateAuthority, IssuedCertificate
from tests.lab.dns_server import NsdServer, zone
from tests.lab.loopback import free_address, free_port, wait_until
from tests.lab.maillog import Delivery
from tests.lab.peers import Peer, ReceivedMessage, auth_smart_host, plain_receiver, tls_partner
from tests.lab.postfix_instance import PostfixInstance

SENDER = "alice@contoso.test"
DOMAIN = "fabrikam.test"
RECIPIENT = f"bob@{DOMAIN}"
MESSAGE = b"From: alice@contoso.test\nSubject: lab\n\nHello.\n"
HOSTS_OWN_POSTFIX = (Path("/etc/postfix"), Path("/var/spool/postfix"), Path("/var/lib/postfix"))

# Another Python that starts servers in the folder it is given, says so, and waits to be killed.
LAB_TO_BE_KILLED = """\
import signal, sys
from pathlib import Path
from tests.lab.dns_server import NsdServer, zone
from tests.lab.loopback import free_port
from tests.lab.postfix_instance import PostfixInstance
root = Path(sys.argv[1])
with (
    NsdServer(root, {"fabrikam.test": zone("fabrikam.test", [])}),
    PostfixInstance(root, "host", smtp_port=free_port()),
):
    print("up", flush=True)
    signal.pause()
"""


def host(
    root: Path, enter: ExitStack, resolver: str | None = None, **main_cf: str
) -> PostfixInstance:
    """Start a sending host with these main.cf settings."""
    settings = {"smtp_tls_loglevel": "1", **main_cf}
    return enter.enter_context(
        PostfixInstance(root, "host", main_cf=settings, resolver=resolver, smtp_port=free_port())
    )


def plain_peer(root: Path, enter: ExitStack) -> Peer:
    """Start a receiver without TLS."""
    port = free_port()
    return enter.enter_context(
        plain_receiver(root, "plain", [DOMAIN], address=free_address(port), port=port)
    )


def tls_peer(root: Path, enter: ExitStack, authority: CertificateAuthority, name: str) -> Peer:
    """Start a receiver that requires TLS, with a certificate for `name`."""
    port = free_port()
    return enter.enter_context(
        tls_partner(
            root,
            "partner",
            [DOMAIN],
            certificate(authority, name),
            authority.ca_file,
            address=free_address(port),
            port=port,
        )
    )


def smart_host(root: Path, enter: ExitStack) -> Peer:
    """Start a smart host that knows the user contoso, without TLS."""
    port = free_port()
    return enter.enter_context(
        auth_smart_host(
            root,
            "smarthost",
            [DOMAIN],
            user="contoso",
            password="secret",
            certificate=None,
            auth_only_with_tls=False,
            address=free_address(port),
            port=port,
        )
    )


def certificate(authority: CertificateAuthority, name: str) -> IssuedCertificate:
    """Issue a certificate for a name."""
    return authority.issue(name, common_name=name, dns_names=[name])


def nexthop(peer: Peer) -> str:
    """The peer as Postfix' tables name it."""
    return f"[{peer.address}]:{peer.port}"


def deliver(sender: PostfixInstance, recipient: str = RECIPIENT) -> Delivery:
    """Submit a message and wait for its first attempt."""
    sender.sendmail(SENDER, [recipient], MESSAGE)
    return sender.log.wait_for_delivery(recipient)


def arrived(peer: Peer) -> ReceivedMessage:
    """The message that came to a peer."""
    return wait_until(lambda: next(iter(peer.received()), None), f"a message at {peer.name}")


def processes_in(folder: Path) -> list[str]:
    """Living processes that work in a folder; where a zombie worked nobody can tell."""

    def names() -> Iterator[str]:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if (process / "cwd").readlink().is_relative_to(folder):
                    yield (process / "comm").read_text().strip()
            except OSError:
                continue

    return sorted(names())


def files_in(*folders: Path) -> dict[str, int]:
    """Every file and folder below these, and when it was changed."""
    return {
        str(path): path.lstat().st_mtime_ns
        for folder in folders
        for path in (folder, *folder.rglob("*"))
    }


def test_chrooted_smtp_asks_the_private_dns_server_for_mx(root: Path, enter: ExitStack) -> None:
    peer = plain_peer(root, enter)
    records = ["@ MX 10 mx", f"mx A {peer.address}"]
    resolver = enter.enter_context(NsdServer(root, {DOMAIN: zone(DOMAIN, records)}))
    sender = host(root, enter, resolver.address, smtp_tcp_port=str(peer.port))

    delivery = deliver(sender)

    smtp_service = next(s for s in sender.postconf("-M").splitlines() if s.endswith(" smtp"))
    assert smtp_service.split()[4] == "y"
    assert delivery.relay == f"mx.{DOMAIN}[{peer.address}]:{peer.port}"
    assert (delivery.service, delivery.status, delivery.dsn) == ("smtp", "sent", "2.0.0")
    received = arrived(peer)
    assert (received.recipient, received.helo) == (RECIPIENT, "host.test")
    assert received.client_address == "127.0.0.1"
    assert received.tls is None


def test_name_that_no_zone_has_is_not_asked_of_the_machines_resolver(
    root: Path, enter: ExitStack
) -> None:
    resolver = enter.enter_context(NsdServer(root, {DOMAIN: zone(DOMAIN, [])}))
    sender = host(root, enter, resolver.address)

    delivery = deliver(sender, "bob@elsewhere.test")
    sender.wait_idle()

    assert (delivery.relay, delivery.status) == ("none", "deferred")
    assert [message["queue_name"] for message in sender.queue()] == ["deferred"]


def test_verified_tls_and_the_clients_certificate(
    root: Path, enter: ExitStack, authority: CertificateAuthority
) -> None:
    peer = tls_peer(root, enter, authority, "mail.fabrikam.test")
    sender = host(
        root,
        enter,
        relayhost=nexthop(peer),
        smtp_tls_CAfile=str(authority.ca_file),
        smtp_tls_security_level="secure",
        smtp_tls_secure_cert_match="mail.fabrikam.test",
        smtp_tls_chain_files=str(certificate(authority, "smtp.contoso.test").chain_file),
    )

    delivery = deliver(sender)

    assert delivery.status == "sent"
    assert "Verified TLS connection" in (sender.log.tls_line(delivery) or "")
    received = arrived(peer)
    assert received.tls == "TLSv1.3"
    assert received.client_certificate == "smtp.contoso.test"
    assert received.client_certificate_verified


def test_certificate_of_another_name_is_not_verified(
    root: Path, enter: ExitStack, authority: CertificateAuthority
) -> None:
    peer = tls_peer(root, enter, authority, "mail.somebody-else.test")
    sender = host(
        root,
        enter,
        relayhost=nexthop(peer),
        smtp_tls_CAfile=str(authority.ca_file),
        smtp_tls_security_level="secure",
        smtp_tls_secure_cert_match="mail.fabrikam.test",
    )

    delivery = deliver(sender)

    assert (delivery.status, delivery.dsn) == ("deferred", "4.7.5")
    assert "Untrusted TLS connection" in (sender.log.tls_line(delivery) or "")
    assert peer.received() == []


def test_every_recipient_of_a_message_has_its_tls_line(
    root: Path, enter: ExitStack, authority: CertificateAuthority
) -> None:
    peer = tls_peer(root, enter, authority, "mail.fabrikam.test")
    sender = host(root, enter, relayhost=nexthop(peer), smtp_tls_security_level="encrypt")
    recipients = [f"a@{DOMAIN}", f"b@{DOMAIN}"]

    sender.sendmail(SENDER, recipients, MESSAGE)

    for recipient in recipients:
        delivery = sender.log.wait_for_delivery(recipient)
        assert "TLS connection established" in (sender.log.tls_line(delivery) or "")


def test_tls_of_a_relay_that_failed_is_not_that_of_the_next(
    root: Path, enter: ExitStack, authority: CertificateAuthority
) -> None:
    partner = tls_peer(root, enter, authority, "mail.somebody-else.test")
    plain = plain_peer(root, enter)
    first, second = nexthop(partner), nexthop(plain)
    sender = host(
        root,
        enter,
        relayhost=f"{first}, {second}",
        smtp_tls_policy_maps=f"inline:{{ {{ {first} = secure }}, {{ {second} = none }} }}",
    )

    delivery = deliver(sender)

    assert delivery.relay == f"{plain.address}[{plain.address}]:{plain.port}"
    texts = [line.text for line in sender.log.lines()]
    assert any(f"TLS connection established to {partner.address}[" in text for text in texts)
    assert sender.log.tls_line(delivery) is None


def test_smart_host_takes_mail_from_who_logs_in(root: Path, enter: ExitStack) -> None:
    peer = smart_host(root, enter)
    sender = host(
        root,
        enter,
        relayhost=nexthop(peer),
        smtp_sasl_auth_enable="yes",
        smtp_sasl_security_options="noanonymous",
        smtp_sasl_password_maps=f"inline:{{ {{ {nexthop(peer)} = contoso:secret }} }}",
    )

    assert deliver(sender).status == "sent"
    assert arrived(peer).authenticated_sender == "contoso@smarthost"


def test_smart_host_takes_no_mail_without_login(root: Path, enter: ExitStack) -> None:
    peer = smart_host(root, enter)
    sender = host(root, enter, relayhost=nexthop(peer))

    assert deliver(sender).status == "bounced"
    assert peer.received() == []


def test_another_program_may_edit_check_and_reload(root: Path, enter: ExitStack) -> None:
    peer = plain_peer(root, enter)
    sender = host(root, enter)
    main_cf = sender.config_directory / "main.cf"

    main_cf.write_text(f"{main_cf.read_text()}relayhost = {nexthop(peer)}\n")

    for command in ("check", "reload"):
        result = sender.postfix(command)
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert deliver(sender).status == "sent"


def test_nothing_is_left_and_the_machines_postfix_is_untouched(
    root: Path, authority: CertificateAuthority
) -> None:
    before = files_in(*HOSTS_OWN_POSTFIX)

    with ExitStack() as enter:
        peer = tls_peer(root, enter, authority, "mail.fabrikam.test")
        enter.enter_context(NsdServer(root, {DOMAIN: zone(DOMAIN, [])}))
        sender = host(root, enter, relayhost=nexthop(peer), smtp_tls_security_level="encrypt")
        assert deliver(sender).status == "sent"
        running = processes_in(root)

    assert {"master", "nsd: main", "smtp", "smtpd"} <= set(running)
    wait_until(lambda: not processes_in(root) or None, "the servers' end", timeout=5)
    assert files_in(*HOSTS_OWN_POSTFIX) == before


def test_servers_end_with_the_python_that_is_killed(root: Path) -> None:
    command = [sys.executable, "-c", LAB_TO_BE_KILLED, str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as lab:
        assert lab.stdout is not None
        assert lab.stdout.readline() == "up\n"
        running = processes_in(root)
        os.kill(lab.pid, signal.SIGKILL)

    assert {"master", "nsd: main"} <= set(running)
    wait_until(lambda: not processes_in(root) or None, "the servers' end", timeout=5)
