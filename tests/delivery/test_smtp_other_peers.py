"""The SMTP client delivers to Exim and OpenSMTPD: what is said to them is what they take."""

import asyncio
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from postconnector.delivery.dialogue_log import DialogueLog, NoDialogueLog
from postconnector.delivery.envelope import Envelope, EnvelopeRecipient
from postconnector.delivery.hosts.target import Target
from postconnector.delivery.smtp.connection import Connection
from postconnector.delivery.smtp.opened import Opened
from postconnector.delivery.smtp.settings import Login, SessionSettings
from postconnector.delivery.smtp.steps import SessionFailedError, Stage
from postconnector.delivery.smtp.transaction import Delivered
from postconnector.delivery.tls.policy import CertificateName, Starttls, TlsPolicy
from tests.lab import exim, opensmtpd
from tests.lab.certificates import CertificateAuthority
from tests.lab.client import Heard, Message, client_context
from tests.lab.exim import Exim, EximMessage
from tests.lab.loopback import free_address
from tests.lab.opensmtpd import OpenSmtpd
from tests.lab.unpacked import is_unpacked

_PORT = 2525
_SENDER = "alice@contoso.test"
_DOMAINS = ["partner.test"]
_PASSWORD = "hunter2hunter2"
_PLAIN = SessionSettings("client.contoso.test", TlsPolicy(Starttls.NEVER, None))
_BODY = b"..\r\n.\r\n.a\r\nFrom here\r\n\xff na\xc3\xafve\r\n" + 990 * b"x" + b"\r\n \r\n\r\n"
_MESSAGE = Message(b"Subject: all kinds of lines\r\n\r\n" + _BODY)

AnyPeer = Exim | OpenSmtpd


@pytest.fixture(scope="module", autouse=True)
def _peers_are_unpacked() -> None:
    """Continuous integration has them."""
    missing = [name for name in (exim.PACKAGE, opensmtpd.PACKAGE) if not is_unpacked(name)]
    if missing:
        reason = f"needs {', '.join(missing)}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


class Lab:
    """Peers that are up, and their authority."""

    def __init__(self, root: Path, enter: ExitStack) -> None:
        self.authority = CertificateAuthority(root / "ca")
        certificate = self.authority.issue("peer", common_name="peer.test", dns_names=["peer.test"])

        def started(name: str, **more: object) -> Exim:
            address = free_address(_PORT)
            peer = Exim(root, name, _DOMAINS, address=address, port=_PORT, **more)  # type: ignore[arg-type]
            enter.enter_context(peer)
            return peer

        logs_in = {"user": "agent", "password": _PASSWORD, "certificate": certificate}
        self.able = started("able", message_size_limit=5000)
        self.unable = started(
            "unable",
            settings={
                "accept_8bitmime": "false",
                "pipelining_advertise_hosts": "",
                "dsn_advertise_hosts": "",
                "smtputf8_advertise_hosts": "",
            },
        )
        self.login = started("wants-login", **logs_in, settings={"auth_advertise_hosts": "*"})
        self.opensmtpd = OpenSmtpd(
            root, "opensmtpd", _DOMAINS, address=free_address(_PORT), port=_PORT
        )
        self.opensmtpd_login = OpenSmtpd(
            root,
            "opensmtpd-login",
            _DOMAINS,
            address=free_address(_PORT),
            port=_PORT,
            certificate=certificate,
            user="agent",
            password=_PASSWORD,
        )
        enter.enter_context(self.opensmtpd)
        enter.enter_context(self.opensmtpd_login)

    @property
    def with_tls(self) -> SessionSettings:
        """TLS with the right name in a certificate of the right authority."""
        context = client_context(self.authority.ca_file)
        return replace(
            _PLAIN, tls=TlsPolicy(Starttls.REQUIRED, context, (CertificateName("peer.test"),))
        )


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with tempfile.TemporaryDirectory(prefix="pct-", dir="/tmp") as name, ExitStack() as enter:
        Path(name).chmod(0o755)
        yield Lab(Path(name), enter)


def deliver(
    peer: AnyPeer,
    settings: SessionSettings,
    *messages: tuple[Envelope, Message],
    log: DialogueLog | None = None,
) -> tuple[list[Delivered], Opened]:
    """All messages by one connection."""

    async def converse() -> tuple[list[Delivered], Opened]:
        target = Target("peer.test", peer.address, peer.port)
        connection = await Connection.open(target, settings, log or NoDialogueLog())
        delivered = [await connection.deliver(envelope, content) for envelope, content in messages]
        assert connection.is_reusable
        connection.quit()
        await connection.wait_closed()
        return delivered, connection.opened

    return asyncio.run(converse())


def to(*addresses: str, sender: str = _SENDER) -> Envelope:
    return Envelope(sender, tuple(EnvelopeRecipient(address) for address in addresses))


def codes(delivered: Delivered) -> list[int]:
    return [each.reply.code for each in delivered.replies]


def stored(peer: Exim, *recipients: str) -> list[EximMessage]:
    """The messages of these recipients; nobody else uses their names."""
    ours: list[EximMessage] = []
    count = 1
    while len(ours) < len(recipients):
        seen = peer.wait_received(count)
        ours = [each for each in seen if each.recipient in recipients]
        count = len(seen) + 1
    return ours


@pytest.mark.parametrize("name", ["able", "opensmtpd"])
def test_a_message_as_it_was_and_the_connection_again(lab: Lab, name: str) -> None:
    peer: AnyPeer = getattr(lab, name)
    before = len(peer.received())
    deliveries, opened = deliver(
        peer,
        _PLAIN,
        (to("one@partner.test", "nobody@elsewhere.test"), _MESSAGE),
        (to("nobody@elsewhere.test"), _MESSAGE),
        (to("two@partner.test", sender=""), _MESSAGE),
    )
    assert [codes(delivered) for delivered in deliveries] == [[250, 550], [550], [250]]
    assert opened.extensions.offers("PIPELINING") == (name == "able")
    ours = peer.wait_received(before + 2)[-2:]
    assert {(each.sender, each.recipient) for each in ours} == {
        (_SENDER, "one@partner.test"),
        ("", "two@partner.test"),
    }
    assert {each.content for each in ours} == {_MESSAGE.data.replace(b"\r\n", b"\n")}


def test_one_connection_for_all_messages_is_what_the_peer_counts(lab: Lab) -> None:
    deliver(lab.able, _PLAIN, *[(to(f"count{n}@partner.test"), _MESSAGE) for n in range(5)])
    ids = [line for line in lab.able.log().splitlines() if "<= " in line]
    ours = [line for line in ids if "for count" in line]
    # H= has the client's address and its port, one for each connection.
    ports = {line.split("]:")[1].split(" ")[0] for line in ours}
    assert len(ours) == 5
    assert len(ports) == 1


def test_parameters_come_as_they_were_asked_for(lab: Lab) -> None:
    recipient = EnvelopeRecipient("dsn@partner.test", "SUCCESS,DELAY", "rfc822;a+2Bb@x.test")
    asked = Envelope(_SENDER, (recipient,), body="8BITMIME", ret="HDRS", envid="Q+3D1")
    (delivered,), _ = deliver(lab.able, _PLAIN, (asked, _MESSAGE))
    assert delivered.dsn_passed_on
    (message,) = stored(lab.able, "dsn@partner.test")
    assert message.commands == (
        f"MAIL FROM:<{_SENDER}> SIZE={_MESSAGE.size} BODY=8BITMIME RET=HDRS ENVID=Q+3D1",
        "RCPT TO:<dsn@partner.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@x.test",
    )


def test_parameters_that_the_peer_does_not_know_stay_away(lab: Lab) -> None:
    recipient = EnvelopeRecipient("nodsn@partner.test", "NEVER", "rfc822;a@x.test")
    asked = Envelope(_SENDER, (recipient,), body="7BIT", ret="FULL", envid="Q")
    seven_bit = Message(b"Subject: seven bits\r\n\r\n.\r\n")
    (delivered,), _ = deliver(lab.unable, _PLAIN, (asked, seven_bit))
    assert codes(delivered) == [250]
    assert not delivered.dsn_passed_on
    (message,) = stored(lab.unable, "nodsn@partner.test")
    assert message.commands == (
        f"MAIL FROM:<{_SENDER}> SIZE={seven_bit.size}",
        "RCPT TO:<nodsn@partner.test>",
    )


def test_smtputf8(lab: Lab) -> None:
    asked = replace(to("bücher@partner.test", sender="é@contoso.test"), smtputf8=True)
    content = Message("Subject: é\r\n\r\n".encode())
    (taken,), _ = deliver(lab.able, _PLAIN, (asked, content))
    assert codes(taken) == [250]
    (message,) = stored(lab.able, "bücher@partner.test")
    assert message.commands == (
        f"MAIL FROM:<é@contoso.test> SIZE={content.size} BODY=8BITMIME SMTPUTF8",
        "RCPT TO:<bücher@partner.test>",
    )


@pytest.mark.parametrize(
    ("name", "asked", "content", "enhanced"),
    [
        ("able", to("big@partner.test"), Message(5001 * b"x"), "5.3.4"),
        ("unable", to("bits@partner.test"), _MESSAGE, "5.6.3"),
        ("unable", replace(to("é@partner.test"), smtputf8=True), Message(b"\r\n"), "5.6.7"),
    ],
)
def test_what_the_peer_cannot_take_is_not_sent(
    lab: Lab, name: str, asked: Envelope, content: Message, enhanced: str
) -> None:
    (delivered,), _ = deliver(getattr(lab, name), _PLAIN, (asked, content))
    (answer,) = delivered.replies
    assert (answer.reply.enhanced, answer.in_reply_to) == (enhanced, "")


def test_what_came_without_smtputf8_needs_none(lab: Lab) -> None:
    """As Postfix delivers it."""
    (delivered,), _ = deliver(lab.unable, _PLAIN, (to("ö@partner.test"), Message(b"\r\n")))
    assert codes(delivered) == [250]


@pytest.mark.parametrize("name", ["login", "opensmtpd_login"])
@pytest.mark.parametrize("password", [_PASSWORD, "wrongwrong"])
def test_login(lab: Lab, name: str, password: str) -> None:
    peer: AnyPeer = getattr(lab, name)
    login = Login("agent", password, only_encrypted=True)
    log = Heard()
    settings = replace(lab.with_tls, login=login)
    before = len(peer.received())
    if password == _PASSWORD:
        (delivered,), opened = deliver(
            peer, settings, (to(f"{name}@partner.test"), _MESSAGE), log=log
        )
        assert codes(delivered) == [250]
        assert opened.mechanism == ("CRAM-MD5" if name == "login" else "PLAIN")
        (message,) = peer.wait_received(before + 1)[-1:]
        assert message.login == "agent"
        assert message.protocol == "ESMTPSA"
    else:
        with pytest.raises(SessionFailedError) as caught:
            deliver(peer, settings, log=log)
        assert caught.value.stage is Stage.LOGIN
        assert caught.value.reply.code == 451
    assert password not in "".join(log.lines)


@pytest.mark.parametrize(
    ("name", "mechanism"),
    [
        ("login", "PLAIN"),
        ("login", "LOGIN"),
        ("login", "CRAM-MD5"),
        ("opensmtpd_login", "PLAIN"),
        ("opensmtpd_login", "LOGIN"),
    ],
)
def test_each_mechanism(
    lab: Lab, name: str, mechanism: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if no other were known here."""
    monkeypatch.setattr("postconnector.delivery.smtp.authentication._BY_PASSWORD", (mechanism,))
    settings = replace(lab.with_tls, login=Login("agent", _PASSWORD, only_encrypted=True))
    (delivered,), opened = deliver(
        getattr(lab, name), settings, (to("mechanism@partner.test"), _MESSAGE)
    )
    assert codes(delivered) == [250]
    assert opened.mechanism == mechanism


def test_no_login_where_mail_is_taken_from_nobody_else(lab: Lab) -> None:
    (delivered,), _ = deliver(lab.login, _PLAIN, (to("out@partner.test"), _MESSAGE))
    assert str(delivered.replies[0].reply) == "530 5.7.0 AUTH first"
