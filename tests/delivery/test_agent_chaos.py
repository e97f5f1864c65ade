"""Under load everything that can die does: nothing is lost, and every duplicate is explained.

A message may come twice only if an attempt to deliver it was cut when the receiver had it already,
or when the agent had not yet told Postfix.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.lab.agent_connectors import SERVICE, by_dns, by_smart_hosts, server
from tests.lab.certificates import CertificateAuthority
from tests.lab.child import Child, stop_child
from tests.lab.dns_server import NsdServer, zone
from tests.lab.load import Load, Outcome, was_cut
from tests.lab.loopback import free_address, free_port, wait_until
from tests.lab.peers import Peer, plain_receiver, tls_partner
from tests.postfix.conftest import HostMaker

IMPATIENT = {
    "minimal_backoff_time": "1s",
    "maximal_backoff_time": "1s",
    "queue_run_delay": "1s",
}
"""So that what waits is tried again without being flushed, which would begin all anew."""
OWN_CERTIFICATE = (
    'tls_certificate_name = "<I>CN=Contoso Test CA,O=Contoso<S>CN=smtp.contoso.test,O=Contoso"'
)


class Chaos:
    """A host that sends by DNS to two exchangers of one domain, and by TLS to a smart host."""

    def __init__(
        self, root: Path, enter: ExitStack, authority: CertificateAuthority, new_host: HostMaker
    ) -> None:
        self.port = free_port()
        self.exchangers = [
            enter.enter_context(
                plain_receiver(
                    root, name, ["dns.test"], address=free_address(self.port), port=self.port
                )
            )
            for name in ("first", "second")
        ]
        certificate = authority.issue("smart", common_name=None, dns_names=["smart.test"])
        self.smart_host = enter.enter_context(
            tls_partner(
                root,
                "smart",
                ["smart.test"],
                certificate,
                authority.ca_file,
                address=free_address(self.port),
                port=self.port,
            )
        )
        records = [
            line
            for number, peer in enumerate(self.exchangers)
            for line in (f"@ 0 MX {number} mx{number}", f"mx{number} 0 A {peer.address}")
        ]
        self.dns = enter.enter_context(NsdServer(root, {"dns.test": zone("dns.test", records)}))
        self.administrator = new_host(IMPATIENT)
        own = authority.issue("own", common_name="smtp.contoso.test")
        self.administrator.store_certificate("own", own)
        self.load = enter.enter_context(Load(self.administrator, ["dns.test", "smart.test"]))
        self.outcome = Outcome(self.load, self.administrator, [*self.exchangers, self.smart_host])

    def publish(self, more: str = "") -> None:
        self.administrator.publish(
            server(self.dns.address)
            + by_dns("Dns", self.port, "dns.test", more=more)
            + by_smart_hosts("Smart", self.port, [self.smart_host.address], more=OWN_CERTIFICATE)
        )

    def wait_arriving(self, more: int = 10) -> None:
        """Wait until more messages have come than there are now."""
        wanted = self.outcome.arrived() + more
        wait_until(lambda: self.outcome.arrived() >= wanted or None, "messages that arrive")

    def assert_all_well(self) -> dict[str, int]:
        """Nothing lost, nothing bounced; return the duplicates, each of which was cut."""
        self.load.end()
        self.outcome.wait_drained()
        assert self.outcome.times_taken().keys() == self.load.accepted.keys()
        assert not self.administrator.host.mail(), "a non-delivery report"
        failures = self.outcome.failures()
        assert {d.status for found in failures.values() for d in found} <= {"deferred"}
        duplicates = self.outcome.duplicates()
        for message_id, times in duplicates.items():
            cuts = [d for d in failures.get(message_id, ()) if was_cut(d.text)]
            reasons = [d.text for d in failures.get(message_id, ())]
            assert len(cuts) >= times, f"{message_id} {times} times too often, but {reasons}"
        return duplicates


@pytest.fixture
def chaos(
    root: Path, enter: ExitStack, authority: CertificateAuthority, new_host: HostMaker
) -> Chaos:
    return Chaos(root, enter, authority, new_host)


def kill(child: Child) -> None:
    """As the kernel does when memory is short."""
    os.killpg(child.pid, signal.SIGKILL)
    stop_child(child)


def kill_postfix(receiver: Peer) -> None:
    """With all its processes."""
    process_id = int((receiver.queue_directory / "pid" / "master.pid").read_text())
    os.killpg(os.getpgid(process_id), signal.SIGKILL)
    receiver.stop()


def test_the_agent_is_killed_again_and_again(chaos: Chaos) -> None:
    with chaos.administrator.delivery_agent():
        chaos.publish()
    for _ in range(2):
        with chaos.administrator.delivery_agent() as agent:
            chaos.load.begin(100)
            chaos.wait_arriving()
            kill(agent)
    with chaos.administrator.delivery_agent():
        chaos.assert_all_well()


def test_the_agent_is_stopped_and_started_again(chaos: Chaos) -> None:
    with chaos.administrator.delivery_agent():
        chaos.publish()
    for _ in range(2):
        with chaos.administrator.delivery_agent():
            chaos.load.begin(100)
            chaos.wait_arriving()
    with chaos.administrator.delivery_agent():
        assert not chaos.assert_all_well()


def test_the_agent_is_held_and_let_go(chaos: Chaos) -> None:
    with chaos.administrator.delivery_agent() as agent:
        chaos.publish()
        for _ in range(2):
            chaos.load.begin(60)
            chaos.wait_arriving()
            agent.send_signal(signal.SIGSTOP)
            chaos.load.end()
            agent.send_signal(signal.SIGCONT)
        assert not chaos.assert_all_well()
        assert not chaos.outcome.failures()


def test_a_receiver_is_killed_and_another_takes_its_place(chaos: Chaos) -> None:
    with chaos.administrator.delivery_agent():
        chaos.publish()
        chaos.load.begin(100)
        chaos.wait_arriving()
        kill_postfix(chaos.exchangers[0])
        chaos.load.begin(50)
        chaos.load.end()
        chaos.exchangers[0].start()  # has to deliver what it has taken
        chaos.assert_all_well()


def test_the_only_receiver_is_killed_and_starts_again(chaos: Chaos) -> None:
    """The agent leaves it alone for a minute, unless it is started anew."""
    with chaos.administrator.delivery_agent():
        chaos.publish()
        chaos.load.begin(100)
        chaos.wait_arriving()
        kill_postfix(chaos.smart_host)
        chaos.load.begin(50)
        chaos.load.end()
        chaos.smart_host.start()
    with chaos.administrator.delivery_agent():
        chaos.assert_all_well()


def test_dns_goes_and_comes_back(chaos: Chaos, root: Path) -> None:
    with chaos.administrator.delivery_agent():
        chaos.publish()
        chaos.load.begin(60)
        chaos.wait_arriving()
        chaos.dns.stop()
        shutil.rmtree(root / "nsd")  # is made by start()
        chaos.load.begin(40)
        chaos.load.end()
        chaos.dns.start()
        assert not chaos.assert_all_well()


def test_connectors_are_published_anew(chaos: Chaos) -> None:
    with chaos.administrator.delivery_agent():
        chaos.publish()
        for number in range(2):
            chaos.load.begin(80)
            chaos.wait_arriving()
            chaos.publish(f'fqdn = "h{number}.contoso.test"')
        assert not chaos.assert_all_well()
    reasons = {d.text for found in chaos.outcome.failures().values() for d in found}
    assert not any(SERVICE.partition("/")[0] in r or "said:" in r for r in reasons), reasons


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own, for everybody to write to."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=1777", "tmpfs", str(folder)]
    subprocess.run(mount, check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_the_disk_of_large_messages_is_full(
    chaos: Chaos, root: Path, enter: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = enter.enter_context(small_disk(root / "tmp", "64m"))
    monkeypatch.setenv("TMPDIR", str(disk))
    large = enter.enter_context(Load(chaos.administrator, ["dns.test", "smart.test"], 2_200_000))
    chaos.load = large
    chaos.outcome = Outcome(large, chaos.administrator, [*chaos.exchangers, chaos.smart_host])
    with chaos.administrator.delivery_agent():
        chaos.publish()
        filler = disk / "filler"
        subprocess.run(["dd", "if=/dev/zero", f"of={filler}"], check=False, capture_output=True)
        large.begin(20)
        large.end()
        chaos.administrator.host.log.wait_for_delivery("m0@dns.test")
        assert chaos.outcome.arrived() == 0
        filler.unlink()
        large.begin(20)
        assert not chaos.assert_all_well()
    reasons = {d.text for found in chaos.outcome.failures().values() for d in found}
    assert any("452 4.3.1 the delivery agent can't store the message now" in r for r in reasons)
