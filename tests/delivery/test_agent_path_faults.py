"""What waits on the agent path: nothing is lost, nothing comes back that should not, nothing loops.

While mail waits, connectors change, daemons die or hang, and the way back to Postfix is gone.
"""

import signal
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab.administrator import Administrator
from tests.lab.certificates import CertificateAuthority
from tests.lab.child import Child
from tests.lab.enforcement_world import KB, compose, data_reply
from tests.lab.loopback import free_address, free_port, wait_until
from tests.lab.peers import Peer, tls_partner
from tests.postfix.conftest import HostMaker

SENDER, MESSAGE_ID, SIZE = "alice@contoso.test", "fault@contoso.test", 50 * KB
PATH, AGENT, RETURN = "pc-agent-path/lmtp", "pc-delivery-agent/lmtp", "pc-agent-return"
GOT, REPORTED = "got it", "reported"
BY_AGENT = 'require_tls = true\ntls_auth_level = "CertificateValidation"\n'

MIXED = ("a@small.test", "b@tiny.test", "c@other.test", "d@agent.test", "e@contoso.test")
"""Of everything one: fits, moves to Small, is too big, is the agent's, is Postfix' own."""


class Faulty:
    """A host whose agent, policy service and connectors are at our mercy."""

    def __init__(self, host: Administrator, peer: Peer, enter: ExitStack) -> None:
        self.administrator = host
        self.host = host.host
        self.peer = peer
        self.policy = enter.enter_context(host.policy_service())
        self._agents = enter.enter_context(ExitStack())
        self.agent = self.start_agent()
        host.publish(self.connectors())

    def start_agent(self) -> Child:
        self.agent = self._agents.enter_context(self.administrator.delivery_agent())
        return self.agent

    def connectors(
        self, changes: Mapping[str, str] | None = None, by_agent: Sequence[str] = ("Agent",)
    ) -> str:
        """The connectors file; `changes`: other limits by connector, empty for no connector."""
        limits = {"Tiny": "10 KB", "Small": "100 KB", "Other": "20 KB", "Agent": "100 KB"}
        spaces = {name: f'["{name.lower()}.test"]' for name in limits}
        spaces["Small"] = '["small.test", "tiny.test;5"]'
        return "".join(
            f'[[send_connector]]\nname = "{name}"\n'
            f"address_spaces = {spaces[name]}\n"
            f'max_message_size = "{limit}"\ndns_routing_enabled = false\n'
            f'smart_hosts = ["{self.peer.address}"]\nport = {self.peer.port}\n'
            f"{BY_AGENT if name in by_agent else ''}"
            for name, limit in {**limits, **(changes or {})}.items()
            if limit
        )

    def publish_by_hand(self, text: str) -> None:
        """Have the agent and the policy service go by this, and Postfix by what it has."""
        live = self.host.config_directory / "postconnector" / "live" / "connectors.toml"
        logs = self.administrator.agent_log, self.administrator.policy_log
        before = [log.read_text().count("connectors in force: ") for log in logs]
        live.write_text(text)
        wait_until(
            lambda: (
                all(
                    log.read_text().count("connectors in force: ") > n
                    for log, n in zip(logs, before, strict=True)
                )
                or None
            ),
            "the daemons to read it",
        )

    def submit(self, *recipients: str) -> None:
        """Give it a message that takes the agent path."""
        with self.administrator.smtp() as session:
            session.mail(SENDER)
            for recipient in recipients or MIXED:
                assert session.rcpt(recipient)[0] == 250
            code, text = data_reply(session, compose(MESSAGE_ID, SIZE, SENDER))
            assert code == 250, text

    def set(self, name: str, value: str) -> None:
        """Set a parameter of the host, and have everything in the queue tried again."""
        self.host.postconf("-e", f"{name} = {value}")
        self.host.settle()
        assert self.host.postfix("reload").returncode == 0
        self.host.flush()

    def wait_status(self, recipient: str, status: str, said: str = "") -> str:
        """Wait until an attempt to deliver to a recipient ends so; what is logged of it."""

        def attempted() -> str | None:
            for d in self.host.log.deliveries():
                if (d.recipient, d.status) == (recipient, status) and said in f"{d.dsn} {d.text}":
                    return f"{d.dsn} {d.text}"
            return None

        return wait_until(attempted, f"{recipient} to be {status}")

    def wait_connected(self) -> None:
        """Wait until Postfix waits for the agent's greeting."""
        path = self.host.queue_directory / "postconnector" / "deliver"

        def connected() -> bool | None:
            sockets = Path("/proc/net/unix").read_text().splitlines()
            return sum(line.endswith(str(path)) for line in sockets) > 1 or None

        wait_until(connected, "Postfix to connect to the agent")

    def wait_empty(self) -> None:
        """Wait until the queue is empty, having it tried again."""

        def empty() -> bool | None:
            if any(message["queue_name"] == "deferred" for message in self.host.queue()):
                self.host.flush()
            return not self.host.queue() or None

        wait_until(empty, "the queue to be empty", 40)

    def outcome(self) -> dict[str, str]:
        """What has become of each recipient; AssertionError if anybody has got anything twice."""
        found: Counter[tuple[str, str]] = Counter((m.recipient, GOT) for m in self.peer.received())
        for message in self.host.mail():
            text = message.decode()
            if text.startswith("Return-Path: <>\n"):
                failed = [r for r in MIXED if f"Final-Recipient: rfc822; {r}\n" in text]
                assert text.count("\nStatus: 5.3.4\n") == len(failed)
                found.update((recipient, REPORTED) for recipient in failed)
            else:
                found["e@contoso.test", GOT] += 1
        assert set(found.values()) <= {1}
        assert len(found) == len(dict(found.keys()))
        return dict(found.keys())

    def services(self, recipient: str) -> list[str]:
        """By which services he got the message in the end."""
        sent = [d for d in self.host.log.deliveries() if d.status == "sent"]
        return [d.service for d in sent if d.recipient == recipient]

    def assert_outcome(self, expected: Mapping[str, str]) -> None:
        """It is this, and nobody's mail has taken the agent path a second time."""
        gets_it = [recipient for recipient, fate in expected.items() if fate == GOT]
        strangers = {r for r in gets_it if not r.endswith("@contoso.test")}
        wait_until(lambda: len(self.peer.received()) >= len(strangers) or None, "the mail")
        assert self.outcome() == expected
        for recipient in gets_it:
            assert self.services(recipient).count(PATH) <= 1


USUAL = {
    "a@small.test": GOT,
    "b@tiny.test": GOT,
    "c@other.test": REPORTED,
    "d@agent.test": GOT,
    "e@contoso.test": GOT,
}


@pytest.fixture
def peer(root: Path, enter: ExitStack, authority: CertificateAuthority) -> Peer:
    port = free_port()
    return enter.enter_context(
        tls_partner(
            root,
            "peer",
            [f"{name}.test" for name in ("small", "tiny", "other", "agent")],
            authority.issue("peer", common_name="peer.test"),
            authority.ca_file,
            address=free_address(port),
            port=port,
            require=False,
        )
    )


@pytest.fixture
def faulty(new_host: HostMaker, peer: Peer, enter: ExitStack) -> Faulty:
    return Faulty(host_beside(new_host, peer), peer, enter)


@pytest.fixture
def waiting(new_host: HostMaker, peer: Peer, enter: ExitStack) -> Faulty:
    """A message of everything waits for the agent path."""
    faulty = Faulty(host_beside(new_host, peer, defer_transports="pc-agent-path"), peer, enter)
    faulty.submit()
    wait_until(lambda: is_deferred(faulty) or None, "the message to wait")
    return faulty


def host_beside(new_host: HostMaker, peer: Peer, **main_cf: str) -> Administrator:
    """A host that without connectors sends everything to the peer."""
    routes = f"inline:{{ {{small.test = smtp:[{peer.address}]:{peer.port}}} }}"
    everything = f"smtp:[{peer.address}]:{peer.port}"
    return new_host(
        {"transport_maps": routes, "default_transport": everything, **main_cf},
        policy_service=False,
    )


def is_deferred(faulty: Faulty) -> bool:
    return [message["queue_name"] for message in faulty.host.queue()] == ["deferred"]


# --- other connectors than when the message came


def everybody(*exceptions: str) -> dict[str, str]:
    return {r: REPORTED if r[0] in exceptions else GOT for r in MIXED}


CHANGES = {
    "limits-raised": ({"Other": "1 MB"}, ("Agent",), everybody()),
    "limits-lowered": ({"Small": "20 KB", "Agent": "20 KB"}, ("Agent",), everybody(*"abcd")),
    "a-connector-gone": ({"Small": ""}, ("Agent",), everybody("b", "c")),
    "all-by-the-agent": ({}, ("Tiny", "Small", "Other", "Agent"), everybody("c")),
    "none-by-the-agent": ({}, (), everybody("c")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_in_force_when_it_is_delivered_counts(waiting: Faulty, change: str) -> None:
    limits, by_agent, expected = CHANGES[change]
    waiting.administrator.publish(waiting.connectors(limits, by_agent))
    assert waiting.outcome() == {}
    waiting.set("defer_transports", "")
    waiting.wait_empty()
    waiting.assert_outcome(expected)
    gets_it = [r for r, fate in expected.items() if fate == GOT]
    last = {r: set(waiting.services(r)) - {PATH} for r in gets_it}
    assert last["e@contoso.test"] == {"virtual"}
    by_the_agent = {r for r, services in last.items() if services == {AGENT}}
    named = {name.lower() for name in by_agent}
    if "small" in named:
        named.add("tiny")  # whose mail Small takes
    assert by_the_agent == {r for r in last if r[2:].removesuffix(".test") in named}
    if change == "a-connector-gone":
        assert last["a@small.test"] == {"smtp"}


def test_without_connectors_it_waits_for_the_administrator(waiting: Faulty) -> None:
    """As the help of `remove` says: postsuper -r ALL has it routed anew."""
    removed = waiting.administrator.run("remove")
    assert removed.returncode == 0, removed.stderr
    waiting.set("defer_transports", "")
    gone = "pc-agent-path"
    wait_until(
        lambda: (
            any(gone in line.text for line in waiting.host.log.lines() if "warning" in line.text)
            or None
        ),
        "Postfix to miss the service",
    )
    assert waiting.outcome() == {}
    [message] = waiting.host.queue()
    assert {each["address"] for each in message["recipients"]} == set(MIXED)
    requeue(waiting)
    waiting.wait_empty()
    waiting.assert_outcome(everybody())


def requeue(faulty: Faulty) -> None:
    subprocess.run(
        ["postsuper", "-c", str(faulty.host.config_directory), "-r", "ALL"],
        check=True,
        capture_output=True,
    )
    faulty.host.flush()


# --- Postfix' tables and the agent disagree


def test_what_each_takes_for_the_others_waits(faulty: Faulty) -> None:
    """Tables say the agent's, the agent says Postfix': once round, and no more."""
    good = faulty.connectors()
    faulty.publish_by_hand(faulty.connectors(by_agent=()))
    with faulty.administrator.smtp() as session:
        session.sendmail(SENDER, ["d@agent.test"], compose(MESSAGE_ID, 5 * KB, SENDER))
    deferred = faulty.wait_status("d@agent.test", "deferred")
    assert "4.4.6" in deferred
    assert faulty.services("d@agent.test") == [AGENT]  # handed back
    faulty.publish_by_hand(good)
    faulty.wait_empty()
    faulty.assert_outcome({"d@agent.test": GOT})


def test_what_the_agent_claims_goes_as_the_tables_say(faulty: Faulty) -> None:
    faulty.publish_by_hand(faulty.connectors(by_agent=("Tiny", "Small", "Other", "Agent")))
    faulty.submit("a@small.test", "c@other.test")
    faulty.wait_empty()
    faulty.assert_outcome({"a@small.test": GOT, "c@other.test": REPORTED})
    assert set(faulty.services("a@small.test")) == {PATH, "pc-small/smtp"}


# --- the agent


def test_a_dead_agent_is_waited_for(faulty: Faulty) -> None:
    faulty.agent.kill()
    faulty.agent.wait(10)
    faulty.submit()
    wait_until(lambda: is_deferred(faulty) or None, "the message to wait")
    assert faulty.outcome() == {}
    faulty.start_agent()
    faulty.wait_empty()
    faulty.assert_outcome(USUAL)


@pytest.mark.parametrize("end", [signal.SIGCONT, signal.SIGKILL], ids=["goes-on", "killed"])
def test_a_hung_agent_is_waited_for(faulty: Faulty, end: signal.Signals) -> None:
    faulty.agent.send_signal(signal.SIGSTOP)
    faulty.submit()
    faulty.wait_connected()
    assert faulty.outcome() == {}
    faulty.agent.send_signal(end)
    if end is signal.SIGKILL:
        wait_until(lambda: is_deferred(faulty) or None, "the message to wait")
        faulty.start_agent()
    faulty.wait_empty()
    faulty.assert_outcome(USUAL)


def test_an_agent_that_knows_no_connectors_is_waited_for(faulty: Faulty) -> None:
    live = faulty.host.config_directory / "postconnector" / "live" / "connectors.toml"
    good = live.read_text()
    faulty.agent.kill()
    faulty.agent.wait(10)
    faulty.submit()
    live.write_text("[[send_connector\n")
    faulty.start_agent()
    faulty.host.flush()
    faulty.wait_status("e@contoso.test", "deferred", "4.3.5")
    assert faulty.outcome() == {}
    live.write_text(good)
    faulty.wait_empty()
    faulty.assert_outcome(USUAL)


# --- the way back


def test_without_the_listener_mail_waits(faulty: Faulty) -> None:
    """Who is refused hears of it at once, and once."""
    socket = faulty.host.queue_directory / "public" / RETURN
    gone = socket.rename(socket.with_name("gone"))
    faulty.submit()
    faulty.wait_status("e@contoso.test", "deferred")
    wait_until(lambda: faulty.outcome() or None, "the report")
    assert faulty.outcome() == {"c@other.test": REPORTED}
    faulty.host.flush()
    gone.rename(socket)
    faulty.wait_empty()
    faulty.assert_outcome(USUAL)


def test_without_the_policy_service_mail_waits(waiting: Faulty) -> None:
    """It is asked once more, for who moves to another connector."""
    waiting.policy.kill()
    waiting.policy.wait(10)
    waiting.set("defer_transports", "")
    said = waiting.wait_status("b@tiny.test", "deferred", "4.3.5")
    assert "Connector policy service is unavailable" in said
    with waiting.administrator.policy_service():
        waiting.wait_empty()
    waiting.assert_outcome(USUAL)
