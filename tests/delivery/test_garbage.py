"""The delivery agent under garbage, from its clients and from next hops.

It stays, answers each recipient once, delivers whatever comes well, and holds on to nothing.
"""

import re
import smtplib
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fuzz import lmtp_session, smtp_replies
from tests.lab.administrator import Administrator
from tests.lab.agent_connectors import by_dns, deliver, message, server
from tests.lab.dns_server import NsdServer, zone
from tests.lab.garbage import garbage, leave, memory, open_files, said_to
from tests.lab.garbage_peer import GarbagePeer
from tests.lab.loopback import free_address, free_port, wait_until
from tests.lab.peers import Peer, plain_receiver
from tests.postfix.conftest import HostMaker

PORT, GARBAGE_PORT = free_port(), free_port()
SESSIONS = 800
PEERS = 200
MOST_GROWTH = 4 * 1024**2
"""Bytes: less than all that is said in these sessions."""

HEAD = b"LHLO client.test\r\nXFORWARD IDENT=4Q7 NAME=mx.test\r\n"
TAKEN = (
    b"MAIL FROM:<alice@contoso.test> BODY=8BITMIME\r\nRCPT TO:<bob@a.test> NOTIFY=FAILURE\r\n"
    b"DATA\r\nSubject: hello\r\n\r\n..\r\nhello\r\n.\r\n"
)
REFUSED = b"MAIL FROM:<>\r\nRCPT TO:<bob@none.test>\r\nRCPT TO:<eve@none.test>\r\nDATA\r\n\r\n.\r\n"
SESSION = [HEAD + TAKEN + b"QUIT\r\n", HEAD + REFUSED, TAKEN, REFUSED, b"RSET\r\nNOOP\r\nQUIT\r\n"]


class Agent:
    """An agent that finds a.test at a Postfix, and each hN.g.test at an address with garbage."""

    def __init__(self, root: Path, enter: ExitStack, new_host: HostMaker) -> None:
        self.peer: Peer = enter.enter_context(
            plain_receiver(root, "peer", ["a.test"], address=free_address(PORT), port=PORT)
        )
        zones = {
            "test": zone("test", ()),  # knows that none.test is not there
            "a.test": zone("a.test", [f"@ A {self.peer.address}"]),
            "g.test": zone("g.test", [f"h{n} A {garbage_address(n)}" for n in range(PEERS + 20)]),
        }
        dns = enter.enter_context(NsdServer(root, zones))
        self.host: Administrator = new_host()
        self.child = enter.enter_context(self.host.delivery_agent())
        self.path = self.host.host.queue_directory / "postconnector" / "deliver"
        self.host.publish(
            server(dns.address, host='unmatched = "unreachable"')
            + by_dns("A", PORT, "a.test")
            + by_dns("G", GARBAGE_PORT, "*.g.test")
        )

    def log(self) -> str:
        return self.host.agent_log.read_text()

    def delivers(self, number: int) -> None:
        """A good client's message."""
        [found] = deliver(self.host, f"{number}.good@contoso.test", f"bob{number}@a.test")
        assert found.status == "sent"

    def is_well(self, files: int, bytes_before: int) -> None:
        pid = self.child.pid
        assert self.child.poll() is None
        wait_until(lambda: open_files(pid) <= files or None, "all connections to be closed")
        assert memory(pid) - bytes_before < MOST_GROWTH
        assert all(line.isprintable() for line in self.log().split("\n"))
        assert "our own fault" not in self.log()
        assert "Traceback" not in self.log()


@pytest.fixture
def agent(root: Path, enter: ExitStack, new_host: HostMaker) -> Agent:
    return Agent(root, enter, new_host)


def garbage_address(number: int) -> str:
    return f"127.77.{number // 250}.{number % 250 + 1}"


def is_of_replies(heard: bytes) -> bool:
    """Whole and clean, none said to be more than it is."""
    lines = heard.decode("ascii").split("\r\n")
    return lines.pop() == "" and all(
        line.isprintable() and line[:3] in {"220", "221", "250", "252", "354", "421"} | ERRORS
        for line in lines
    )


ERRORS = {str(code) for code in range(400, 600)}


def test_clients(agent: Agent) -> None:
    pid = agent.child.pid
    good = [*SESSION, *lmtp_session.WORDS]
    for data in garbage(1, 60, good):  # all that is loaded and remembered at first is there now
        said_to(agent.path, HEAD + data)
    agent.delivers(1)
    files, bytes_before = open_files(pid), memory(pid)
    for number, data in enumerate(garbage(2, SESSIONS, good)):
        if number % 4:
            heard = said_to(agent.path, HEAD + data if number % 2 else data)
            assert is_of_replies(heard), (data, heard)
        else:
            leave(agent.path, data)
    agent.delivers(2)
    agent.is_well(files, bytes_before)


def test_next_hops(agent: Agent, enter: ExitStack) -> None:
    pid = agent.child.pid
    peers = enter.enter_context(GarbagePeer(1, GARBAGE_PORT, smtp_replies.WORDS))
    for number in range(PEERS, PEERS + 20):
        one_reply(agent, number)
    agent.delivers(1)
    files, bytes_before = open_files(pid), memory(pid)
    for number in range(PEERS):
        address = garbage_address(number)
        code, text = one_reply(agent, number)
        said = peers.said.get(address, b"")
        assert code // 100 in (2, 4, 5), text
        if code // 100 == 2:
            assert peers.took(address), (address, text, said)
        if code // 100 == 5:
            assert re.search(rb"(?:^|\n)5[0-9]{2}", said), (address, text, said)
    assert len(peers.said) == PEERS + 20
    agent.delivers(2)
    agent.is_well(files, bytes_before)


def one_reply(agent: Agent, number: int) -> tuple[int, str]:
    """What is answered to a message for a user at the peer of this number."""
    with smtplib.LMTP(str(agent.path)) as client:
        client.ehlo("client.test")
        client.mail("alice@contoso.test")
        assert client.rcpt(f"bob@h{number}.g.test")[0] == 250
        code, text = client.data(message(f"{number}.garbage@contoso.test"))
        return code, text.decode("ascii")
