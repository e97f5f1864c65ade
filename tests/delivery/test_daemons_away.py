"""What becomes of mail while a daemon is dead, hung or slow: the table in docs/operations.md.

Timeouts are shortened, so that a test ends; see tests/lab/supervised.py.
"""

import smtplib
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

import pytest

from tests.lab.certificates import CertificateAuthority
from tests.lab.enforcement_world import compose, data_reply
from tests.lab.loopback import wait_until
from tests.lab.mixed_load import HEAVY, LIGHT, SENDERS
from tests.lab.supervised import Enforced

SENDER = SENDERS[0]
UNAVAILABLE = "4.3.5", "Connector policy service is unavailable"
STATES = pytest.mark.parametrize("state", ["dead", "hung"])
_numbers = count()


def _world(milter: str) -> Iterator[Enforced]:
    with tempfile.TemporaryDirectory(prefix="pct-", dir="/tmp") as name, ExitStack() as enter:
        Path(name).chmod(0o755)
        root = Path(name)
        refused = "check_recipient_access inline:{ nobody@free.test=REJECT }"
        world = Enforced(
            root,
            enter,
            CertificateAuthority(root / "ca"),
            milter,
            {"smtpd_recipient_restrictions": refused},
        )
        world.be_impatient()
        yield world


@pytest.fixture(scope="module")
def world() -> Iterator[Enforced]:
    """A host that asks the policy service for mail by SMTP, the milter for that by sendmail(1)."""
    yield from _world("sendmail")


@pytest.fixture(scope="module")
def milter_world() -> Iterator[Enforced]:
    """A host that asks the milter for all mail."""
    yield from _world("smtp")


@contextmanager
def away(world: Enforced, name: str, state: str) -> Iterator[None]:
    """Within, a daemon is dead or hung."""
    daemon = world.daemons[name]
    (daemon.kill if state == "dead" else daemon.hold)()
    try:
        yield
    finally:
        (daemon.start if state == "dead" else daemon.let_go)()


class Mail:
    """A message of its own; `id` is its Message-ID."""

    def __init__(self, world: Enforced, size: int, *domains: str) -> None:
        number = next(_numbers)
        self.id = f"away{number}@contoso.test"
        self.recipients = [f"r{number}@{domain}" for domain in domains]
        self._world = world
        self._content = compose(self.id, size, SENDER)

    def by_smtp(self) -> tuple[int, str]:
        """Hand it over; the first reply that is no 2xx, or the last."""
        with self._world.administrator.smtp() as session:
            for recipient in self.named(session):
                code, text = session.rcpt(recipient)
                if code != 250:
                    return code, text.decode()
            return self.data(session)

    def named(self, session: smtplib.SMTP) -> list[str]:
        """Begin it, without a declared size; the recipients that are to be named."""
        session.mail(SENDER)
        return self.recipients

    def data(self, session: smtplib.SMTP) -> tuple[int, str]:
        return data_reply(session, self._content)

    def by_sendmail(self) -> None:
        self._world.host.sendmail(SENDER, self.recipients, self._content.replace(b"\r\n", b"\n"))

    def wait_deferred(self, *words: str) -> None:
        """Wait until it waits for each of these reasons."""
        wait_until(
            lambda: (
                all(any(word in text for text in self._attempts("deferred")) for word in words)
                or None
            ),
            f"{self.id} to be deferred, because {words}",
            timeout=60,
        )

    def wait_sent(self) -> None:
        """Wait until it is in the mailboxes of all its recipients; once in each."""
        instances = self._world.host, self._world.peer
        wanted = f"\nMessage-ID: <{self.id}>\n".encode()

        def found() -> list[bytes] | None:
            mail = [each for i in instances for each in i.mail() if wanted in each]
            return mail if len(mail) >= len(self.recipients) else None

        assert len(wait_until(found, f"{self.id} to arrive")) == len(self.recipients)

    def _attempts(self, status: str) -> list[str]:
        log = self._world.host.log
        ids = log.queue_ids(f"<{self.id}>")
        return [d.text for d in log.deliveries() if d.queue_id in ids and d.status == status]


# --- the policy service


@STATES
def test_without_the_policy_service_clients_come_again(world: Enforced, state: str) -> None:
    """At RCPT TO and at the end of the data; what is queued, or comes by sendmail(1), goes on."""
    mail, small = Mail(world, LIGHT, "free.test"), Mail(world, LIGHT, "small.test")
    late = Mail(world, LIGHT, "free.test", "small.test")
    with world.administrator.smtp() as session:
        for recipient in late.named(session):
            assert session.rcpt(recipient)[0] == 250
        with away(world, "policy", state):
            for code, text in (mail.by_smtp(), late.data(session)):
                assert code == 451, text
                assert all(part in text for part in UNAVAILABLE)
            small.by_sendmail()
            small.wait_sent()
    for each in (mail, late):
        assert each.by_smtp()[0] == 250
        each.wait_sent()


@STATES
def test_without_the_policy_service_the_agent_path_waits(world: Enforced, state: str) -> None:
    """Nobody could say to which connector its size moves what the agent hands back."""
    mixed = Mail(world, HEAVY, "small.test", "contoso.test")
    with away(world, "policy", state):
        mixed.by_sendmail()
        mixed.wait_deferred(UNAVAILABLE[1])
    mixed.wait_sent()


def test_a_slow_policy_service_is_waited_for(world: Enforced) -> None:
    mail = Mail(world, LIGHT, "free.test")
    since = world.log_size()
    with ThreadPoolExecutor(1) as client, away(world, "policy", "hung"):
        reply = client.submit(mail.by_smtp)
        world.wait_logged(b"problem talking to server", since)
        world.daemons["policy"].let_go()
        assert reply.result()[0] == 250
    mail.wait_sent()


def test_a_policy_service_that_was_not_there_from_the_start_judges_nothing(
    world: Enforced,
) -> None:
    """Not by those recipients that it knows, though they are as many as Postfix counts."""
    mail = Mail(world, HEAVY, "tight.test", "free.test")
    with world.administrator.smtp() as session:
        first, second = mail.named(session)
        assert session.rcpt(first)[0] == 250
        with away(world, "policy", "dead"):
            pass
        assert session.rcpt("nobody@free.test")[0] == 554
        assert session.rcpt(second)[0] == 250
        code, text = mail.data(session)
    assert (code, text[:6]) == (451, "4.3.0 "), text


# --- the delivery agent


@STATES
def test_without_the_agent_only_its_mail_waits(world: Enforced, state: str) -> None:
    """That is also mail on the agent path, for all its recipients."""
    agents, mixed = Mail(world, LIGHT, "agent.test"), Mail(world, HEAVY, "small.test", "free.test")
    others = Mail(world, LIGHT, "small.test", "contoso.test"), Mail(world, HEAVY, "small.test")
    why = {"dead": "Connection refused", "hung": "timed out while"}[state]
    with away(world, "agent", state):
        for mail in (agents, mixed, *others):
            assert mail.by_smtp()[0] == 250
        for mail in others:
            mail.wait_sent()
        for mail in (agents, mixed):
            mail.wait_deferred(why)
    world.host.flush()
    for mail in (agents, mixed):
        mail.wait_sent()


# --- the milter


@STATES
def test_without_the_milter_mail_by_sendmail_waits(world: Enforced, state: str) -> None:
    by_program, by_smtp = (Mail(world, LIGHT, "small.test") for _ in range(2))
    since = world.log_size()
    with away(world, "milter", state):
        by_program.by_sendmail()
        assert by_smtp.by_smtp()[0] == 250
        by_smtp.wait_sent()
        world.wait_logged(b"4.7.1 Service unavailable - try again later", since)
        assert any((world.host.queue_directory / "maildrop").iterdir())
    by_program.wait_sent()


@STATES
def test_without_the_milter_clients_come_again(milter_world: Enforced, state: str) -> None:
    """Where mail by SMTP is its business too; they hear so when they say who the sender is."""
    mail = Mail(milter_world, LIGHT, "small.test")
    with away(milter_world, "milter", state):
        with milter_world.administrator.smtp() as session:
            replies = session.mail(SENDER), session.rcpt("x@small.test")
        assert [code for code, _ in replies] == [451, 503]
        assert replies[0][1] == b"4.7.1 Service unavailable - try again later"
    assert mail.by_smtp()[0] == 250
    mail.wait_sent()


@STATES
def test_a_milter_that_goes_within_a_message(milter_world: Enforced, state: str) -> None:
    mail = Mail(milter_world, HEAVY, "small.test")
    with milter_world.administrator.smtp() as session:
        for recipient in mail.named(session):
            assert session.rcpt(recipient)[0] == 250
        with away(milter_world, "milter", state):
            assert mail.data(session) == (451, "4.7.1 Service unavailable - try again later")
    assert mail.by_smtp()[0] == 250
    mail.wait_sent()
