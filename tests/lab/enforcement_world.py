"""A host whose connectors have limits of all kinds, and everybody who gets mail from it.

| Connector | Takes | Up to | Carried out by |
|---|---|---|---|
| Mini | mini.test | 10 KB | Postfix |
| Small | small.test | 50 KB | Postfix |
| Tight | tight.test | 50 KB, nobody takes over | Postfix |
| Tiny | tiny.test | 50 KB | Postfix |
| Agent | agent.test | 50 KB | the agent |
| Large | large.test, and what is too big for Small and Agent | 200 KB | Postfix |
| Big | big.test, and what is too big for Tiny | 200 KB | the agent |
| Free | free.test | no limit | Postfix |
| Old | old.test | no limit | Postfix |

tight.test, old.test, relayed.test (a relay domain) and other.test (the host's own route) are at a
receiver without DSN, contoso.test on the host itself, what else a connector takes at `partner`.
"""

import re
import smtplib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.lab.administrator import Administrator
from tests.lab.certificates import CertificateAuthority
from tests.lab.exim import Exim, EximMessage
from tests.lab.loopback import free_address, free_port, wait_until
from tests.lab.maillog import Delivery
from tests.lab.peers import Peer
from tests.lab.postfix_instance import PostfixInstance

KB = 1024
LIMITS = {"Mini": 10, "Small": 50, "Tight": 50, "Tiny": 50, "Agent": 50, "Large": 200, "Big": 200}
"""In KB."""

LARGEST = {"small": "Large", "agent": "Large", "tiny": "Big", "tight": "Tight", "mini": "Mini"}
"""Which connector is named when nobody takes a message to that domain."""

PREPENDED_FOR = "spf@contoso.test"
"""The sender above whose messages a header is put, above even Postfix' Received."""

INSIDE, OUTSIDE = "inside@contoso.test", "outside@contoso.example"
"""An address, and what it is to partners (smtp_generic_maps)."""

_ALIASES = (
    "all@alias.test = a@free.test b@tight.test c@contoso.test",
    "moved@small.test = a@free.test",
    "self@contoso.test = self@contoso.test b@tight.test",
)
_TRACE = re.compile(
    rb"\A(?:(?:Return-Path|X-Original-To|Delivered-To|Received(?:-SPF)?):"
    rb"[^\n]*\n(?:[ \t][^\n]*\n)*)+"
)
_NOTIFICATION = re.compile(
    r"(?P<id>\w+): \w+ (?:non-delivery|delivery \w+) notification: (?P<new>\w+)"
)
_REMOVED = re.compile(r"(?P<id>\w+): (?:removed$|milter-reject: END-OF-MESSAGE)")


@dataclass(frozen=True)
class Report:
    """A notification to a sender; `text`: all of it, unfolded."""

    text: str

    @property
    def recipients(self) -> Mapping[str, str]:
        """What it says of each: recipient and action."""
        found = re.findall(
            r"^Final-Recipient: (?:rfc822|utf-8); ?(\S+)$(?:\n^\S.*$)*?\n^Action: (\w+)",
            self.text,
            re.MULTILINE,
        )
        return dict(found)


@dataclass(frozen=True)
class Arrived:
    """A message for one recipient, without what was put before it on its way."""

    recipient: str
    content: bytes


class EnforcementWorld:
    """`milter`: who is asked about what comes by sendmail(1); "none": nobody."""

    def __init__(self, root: Path, enter: ExitStack, milter: str = "sendmail") -> None:
        self._root = root
        authority = CertificateAuthority(root / "ca")
        port = free_port()
        self.partner = enter.enter_context(
            Exim(
                root,
                "partner",
                [
                    f"{name}.test"
                    for name in ("mini", "small", "tiny", "agent", "large", "big", "free")
                ],
                address=free_address(port),
                port=port,
                certificate=authority.issue("partner", common_name="partner.test"),
            )
        )
        self.old = enter.enter_context(
            Peer(
                root,
                "old",
                [f"{name}.test" for name in ("tight", "old", "relayed", "other")],
                address=free_address(port),
                port=port,
                main_cf={"smtpd_discard_ehlo_keywords": "dsn, silent-discard"},
            )
        )
        self.port = port
        self.milter = milter
        hop = f"[{self.old.address}]:{port}"
        host = PostfixInstance(
            root,
            "host",
            main_cf={
                "myhostname": "host.contoso.test",
                "virtual_mailbox_domains": "contoso.test",
                "message_size_limit": "0",
                "smtp_tls_CAfile": str(authority.ca_file),
                "relay_domains": "relayed.test",
                "relay_transport": f"relay:{hop}",
                "transport_maps": f"inline:{{ other.test=smtp:{hop} }}",
                "virtual_alias_domains": "alias.test",
                "smtpd_data_restrictions": "check_sender_access texthash:$config_directory/spf",
                "smtp_generic_maps": "texthash:$config_directory/generic",
                "lmtp_header_checks": "regexp:$config_directory/for_other_lmtp_servers",
                "virtual_alias_maps": f"inline:{{ {' '.join(f'{{{a}}}' for a in _ALIASES)} }}",
            },
            smtp_port=free_port(),
            files={
                "spf": f"{PREPENDED_FOR} PREPEND Received-SPF: pass\n",
                "generic": f"{INSIDE} {OUTSIDE}\n",
                "for_other_lmtp_servers": "/^Subject:/ REPLACE Subject: changed\n",
            },
        )
        self.administrator = Administrator(root, enter.enter_context(host))
        self.host = host
        enter.enter_context(self.administrator.policy_service())
        enter.enter_context(self.administrator.delivery_agent())
        if milter != "none":
            enter.enter_context(self.administrator.milter())
        self.administrator.publish(self.connectors())

    def connectors(self) -> str:
        """The connectors file."""
        partner, old = self.partner.address, self.old.address
        by_agent = 'require_tls = true\ntls_auth_level = "CertificateValidation"\n'
        return f'[host]\nmilter = "{self.milter}"\n' + "".join(
            (
                self._connector("Mini", partner, "mini.test"),
                self._connector("Small", partner, "small.test"),
                self._connector("Tight", old, "tight.test"),
                self._connector("Tiny", partner, "tiny.test"),
                self._connector("Agent", partner, "agent.test", more=by_agent),
                self._connector("Large", partner, "large.test", "small.test;5", "agent.test;5"),
                self._connector("Big", partner, "big.test", "tiny.test;5", more=by_agent),
                self._connector("Free", partner, "free.test"),
                self._connector("Old", old, "old.test"),
            )
        )

    def _connector(self, name: str, address: str, *spaces: str, more: str = "") -> str:
        shown = ", ".join(f'"{space}"' for space in spaces)
        limit = f"{LIMITS[name]} KB" if name in LIMITS else "unlimited"
        return (
            f'[[send_connector]]\nname = "{name}"\naddress_spaces = [{shown}]\n'
            f'max_message_size = "{limit}"\ndns_routing_enabled = false\n'
            f'smart_hosts = ["{address}"]\nport = {self.port}\n'
            + (more or "ignore_starttls = true\n")
        )

    # --- what became of a message

    def wait_settled(self, message_id: str) -> None:
        """Wait until it has left the queue, under all its ids, and so have reports about it."""
        wait_until(lambda: self._is_settled(message_id) or None, f"{message_id} to leave", 40)

    def _is_settled(self, message_id: str) -> bool:
        lines = [line.text for line in self.host.log.lines()]
        ids = self.host.log.queue_ids(f"<{message_id}>")  # later: no id is missed
        reports = [m for text in lines if (m := _NOTIFICATION.match(text))]
        removed = {m["id"] for text in lines if (m := _REMOVED.match(text))}
        ids |= {m["new"] for m in reports if m["id"] in ids}
        return bool(ids) and ids <= removed

    def deliveries(self, message_id: str) -> list[Delivery]:
        """Every attempt to deliver it."""
        ids = self.host.log.queue_ids(f"<{message_id}>")
        return [each for each in self.host.log.deliveries() if each.queue_id in ids]

    def agent_log(self, recipient: str) -> list[str]:
        """What the agent says of a recipient."""
        lines = self.administrator.agent_log.read_text().splitlines()
        return [line for line in lines if f"to=<{recipient}>" in line]

    def arrived(self, message_id: str, count: int) -> list[Arrived]:
        """What has arrived, at all receivers, once there are so many."""
        found = wait_until(
            lambda: found if len(found := list(self._arrived(message_id))) >= count else None,
            f"{count} recipients to get {message_id}",
        )
        return sorted(found, key=lambda each: each.recipient)

    def at_partner(self, message_id: str) -> list[EximMessage]:
        """What has arrived at the partner, with the commands that brought it."""
        return [m for m in self.partner.received() if _is(message_id, m.content)]

    def reports(self, sender: str) -> list[Report]:
        """The notifications that a sender on the host has got."""
        return [
            Report(re.sub(rb"\n[ \t]+", b" ", data).decode(errors="replace"))
            for data in self.host.mail()
            if data.startswith(b"Return-Path: <>\n") and _original_to(data) == sender
        ]

    def wait_reports(self, sender: str) -> list[Report]:
        """The same, once there is one."""
        return wait_until(lambda: self.reports(sender) or None, f"a report to {sender}")

    def nothing_came_twice(self) -> None:
        """Of all messages so far, also what has come since a test looked."""
        found = Counter((without_trace(m.content), m.recipient) for m in self.partner.received())
        found += Counter(
            (without_trace(data), _original_to(data))
            for data in (*self.old.mail(), *self.host.mail())
        )
        assert not [key for key, count in found.items() if count > 1]

    def _arrived(self, message_id: str) -> Iterator[Arrived]:
        for message in self.at_partner(message_id):
            yield Arrived(message.recipient, without_trace(message.content))
        for data in (*self.old.mail(), *self.host.mail()):
            if _is(message_id, data):
                yield Arrived(_original_to(data), without_trace(data))


def assert_names(text: str, recipient: str, size: int) -> None:
    """A refusal says who, how large, what the limit is and whose."""
    name = LARGEST[recipient.partition("@")[2].removesuffix(".test")]
    limit = f"{LIMITS[name]} KB ({LIMITS[name] * KB:,} bytes)"
    assert (
        f"message of {size:,} bytes to {recipient} is larger than MaxMessageSize {limit}"
        f' of Send connector "{name}"' in text
    )
    assert "5.3.4" in text


def without_trace(message: bytes) -> bytes:
    """A message without the fields that its way has put before it."""
    return _TRACE.sub(b"", message)


def compose(
    message_id: str, size: int, sender: str, header: bytes = b"", line: bytes = b""
) -> bytes:
    """A message of just `size` bytes with CRLF line ends, whole, so that nobody completes it."""
    head = (
        f"From: {sender}\r\nTo: somebody@contoso.test\r\nMessage-ID: <{message_id}>\r\n"
        "Date: Tue, 24 Nov 2026 15:33:22 +0000\r\nSubject: enforcement\r\n"
    ).encode()
    head += header + b"\r\n" + line
    filling = b".x" + b"y" * 68 + b"\r\n"
    lines, rest = divmod(size - len(head), len(filling))
    body = filling * (lines - 1) + b"z" * (len(filling) + rest - 2) + b"\r\n"
    assert len(head + body) == size
    return head + body


def data_reply(session: smtplib.SMTP, message: bytes) -> tuple[int, str]:
    """Send it by DATA."""
    try:
        code, text = session.data(message)
    except smtplib.SMTPDataError as error:
        code, said = error.smtp_code, error.smtp_error
        text = said if isinstance(said, bytes) else said.encode()
    return code, text.decode()


def raw_data_reply(session: smtplib.SMTP, message: bytes) -> tuple[int, str]:
    """Send it by DATA as it is, whatever its line ends; its final dot too."""
    code, text = session.docmd("DATA")
    assert code == 354, text
    session.send(message)
    code, text = session.getreply()
    return code, text.decode()


def chunked_reply(session: smtplib.SMTP, message: bytes, chunks: int = 3) -> tuple[int, str]:
    """Send it by BDAT (RFC 3030)."""
    step = len(message) // chunks + 1
    pieces: Sequence[bytes] = [message[n : n + step] for n in range(0, len(message), step)]
    code, text = 0, b""
    for number, piece in enumerate(pieces):
        last = " LAST" if number == len(pieces) - 1 else ""
        session.send(f"BDAT {len(piece)}{last}\r\n".encode() + piece)
        code, text = session.getreply()
        if code != 250:
            break
    return code, text.decode()


def _is(message_id: str, data: bytes) -> bool:
    head = without_trace(data).partition(b"\n\n")[0]
    return f"\nMessage-ID: <{message_id}>\n".encode() in head + b"\n"


def _original_to(data: bytes) -> str:
    match = re.search(rb"^X-Original-To: (.*)$", data, re.MULTILINE)
    return match[1].decode() if match else ""
