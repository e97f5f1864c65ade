"""What is seen of the daemons from outside: readiness, as systemd hears it; metrics; logs."""

import os
import re
import socket
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.lab.administrator import Administrator
from tests.lab.agent_connectors import by_dns, deliver, server
from tests.lab.child import Child, start_child, stop_child
from tests.lab.command import POSTCONNECTOR
from tests.lab.dns_server import NsdServer, zone
from tests.lab.loopback import free_address, free_port, wait_until
from tests.lab.peers import plain_receiver
from tests.postfix.conftest import HostMaker
from tests.postfix.test_policy_service import KB, submit

DAEMONS = ("policy", "deliver", "milter")
LIMITED = (
    '[[send_connector]]\nname = "Grüße"\naddress_spaces = ["*"]\nmax_message_size = "100 KB"\n'
)


class Systemd:
    """The socket at which systemd would hear a daemon."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        path.chmod(0o777)  # as systemd's
        self._socket.settimeout(30.0)

    def wait_for(self, assignment: str) -> dict[str, str]:
        """Wait until this is said; return all that was said with it."""
        while True:
            said = self._socket.recv(4096).decode().split("\n")
            if assignment in said:
                return dict(line.split("=", 1) for line in said)

    def close(self) -> None:
        self._socket.close()


class Daemon:
    """A daemon of one host, with metrics, started as systemd would."""

    def __init__(self, host: Administrator, name: str) -> None:
        self._port = free_port()
        self.log = host.folder / f"{name}.log"
        command = [
            *(*POSTCONNECTOR, name),
            *("--config-directory", str(host.host.config_directory)),
            *("--metrics", f"127.0.0.1:{self._port}"),
        ]
        self.child: Child = start_child(command, self.log)

    def series(self) -> dict[tuple[str, ...], float]:
        """What Prometheus would read, by name and the values of the labels."""
        url = f"http://127.0.0.1:{self._port}/metrics"
        with urllib.request.urlopen(url, timeout=10) as response:
            text = response.read().decode()
        return {
            (sample.name.removeprefix("postconnector_"), *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }


@pytest.fixture
def systemd(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    path = root / "notify"
    listening = Systemd(path)
    monkeypatch.setenv("NOTIFY_SOCKET", str(path))
    yield listening
    listening.close()


@pytest.fixture
def host(new_host: HostMaker) -> Administrator:
    made: Administrator = new_host(policy_service=False)
    (made.host.queue_directory / "postconnector").mkdir(mode=0o755)
    return made


Start = Callable[[str], Daemon]


@pytest.fixture
def start(host: Administrator, systemd: Systemd, enter: ExitStack) -> Start:
    """Start a daemon of the host and wait until it is ready."""

    def started(name: str) -> Daemon:
        daemon = enter.enter_context(_running(host, name))
        systemd.wait_for("READY=1")
        return daemon

    return started


@contextmanager
def _running(host: Administrator, name: str) -> Iterator[Daemon]:
    daemon = Daemon(host, name)
    try:
        yield daemon
    finally:
        stop_child(daemon.child, timeout=60.0)


def publish(host: Administrator, number: int, text: str) -> None:
    """Put a generation in force as apply does, for no Postfix to take."""
    folder = host.host.config_directory / "postconnector"
    generation = folder / "generations" / f"{number:06}"
    generation.mkdir(parents=True)
    (generation / "connectors.toml").write_text(text)
    link = folder / "live.new"
    link.symlink_to(generation)
    link.replace(folder / "live")


@pytest.mark.parametrize("name", DAEMONS)
def test_systemd_hears_a_whole_life(
    host: Administrator, systemd: Systemd, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(host, 16, LIMITED)
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    with _running(host, name) as daemon:
        assert systemd.wait_for("READY=1")["STATUS"] == "1 connector, generation 16"
        for _ in range(3):
            systemd.wait_for("WATCHDOG=1")

        publish(host, 17, LIMITED + LIMITED.replace("Grüße", "Another"))
        systemd.wait_for("RELOADING=1")
        assert systemd.wait_for("READY=1")["STATUS"] == "2 connectors, generation 17"

        publish(host, 18, "nonsense")
        assert "no good" in systemd.wait_for("READY=1")["STATUS"]
        found = daemon.series()
        assert found["organization_bad",] == 1
        assert found["organization_connectors",] == 2
        assert found["organization_generation",] == 17
        assert found["organization_loaded_timestamp_seconds",] > 1_700_000_000
        assert found["process_open_fds",] > 0

        daemon.child.terminate()
        systemd.wait_for("STOPPING=1")
        assert daemon.child.wait(30) == 0


def test_before_anything_is_published(host: Administrator, systemd: Systemd) -> None:
    with _running(host, "policy"):
        assert systemd.wait_for("READY=1")["STATUS"] == "nothing is published yet"


@pytest.mark.parametrize("name", DAEMONS)
def test_nothing_is_loaded_for_a_scrape_once_root_is_given_up(
    start: Start, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    daemon = start(name)
    for _ in range(2):
        assert ("organization_connectors",) in daemon.series()
    _, _, later = daemon.log.read_text().partition("metrics at http://127.0.0.1:")
    assert "import time:" not in later
    assert Path(f"/proc/{daemon.child.pid}").stat().st_uid != 0


@pytest.mark.parametrize("name", DAEMONS)
def test_metrics_are_for_this_host_alone(host: Administrator, name: str) -> None:
    refused = host.run(name, "--metrics", "0.0.0.0:9630")
    assert refused.returncode == os.EX_USAGE
    assert "'0.0.0.0' is no loopback address" in refused.stderr


def test_somebody_listens_there_already(host: Administrator) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        failed = host.run("policy", "--metrics", f"127.0.0.1:{port}")
    assert failed.returncode == os.EX_UNAVAILABLE
    assert f"can't listen on 127.0.0.1:{port}: Address already in use" in failed.stderr


def test_deliveries_are_counted(
    host: Administrator, start: Start, root: Path, enter: ExitStack
) -> None:
    port = free_port()
    address, nobody = free_address(port), free_address(port)
    enter.enter_context(plain_receiver(root, "peer", ["a.test"], address=address, port=port))
    zones = {
        "a.test": zone("a.test", [f"@ A {address}"]),
        "b.test": zone("b.test", [f"@ A {nobody}"]),
    }
    agent = start("deliver")  # before nsd(8), which tells systemd that it is ready, too
    dns = enter.enter_context(NsdServer(root, zones))
    enter.enter_context(host.policy_service())
    host.publish(server(dns.address) + by_dns("A", port) + by_dns("B", port))
    [sent] = deliver(host, "one@contoso.test", "bob@a.test")
    [deferred] = deliver(host, "two@contoso.test", "bob@b.test")
    assert (sent.status, deferred.status) == ("sent", "deferred")
    found = agent.series()
    assert found["deliveries_total", "A", "sent"] == 1
    assert found["deliveries_total", "B", "deferred"] >= 1
    assert found["delivery_seconds_count", "A"] == 1
    # And what is gone takes its series along.
    publish(host, 17, server(dns.address) + by_dns("A", port))
    wait_until(lambda: None if any("B" in key for key in agent.series()) else True, "B to be gone")
    assert agent.series()["deliveries_total", "A", "sent"] == 1


def test_decisions_are_counted_and_logged_as_postfix_would(
    host: Administrator, start: Start
) -> None:
    policy = start("policy")
    host.publish(LIMITED)
    assert "bob@fabrikam.test" in submit(host, "bob@fabrikam.test", size=300 * KB, declared=True)
    assert submit(host, "bob@fabrikam.test", size=300 * KB, declared=False)["data"][0] == 552
    found = policy.series()
    assert found["decisions_total", "Grüße", "RCPT", "refused"] == 1
    assert found["decisions_total", "Grüße", "RCPT", "accepted"] == 1
    assert found["decisions_total", "Grüße", "END-OF-MESSAGE", "refused"] == 1
    assert found["answer_seconds_count", "RCPT"] == 2
    assert found["answer_seconds_count", "END-OF-MESSAGE"] == 1
    said = policy.log.read_text()
    envelope = r"; from=<alice@contoso.test> to=<bob@fabrikam.test> proto=ESMTP helo=<client.*>"
    client = rf"from \S+\[{re.escape(host.host.smtp_address)}\]: 552 5\.3\.4 .*"
    assert re.search(rf"NOQUEUE: reject: RCPT {client}{envelope}", said)
    assert re.search(rf"\w+: reject: END-OF-MESSAGE {client}{envelope}", said)
