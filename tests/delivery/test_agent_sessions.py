"""How the agent holds sessions with next hops, as their connectors say, and as peers see it."""

import base64
import datetime
import shutil
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab.administrator import Administrator
from tests.lab.agent_connectors import by_dns, by_smart_hosts, deliver, server
from tests.lab.certificates import CertificateAuthority, IssuedCertificate
from tests.lab.dns_server import NsdServer, zone
from tests.lab.loopback import free_address, free_port, wait_until
from tests.lab.maillog import Delivery
from tests.lab.peers import Peer, ReceivedMessage, auth_smart_host, plain_receiver, tls_partner
from tests.lab.scripted_peer import ScriptedPeer
from tests.postfix.conftest import HostMaker

PORT = free_port()
NOW = datetime.datetime.now(datetime.UTC)
OWN_NAME = (
    'tls_certificate_name = "<I>CN=Contoso Test CA,O=Contoso<S>CN=smtp.contoso.test,O=Contoso"'
)


@pytest.fixture
def peer(root: Path, enter: ExitStack) -> Peer:
    """A receiver of a.test without TLS."""
    address = free_address(PORT)
    return enter.enter_context(plain_receiver(root, "peer", ["a.test"], address=address, port=PORT))


@pytest.fixture
def tables(root: Path, enter: ExitStack, peer: Peer) -> str:
    """The tables of a server that finds a.test."""
    records = [f"@ MX 10 {peer.address.replace('.', '-')}", f"* A {peer.address}"]
    dns = enter.enter_context(NsdServer(root, {"a.test": zone("a.test", records)}))
    return server(dns.address)


@pytest.fixture
def host(new_host: HostMaker) -> Administrator:
    return new_host()


@pytest.fixture
def _agent(host: Administrator, enter: ExitStack) -> None:
    enter.enter_context(host.delivery_agent())


def one(host: Administrator, number: int, domain: str = "a.test") -> Delivery:
    """The first attempt to deliver a message that is for nobody else."""
    [found] = deliver(host, f"{number}.session@contoso.test", f"bob{number}@{domain}")
    return found


def received(peer: Peer, count: int = 1) -> list[ReceivedMessage]:
    return wait_until(lambda: r if len(r := peer.received()) >= count else None, "the messages")


def said(peer: Peer, text: str) -> list[str]:
    """What the peer logged of this."""
    return [line.text for line in peer.log.lines() if line.text.startswith(text)]


@pytest.mark.usefixtures("_agent")
def test_name_and_address_are_the_connectors(host: Administrator, peer: Peer, tables: str) -> None:
    source = free_address(PORT)
    own = f'fqdn = "out.contoso.test"\nsource_ip_address = "{source}"'
    host.publish(tables + by_dns("A", PORT, more=own))
    assert one(host, 1).status == "sent"
    [message] = received(peer)
    assert (message.helo, message.client_address) == ("out.contoso.test", source)
    host.publish(tables + by_dns("A", PORT))
    assert one(host, 2).status == "sent"
    assert {m.helo for m in received(peer, 2)} == {"out.contoso.test", "host.contoso.test"}


@pytest.mark.usefixtures("_agent")
def test_an_address_that_is_not_ours_keeps_mail_waiting(host: Administrator, tables: str) -> None:
    host.publish(tables + by_dns("A", PORT, more='source_ip_address = "192.0.2.77"'))
    found = one(host, 1)
    assert (found.status, found.dsn) == ("deferred", "4.4.1")
    assert "can't connect from 192.0.2.77: it is no address of this host" in found.text


@pytest.mark.usefixtures("_agent")
def test_only_so_many_messages_in_one_connection(
    host: Administrator, peer: Peer, tables: str
) -> None:
    host.publish(tables + by_dns("A", PORT, more="smtp_max_messages_per_connection = 2"))
    connections = len(said(peer, "connect from"))
    for number in range(5):
        assert one(host, number).status == "sent"
    assert len(said(peer, "connect from")) - connections == 3
    wait_until(lambda: len(said(peer, "disconnect from")) >= connections + 2 or None, "goodbyes")
    assert " mail=2 rcpt=2 data=2 quit=1 commands=8" in said(peer, "disconnect from")[-1]


@pytest.mark.usefixtures("_agent")
def test_a_connection_that_nobody_needs_is_closed_with_quit(
    host: Administrator, peer: Peer, tables: str
) -> None:
    host.publish(tables + by_dns("A", PORT, more='connection_inactivity_time_out = "00:00:01"'))
    assert one(host, 1).status == "sent"
    wait_until(lambda: [x for x in said(peer, "disconnect from") if "mail=1" in x] or None, "QUIT")
    [line] = [x for x in said(peer, "disconnect from") if "mail=1" in x]
    assert " quit=1 " in line


def test_idle_connections_are_left_with_quit_when_the_agent_ends(
    host: Administrator, peer: Peer, tables: str
) -> None:
    with host.delivery_agent():
        host.publish(tables + by_dns("A", PORT))
        assert one(host, 1).status == "sent"
    wait_until(lambda: [x for x in said(peer, "disconnect from") if "mail=1" in x] or None, "QUIT")
    [line] = [x for x in said(peer, "disconnect from") if "mail=1" in x]
    assert " quit=1 " in line


@pytest.fixture
def certificate(authority: CertificateAuthority) -> IssuedCertificate:
    return authority.issue("smart", common_name=None, dns_names=["smart.test"])


@pytest.mark.usefixtures("_agent")
def test_it_logs_in_with_the_published_password(
    host: Administrator,
    root: Path,
    enter: ExitStack,
    certificate: IssuedCertificate,
) -> None:
    smart = enter.enter_context(
        auth_smart_host(
            root,
            "smart",
            ["smart.test"],
            user="contoso",
            password="s3cret",
            certificate=certificate,
            auth_only_with_tls=True,
            address=free_address(PORT),
            port=PORT,
        )
    )
    login = (
        'smart_host_auth_mechanism = "BasicAuth"\nauthentication_credential = '
        '{ user_name = "contoso", password_file = "secrets/smart" }'
    )
    connectors = by_smart_hosts("Smart", PORT, [smart.address], more=login)
    host.store_password("smart", "s3cret")
    host.publish(connectors)
    assert one(host, 1, "smart.test").status == "sent"
    [message] = received(smart)
    assert (message.protocol, message.authenticated_sender) == ("ESMTPSA", "contoso@smart")
    host.store_password("smart", "wr0ng")
    host.publish(connectors)
    found = one(host, 2, "smart.test")
    assert (found.status, found.dsn) == ("deferred", "4.7.8")
    host.store_password("smart", "s3cret")
    host.publish(connectors)
    assert one(host, 3, "smart.test").status == "sent"
    log = host.agent_log.read_text() + Path(host.host.directory / "log/maillog").read_text()
    assert "s3cret" not in log
    assert "wr0ng" not in log


def token_script(token: str) -> str:
    response = f"user=contoso\x01auth=Bearer {token}\x01\x01"
    return f"""
        < 220 smart.test
        > EHLO host.contoso.test
        < 250-smart.test
        < 250 STARTTLS
        > STARTTLS
        < 220 go
        tls
        > EHLO host.contoso.test
        < 250-smart.test
        < 250 AUTH XOAUTH2
        > AUTH XOAUTH2 {base64.b64encode(response.encode()).decode()}
        < 235 2.7.0 welcome
        > MAIL FROM:<alice@contoso.test>
        < 250 ok
        > RCPT TO:<bob@smart.test>
        < 250 ok
        > DATA
        < 354 go
        message
        < 250 2.0.0 taken
        > QUIT
        < 221 bye
        """


@pytest.mark.usefixtures("_agent")
def test_a_token_is_read_anew_for_each_login(
    host: Administrator, root: Path, certificate: IssuedCertificate
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain_file)
    token = root / "token"
    login = (
        "smtp_max_messages_per_connection = 1\n"
        'smart_host_auth_mechanism = "BasicAuth"\nauthentication_credential = '
        f'{{ user_name = "contoso", token_file = "{token}" }}'
    )
    token.touch(mode=0o600)
    token.write_text("of root alone")
    with ScriptedPeer(token_script("first"), token_script("second"), context=context) as smart:
        host.publish(by_smart_hosts("Smart", smart.port, [smart.address], more=login))
        [waiting] = deliver(host, "token-0@contoso.test", "bob@smart.test")
        assert (waiting.status, waiting.dsn) == ("deferred", "4.7.8")
        assert f"{token} holds no token that can be read" in waiting.text
        shutil.chown(token, "postconnector")
        for number in ("first", "second"):
            token.write_text(f"{number}\n")
            [found] = deliver(host, f"token-{number}@contoso.test", "bob@smart.test")
            assert found.status == "sent", found
    smart.assert_played()
    # "token-first" is a Message-ID, which only Postfix logs.
    assert all(word not in host.agent_log.read_text() for word in ("first", "second"))


@pytest.fixture
def partner(
    root: Path, enter: ExitStack, authority: CertificateAuthority, certificate: IssuedCertificate
) -> Peer:
    """A receiver of smart.test that looks at our certificate."""
    receiver = tls_partner(
        root,
        "partner",
        ["smart.test"],
        certificate,
        authority.ca_file,
        address=free_address(PORT),
        port=PORT,
    )
    return enter.enter_context(receiver)


def test_it_shows_our_certificate_or_keeps_mail_waiting(
    host: Administrator, authority: CertificateAuthority, partner: Peer
) -> None:
    own = authority.issue("own", common_name="smtp.contoso.test")
    host.store_certificate("own", own)
    with host.delivery_agent():
        host.publish(by_smart_hosts("Smart", PORT, [partner.address], more=OWN_NAME))
        assert one(host, 1, "smart.test").status == "sent"
    [message] = received(partner)
    assert message.client_certificate == "smtp.contoso.test"
    assert message.client_certificate_verified
    [published] = (host.host.config_directory / "postconnector/live").glob("agent-certificates/*")
    day = datetime.timedelta(days=1)
    old = authority.issue(
        "old", common_name="smtp.contoso.test", not_before=NOW - 9 * day, not_after=NOW - day
    )
    damages: list[tuple[Callable[[], object], str]] = [
        (lambda: shutil.copyfile(old.chain_file, published), "expired on"),
        (lambda: published.write_text("nonsense"), "is none"),
        (published.unlink, "can't be read"),
    ]
    for number, (damage, words) in enumerate(damages, 2):
        damage()
        with host.delivery_agent():
            found = one(host, number, "smart.test")
        assert (found.status, found.dsn) == ("deferred", "4.7.5")
        exchanges = "The certificate specified in TlsCertificateName of the SendConnector could not"
        assert f"said: 454 4.7.5 {exchanges} be found." in found.text
        assert words in found.text


@pytest.fixture
def log_folder(root: Path) -> Iterator[Path]:
    folder = root / "SmtpSend"
    folder.mkdir()
    shutil.chown(folder, "postconnector")
    yield folder


@pytest.mark.usefixtures("_agent")
def test_the_protocol_log_is_written_for_verbose_connectors(
    host: Administrator, tables: str, log_folder: Path
) -> None:
    verbose = 'protocol_logging_level = "Verbose"'
    place = f'[host]\nsend_protocol_log_path = "{log_folder}"\n'
    host.publish(tables.replace("[host]\n", place) + by_dns("A", PORT, more=verbose))
    assert one(host, 1).status == "sent"
    [file] = log_folder.iterdir()
    assert file.name.startswith("SEND")
    text = file.read_text()
    for words in ("MAIL FROM:<alice@contoso.test>", "RCPT TO:<bob1@a.test>", ",A,", "EHLO"):
        assert words in text
    assert "hello" not in text
    host.publish(tables.replace("[host]\n", place) + by_dns("A", PORT))
    assert one(host, 2).status == "sent"
    assert "bob2@a.test" not in file.read_text()
