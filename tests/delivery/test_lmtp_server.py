"""The LMTP server on real sockets: Postfix, swaks and smtp-source as clients, and bad ones."""

import asyncio
import errno
import logging
import shutil
import smtplib
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from postconnector.delivery.envelope import Envelope
from postconnector.delivery.lmtp.limits import Limits
from postconnector.delivery.lmtp.server import LmtpServer
from postconnector.delivery.lmtp.transaction import Transaction
from postconnector.delivery.reply import Reply
from postconnector.delivery.spool import Spool
from tests.lab.loopback import free_port, wait_until
from tests.lab.postfix_instance import PostfixInstance

OK = Reply(250, "2.0.0", ("taken",))
UNKNOWN = Reply(550, "5.1.1", ("nobody of that name",))
FAULT = "451 4.3.0 the delivery agent failed; its log says why"
TIMEOUT = 30.0
OPEN = b"LHLO client.test\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\n"
SERVER_LOG = "postconnector.delivery.lmtp"


@dataclass
class Taken:
    """One message as the agent got it."""

    envelope: Envelope
    message: bytes
    queue_id: str | None
    client_address: str | None


@dataclass
class Agent:
    """Takes messages and answers as it is told; `gate` holds deliveries up while it is there."""

    answer: Callable[[Transaction], Sequence[Reply]]
    gate: asyncio.Event | None = None
    taken: list[Taken] = field(default_factory=list)
    begun: int = 0

    async def deliver(self, transaction: Transaction) -> Sequence[Reply]:
        self.begun += 1
        if self.gate is not None:
            await self.gate.wait()
        message = b"".join(transaction.content.chunks())
        assert len(message) == transaction.content.size
        self.taken.append(
            Taken(transaction.envelope, message, transaction.queue_id, transaction.client_address)
        )
        return self.answer(transaction)


class RunningServer:
    """The server in a thread with a loop of its own, on a UNIX and a TCP socket."""

    def __init__(self, folder: Path, agent: Agent, limits: Limits, spool: Path) -> None:
        self.agent = agent
        self.path = folder / "lmtp"
        self._unix = socket.socket(socket.AF_UNIX)
        self._unix.bind(str(self.path))
        self.path.chmod(0o666)
        self._unix.listen(100)
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._tcp.getsockname()[1]
        self._server = LmtpServer(agent.deliver, limits, Spool(spool))
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self, grace: float = 0) -> None:
        """Return when the server has stopped."""
        if self._thread.is_alive():
            self.stop_soon(grace)
            self._thread.join(TIMEOUT)
            assert not self._thread.is_alive()

    def stop_soon(self, grace: float) -> None:
        asyncio.run_coroutine_threadsafe(self._server.stop(grace), self.loop)

    def open_gate(self) -> None:
        assert self.agent.gate is not None
        self.loop.call_soon_threadsafe(self.agent.gate.set)

    def wait_for_delivery(self, count: int = 1) -> None:
        wait_until(lambda: self.agent.begun >= count or None, "a delivery to begin")

    def wait_taken(self, count: int = 1) -> list[Taken]:
        return wait_until(
            lambda: self.agent.taken if len(self.agent.taken) >= count else None,
            f"{count} messages",
        )

    def _run(self) -> None:
        async def serve() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._server.serve(self._unix))
                group.create_task(self._server.serve(self._tcp))
            # stop() ends, too, before the loop does.
            others = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.gather(*others, return_exceptions=True)

        self.loop.run_until_complete(serve())
        self.loop.close()


class Client:
    """A client that says what it likes."""

    def __init__(self, server: RunningServer) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(TIMEOUT)
        self.socket.connect(str(server.path))
        self._file = self.socket.makefile("rb")

    def say(self, data: bytes) -> None:
        self.socket.sendall(data)

    def hear(self) -> str:
        """One reply, its lines as one; empty where the server has closed."""
        lines = []
        while line := self._file.readline().decode("ascii").rstrip("\r\n"):
            lines.append(line)
            if line[3:4] != "-":
                break
        return " ".join(lines)

    def hear_codes(self, count: int) -> list[str]:
        return [self.hear()[:3] for _ in range(count)]

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def all_ok(transaction: Transaction) -> Sequence[Reply]:
    return [OK] * len(transaction.envelope.recipients)


def by_name(transaction: Transaction) -> Sequence[Reply]:
    """Nobody whose address begins with "no" is known."""
    return [
        UNKNOWN if recipient.address.startswith("no") else OK
        for recipient in transaction.envelope.recipients
    ]


def refuses_clients(server: RunningServer) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(server.path)) == errno.ECONNREFUSED


ServerMaker = Callable[..., RunningServer]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that Postfix' user may enter (pytest's own it may not)."""
    with tempfile.TemporaryDirectory(prefix="pct-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def new_server(folder: Path) -> Iterator[ServerMaker]:
    with ExitStack() as stack:

        def make(
            answer: Callable[[Transaction], Sequence[Reply]] = all_ok,
            limits: Limits | None = None,
            spool: Path | None = None,
            *,
            held: bool = False,
        ) -> RunningServer:
            agent = Agent(answer, asyncio.Event() if held else None)
            server = RunningServer(folder, agent, limits or Limits(), spool or folder)
            stack.callback(server.stop)
            return server

        yield make


@contextmanager
def tiny_disk(folder: Path) -> Iterator[Path]:
    """One megabyte."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def message(size: int = 0) -> bytes:
    line = b"..a line that begins with a dot, stuffed\r\n"
    return b"Subject: test\r\n\r\n" + line * (size // len(line) + 1) + b".\r\n"


# Real clients


@pytest.mark.skipif(shutil.which("swaks") is None, reason="needs swaks")
def test_swaks_hears_one_reply_for_each_recipient(new_server: ServerMaker) -> None:
    server = new_server(by_name)
    result = subprocess.run(
        [
            *("swaks", "--protocol", "LMTP", "--socket", str(server.path), "--pipeline"),
            *("--from", "a@x.test", "--to", "bob@y.test,nobody@y.test,eve@y.test"),
            *("--body", "first\n.\n..second"),
        ],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    spoken = result.stdout.splitlines()
    end = spoken.index(" -> .")
    assert [line[4:] for line in spoken[end + 1 : end + 4]] == [
        "250 2.0.0 taken",
        "550 5.1.1 nobody of that name",
        "250 2.0.0 taken",
    ]
    (taken,) = server.agent.taken
    assert [r.address for r in taken.envelope.recipients] == [
        "bob@y.test",
        "nobody@y.test",
        "eve@y.test",
    ]
    assert b"\r\nfirst\r\n.\r\n..second\r\n" in taken.message


@pytest.mark.parametrize("size", [100, 300_000])
def test_smtp_source_sends_many_at_once(new_server: ServerMaker, size: int) -> None:
    server = new_server()
    subprocess.run(
        [
            *("smtp-source", "-L", "-s", "10", "-m", "100", "-r", "3", "-l", str(size)),
            *("-f", "a@x.test", "-t", "b@y.test", f"unix:{server.path}"),
        ],
        timeout=60,
        check=True,
    )
    assert len(server.agent.taken) == 100
    assert {len(taken.envelope.recipients) for taken in server.agent.taken} == {3}
    assert all(len(taken.message) >= size for taken in server.agent.taken)


@pytest.fixture
def new_postfix(folder: Path) -> Iterator[Callable[..., PostfixInstance]]:
    """A host that gives all its mail to an agent."""
    with ExitStack() as stack:

        def make(destination: str, **main_cf: str) -> PostfixInstance:
            settings = {
                "default_transport": f"lmtp:{destination}",
                "lmtp_send_xforward_command": "yes",
                "message_size_limit": "0",
                **main_cf,
            }
            return stack.enter_context(
                PostfixInstance(
                    folder, "host", main_cf=settings, smtp_port=free_port(), chroot=False
                )
            )

        yield make


PostfixMaker = Callable[..., PostfixInstance]


def test_postfix_tells_all_that_it_knows(
    new_server: ServerMaker, new_postfix: PostfixMaker
) -> None:
    server = new_server()
    host = new_postfix(f"unix:{server.path}")
    with smtplib.SMTP("127.0.0.1", host.smtp_port or 0, timeout=TIMEOUT) as client:
        client.ehlo("sender.test")
        client.mail(
            "grün@x.test", ["SMTPUTF8", "BODY=8BITMIME", "RET=HDRS", "ENVID=Q+2B1", "SIZE=100"]
        )
        client.rcpt("bücher@y.test", ["NOTIFY=FAILURE,DELAY", "ORCPT=utf-8;é@z.test"])
        client.rcpt("bob@y.test", ["NOTIFY=NEVER"])
        client.data("Subject: grün\r\nMessage-ID: <1@x.test>\r\n\r\nschön\r\n.\r\n".encode())
    (taken,) = server.wait_taken()
    envelope = taken.envelope
    assert (envelope.sender, envelope.smtputf8, envelope.body) == ("grün@x.test", True, "8BITMIME")
    assert (envelope.ret, envelope.envid) == ("HDRS", "Q+2B1")
    recipients = {recipient.address: recipient for recipient in envelope.recipients}
    assert recipients["bücher@y.test"].orcpt == r"utf-8;\x{E9}@z.test"
    assert set((recipients["bücher@y.test"].notify or "").split(",")) == {"FAILURE", "DELAY"}
    assert recipients["bob@y.test"].notify == "NEVER"
    assert "Subject: grün\r\n".encode() in taken.message
    assert taken.message.endswith("\r\n\r\nschön\r\n.\r\n".encode())
    delivery = host.log.wait_for_delivery("bob@y.test")
    assert (delivery.status, delivery.dsn) == ("sent", "2.0.0")
    assert taken.queue_id == delivery.queue_id
    assert taken.client_address == "127.0.0.1"


def test_postfix_hears_each_recipients_reply(
    new_server: ServerMaker, new_postfix: PostfixMaker
) -> None:
    server = new_server(by_name)
    host = new_postfix(f"inet:127.0.0.1:{server.port}")
    host.sendmail("a@x.test", ["bob@y.test", "nobody@y.test"], b"Subject: test\n\nx\n")
    assert host.log.wait_for_delivery("bob@y.test").status == "sent"
    refused = host.log.wait_for_delivery("nobody@y.test")
    assert (refused.status, refused.dsn) == ("bounced", "5.1.1")
    assert "nobody of that name" in refused.text
    # The report to the sender comes the same way.
    _, report = server.wait_taken(2)
    assert (report.envelope.sender, report.envelope.recipients[0].address) == ("", "a@x.test")


def test_a_large_message_from_postfix(new_server: ServerMaker, new_postfix: PostfixMaker) -> None:
    server = new_server()
    host = new_postfix(f"unix:{server.path}")
    body = b"".join(b".%d and a few more words to fill the line\n" % n for n in range(100_000))
    host.sendmail("a@x.test", ["bob@y.test"], b"Subject: test\n\n" + body)
    (taken,) = server.wait_taken()
    assert taken.message.partition(b"\r\n\r\n")[2] == body.replace(b"\n", b"\r\n")


def test_postfix_breaks_lines_and_strays_before_us(
    new_server: ServerMaker, new_postfix: PostfixMaker, caplog: pytest.LogCaptureFixture
) -> None:
    """So what we do about bare CR is a second lock; NUL passes Postfix, and ends here."""
    server = new_server()
    host = new_postfix(f"unix:{server.path}")
    with socket.create_connection(("127.0.0.1", host.smtp_port or 0), TIMEOUT) as client:
        client.sendall(b"EHLO x.test\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\n")
        client.sendall(b"Subject: a\rb\r\n\r\n" + b"x" * 3000 + b"\r\nc\rd\x00e\r\n.\r\nQUIT\r\n")
        while client.recv(4096):
            pass
    (taken,) = server.wait_taken()
    assert b"\r\nSubject: a b\r\n" in taken.message
    assert taken.message.endswith(b"\r\nc d e\r\n")
    assert "1 bare CR, bare LF or NUL became blanks" in caplog.text
    assert max(len(line) for line in taken.message.split(b"\r\n")) <= 998


def test_a_full_disk_defers_in_postfix_and_small_messages_still_pass(
    folder: Path, new_server: ServerMaker, new_postfix: PostfixMaker
) -> None:
    with tiny_disk(folder / "tiny") as spool:
        server = new_server(spool=spool)
        host = new_postfix(f"unix:{server.path}")
        large = b"Subject: test\n\n" + b"x" * 70 * 1024 + (b"y" * 70 + b"\n") * 40_000
        host.sendmail("a@x.test", ["large@y.test", "too@y.test"], large)
        host.sendmail("a@x.test", ["small@y.test"], b"Subject: test\n\nx\n")
        for recipient in ("large@y.test", "too@y.test"):
            delivery = host.log.wait_for_delivery(recipient)
            assert (delivery.status, delivery.dsn) == ("deferred", "4.3.1")
        assert host.log.wait_for_delivery("small@y.test").status == "sent"
        server.stop()


# Clients that say and do what Postfix does not


def test_a_full_disk_is_said_for_each_recipient_and_the_session_goes_on(
    folder: Path, new_server: ServerMaker
) -> None:
    with tiny_disk(folder / "tiny") as spool:
        server = new_server(spool=spool)
        with Client(server) as client:
            data = OPEN.replace(b"DATA", b"RCPT TO:<c@y.test>\r\nDATA")
            client.say(data + message(3_000_000))
            assert client.hear_codes(6) == ["220", "250", "250", "250", "250", "354"]
            answer = "452 4.3.1 the delivery agent can't store the message now"
            assert [client.hear(), client.hear()] == [answer, answer]
            client.say(OPEN + message(500_000) + b"QUIT\r\n")
            assert client.hear_codes(6) == ["250", "250", "250", "354", "250", "221"]
            assert client.hear() == ""
        assert len(server.agent.taken) == 1
        server.stop()


def test_a_client_far_ahead_gets_its_replies_in_order(new_server: ServerMaker) -> None:
    server = new_server(by_name)
    script = b"LHLO c.test\r\n"
    for number in range(20):
        name = b"no" if number % 3 else b"bob"
        script += b"MAIL FROM:<%d@x.test>\r\nRCPT TO:<%s@y.test>\r\n" % (number, name)
        script += b"RCPT TO:<c@y.test>\r\nDATA\r\n" + message(number * 10_000)
    with Client(server) as client:
        sender = threading.Thread(target=client.say, args=(script + b"QUIT\r\n",))
        sender.start()
        assert client.hear_codes(2) == ["220", "250"]
        for number in range(20):
            first = "550" if number % 3 else "250"
            assert client.hear_codes(6) == ["250", "250", "250", "354", first, "250"]
        assert client.hear_codes(2) == ["221", ""]
        sender.join()
    assert [t.envelope.sender for t in server.agent.taken] == [f"{n}@x.test" for n in range(20)]


def test_a_client_that_says_all_and_closes_its_side_is_answered(new_server: ServerMaker) -> None:
    server = new_server()
    with Client(server) as client:
        client.say(OPEN + message())
        client.socket.shutdown(socket.SHUT_WR)
        assert client.hear_codes(7) == ["220", "250", "250", "250", "354", "250", ""]


def test_a_client_that_leaves_in_the_middle_of_a_message(
    new_server: ServerMaker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, SERVER_LOG)
    server = new_server()
    with Client(server) as client:
        client.say(OPEN + message(200_000)[:-3])
        assert client.hear_codes(5)[-1] == "354"
    said = "the client left in the middle of a message"
    wait_until(lambda: said in caplog.text or None, "the server to notice")
    assert server.agent.begun == 0


def test_a_client_that_leaves_during_delivery_does_not_stop_it(
    new_server: ServerMaker, caplog: pytest.LogCaptureFixture
) -> None:
    server = new_server(held=True)
    with Client(server) as client:
        client.say(OPEN + message(200_000))
        server.wait_for_delivery()
    server.open_gate()
    (taken,) = server.wait_taken()
    assert len(taken.message) > 190_000
    said = "the client left before it heard 250 2.0.0; the client may send it again"
    wait_until(lambda: said in caplog.text or None, "the warning")


def raises(_: Transaction) -> Sequence[Reply]:
    raise RuntimeError("xyzzy")


def is_cancelled(_: Transaction) -> Sequence[Reply]:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    "answer",
    [
        raises,
        is_cancelled,
        lambda _: [OK],
        lambda _: [OK] * 3,
        lambda _: [OK, Reply(354, None, ("go on",))],
        lambda _: None,
    ],
)
def test_our_own_fault_is_a_temporary_one_and_logged_once(
    new_server: ServerMaker,
    caplog: pytest.LogCaptureFixture,
    answer: Callable[[Transaction], Sequence[Reply]],
) -> None:
    server = new_server(answer)
    with Client(server) as client:
        client.say(OPEN.replace(b"DATA", b"RCPT TO:<c@y.test>\r\nDATA") + message())
        client.hear_codes(6)
        assert [client.hear(), client.hear()] == [FAULT, FAULT]
        client.say(b"QUIT\r\n")
        assert client.hear_codes(2) == ["221", ""]
    assert caplog.text.count("Traceback") == 1


def test_a_next_hops_421_does_not_say_that_we_close(new_server: ServerMaker) -> None:
    server = new_server(lambda _: [Reply(421, "4.7.0", ("host y.test said: go away",))])
    with Client(server) as client:
        client.say(OPEN + message() + b"NOOP\r\n")
        client.hear_codes(5)
        assert client.hear() == "451 4.7.0 host y.test said: go away"
        assert client.hear_codes(1) == ["250"]


def test_an_idle_client_hears_421(new_server: ServerMaker) -> None:
    server = new_server(limits=Limits(idle=0.05))
    with Client(server) as client:
        assert client.hear_codes(1) == ["220"]
        assert client.hear() == "421 4.4.2 idle for too long, closing the connection"
        assert client.hear() == ""


def test_one_connection_too_many(new_server: ServerMaker) -> None:
    server = new_server(limits=Limits(connections=2))
    with Client(server) as first, Client(server) as second:
        assert [first.hear()[:3], second.hear()[:3]] == ["220", "220"]
        with Client(server) as third:
            assert third.hear() == "421 4.3.2 too many connections, try again later"
            assert third.hear() == ""
        first.say(b"QUIT\r\n")
        assert first.hear_codes(2) == ["221", ""]
        with Client(server) as fourth:
            assert fourth.hear()[:3] == "220"


def test_a_client_that_reads_nothing_holds_up_nobody_else(new_server: ServerMaker) -> None:
    server = new_server(limits=Limits(idle=0.5))
    with Client(server) as deaf, Client(server) as other:
        deaf.socket.setblocking(False)
        sent = 0
        try:
            while sent < 50_000_000:
                sent += deaf.socket.send(b"NOOP\r\n" * 10_000)
        except BlockingIOError:
            pass
        other.say(OPEN + message())
        assert other.hear_codes(6)[-1] == "250"
    assert sent < 50_000_000


def test_stopping_lets_deliveries_end_and_says_421_to_the_others(new_server: ServerMaker) -> None:
    server = new_server(held=True)
    with Client(server) as busy, Client(server) as idle, Client(server) as receiving:
        busy.say(OPEN + message() + OPEN + message())
        receiving.say(OPEN + b"a\r\n")
        assert receiving.hear_codes(5)[-1] == "354"
        assert idle.hear_codes(1) == ["220"]
        server.wait_for_delivery()
        server.stop_soon(grace=TIMEOUT)
        shut_down = "421 4.3.2 the delivery agent shuts down"
        assert [idle.hear(), idle.hear()] == [shut_down, ""]
        assert [receiving.hear(), receiving.hear()] == [shut_down, ""]
        wait_until(lambda: refuses_clients(server) or None, "nobody to be accepted any more")
        server.open_gate()
        assert busy.hear_codes(6) == ["220", "250", "250", "250", "354", "250"]
        assert [busy.hear(), busy.hear()] == [shut_down, ""]
    assert len(server.agent.taken) == 1


def test_stopping_does_not_wait_longer_than_its_grace(
    new_server: ServerMaker, caplog: pytest.LogCaptureFixture
) -> None:
    server = new_server(held=True)
    with Client(server) as busy:
        busy.say(OPEN + message())
        server.wait_for_delivery()
        server.stop(grace=0.01)
        assert busy.hear_codes(7) == ["220", "250", "250", "250", "354", "421", ""]
    assert server.agent.taken == []
    assert "stopped while it was delivered; the client may send it again" in caplog.text
