"""Connections that are used again: for several messages, by a pool, until they are gone."""

import asyncio
import ssl
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import trustme

from postconnector.delivery.content import Content
from postconnector.delivery.dialogue_log import NoDialogueLog
from postconnector.delivery.envelope import Envelope, EnvelopeRecipient
from postconnector.delivery.hosts.target import Target
from postconnector.delivery.reply import Reply
from postconnector.delivery.smtp.connection import Connection, StaleConnectionError
from postconnector.delivery.smtp.pool import ConnectionPool
from postconnector.delivery.smtp.settings import SessionSettings, Timeouts
from postconnector.delivery.smtp.transaction import RecipientReply
from postconnector.delivery.tls.policy import Starttls, TlsPolicy
from tests.lab.client import Message, client_context
from tests.lab.scripted_peer import ScriptedPeer

_HELLO = """
    < 220 peer.test ESMTP
    > EHLO client.test
    < 250-peer.test
    < 250 PIPELINING
"""
_COMMANDS = """
    > MAIL FROM:<alice@contoso.test>
    > RCPT TO:<bob@fabrikam.test>
    > DATA
"""
_TAKEN = f"""{_COMMANDS}
    < 250 ok
    < 250 ok
    < 354 go on
    message
    < 250 2.0.0 taken
"""
_REFUSED = f"""{_COMMANDS}
    < 250 ok
    < 550 5.1.1 unknown
    < 503 no recipients
"""
_ENVELOPE = Envelope("alice@contoso.test", (EnvelopeRecipient("bob@fabrikam.test"),))
_MESSAGE = Message(b"Subject: again\r\n\r\n.\r\n")
_POSITIVE = RecipientReply(Reply(250, "2.0.0", ("taken",)), "end of DATA command")
_PATIENCE = 20.0


def settings(messages: int = 20, idle: float = 600.0) -> SessionSettings:
    tls = TlsPolicy(Starttls.NEVER, None)
    timeouts = Timeouts(*[_PATIENCE] * 10)
    return SessionSettings("client.test", tls, messages=messages, idle=idle, timeouts=timeouts)


def run(peer: ScriptedPeer, coroutine: Coroutine[Any, Any, None]) -> None:
    """Run against the peer, which must have played its scripts to their ends."""
    try:
        asyncio.run(coroutine)
    finally:
        peer.stop()
    peer.assert_played()


@dataclass
class Dialer:
    """A peer, and connections to it."""

    peer: ScriptedPeer

    @property
    def target(self) -> Target:
        return Target("peer.test", self.peer.address, self.peer.port)

    async def open(self, how: SessionSettings | None = None) -> Connection:
        return await Connection.open(self.target, how or settings(), NoDialogueLog())

    async def used(self, how: SessionSettings | None = None) -> Connection:
        """One that has delivered a message."""
        connection = await self.open(how)
        assert await replies(connection) == (_POSITIVE,)
        return connection


def started(*scripts: str, context: ssl.SSLContext | None = None) -> Dialer:
    peer = ScriptedPeer(*scripts, context=context)
    peer.start()
    return Dialer(peer)


async def replies(
    connection: Connection, content: Content = _MESSAGE
) -> tuple[RecipientReply, ...]:
    return (await connection.deliver(_ENVELOPE, content)).replies


async def left(connection: Connection) -> None:
    """Wait until it is noticed that the peer has gone, or has said something."""
    async with asyncio.timeout(_PATIENCE):
        while connection.is_reusable:
            await asyncio.sleep(0.001)


def test_rset_comes_only_where_something_was_left_open() -> None:
    dialer = started(_HELLO + _TAKEN + _REFUSED + "> RSET\n< 250 ok\n" + _TAKEN + _TAKEN)

    async def deliver() -> None:
        connection = await dialer.open()
        answers = [(await replies(connection))[0].reply.code for _ in range(4)]
        assert answers == [250, 550, 250, 250]
        connection.quit()

    run(dialer.peer, deliver())
    assert dialer.peer.played[0].rest == ["QUIT"]


@pytest.mark.parametrize(
    "end",
    [
        f"{_COMMANDS} close",
        f"{_COMMANDS} reset",
        f"{_COMMANDS} < 421 4.4.2 idle for too long\n close",
        f"{_COMMANDS} << 250\n close",
    ],
)
def test_stale_before_mail_is_answered(end: str) -> None:
    dialer = started(_HELLO + _TAKEN + end)

    async def deliver() -> None:
        connection = await dialer.used()
        with pytest.raises(StaleConnectionError):
            await replies(connection)
        assert not connection.is_reusable

    run(dialer.peer, deliver())


@pytest.mark.parametrize("answer", ["< 502 what", "< 421 closing", "close", "< 354 go on"])
def test_stale_where_rset_does_not_work(answer: str) -> None:
    dialer = started(_HELLO + _TAKEN + _REFUSED + "> RSET\n" + answer)

    async def deliver() -> None:
        connection = await dialer.used()
        await replies(connection)
        with pytest.raises(StaleConnectionError):
            await replies(connection)

    run(dialer.peer, deliver())


def test_lost_after_mail_was_answered_is_a_failure() -> None:
    dialer = started(_HELLO + _TAKEN + _COMMANDS + "< 250 ok\n close")

    async def deliver() -> None:
        connection = await dialer.used()
        (answer,) = await replies(connection)
        assert (answer.reply.code, answer.reply.enhanced) == (451, "4.4.2")
        assert not answer.uncertain

    run(dialer.peer, deliver())


@pytest.mark.parametrize(
    "end", ["< 421 4.4.2 idle for too long\n close", "< 250 by the way", "close"]
)
def test_pool_gives_nothing_that_is_gone_or_has_spoken(end: str) -> None:
    dialer = started(_HELLO + _TAKEN + end)

    async def deliver() -> None:
        pool = ConnectionPool()
        connection = await dialer.used()
        pool.give_back("key", connection)
        await left(connection)
        assert pool.take("key", dialer.target) is None
        assert len(pool) == 0

    run(dialer.peer, deliver())
    assert dialer.peer.played[0].rest == []


@pytest.mark.parametrize("end", ["goodbye", "close", "reset", "< 421 4.4.2 idle\n goodbye"])
def test_pool_gives_nothing_that_is_gone_in_tls(end: str) -> None:
    authority, server = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("peer.test").configure_cert(server)
    script = f"""
        < 220 peer.test
        > EHLO client.test
        < 250-peer.test
        < 250 STARTTLS
        > STARTTLS
        < 220 go
        tls
        > EHLO client.test
        < 250-peer.test
        < 250 PIPELINING
        {_TAKEN}
        {end}
    """
    dialer = started(script, context=server)
    with_tls = replace(settings(), tls=TlsPolicy(Starttls.REQUIRED, client_context()))

    async def deliver() -> None:
        pool = ConnectionPool()
        connection = await dialer.used(with_tls)
        pool.give_back("key", connection)
        await left(connection)
        assert pool.take("key", dialer.target) is None
        await connection.wait_closed()

    run(dialer.peer, deliver())


def test_pool_keeps_nobody_who_floods() -> None:
    dialer = started(_HELLO + _TAKEN + f"20000 < 250 {100 * 'x'}")

    async def deliver() -> None:
        pool = ConnectionPool()
        connection = await dialer.used()
        pool.give_back("key", connection)
        await left(connection)
        assert pool.take("key", dialer.target) is None

    run(dialer.peer, deliver())


def test_pool_gives_by_key_and_target_the_last_first() -> None:
    dialer = started(*[_HELLO + _TAKEN] * 3)

    async def deliver() -> None:
        pool = ConnectionPool()
        first, second, other = [await dialer.used() for _ in range(3)]
        pool.give_back("key", first)
        pool.give_back("key", second)
        pool.give_back("other", other)
        assert pool.take("key", Target("peer.test", "127.0.0.2", 25)) is None
        assert pool.take("key", dialer.target) is second
        assert pool.take("other", dialer.target) is other
        assert pool.take("other", dialer.target) is None
        pool.give_back("key", second)
        second.quit()
        other.quit()
        assert pool.take("key", dialer.target) is first
        assert pool.take("key", dialer.target) is None
        first.quit()

    run(dialer.peer, deliver())


def test_pool_says_goodbye_after_so_many_messages() -> None:
    dialer = started(_HELLO + _TAKEN + _TAKEN)

    async def deliver() -> None:
        pool = ConnectionPool()
        pool.give_back("key", await dialer.used(settings(messages=2)))
        connection = pool.take("key", dialer.target)
        assert connection is not None
        assert await replies(connection) == (_POSITIVE,)
        pool.give_back("key", connection)
        assert len(pool) == 0

    run(dialer.peer, deliver())
    assert dialer.peer.played[0].rest == ["QUIT"]


def test_pool_says_goodbye_to_idle_ones_and_to_too_many() -> None:
    dialer = started(*[_HELLO + _TAKEN] * 3)

    async def deliver() -> None:
        pool = ConnectionPool(most=1)
        pool.give_back("key", await dialer.used())
        pool.give_back("key", await dialer.used())
        assert len(pool) == 1
        pool.give_back("key", await dialer.used(settings(idle=0.05)))
        async with asyncio.timeout(_PATIENCE):
            while len(pool):
                await asyncio.sleep(0.001)

    run(dialer.peer, deliver())
    assert [played.rest for played in dialer.peer.played] == [["QUIT"]] * 3


def test_pool_is_closed_in_the_end() -> None:
    dialer = started(_HELLO + _TAKEN)

    async def deliver() -> None:
        pool = ConnectionPool()
        pool.give_back("key", await dialer.used())
        pool.close()
        assert len(pool) == 0

    run(dialer.peer, deliver())
    assert dialer.peer.played[0].rest == ["QUIT"]


class UnreadableMessage(Message):
    """Its file breaks after the first piece."""

    def chunks(self) -> Iterator[bytes]:
        yield self.data
        raise OSError("no such disk")


def test_a_message_that_cannot_be_read_is_not_ended() -> None:
    script = f"{_HELLO}{_COMMANDS}\n< 250 ok\n< 250 ok\n< 354 go on"
    dialer = started(script)

    async def deliver() -> None:
        connection = await dialer.open()
        with pytest.raises(OSError, match="no such disk"):
            await replies(connection, UnreadableMessage(_MESSAGE.data))
        assert not connection.is_reusable

    run(dialer.peer, deliver())
    assert "." not in dialer.peer.played[0].rest


def test_given_up_is_closed_in_the_middle() -> None:
    dialer = started(_HELLO + _COMMANDS + "< 250 ok\n stall")

    async def deliver() -> None:
        connection = await dialer.open()
        delivering = asyncio.create_task(replies(connection))
        await asyncio.sleep(0)
        delivering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await delivering
        assert not connection.is_reusable

    run(dialer.peer, deliver())
