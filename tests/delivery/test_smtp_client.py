"""The SMTP client in the situations of smtp_situations.toml: what next hops do, and should not."""

import asyncio
import re
import ssl
import tomllib
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import trustme

from postconnector.delivery.dialogue_log import NoDialogueLog
from postconnector.delivery.envelope import Envelope, EnvelopeRecipient
from postconnector.delivery.hosts.target import Target
from postconnector.delivery.smtp.connection import Connection
from postconnector.delivery.smtp.settings import Login, SessionSettings, Timeouts
from postconnector.delivery.smtp.steps import SessionFailedError
from postconnector.delivery.smtp.transaction import RecipientReply
from postconnector.delivery.tls.policy import CertificateName, Starttls, TlsPolicy
from postconnector.model.plain_text import clean
from tests.lab.client import Heard, Message, client_context
from tests.lab.scripted_peer import ScriptedPeer

_TABLE = Path(__file__).with_name("smtp_situations.toml")
_MESSAGE = b"From: alice@contoso.test\r\nSubject: a message of 68 bytes\r\n\r\nHello.\r\n"
_BIG = b"0123456789abcdef\r\n" * 300_000
_SLOW = Timeouts(*[0.2] * 10)
_OTHERWISE = Timeouts(*[20.0] * 10)


@dataclass(frozen=True)
class Situation:
    """One entry of the table, which explains the fields."""

    name: str
    script: str
    offers: str | None = None
    second: str | None = None
    answers: Sequence[str] = ()
    fails: str | None = None
    reusable: bool = True
    rest: Sequence[str] | str | None = None
    slow: bool = False
    tls: str = "never"
    verified: str | None = None
    login: str | None = None
    force_helo: bool = False
    dsn: bool | None = None
    message: str | None = None
    sender: str = "alice@contoso.test"
    recipients: Sequence[str] = ("bob@fabrikam.test",)
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def scripts(self) -> list[str]:
        return [
            script for script in (self._beginning + self.script, self.second) if script is not None
        ]

    @property
    def _beginning(self) -> str:
        if self.offers is None:
            return ""
        words = [
            "peer.test",
            *(
                w.replace("=", " ", 1).replace("+", " ").replace("~", "=")
                for w in self.offers.split()
            ),
        ]
        lines = [f"< 250{'-' if n < len(words) - 1 else ' '}{word}" for n, word in enumerate(words)]
        return "\n".join(["< 220 peer.test ESMTP", "> EHLO client.test", *lines, ""])

    @property
    def content(self) -> Message:
        if self.message is None:
            return Message(_MESSAGE)
        if self.message == "big":
            return Message(_BIG)
        return Message(self.message.encode().decode("unicode_escape").encode("latin-1"))

    @property
    def envelope(self) -> Envelope:
        more = dict(self.parameters)
        of_recipients = {name: more.pop(name) for name in ("notify", "orcpt") if name in more}
        recipients = (EnvelopeRecipient(address, **of_recipients) for address in self.recipients)
        return Envelope(self.sender, tuple(recipients), **more)

    def settings(self, context: ssl.SSLContext) -> SessionSettings:
        starttls = Starttls(self.tls)
        names = (CertificateName(self.verified),) if self.verified not in (None, "chain") else None
        return SessionSettings(
            "client.test",
            TlsPolicy(starttls, None if starttls is Starttls.NEVER else context, names),
            force_helo=self.force_helo,
            login=None
            if self.login is None
            else Login("user", "secret", self.login == "encrypted", self.login == "oauth"),
            timeouts=_SLOW if self.slow else _OTHERWISE,
        )


def _situations() -> list[Situation]:
    return [Situation(**entry) for entry in tomllib.loads(_TABLE.read_text())["situation"]]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("peer.test").configure_cert(context)
    return context


@pytest.mark.parametrize("situation", _situations(), ids=lambda situation: situation.name)
def test_situation(
    situation: Situation, authority: trustme.CA, server_context: ssl.SSLContext
) -> None:
    log = Heard()
    context = client_context()
    if situation.verified:
        context.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(context)
    settings = situation.settings(context)
    with ScriptedPeer(*situation.scripts, context=server_context) as peer:
        target = Target("peer.test", peer.address, peer.port)
        asyncio.run(_play(situation, target, settings, log))
    peer.assert_played()
    _assert_said(situation, peer)
    _assert_logged(log)
    if situation.slow:
        assert log.lines[-1] == "- TimedOut"


async def _play(
    situation: Situation, target: Target, settings: SessionSettings, log: Heard
) -> None:
    try:
        connection = await Connection.open(target, settings, log)
    except SessionFailedError as error:
        reply = clean(str(error.reply)).replace(str(target), "PEER")
        assert f"{error.stage.value}: {reply}" == situation.fails
        assert error.said_by_peer == ("PEER" not in reply)
        return
    assert situation.fails is None
    delivered = await connection.deliver(situation.envelope, situation.content)
    shown = [_shown(reply, target) for reply in delivered.replies]
    assert len(shown) == len(situation.answers)
    for answer, wanted in zip(shown, situation.answers, strict=True):
        assert answer == wanted or (wanted[-1] == "*" and answer.startswith(wanted[:-1]))
    assert connection.is_reusable == situation.reusable
    if situation.dsn is not None:
        assert delivered.dsn_passed_on == situation.dsn
    connection.quit()
    await connection.wait_closed()


def _shown(answer: RecipientReply, target: Target) -> str:
    shown = str(answer.reply).replace(str(target), "PEER")
    if answer.in_reply_to:
        shown += f" < {answer.in_reply_to}"
    return f"{shown} (?)" if answer.uncertain else shown


def _assert_said(situation: Situation, peer: ScriptedPeer) -> None:
    """What the peer heard: the message as it is, and nothing that was not to be said."""
    content = situation.content.data
    if not content.endswith(b"\r\n"):
        content += b"\r\n" if content else b""
    for sent in (message for played in peer.played for message in played.messages):
        lines = sent.removesuffix(b".\r\n").split(b"\r\n")
        assert b"\r\n".join(line.removeprefix(b".") for line in lines) == content
        assert not any(line.startswith(b".") and line[:2] != b".." for line in lines)
    rest = peer.played[-1].rest
    if situation.rest is None:
        polite = situation.reusable and situation.fails is None
        assert rest == (["QUIT"] if polite else [])
    elif situation.rest != "*":
        assert rest == situation.rest


def _assert_logged(log: Heard) -> None:
    """Each connection has a beginning and one end, and no secret stands between."""
    events = "".join(line[0] for line in log.lines)
    assert re.fullmatch(r"(\+[^+-]*-[*]?)+", events), log.lines
    for secret in ("secret", "c2VjcmV0", "AHVzZXI", "dXNlc"):
        assert secret not in "".join(log.lines)


@pytest.mark.parametrize(
    ("end", "seconds", "last"),
    [
        ("", 20.0, ["> QUIT", "- Local"]),
        ("close", 20.0, ["- Remote"]),
        ("stall", 0.2, ["- TimedOut"]),
        ("< hello", 20.0, ["- Local"]),
        ("< 421 closing", 20.0, ["< 421 closing", "- Local"]),
    ],
)
def test_log(end: str, seconds: float, last: list[str]) -> None:
    script = f"""
        < 220 peer.test ESMTP
        > EHLO client.test
        < 250-peer.test
        < 250 PIPELINING
        > MAIL FROM:<alice@contoso.test>
        > RCPT TO:<bob@fabrikam.test>
        > DATA
        < 250 2.1.0 ok
        < 250-2.1.5 Bob
        < 250 2.1.5 ok
        < 354 go on
        message
        {end or "< 250 2.0.0 taken"}
    """
    log = Heard()
    policy = TlsPolicy(Starttls.NEVER, None)
    timeouts = replace(_OTHERWISE, data_end=seconds)
    settings = SessionSettings("client.test", policy, timeouts=timeouts)
    envelope = Envelope("alice@contoso.test", (EnvelopeRecipient("bob@fabrikam.test"),))

    async def converse(target: Target) -> None:
        connection = await Connection.open(target, settings, log)
        await connection.deliver(envelope, Message(_MESSAGE))
        connection.quit()
        await connection.wait_closed()

    with ScriptedPeer(script) as peer:
        asyncio.run(converse(Target("peer.test", peer.address, peer.port)))
    assert re.fullmatch(rf"[+] 127.0.0.1:\d+ 127.0.0.1:{peer.port}", log.lines[0])
    assert log.lines[1:] == [
        "< 220 peer.test ESMTP",
        "> EHLO client.test",
        "< 250-peer.test",
        "< 250 PIPELINING",
        "> MAIL FROM:<alice@contoso.test>",
        "> RCPT TO:<bob@fabrikam.test>",
        "> DATA",
        "< 250 2.1.0 ok",
        "< 250-2.1.5 Bob",
        "< 250 2.1.5 ok",
        "< 354 go on",
        "* sending message",
        *([] if end else ["< 250 2.0.0 taken"]),
        *last,
    ]


_INTO_TLS = """
    < 220 peer.test
    > EHLO client.test
    < 250-peer.test
    < 250 STARTTLS
    > STARTTLS
    < 220 go
    tls
"""


@pytest.mark.parametrize("demand", ["name", "chain"])
def test_a_certificate_that_is_not_enough_is_no_reason_to_go_on_in_clear(
    server_context: ssl.SSLContext, demand: str
) -> None:
    context = client_context()
    names = (CertificateName("other.test"),) if demand == "name" else None
    if demand == "chain":
        context.verify_mode = ssl.CERT_REQUIRED
    policy = TlsPolicy(Starttls.IF_OFFERED, context, names)
    with ScriptedPeer(_INTO_TLS, context=server_context) as peer:
        target = Target("peer.test", peer.address, peer.port)
        with pytest.raises(SessionFailedError) as caught:
            asyncio.run(
                Connection.open(target, SessionSettings("client.test", policy), NoDialogueLog())
            )
    assert len(peer.played) == 1
    assert str(caught.value.reply).startswith(f"451 4.7.5 {target}: the server's certificate")


@pytest.mark.parametrize("host", [f"{'a' * 64}.test", "127.0.0.1", ".test", "_odd.test"])
def test_names_that_tls_does_not_know(server_context: ssl.SSLContext, host: str) -> None:
    policy = TlsPolicy(Starttls.REQUIRED, client_context())

    async def converse(target: Target) -> None:
        settings = SessionSettings("client.test", policy)
        connection = await Connection.open(target, settings, NoDialogueLog())
        connection.quit()
        await connection.wait_closed()

    script = f"{_INTO_TLS} > EHLO client.test\n < 250 peer.test"
    with ScriptedPeer(script, context=server_context) as peer:
        asyncio.run(converse(Target(host, peer.address, peer.port)))
    peer.assert_played()


@pytest.mark.parametrize("source", [None, "::1"])
def test_ipv6(source: str | None) -> None:
    log = Heard()
    settings = SessionSettings(
        "client.test",
        TlsPolicy(Starttls.NEVER, None),
        source_address=None if source is None else ip_address(source),
    )

    async def converse(target: Target) -> None:
        connection = await Connection.open(target, settings, log)
        assert connection.local_endpoint.startswith("[::1]:")
        connection.quit()
        await connection.wait_closed()

    script = "< 220 peer.test\n> EHLO client.test\n< 250 peer.test"
    with ScriptedPeer(script, address="::1") as peer:
        asyncio.run(converse(Target("peer.test", peer.address, peer.port)))
    peer.assert_played()
    assert log.lines[0].endswith(f" [::1]:{peer.port}")


def test_a_source_address_of_the_other_family() -> None:
    with ScriptedPeer() as peer:
        target = Target("peer.test", peer.address, peer.port)
    settings = SessionSettings(
        "client.test", TlsPolicy(Starttls.NEVER, None), source_address=ip_address("::1")
    )
    with pytest.raises(SessionFailedError) as caught:
        asyncio.run(Connection.open(target, settings, NoDialogueLog()))
    assert (caught.value.reply.code, caught.value.reply.enhanced) == (451, "4.4.1")


def test_an_oauth_token_longer_than_a_command() -> None:
    token = 2000 * "t"
    said = b64encode(f"user=user\1auth=Bearer {token}\1\1".encode()).decode()
    script = f"""
        < 220 peer.test
        > EHLO client.test
        < 250-peer.test
        < 250 AUTH XOAUTH2
        > AUTH XOAUTH2
        << 334 \\r\\n
        > {said}
        < 235 welcome
    """
    log = Heard()
    settings = SessionSettings(
        "client.test",
        TlsPolicy(Starttls.NEVER, None),
        login=Login("user", token, only_encrypted=False, oauth=True),
    )

    async def converse(target: Target) -> None:
        connection = await Connection.open(target, settings, log)
        connection.quit()
        await connection.wait_closed()

    with ScriptedPeer(script) as peer:
        asyncio.run(converse(Target("peer.test", peer.address, peer.port)))
    peer.assert_played()
    assert "> ****" in log.lines
    assert said not in "".join(log.lines)


def test_nobody_listens() -> None:
    with ScriptedPeer() as peer:
        target = Target("peer.test", peer.address, peer.port)
    settings = SessionSettings("client.test", TlsPolicy(Starttls.NEVER, None))
    with pytest.raises(SessionFailedError) as caught:
        asyncio.run(Connection.open(target, settings, NoDialogueLog()))
    assert str(caught.value.reply) == f"451 4.4.1 {target}: can't connect: Connection refused"
