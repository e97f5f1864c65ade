"""The milter in front of a real Postfix: what a rule of another package sees of the client."""

import re
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.demo.journey import SENDER, compose
from tests.lab.administrator import Administrator
from tests.lab.certificates import CertificateAuthority
from tests.lab.loopback import free_port, wait_until
from tests.lab.postfix_instance import PostfixInstance
from tests.lab.rule_package import install

SAYS_WHAT_IT_SEES = """
from dataclasses import asdict
from postconnector.enforcement.message import Stage
from postconnector.enforcement.rule import Refuse

def fax(message):
    if message.stage is Stage.END_OF_MESSAGE:
        saw = "; ".join(f"{name}={value}" for name, value in asdict(message.client).items())
        yield Refuse(550, "5.7.1", f"saw <{saw}>")
"""
CONNECTORS = """
[host]
milter = "smtp"
[[send_connector]]
name = "All"
address_spaces = ["*"]
dns_routing_enabled = false
smart_hosts = ["192.0.2.1"]
"""
NOBODY = {
    "address": "",
    "name": "",
    "helo": "",
    "sasl_username": "",
    "sasl_method": "",
    "tls_protocol": "",
    "tls_cipher": "",
    "certificate_subject": "",
}
US = {**NOBODY, "address": "127.0.0.1", "name": "unknown", "helo": "client.contoso.test"}
ALICE = {
    **NOBODY,
    "address": "192.0.2.7",
    "name": "mail.alice.example",
    "helo": "alice.example",
    "sasl_username": "alice",
    "sasl_method": "XCLIENT",
}
BOB = {**NOBODY, "address": "192.0.2.8", "name": "mail.bob.example", "helo": "bob.example"}


@dataclass(frozen=True)
class Watched:
    """A host whose rule refuses each message, and says what it saw of its client."""

    administrator: Administrator
    tls: ssl.SSLContext

    @contextmanager
    def session(self) -> Iterator[smtplib.SMTP]:
        with self.administrator.smtp() as session:
            yield session

    @contextmanager
    def encrypted_session(self) -> Iterator[smtplib.SMTP]:
        with self.session() as session:
            assert session.starttls(context=self.tls)[0] == 220
            session.ehlo("client.contoso.test")
            yield session


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    with TemporaryDirectory(prefix="pct-", dir="/tmp") as name, ExitStack() as stack:
        root = Path(name)
        root.chmod(0o755)
        yield started(root, stack)


def started(root: Path, stack: ExitStack) -> Watched:
    authority = CertificateAuthority(root / "ca")
    ours = authority.issue("host", common_name="host.contoso.test")
    theirs = authority.issue("client", common_name="client.contoso.test")
    tls = ssl.create_default_context(cafile=str(authority.ca_file))
    tls.check_hostname = False
    tls.load_cert_chain(theirs.chain_file)
    host = PostfixInstance(
        root,
        "host",
        main_cf={
            "virtual_mailbox_domains": "contoso.test",
            "inet_protocols": "all",
            "smtpd_authorized_xclient_hosts": "127.0.0.0/8, 192.0.2.0/24",
            "smtpd_sasl_auth_enable": "yes",
            "smtpd_tls_security_level": "may",
            "smtpd_tls_chain_files": str(ours.chain_file),
            "smtpd_tls_ask_ccert": "yes",
            "smtpd_tls_CAfile": str(authority.ca_file),
            "mynetworks": "0.0.0.0/0, [::]/0",
        },
        smtp_port=free_port(),
        chroot=False,  # for the SASL library
        # Without a mechanism smtpd(8) would not start to log anybody in.
        files={"sasl/smtpd.conf": "pwcheck_method: auxprop\nmech_list: PLAIN\n"},
    )
    administrator = Administrator(root, stack.enter_context(host))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(install(root, SAYS_WHAT_IT_SEES)))
        stack.enter_context(administrator.policy_service())
        stack.enter_context(administrator.milter())
    administrator.publish(CONNECTORS)
    return Watched(administrator, tls)


def come_as(session: smtplib.SMTP, client: dict[str, str], address: str = "") -> None:
    """From now on the session is this client's (https://www.postfix.org/XCLIENT_README.html)."""
    login = client["sasl_username"] or "[UNAVAILABLE]"
    code, text = session.docmd(
        f"XCLIENT ADDR={address or client['address']} NAME={client['name']} LOGIN={login}"
    )
    assert code == 220, text
    assert session.ehlo(client["helo"])[0] == 250


def seen(session: smtplib.SMTP) -> dict[str, str]:
    """Send a message; what the rule saw of the client."""
    assert session.mail(SENDER)[0] == 250
    assert session.rcpt("b@other.test")[0] == 250
    code, text = session.data(compose("b@other.test", 2000, "<seen@contoso.test>"))
    assert code == 550
    return told(text.decode())


def told(text: str) -> dict[str, str]:
    found = re.search(r"saw <(.*?)>", re.sub(r"\s+", " ", text))
    assert found is not None, text
    return dict(each.split("=", 1) for each in found[1].split("; "))


def test_a_plain_client(watched: Watched) -> None:
    with watched.session() as session:
        assert seen(session) == US


def test_a_client_that_logged_in(watched: Watched) -> None:
    with watched.session() as session:
        come_as(session, ALICE)
        assert seen(session) == ALICE


def test_a_client_by_ipv6(watched: Watched) -> None:
    """The address as the policy service gets it, that is without a tag."""
    client = {**BOB, "address": "2001:db8::7"}
    with watched.session() as session:
        come_as(session, client, "IPV6:2001:db8::7")
        assert seen(session) == client


def test_an_encrypted_session(watched: Watched) -> None:
    with watched.encrypted_session() as session:
        assert isinstance(session.sock, ssl.SSLSocket)
        cipher = session.sock.cipher()
        assert cipher is not None
        expected = {
            **US,
            "tls_protocol": session.sock.version(),
            "tls_cipher": cipher[0],
            "certificate_subject": "client.contoso.test",
        }
        assert [seen(session), seen(session)] == [expected, expected]


def test_messages_of_one_session_have_the_same_client(watched: Watched) -> None:
    """So has one after RSET, also where that breaks off another message, or comes before any."""
    with watched.session() as session:
        come_as(session, ALICE)
        session.rset()
        assert [seen(session), seen(session)] == [ALICE, ALICE]
        session.rset()
        assert seen(session) == ALICE
        session.mail(SENDER)
        session.rcpt("b@other.test")
        session.rset()
        assert seen(session) == ALICE


def test_a_client_may_greet_again(watched: Watched) -> None:
    with watched.session() as session:
        come_as(session, ALICE)
        assert seen(session) == ALICE
        session.ehlo("other.example")
        assert seen(session) == {**ALICE, "helo": "other.example"}


def test_another_client_in_the_same_session_is_another(watched: Watched) -> None:
    """Nothing of the former's is left, neither after a message nor after one broken off."""
    with watched.session() as session:
        come_as(session, ALICE)
        assert seen(session) == ALICE
        come_as(session, BOB)
        assert seen(session) == BOB
        come_as(session, ALICE)
        session.mail(SENDER)
        session.rcpt("b@other.test")
        session.rset()  # Postfix wants that first
        come_as(session, BOB)
        assert seen(session) == BOB


def test_what_was_said_in_the_clear_is_forgotten(watched: Watched) -> None:
    with watched.session() as session:
        assert seen(session) == US
        session.ehlo("before.example")
        assert session.starttls(context=watched.tls)[0] == 220
        session.ehlo("after.example")
        after = seen(session)
    assert (after["helo"], after["certificate_subject"]) == ("after.example", "client.contoso.test")


def test_sessions_at_the_same_time_are_apart(watched: Watched) -> None:
    with watched.session() as one, watched.encrypted_session() as two, watched.session() as three:
        come_as(one, ALICE)
        come_as(three, BOB)
        one.mail(SENDER)
        one.rcpt("b@other.test")
        assert seen(two)["certificate_subject"] == "client.contoso.test"
        assert seen(three) == BOB
        one.rset()
        assert seen(one) == ALICE
    with watched.session() as next_one:  # by an smtpd(8) that had others before
        assert seen(next_one) == US


def test_mail_by_sendmail_has_no_client(watched: Watched) -> None:
    host = watched.administrator.host
    host.sendmail(SENDER, ["b@other.test"], b"Subject: none\n\nnone\n")
    [report] = wait_until(lambda: host.mail() or None, "the report")
    assert told(report.decode()) == NOBODY
