"""A load of messages that are told apart by their Message-IDs, and what became of each."""

import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import count
from types import TracebackType
from typing import Self

from tests.lab.administrator import Administrator
from tests.lab.agent_connectors import SENDER, message
from tests.lab.loopback import wait_until
from tests.lab.maillog import Delivery
from tests.lab.peers import Peer

_MESSAGE_ID = re.compile(r"([0-9A-Za-z]+): message-id=(<.*>)$")
_CLIENTS = 4
_SESSION = 10
"""Messages."""

_HELPS_EACH = 5.0
"""Seconds."""


class Load:
    """Gives a host messages for these domains in turn; a context manager.

    `accepted`: the recipient of each message that the host took, by Message-ID.
    """

    def __init__(self, administrator: Administrator, domains: Sequence[str], size: int = 0) -> None:
        self.accepted: dict[str, str] = {}
        self._administrator = administrator
        self._domains = domains
        self._body = "x" * 70 + "\r\n"
        self._body *= max(size // len(self._body), 1)
        self._numbers = count()
        self._clients = ThreadPoolExecutor(_CLIENTS)
        self._submissions: list[Future[None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._clients.shutdown(cancel_futures=True)

    def begin(self, messages: int) -> None:
        """Have so many more messages submitted, several at once, from now on."""
        numbers = [next(self._numbers) for _ in range(messages)]
        for start in range(0, messages, _SESSION):
            part = numbers[start : start + _SESSION]
            self._submissions.append(self._clients.submit(self._submit, part))

    def end(self) -> None:
        """Wait until all are submitted."""
        wait(self._submissions)
        for submission in self._submissions:
            submission.result()

    def _submit(self, numbers: Iterable[int]) -> None:
        with self._administrator.smtp() as session:
            for number in numbers:
                recipient = f"m{number}@{self._domains[number % len(self._domains)]}"
                message_id = f"{number}.load@contoso.test"
                session.sendmail(SENDER, [recipient], message(message_id, self._body))
                self.accepted[f"<{message_id}>"] = recipient


def was_cut(text: str) -> bool:
    """Whether this attempt may have delivered the message: Postfix says so, or the agent does."""
    if text.startswith("delivery temporarily suspended"):
        return False
    return "message may be sent more than once" in text or "may be delivered twice" in text


class Outcome:
    """What came of a load, when it has drained to these receivers."""

    def __init__(self, load: Load, administrator: Administrator, receivers: Sequence[Peer]) -> None:
        self._load = load
        self._host = administrator.host
        self._receivers = receivers

    def arrived(self) -> int:
        """How many files the receivers hold, duplicates among them."""
        folders = [receiver.directory / "mail/all/new" for receiver in self._receivers]
        return sum(len(list(folder.iterdir())) for folder in folders if folder.exists())

    def wait_drained(self, timeout: float = 40.0) -> None:
        """Wait until every message has come and the host's queue is empty.

        The host should try again by itself. It is helped once in a while: a message that its
        qmgr(8) found locked waits in the incoming queue for another message, or five minutes.
        """
        wanted = self._load.accepted.keys()
        flushed = time.monotonic()

        def drained() -> bool | None:
            nonlocal flushed
            if time.monotonic() - flushed > _HELPS_EACH:
                flushed = time.monotonic()
                self._host.flush()
            if self.arrived() < len(wanted) or wanted - self.times_taken().keys():
                return None
            return not self._host.queue() or None

        try:
            wait_until(drained, f"{len(wanted)} messages", timeout)
        except TimeoutError as error:
            missing = sorted(wanted - self.times_taken().keys())
            raise TimeoutError(f"{error}; missing {missing}, queue {self._host.queue()}") from None

    def times_taken(self) -> Counter[str]:
        """How often each message was taken by a receiver.

        Counted by the receivers' queue ids: one that was killed may store one message twice.
        """
        taken: defaultdict[str, set[str]] = defaultdict(set)
        for receiver in self._receivers:
            for received in receiver.received():
                taken[received.message_id].add(received.received_header)
        return Counter({message_id: len(headers) for message_id, headers in taken.items()})

    def duplicates(self) -> dict[str, int]:
        """How often too often, by Message-ID."""
        return {name: times - 1 for name, times in self.times_taken().items() if times > 1}

    def failures(self) -> dict[str, list[Delivery]]:
        """The host's attempts that did not succeed, by Message-ID."""
        found = (_MESSAGE_ID.match(line.text) for line in self._host.log.lines())
        names = {match[1]: match[2] for match in found if match is not None}
        failed: defaultdict[str, list[Delivery]] = defaultdict(list)
        for delivery in self._host.log.deliveries():
            if delivery.status != "sent":
                failed[names[delivery.queue_id]].append(delivery)
        return failed
