"""The milter at an address, and hung, in front of a real Postfix."""

import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.demo.journey import SENDER
from tests.lab.loopback import free_port, wait_until
from tests.lab.meddling import instead_of
from tests.lab.milter_client import MilterClient
from tests.lab.peers import Peer
from tests.postfix.conftest import HostMaker
from tests.postfix.test_milter import (
    FITS,
    TOO_BIG,
    arrived,
    by_smtp,
    connectors,
    peer,
    report,
    services,
    submit,
)

__all__ = ["peer"]


@pytest.mark.parametrize("milter", ["sendmail", "smtp"])
def test_at_an_address(new_host: HostMaker, enter: ExitStack, peer: Peer, milter: str) -> None:
    port = free_port()
    text = connectors(peer, milter).replace(
        "[host]\n", f'[host]\nmilter_service = "inet:127.0.0.1:{port}"\n'
    )
    administrator = new_host()
    enter.enter_context(administrator.milter(f"inet:127.0.0.1:{port}"))
    administrator.publish(text)
    for name in ("smtpd_milters", "non_smtpd_milters"):
        is_asked = f"inet:127.0.0.1:{port}" in administrator.host.postconf("-h", name)
        assert is_asked == (milter == "smtp" or name == "non_smtpd_milters")
    submit(administrator, "a@small.test", size=FITS)
    submit(administrator, "b@other.test", size=TOO_BIG)
    assert by_smtp(administrator, ["a@small.test"], FITS)[0] == 250
    assert by_smtp(administrator, ["b@other.test"], TOO_BIG)[0] == 552
    assert "Status: 5.3.4" in report(administrator)
    arrived(peer, 2)


def test_hung_while_new_connectors_are_published(
    new_host: HostMaker, enter: ExitStack, peer: Peer
) -> None:
    """Mail by sendmail(1) waits for it, and is judged by what is in force when it goes on."""
    administrator = new_host()
    enter.enter_context(administrator.delivery_agent())
    daemon = enter.enter_context(administrator.milter())
    administrator.publish(connectors(peer))
    path = administrator.host.queue_directory / "postconnector" / "milter"
    with MilterClient(path) as coming:
        coming.begin(SENDER, "b@other.test")
        new = connectors(peer, everything="1 MB").replace('"unlimited"', '"10 KB"')
        administrator.write_connectors(new)
        # It still answers apply, which publishes nothing without that, and hangs from then on.
        hang = f'case "$*" in *check*) kill -STOP {daemon.pid};; esac'
        try:
            result = administrator.run("apply", path=instead_of(administrator, "postfix", hang))
            assert result.returncode == 0, result.stderr
            before = connections(path)
            submit(administrator, "b@other.test", size=TOO_BIG)
            submit(administrator, "a@unlimited.test", size=FITS)
            # pickup(8) looks every minute, when the reload has swallowed what called it.
            asked = "Postfix to ask the milter"
            wait_until(lambda: connections(path) > before or None, asked, timeout=90.0)
            assert peer.mail() == []
        finally:
            daemon.send_signal(signal.SIGCONT)
        assert coming.finish(TOO_BIG) == b"c"
    arrived(peer, 2)
    assert "pc-unlimited/smtp" not in services(administrator)
    assert administrator.host.mail() == []
    assert administrator.host.queue() == []


def connections(path: Path) -> int:
    """How many have connected to this socket, and the socket itself."""
    sockets = Path("/proc/net/unix").read_text().splitlines()
    return sum(line.endswith(f" {path}") for line in sockets)
