"""The SMTP client delivers to Postfix: messages, envelopes, TLS and logins come as they were."""

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from postconnector.delivery.dialogue_log import NoDialogueLog
from postconnector.delivery.envelope import Envelope, EnvelopeRecipient
from postconnector.delivery.hosts.target import Target
from postconnector.delivery.smtp.connection import Connection
from postconnector.delivery.smtp.opened import Opened
from postconnector.delivery.smtp.settings import Login, SessionSettings
from postconnector.delivery.smtp.steps import SessionFailedError, Stage
from postconnector.delivery.smtp.transaction import Delivered
from postconnector.delivery.tls.policy import CertificateName, Starttls, TlsPolicy
from tests.lab.certificates import CertificateAuthority
from tests.lab.client import Message, client_context
from tests.lab.loopback import free_address, wait_until
from tests.lab.peers import Peer, ReceivedMessage, auth_smart_host, tls_partner

_PORT = 2525
_DOMAINS = ["partner.test"]
_SENDER = "alice@contoso.test"
_PLAIN = SessionSettings("client.contoso.test", TlsPolicy(Starttls.NEVER, None))
_CONTENT = b"..\r\n.\r\n.a\r\nFrom here\r\n\xff na\xc3\xafve\r\n" + 990 * b"x" + b"\r\n \r\n\r\n"


class Lab:
    """Peers that are up, and their authority."""

    def __init__(self, root: Path, enter: ExitStack) -> None:
        self.authority = CertificateAuthority(root / "ca")
        self.own = self.authority.issue("own", common_name="client.contoso.test")
        certificate = self.authority.issue("peer", common_name="peer.test", dns_names=["peer.test"])

        def start(peer: Peer) -> Peer:
            enter.enter_context(peer)
            return peer

        def address() -> str:
            return free_address(_PORT)

        refused = "check_recipient_access texthash:${config_directory}/refused"
        self.plain = start(
            Peer(
                root,
                "plain",
                _DOMAINS,
                address=address(),
                port=_PORT,
                main_cf={
                    "message_size_limit": "100000",
                    "smtpd_recipient_restrictions": f"{refused}, permit",
                },
                files={"refused": "refused@partner.test 550 5.1.1 nobody\n"},
            )
        )
        ca_file = self.authority.ca_file
        self.tls = start(
            tls_partner(root, "tls", _DOMAINS, certificate, ca_file, address=address(), port=_PORT)
        )
        self.password = start(
            auth_smart_host(
                root,
                "password",
                _DOMAINS,
                user="user",
                password="hunter2",
                certificate=certificate,
                auth_only_with_tls=True,
                address=address(),
                port=_PORT,
            )
        )
        self.cram = start(self._cram(root, address()))

    def _cram(self, root: Path, address: str) -> Peer:
        """With the users of the other."""
        return Peer(
            root,
            "cram",
            _DOMAINS,
            address=address,
            port=_PORT,
            main_cf={
                "smtpd_sasl_auth_enable": "yes",
                "smtpd_sasl_local_domain": "password",
                "smtpd_sasl_authenticated_header": "yes",
                "smtpd_recipient_restrictions": "permit_sasl_authenticated, reject",
            },
            files={
                "sasl/smtpd.conf": "pwcheck_method: auxprop\nauxprop_plugin: sasldb\n"
                f"mech_list: CRAM-MD5\nsasldb_path: {root / 'password-sasldb2'}\n"
            },
        )

    @property
    def with_tls(self) -> SessionSettings:
        """Verified TLS, and our certificate is shown."""
        context = client_context(self.authority.ca_file, self.own.chain_file)
        names = (CertificateName("peer.test"),)
        return replace(_PLAIN, tls=TlsPolicy(Starttls.REQUIRED, context, names))


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with tempfile.TemporaryDirectory(prefix="pct-", dir="/tmp") as name, ExitStack() as enter:
        Path(name).chmod(0o755)
        yield Lab(Path(name), enter)


def deliver(
    peer: Peer, settings: SessionSettings, *messages: tuple[Envelope, Message]
) -> tuple[list[Delivered], Opened]:
    """All messages by one connection."""

    async def converse() -> tuple[list[Delivered], Opened]:
        target = Target("peer.test", peer.address, peer.port)
        connection = await Connection.open(target, settings, NoDialogueLog())
        delivered = [await connection.deliver(envelope, content) for envelope, content in messages]
        assert connection.is_reusable
        connection.quit()
        await connection.wait_closed()
        return delivered, connection.opened

    return asyncio.run(converse())


def envelope(*addresses: str, sender: str = _SENDER) -> Envelope:
    return Envelope(sender, tuple(EnvelopeRecipient(address) for address in addresses))


def message(message_id: str, body: bytes = b"hello\r\n") -> Message:
    return Message(f"Message-ID: <{message_id}>\r\n\r\n".encode() + body)


def received(peer: Peer, message_id: str, count: int = 1) -> list[ReceivedMessage]:
    def found() -> list[ReceivedMessage] | None:
        all_of_it = [m for m in peer.received() if m.message_id == f"<{message_id}>"]
        return all_of_it if len(all_of_it) >= count else None

    return wait_until(found, f"message {message_id}")


def codes(delivered: Delivered) -> list[int]:
    return [each.reply.code for each in delivered.replies]


def test_a_message_as_it_was(lab: Lab) -> None:
    (delivered,), opened = deliver(
        lab.plain, _PLAIN, (envelope("bob@partner.test"), message("exact", _CONTENT))
    )
    assert codes(delivered) == [250]
    assert delivered.replies[0].in_reply_to == "end of DATA command"
    assert delivered.dsn_passed_on
    assert opened.extensions.size_limit == 100000
    assert opened.tls is None
    received(lab.plain, "exact")
    body = _CONTENT.replace(b"\r\n", b"\n")
    assert any(stored.endswith(b"\n\n" + body) for stored in lab.plain.mail())


def test_each_recipient_its_answer_and_the_connection_again(lab: Lab) -> None:
    many = [f"r{number}@partner.test" for number in range(250)]
    deliveries, _ = deliver(
        lab.plain,
        _PLAIN,
        (envelope("refused@partner.test"), message("none")),
        (envelope(*many, "refused@partner.test", "last@partner.test"), message("many")),
        (envelope("bob@partner.test", sender=""), message("bounce")),
    )
    none, some, last = deliveries
    assert codes(none) == [550]
    assert str(none.replies[0].reply) == (
        "550 5.1.1 <refused@partner.test>: Recipient address rejected: nobody"
    )
    assert none.replies[0].in_reply_to == "RCPT TO command"
    assert codes(some) == [*([250] * 250), 550, 250]
    assert codes(last) == [250]
    assert len(received(lab.plain, "many", 251)) == 251
    assert received(lab.plain, "bounce")[0].message["Return-Path"] == "<>"


def test_too_big_is_found_before_it_is_sent(lab: Lab) -> None:
    (delivered,), _ = deliver(
        lab.plain, _PLAIN, (envelope("bob@partner.test"), message("big", 100_000 * b"x"))
    )
    (answer,) = delivered.replies
    assert (answer.reply.code, answer.reply.enhanced, answer.in_reply_to) == (552, "5.3.4", "")


def test_delivery_status_notification(lab: Lab) -> None:
    recipient = EnvelopeRecipient("bob@partner.test", "SUCCESS", "rfc822;first@x.test")
    asked = Envelope("alice@partner.test", (recipient,), ret="HDRS", envid="Q+2B1")
    deliver(lab.plain, _PLAIN, (asked, message("dsn")))
    expected = (b"Original-Recipient: rfc822;first@x.test\n", b"Original-Envelope-Id: Q+1\n")
    wait_until(
        lambda: any(all(e in mail for e in expected) for mail in lab.plain.mail()) or None,
        "the notification",
    )


def test_smtputf8(lab: Lab) -> None:
    utf8 = replace(envelope("bücher@partner.test", sender="é@contoso.test"), smtputf8=True)
    (delivered,), _ = deliver(lab.plain, _PLAIN, (utf8, message("utf8", "é\r\n".encode())))
    assert codes(delivered) == [250]
    assert "UTF8SMTP" in received(lab.plain, "utf8")[0].protocol


@pytest.mark.parametrize("force_helo", [False, True])
def test_helo_name_and_source_address(lab: Lab, force_helo: bool) -> None:
    settings = replace(
        _PLAIN,
        helo_name="mail.contoso.test",
        force_helo=force_helo,
        source_address=ip_address("127.9.8.7"),
    )
    name = f"source-{force_helo}"
    deliver(lab.plain, settings, (envelope("bob@partner.test"), message(name)))
    (seen,) = received(lab.plain, name)
    assert seen.helo == "mail.contoso.test"
    assert seen.client_address == "127.9.8.7"
    assert seen.protocol == ("SMTP" if force_helo else "ESMTP")


def test_an_address_that_is_not_ours(lab: Lab) -> None:
    settings = replace(_PLAIN, source_address=ip_address("192.0.2.1"))
    with pytest.raises(SessionFailedError, match="it is no address of this host") as caught:
        deliver(lab.plain, settings)
    assert caught.value.stage is Stage.CONNECT
    assert caught.value.reply.code == 451


def test_verified_tls_with_a_certificate_of_ours(lab: Lab) -> None:
    body = b"0123456789abcdef\r\n" * 100_000
    _, opened = deliver(lab.tls, lab.with_tls, (envelope("bob@partner.test"), message("tls", body)))
    assert opened.tls is not None
    assert opened.tls.verified
    assert opened.tls.version == "TLSv1.3"
    assert opened.in_clear is not None
    assert opened.in_clear.offers("STARTTLS")
    assert not opened.extensions.offers("STARTTLS")
    (seen,) = received(lab.tls, "tls")
    assert seen.tls == "TLSv1.3"
    assert seen.client_certificate == "client.contoso.test"
    assert seen.client_certificate_verified
    assert seen.message.get_payload() == body.decode().replace("\r\n", "\n")


def test_without_tls_a_peer_that_wants_it_refuses(lab: Lab) -> None:
    (delivered,), _ = deliver(lab.tls, _PLAIN, (envelope("bob@partner.test"), message("clear")))
    (answer,) = delivered.replies
    assert answer.reply.text == "Must issue a STARTTLS command first"
    assert answer.in_reply_to == "MAIL FROM command"


def _login(peer: str, *, password: str = "hunter2") -> Login:
    return Login("user", password, only_encrypted=peer == "password")


@pytest.mark.parametrize(("peer", "mechanism"), [("password", "PLAIN"), ("cram", "CRAM-MD5")])
def test_login(lab: Lab, peer: str, mechanism: str) -> None:
    smart_host: Peer = getattr(lab, peer)
    settings = replace(lab.with_tls if peer == "password" else _PLAIN, login=_login(peer))
    (delivered,), opened = deliver(
        smart_host, settings, (envelope("bob@partner.test"), message("in"))
    )
    assert codes(delivered) == [250]
    assert opened.mechanism == mechanism
    assert received(smart_host, "in")[0].authenticated_sender == "user@password"


@pytest.mark.parametrize("peer", ["password", "cram"])
def test_a_wrong_password_keeps_mail_waiting(lab: Lab, peer: str) -> None:
    login = _login(peer, password="wrong")
    settings = replace(lab.with_tls if peer == "password" else _PLAIN, login=login)
    with pytest.raises(SessionFailedError) as caught:
        deliver(getattr(lab, peer), settings)
    assert caught.value.stage is Stage.LOGIN
    assert str(caught.value.reply).startswith("451 4.7.8 peer.test[")
    assert "535 5.7.8 Error: authentication failed" in str(caught.value.reply)
    assert caught.value.opened.extensions.mechanisms


def test_no_login_is_tried_in_clear(lab: Lab) -> None:
    with pytest.raises(SessionFailedError, match="there is no TLS") as caught:
        deliver(lab.cram, replace(_PLAIN, login=Login("user", "hunter2", only_encrypted=True)))
    assert caught.value.reply.code == 451


def test_several_connections_at_once(lab: Lab) -> None:
    async def converse(number: int) -> Sequence[int]:
        target = Target("peer.test", lab.tls.address, lab.tls.port)
        connection = await Connection.open(target, lab.with_tls, NoDialogueLog())
        delivered = await connection.deliver(
            envelope("bob@partner.test"), message("at-once", b"%d\r\n" % number)
        )
        connection.quit()
        await connection.wait_closed()
        return codes(delivered)

    async def all_of_them() -> list[Sequence[int]]:
        return await asyncio.gather(*(converse(number) for number in range(20)))

    assert asyncio.run(all_of_them()) == [[250]] * 20
    bodies = {m.message.get_payload() for m in received(lab.tls, "at-once", 20)}
    assert bodies == {f"{number}\n" for number in range(20)}
