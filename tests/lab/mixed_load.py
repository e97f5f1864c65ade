"""A load of messages of all fates on a host with limits, and what became of every recipient.

| Connector | Takes | Up to | Carried out by |
|---|---|---|---|
| Small | small.test | 4 KB | Postfix |
| Tight | tight.test | 4 KB, nobody takes over | Postfix |
| Large | what is too big for Small | 16 KB | Postfix |
| Free | free.test | no limit | Postfix |
| Agent | agent.test | 16 KB | the agent |

contoso.test is on the host itself. Each connector greets by its own name, so that the receiver
knows by which one a message left.
"""

import email
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import count
from typing import Protocol

from tests.lab.enforcement_world import Report, compose
from tests.lab.maillog import Delivery, LogReader
from tests.lab.peers import Peer, ReceivedMessage
from tests.lab.postfix_instance import PostfixInstance

KB = 1024
LIGHT, HEAVY = 2 * KB, 8 * KB
REFUSED, LOCAL = "refused", "local"
SENDERS = "sized@contoso.test", "unsized@contoso.test"
"""What the second one sends comes without SIZE=, where it comes by SMTP."""

_FATES: Sequence[tuple[int, Mapping[str, str]]] = (
    (LIGHT, {"small.test": "small"}),
    (HEAVY, {"small.test": "large"}),
    (LIGHT, {"agent.test": "agent"}),
    (HEAVY, {"tight.test": REFUSED}),
    (
        HEAVY,
        {
            "small.test": "large",
            "tight.test": REFUSED,
            "free.test": "free",
            "contoso.test": LOCAL,
            "agent.test": "agent",
        },
    ),
    (LIGHT, {"free.test": "free", "tight.test": "tight"}),
    (HEAVY, {"small.test": "large", "contoso.test": LOCAL}),
    (LIGHT, {"contoso.test": LOCAL}),
)
"""Size of a message, and to which domains: the connector that it leaves by, or what else."""

_CLIENTS = 4
_SESSION = 10
_MESSAGE_ID = re.compile(r"^Message-ID: (<\d+\.load@contoso\.test>)$", re.MULTILINE)
_LOGGED_ID = re.compile(r"([0-9A-Za-z]+): message-id=(<.*>)$")

Key = tuple[str, str]
"""Message-ID and recipient."""


def connectors(peer: Peer, milter: str = "none", mark: str = "") -> str:
    """The connectors file; `mark` is in every name that they greet by."""
    by_agent = 'require_tls = true\ntls_auth_level = "CertificateValidation"\n'
    return f'[host]\nmilter = "{milter}"\n' + "".join(
        (
            _connector(peer, mark, "Small", "4 KB", "small.test"),
            _connector(peer, mark, "Tight", "4 KB", "tight.test"),
            _connector(peer, mark, "Large", "16 KB", "large.test", "small.test;5"),
            _connector(peer, mark, "Free", "unlimited", "free.test"),
            _connector(peer, mark, "Agent", "16 KB", "agent.test", more=by_agent),
        )
    )


def _connector(
    peer: Peer,
    mark: str,
    name: str,
    limit: str,
    *spaces: str,
    more: str = "ignore_starttls = true\n",
) -> str:
    """One table of the connectors file."""
    shown = ", ".join(f'"{space}"' for space in spaces)
    return (
        f'[[send_connector]]\nname = "{name}"\naddress_spaces = [{shown}]\n'
        f'max_message_size = "{limit}"\nfqdn = "{name.lower()}{mark}.contoso.test"\n'
        f"dns_routing_enabled = false\n"
        f'smart_hosts = ["{peer.address}"]\nport = {peer.port}\n{more}'
    )


class Submit(Protocol):
    """Takes messages for good, of which each has a sender, its recipients and its content."""

    def __call__(self, messages: Sequence[tuple[str, Sequence[str], bytes]]) -> None: ...


class MixedLoad:
    """Submits messages; `expected`: what is to become of each recipient of those submitted."""

    def __init__(self, submit: Submit) -> None:
        self.expected: dict[Key, str] = {}
        self._submit = submit
        self._numbers = count()
        self._clients = ThreadPoolExecutor(_CLIENTS)
        self._submissions: list[Future[None]] = []

    def begin(self, messages: int) -> None:
        """Have so many more submitted, several at once, from now on."""
        numbers = [next(self._numbers) for _ in range(messages)]
        for start in range(0, messages, _SESSION):
            part = [self._message(number) for number in numbers[start : start + _SESSION]]
            self._submissions.append(self._clients.submit(self._submit, part))

    def end(self) -> None:
        """Wait until all are submitted."""
        wait(self._submissions)
        for submission in self._submissions:
            submission.result()

    @property
    def is_submitted(self) -> bool:
        """Whether all are."""
        return all(submission.done() for submission in self._submissions)

    def close(self) -> None:
        """Submit no more."""
        self._clients.shutdown(cancel_futures=True)

    def _message(self, number: int) -> tuple[str, Sequence[str], bytes]:
        size, fates = _FATES[number % len(_FATES)]
        sender = SENDERS[number // len(_FATES) % 2]
        message_id = f"{number}.load@contoso.test"
        recipients = {f"m{number}@{domain}": fate for domain, fate in fates.items()}
        self.expected |= {(f"<{message_id}>", each): fate for each, fate in recipients.items()}
        return sender, list(recipients), compose(message_id, size, sender)


@dataclass(frozen=True)
class Arrivals:
    """What came of a load.

    `by`: by which connectors each has arrived (or LOCAL), once an arrival. `reported`: of whom the
    sender was told that he can't have it, once a report.
    """

    by: Mapping[Key, Sequence[str]]
    reported: Counter[Key]

    def duplicates(self) -> dict[Key, int]:
        """How often too often."""
        return {key: len(by) - 1 for key, by in self.by.items() if len(by) > 1}


def arrivals(host: PostfixInstance, peers: Sequence[Peer]) -> Arrivals:
    """What is at the receivers and in the host's mailboxes.

    Stored copies are counted by the session that brought them.
    """
    by: defaultdict[Key, dict[str, str]] = defaultdict(dict)
    reported: Counter[Key] = Counter()
    for received in (message for peer in peers for message in peer.received()):
        name = (received.helo or "").removesuffix(".contoso.test")
        by[received.message_id, received.recipient][received.received_header] = name
    for data in host.mail():
        text = data.decode()
        if text.startswith("Return-Path: <>\n"):
            reported.update(_reported(text))
        else:
            stored = ReceivedMessage(email.message_from_string(text))
            by[stored.message_id, stored.recipient][stored.received_header] = LOCAL
    return Arrivals({key: list(found.values()) for key, found in by.items()}, reported)


def failures(log: LogReader) -> dict[Key, list[Delivery]]:
    """The attempts that did not succeed."""
    found = (_LOGGED_ID.match(line.text) for line in log.lines())
    names = {match[1]: match[2] for match in found if match is not None}
    failed: defaultdict[Key, list[Delivery]] = defaultdict(list)
    for delivery in log.deliveries():
        if delivery.status != "sent" and delivery.queue_id in names:
            failed[names[delivery.queue_id], delivery.recipient].append(delivery)
    return failed


def _reported(text: str) -> list[Key]:
    [message_id] = _MESSAGE_ID.findall(text)
    report = Report(re.sub(r"\n[ \t]+", " ", text))
    assert set(report.recipients.values()) == {"failed"}, text
    return [(message_id, recipient) for recipient in report.recipients]
