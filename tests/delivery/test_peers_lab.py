"""The peers and networks of the lab are what tests of the delivery agent take them for."""

import os
import shutil
import smtplib
import socket
import ssl
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab import exim, opensmtpd
from tests.lab.certificates import CertificateAuthority, IssuedCertificate
from tests.lab.exim import Exim
from tests.lab.loopback import free_address, wait_until
from tests.lab.network import Link, Namespace
from tests.lab.opensmtpd import OpenSmtpd
from tests.lab.unpacked import is_unpacked

_PORT = 2525
_SENDER = "sender@contoso.test"
_RECIPIENT = "Someone@partner.test"
# What receivers like to change: dots and From at the start of a line, 8-bit text, long lines.
_MESSAGE = (
    b"From: sender@contoso.test\r\n"
    b"Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n"
    b"X-Folded: one\r\n\t  two\r\n"
    b"\r\n"
    b"..\r\n.\r\nFrom here\r\nna\xc3\xafve \xff\r\n" + 998 * b"x" + b"\r\n \r\n\r\n"
)
_STORED = _MESSAGE.replace(b"\r\n", b"\n")
_TIMEOUT = 0.3


@pytest.fixture(scope="module", autouse=True)
def _real_parts() -> None:
    """Continuous integration has them all."""
    missing = [name for name in ("unshare", "ip", "tc", "swaks") if shutil.which(name) is None]
    missing += [name for name in (exim.PACKAGE, opensmtpd.PACKAGE) if not is_unpacked(name)]
    if os.geteuid() != 0:
        missing.append("root")
    if missing:
        reason = f"needs {', '.join(missing)}; run make test as root"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture
def certificate(authority: CertificateAuthority) -> IssuedCertificate:
    """Of the peer."""
    return authority.issue("peer", common_name="peer.test", dns_names=["peer.test"])


@pytest.fixture(params=[Exim, OpenSmtpd])
def peer_class(request: pytest.FixtureRequest) -> type[Exim | OpenSmtpd]:
    """Either of them."""
    chosen: type[Exim | OpenSmtpd] = request.param
    return chosen


def _address() -> str:
    return free_address(_PORT)


def _connect(peer: Exim | OpenSmtpd, authority: CertificateAuthority | None = None) -> smtplib.SMTP:
    """Connect and greet, after STARTTLS if there is an authority."""
    client = smtplib.SMTP(peer.address, peer.port, "client.test", timeout=20)
    client.ehlo()
    if authority is not None:
        # smtplib takes the name in the certificate from here.
        client._host = "peer.test"  # type: ignore[attr-defined]
        client.starttls(context=ssl.create_default_context(cafile=str(authority.ca_file)))
        client.ehlo()
    return client


def test_peer_keeps_a_message_as_it_came_with_its_envelope(
    root: Path, enter: ExitStack, peer_class: type[Exim | OpenSmtpd]
) -> None:
    domains = ["partner.test", "second.test"]
    peer = peer_class(root, "peer", domains, address=_address(), port=_PORT)
    enter.enter_context(peer)
    with _connect(peer) as client:
        client.sendmail(_SENDER, [_RECIPIENT, "b@second.test"], _MESSAGE, ["BODY=8BITMIME"])
        client.sendmail("", "c@partner.test", _MESSAGE, ["BODY=8BITMIME"])
    messages = peer.wait_received(3)
    assert {(m.sender, m.recipient) for m in messages} == {
        (_SENDER, _RECIPIENT),
        (_SENDER, "b@second.test"),
        ("", "c@partner.test"),
    }
    for message in messages:
        assert message.content == _STORED
        assert message.helo == "client.test"
        assert message.client_address == "127.0.0.1"
        assert message.protocol == "ESMTP"
        assert message.tls is None
        assert message.login is None


def test_peer_takes_mail_for_its_domains_only(
    root: Path, enter: ExitStack, peer_class: type[Exim | OpenSmtpd]
) -> None:
    peer = peer_class(root, "peer", ["ours.test"], address=_address(), port=_PORT)
    enter.enter_context(peer)
    with _connect(peer) as client:
        assert client.mail(_SENDER)[0] == 250
        assert client.rcpt("a@elsewhere.test")[0] == 550
        assert client.rcpt("a@ours.test")[0] == 250
    assert "a@elsewhere.test" in peer.log()


def test_peer_refuses_what_is_too_large(
    root: Path, enter: ExitStack, peer_class: type[Exim | OpenSmtpd]
) -> None:
    peer = peer_class(
        root, "peer", ["partner.test"], address=_address(), port=_PORT, message_size_limit=5000
    )
    enter.enter_context(peer)
    with _connect(peer) as client:
        assert client.esmtp_features["size"] == "5000"
        # OpenSMTPD takes no notice of SIZE with MAIL.
        client.mail(_SENDER)
        client.rcpt(_RECIPIENT)
        code, _ = client.data(b"Subject: large\r\n\r\n" + 100 * (70 * b"x" + b"\r\n"))
        assert 500 <= code <= 599
    assert peer.received() == []


def test_peer_with_tls_and_login_wants_both(
    root: Path,
    enter: ExitStack,
    authority: CertificateAuthority,
    certificate: IssuedCertificate,
    peer_class: type[Exim | OpenSmtpd],
) -> None:
    peer = peer_class(
        root,
        "peer",
        ["partner.test"],
        address=_address(),
        port=_PORT,
        certificate=certificate,
        tls_required=True,
        user="agent",
        password="secret",
    )
    enter.enter_context(peer)
    with _connect(peer) as client:
        assert client.mail(_SENDER)[0] == 530
    with _connect(peer, authority) as client:
        assert client.mail(_SENDER)[0] == 530
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("agent", "wrong")
    for mechanism in ("PLAIN", "LOGIN"):
        with _connect(peer, authority) as client:
            client.user, client.password = "agent", "secret"
            client.auth(mechanism, getattr(client, f"auth_{mechanism.lower()}"))
            client.sendmail(_SENDER, _RECIPIENT, _STORED, ["BODY=8BITMIME"])
    for message in peer.wait_received(2):
        assert message.protocol == "ESMTPSA"
        assert message.tls == "TLSv1.3"
        assert message.login == "agent"


def test_peer_can_be_stopped_and_started_with_its_mail(
    root: Path, enter: ExitStack, peer_class: type[Exim | OpenSmtpd]
) -> None:
    peer = peer_class(root, "peer", ["partner.test"], address=_address(), port=_PORT)
    enter.enter_context(peer)
    with _connect(peer) as client:
        client.sendmail(_SENDER, _RECIPIENT, b"Subject: first\r\n\r\n")
        peer.wait_received()
        peer.stop()
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.noop()
            client.noop()
    with pytest.raises(ConnectionRefusedError):
        _connect(peer)
    peer.start()
    with _connect(peer) as client:
        client.sendmail(_SENDER, _RECIPIENT, b"Subject: second\r\n\r\n")
    assert len(peer.wait_received(2)) == 2


def test_swaks_logs_in_at_exim_by_cram_md5_after_starttls(
    root: Path, enter: ExitStack, authority: CertificateAuthority, certificate: IssuedCertificate
) -> None:
    peer = Exim(
        root,
        "peer",
        ["partner.test"],
        address=_address(),
        port=_PORT,
        certificate=certificate,
        user="agent",
        password="secret",
        auth_only_with_tls=True,
        settings={"tls_try_verify_hosts": "*", "tls_verify_certificates": str(authority.ca_file)},
    )
    enter.enter_context(peer)
    own = authority.issue("client", common_name="client.test")
    with _connect(peer) as client:
        assert not client.has_extn("auth")
    command = [
        *("swaks", "--server", f"{peer.address}:{peer.port}", "--helo", "client.test"),
        *("--from", _SENDER, "--to", _RECIPIENT, "--tls", "--tls-sni", "peer.test"),
        *("--tls-cert", str(own.certificate_file), "--tls-key", str(own.key_file)),
        *("--auth", "CRAM-MD5", "--auth-user", "agent", "--auth-password", "secret"),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
    (message,) = peer.wait_received()
    assert message.protocol == "ESMTPSA"
    assert message.login == "agent"
    assert message.server_name == "peer.test"
    assert message.client_certificate == "O=Contoso,CN=client.test"
    assert "A=cram_md5:agent" in peer.log()


def test_exim_has_the_extensions_that_it_is_told_to(root: Path, enter: ExitStack) -> None:
    able = Exim(
        root, "able", ["partner.test"], address=_address(), port=_PORT, message_size_limit=5000
    )
    plain = Exim(
        root,
        "plain",
        ["partner.test"],
        address=_address(),
        port=_PORT,
        settings={
            "accept_8bitmime": "false",
            "pipelining_advertise_hosts": "",
            "chunking_advertise_hosts": "",
            "dsn_advertise_hosts": "",
            "smtputf8_advertise_hosts": "",
        },
    )
    extensions = {"8bitmime", "pipelining", "chunking", "dsn", "smtputf8"}
    enter.enter_context(able)
    enter.enter_context(plain)
    with _connect(able) as client:
        assert extensions <= client.esmtp_features.keys()
        assert client.mail(_SENDER, ["SIZE=5001"])[0] == 552
    with _connect(plain) as client:
        assert not extensions & client.esmtp_features.keys()


def test_exim_keeps_the_parameters_of_the_envelope(root: Path, enter: ExitStack) -> None:
    peer = Exim(root, "peer", ["partner.test"], address=_address(), port=_PORT)
    enter.enter_context(peer)
    with _connect(peer) as client:
        options = ["SMTPUTF8", "BODY=8BITMIME", "RET=HDRS", "ENVID=id1"]
        client.sendmail(
            "jürgen@contoso.test", "ça@partner.test", _MESSAGE, options, ["NOTIFY=NEVER"]
        )
    (message,) = peer.wait_received()
    assert message.sender == "jürgen@contoso.test"
    assert message.recipient == "ça@partner.test"
    assert message.protocol == "UTF8ESMTP"
    mail, recipient = message.commands
    assert mail.lower().startswith("mail from:<jürgen@contoso.test> ")
    assert all(option in mail for option in options)
    assert recipient.lower() == "rcpt to:<ça@partner.test> notify=never"


def test_opensmtpd_logs_the_dialogue(root: Path, enter: ExitStack) -> None:
    peer = OpenSmtpd(root, "peer", ["partner.test"], address=_address(), port=_PORT)
    enter.enter_context(peer)
    with _connect(peer) as client:
        client.docmd("MAIL", "FROM:<> RET=HDRS")
    assert "<<< MAIL FROM:<> RET=HDRS" in peer.log()


@pytest.fixture
def client_and_server(root: Path, enter: ExitStack) -> tuple[Namespace, Namespace]:
    """Two machines."""
    client, server = Namespace(root, "client"), Namespace(root, "server")
    return enter.enter_context(client), enter.enter_context(server)


@pytest.fixture
def link(client_and_server: tuple[Namespace, Namespace]) -> Link:
    """The cable between them; the client has two addresses of each family."""
    return Link(
        *client_and_server,
        ["192.0.2.1/24", "192.0.2.11/24", "2001:db8::1/64", "2001:db8::11/64"],
        ["192.0.2.2/24", "2001:db8::2/64"],
    )


@pytest.fixture
def connection(
    client_and_server: tuple[Namespace, Namespace],
    link: Link,  # noqa: ARG001
    enter: ExitStack,
) -> tuple[socket.socket, socket.socket]:
    """A TCP connection over the link: the client's socket and the server's."""
    client, server = client_and_server
    with server.inside():
        listener = enter.enter_context(socket.create_server(("192.0.2.2", _PORT)))
    with client.inside():
        near = enter.enter_context(socket.create_connection(("192.0.2.2", _PORT), timeout=20))
    far, _ = listener.accept()
    far.settimeout(20)
    return near, enter.enter_context(far)


@pytest.mark.parametrize(
    ("address", "source"), [("192.0.2.2", "192.0.2.11"), ("2001:db8::2", "2001:db8::11")]
)
def test_servers_of_the_lab_run_in_a_namespace(
    root: Path,
    enter: ExitStack,
    client_and_server: tuple[Namespace, Namespace],
    link: Link,  # noqa: ARG001
    peer_class: type[Exim | OpenSmtpd],
    address: str,
    source: str,
) -> None:
    client, server = client_and_server
    peer = peer_class(root, "peer", ["partner.test"], address=address, port=25)
    with server.inside():
        enter.enter_context(peer)
    with client.inside():
        session = smtplib.SMTP(address, 25, "client.test", timeout=20, source_address=(source, 0))
    with session:
        session.sendmail(_SENDER, _RECIPIENT, b"Subject: hello\r\n\r\n")
    (message,) = peer.wait_received()
    assert message.client_address == source


def test_a_swallowing_network_is_silent(
    client_and_server: tuple[Namespace, Namespace], link: Link
) -> None:
    client, _ = client_and_server
    for network, address in (
        ("198.51.100.0/24", "198.51.100.7"),
        ("2001:db8:1::/64", "2001:db8:1::7"),
    ):
        link.swallow(network)
        with client.inside(), pytest.raises(TimeoutError):
            socket.create_connection((address, 25), timeout=_TIMEOUT)


def test_a_silenced_link_loses_everything_until_it_is_repaired(
    client_and_server: tuple[Namespace, Namespace],
    link: Link,
    connection: tuple[socket.socket, socket.socket],
) -> None:
    client, _ = client_and_server
    near, far = connection
    link.silence()
    near.sendall(b"lost, and sent again by TCP")
    far.settimeout(_TIMEOUT)
    with pytest.raises(TimeoutError):
        far.recv(100)
    with client.inside(), pytest.raises(TimeoutError):
        socket.create_connection(("192.0.2.2", _PORT), timeout=_TIMEOUT)
    link.repair()
    far.settimeout(20)
    assert far.recv(100) == b"lost, and sent again by TCP"


def test_a_slow_link_keeps_data_waiting_and_loses_none(
    link: Link, connection: tuple[socket.socket, socket.socket]
) -> None:
    near, far = connection
    sent = bytes(range(256)) * 80
    link.slow(kilobits=8)
    near.sendall(sent)
    wait_until(lambda: link.waiting_bytes() or None, "data that waits for the slow link")
    link.slow(kilobits=100_000)
    received = bytearray()
    while len(received) < len(sent):
        received += far.recv(65536)
    assert received == sent


def test_namespaces_are_apart_and_leave_us_where_we_were(
    client_and_server: tuple[Namespace, Namespace],
) -> None:
    client, server = client_and_server
    ours = Path("/proc/thread-self/ns/net").readlink()
    seen = {ours}
    for namespace in (client, server):
        with pytest.raises(RuntimeError, match="out"), namespace.inside():
            seen.add(Path("/proc/thread-self/ns/net").readlink())
            raise RuntimeError("out")
    assert len(seen) == 3
    assert Path("/proc/thread-self/ns/net").readlink() == ours
    with pytest.raises(OSError, match="nowhere"):
        client.run("ip", "link", "show", "nowhere")


def test_a_namespace_goes_when_its_maker_is_killed(root: Path) -> None:
    program = (
        "import os, pathlib, signal, sys; from tests.lab.network import Namespace\n"
        "with Namespace(pathlib.Path(sys.argv[1]), 'doomed') as namespace:\n"
        "    print(namespace.process_id, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, str(root)], capture_output=True, text=True, check=False
    )
    assert result.returncode == -9
    holder = Path("/proc", result.stdout.strip(), "ns/net")
    wait_until(lambda: None if holder.exists() else True, "the namespace to go")
