"""What leaves through the agent is what came to Postfix, and so is the envelope."""

import random
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab.administrator import Administrator
from tests.lab.agent_connectors import SENDER, attempts, by_dns, message, server, submit
from tests.lab.dns_server import NsdServer, zone
from tests.lab.exim import Exim, EximMessage
from tests.lab.loopback import free_address, free_port
from tests.lab.maillog import Delivery
from tests.lab.opensmtpd import OpenSmtpd
from tests.postfix.conftest import HostMaker

PORT = free_port()
HEADERS = (
    "X-MS-Exchange-Organization-SCL: -1\r\n"
    "X-MS-Exchange-Organization-AuthAs: Internal\r\n"
    "X-MS-Exchange-Organization-Other:\r\n\tfolded\r\n"
    "X-MS-Exchange-Forest-Rules: 1\r\n"
    "X-MS-Exchange-CrossPremises-BCC: 1\r\n"
    "Resent-From: carol@contoso.test\r\n"
    "X-Kept: yes\r\n"
)


class Sending:
    """A host whose agent finds a.test at Exim and o.test at OpenSMTPD."""

    def __init__(
        self, root: Path, enter: ExitStack, new_host: HostMaker, settings: Mapping[str, str]
    ) -> None:
        self.address = free_address(PORT)
        self.exim = enter.enter_context(
            Exim(root, "exim", ["a.test"], address=self.address, port=PORT, settings=settings)
        )
        self.other_address = free_address(PORT)
        zones = {
            "a.test": zone("a.test", [f"@ A {self.address}"]),
            "o.test": zone("o.test", [f"@ A {self.other_address}"]),
        }
        dns = enter.enter_context(NsdServer(root, zones))
        self.host: Administrator = new_host()
        enter.enter_context(self.host.delivery_agent())
        self._tables = server(dns.address)
        self.publish()

    def publish(self, more: str = "") -> None:
        more += '\nmax_message_size = "unlimited"'
        self.host.publish(self._tables + by_dns("A", PORT, "a.test", "o.test", more=more))

    def became(self, name: str, recipient: str) -> Delivery:
        [found] = attempts(self.host, f"{name}@contoso.test", recipient)
        return found

    def arrived(self, name: str, data: bytes, recipient: str = "bob@a.test") -> EximMessage:
        """Send it; how it arrived at Exim."""
        submit(self.host, name, recipient, data=data)
        assert self.became(name, recipient).status == "sent"
        return self.exim.wait_received()[-1]


@pytest.fixture
def sending(root: Path, enter: ExitStack, new_host: HostMaker) -> Sending:
    return Sending(root, enter, new_host, {})


def noise(size: int) -> str:
    """Lines of odd lengths, with dots where they matter."""
    rng = random.Random(size)
    lines = []
    while size > 0:
        line = rng.choice(["", ".", "..", ".x", "x" * rng.randrange(1, 900), "From here"])
        lines.append(line)
        size -= len(line) + 2
    return "".join(f"{line}\r\n" for line in lines)


@pytest.mark.parametrize("size", [0, 4_000, 5_000_000])
def test_bodies_arrive_byte_for_byte(sending: Sending, size: int) -> None:
    body = noise(size)
    arrived = sending.arrived("body", message("body@contoso.test", body))
    _, _, content = arrived.content.partition(b"\n\n")
    assert content == body.replace("\r\n", "\n").encode()


def test_headers_of_exchange_stay_inside(sending: Sending) -> None:
    data = message("inside@contoso.test", headers=HEADERS)
    content = sending.arrived("inside", data).content
    assert b"X-Kept: yes\n" in content
    assert b"X-MS-Exchange-" not in content
    assert b"folded" not in content
    assert b"Resent-From" in content


def test_headers_cross_the_premises(sending: Sending) -> None:
    sending.publish("cloud_services_mail_enabled = true")
    data = message("cross@contoso.test", headers=HEADERS)
    content = sending.arrived("cross", data).content
    assert b"X-MS-Exchange-CrossPremises-SCL: -1\n" in content
    assert b"X-MS-Exchange-CrossPremises-AuthAs: Internal\n" in content
    assert b"X-MS-Exchange-Organization-" not in content
    assert b"X-MS-Exchange-Forest-" not in content


def test_the_null_sender_stays_null(sending: Sending) -> None:
    submit(sending.host, "null", "bob@a.test", data=message("null@contoso.test"), sender="")
    assert sending.became("null", "bob@a.test").status == "sent"
    [arrived] = sending.exim.wait_received()
    assert arrived.sender == ""
    assert arrived.commands[0].startswith("MAIL FROM:<>")


def test_wishes_for_notifications_are_passed_on(sending: Sending) -> None:
    with sending.host.smtp() as session:
        session.sendmail(
            SENDER,
            ["bob@a.test"],
            message("dsn@contoso.test"),
            mail_options=["RET=HDRS", "ENVID=abc+2B1"],
            rcpt_options=["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;bobby@a.test"],
        )
    assert sending.became("dsn", "bob@a.test").status == "sent"
    [arrived] = sending.exim.wait_received()
    mail, rcpt = arrived.commands
    assert "RET=HDRS" in mail
    assert "ENVID=abc+2B1" in mail
    assert "NOTIFY=SUCCESS,DELAY" in rcpt
    assert "ORCPT=rfc822;bobby@a.test" in rcpt


def test_opensmtpd_takes_it(sending: Sending, root: Path, enter: ExitStack) -> None:
    address = sending.other_address
    other = enter.enter_context(OpenSmtpd(root, "other", ["o.test"], address=address, port=PORT))
    submit(sending.host, "other", "bob@o.test", data=message("other@contoso.test", noise(4_000)))
    assert sending.became("other", "bob@o.test").status == "sent"
    [arrived] = other.wait_received()
    assert (arrived.sender, arrived.recipient) == (SENDER, "bob@o.test")
    assert arrived.content.endswith(noise(4_000).replace("\r\n", "\n").encode())


def test_what_is_not_ascii_leaves_as_such(
    root: Path, enter: ExitStack, new_host: HostMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And with everything that was loaded while the agent was root."""
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    sending = Sending(root, enter, new_host, {})
    data = message("utf@contoso.test", "grüße\r\n", "X-Umlaut: ü\r\n")
    with sending.host.smtp() as session:
        session.sendmail(SENDER, ["zoë@a.test"], data, mail_options=["SMTPUTF8", "BODY=8BITMIME"])
    assert sending.became("utf", "zoë@a.test").status == "sent"
    [arrived] = sending.exim.wait_received()
    assert arrived.recipient == "zoë@a.test"
    assert "X-Umlaut: ü".encode() in arrived.content
    assert "SMTPUTF8" in arrived.commands[0]
    _, _, later = sending.host.agent_log.read_text().partition("listening on")
    assert "to=<zo\\xeb@a.test>" in later
    assert "import time:" not in later


@pytest.mark.parametrize(
    ("setting", "recipient", "options", "dsn"),
    [
        ({"accept_8bitmime": "false"}, "bob@a.test", ["BODY=8BITMIME"], "5.6.3"),
        ({"smtputf8_advertise_hosts": ""}, "zoë@a.test", ["SMTPUTF8", "BODY=8BITMIME"], "5.6.7"),
    ],
)
def test_a_peer_that_can_not_take_it_is_not_given_it(
    root: Path,
    enter: ExitStack,
    new_host: HostMaker,
    setting: Mapping[str, str],
    recipient: str,
    options: list[str],
    dsn: str,
) -> None:
    sending = Sending(root, enter, new_host, setting)
    with sending.host.smtp() as session:
        text = "Content-Type: text/plain; charset=utf-8\r\nMIME-Version: 1.0\r\n"
        data = message("refused@contoso.test", "grüße\r\n", text)
        session.sendmail(SENDER, [recipient], data, mail_options=options)
    found = sending.became("refused", recipient)
    assert (found.status, found.dsn) == ("bounced", dsn)
    assert not sending.exim.received()
