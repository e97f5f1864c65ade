"""Deliveries over networks of their own: source addresses, networks that swallow, slow links."""

import json
import os
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab.command import POSTCONNECTOR
from tests.lab.exim import Exim
from tests.lab.network import Link, Namespace

NEAR = ["192.0.2.1/24", "192.0.2.11/24", "2001:db8::1/64", "2001:db8::11/64"]
FAR = ["192.0.2.2/24", "2001:db8::2/64"]


@pytest.fixture
def machines(root: Path, enter: ExitStack) -> tuple[Namespace, Namespace]:
    """We, and where the next hop is."""
    near, far = Namespace(root, "near"), Namespace(root, "far")
    return enter.enter_context(near), enter.enter_context(far)


@pytest.fixture
def link(machines: tuple[Namespace, Namespace]) -> Link:
    return Link(*machines, NEAR, FAR)


def receiver(root: Path, enter: ExitStack, machine: Namespace, address: str) -> Exim:
    exim = Exim(root, "exim", ["fabrikam.test"], address=address, port=25)
    with machine.inside():
        return enter.enter_context(exim)


def run(
    root: Path, machine: Namespace, connectors: str, *arguments: str, message: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    file = root / "connectors.toml"
    file.write_text(connectors)
    command = [*POSTCONNECTOR, "-c", str(file)]
    with machine.inside():
        return subprocess.run(
            [*command, "--config-directory", str(root / "no-postfix"), *arguments],
            input=message,
            capture_output=True,
            check=False,
            timeout=60,
        )


def connector(hosts: Sequence[str], properties: str = "") -> str:
    return (
        '[[send_connector]]\nname = "F"\naddress_spaces = ["fabrikam.test"]\n'
        f"dns_routing_enabled = false\nsmart_hosts = {json.dumps(hosts)}\n{properties}\n"
    )


@pytest.mark.parametrize(
    ("host", "source"), [("192.0.2.2", "192.0.2.11"), ("2001:db8::2", "2001:db8::11")]
)
def test_mail_leaves_from_the_source_ip_address(
    root: Path,
    enter: ExitStack,
    machines: tuple[Namespace, Namespace],
    link: Link,  # noqa: ARG001
    host: str,
    source: str,
) -> None:
    near, far = machines
    exim = receiver(root, enter, far, host)
    file = connector([host], f'source_ip_address = "{source}"')
    sent = run(root, near, file, "send", "-f", "", "bob@fabrikam.test", message=b"Subject: x\n\n")
    assert sent.returncode == 0, sent.stdout + sent.stderr
    [message] = exim.wait_received(1)
    assert message.client_address == source


def test_a_source_address_of_somebody_else_keeps_mail_waiting(
    root: Path,
    enter: ExitStack,
    machines: tuple[Namespace, Namespace],
    link: Link,  # noqa: ARG001
) -> None:
    near, far = machines
    exim = receiver(root, enter, far, "192.0.2.2")
    file = connector(["192.0.2.2"], 'source_ip_address = "192.0.2.77"')
    sent = run(root, near, file, "send", "-f", "", "bob@fabrikam.test", message=b"Subject: x\n\n")
    assert sent.returncode == os.EX_TEMPFAIL
    assert b"192.0.2.77: it is no address of this host" in sent.stdout
    assert exim.received() == []


def test_a_network_that_swallows_everything_is_told_from_a_next_hop_that_lives(
    root: Path, enter: ExitStack, machines: tuple[Namespace, Namespace], link: Link
) -> None:
    near, far = machines
    receiver(root, enter, far, "192.0.2.2")
    link.swallow("198.51.100.0/24")
    file = connector(["198.51.100.7", "192.0.2.2"])
    seen = run(root, near, file, "test", "F", "--timeout", "1")
    assert seen.returncode == 0, seen.stdout + seen.stderr
    assert b"connection timed out" in seen.stdout
    alone = run(root, near, connector(["198.51.100.7"]), "test", "F", "--timeout", "1")
    assert alone.returncode == os.EX_UNAVAILABLE


def test_a_slow_link_takes_its_time_and_loses_nothing(
    root: Path, enter: ExitStack, machines: tuple[Namespace, Namespace], link: Link
) -> None:
    near, far = machines
    exim = receiver(root, enter, far, "192.0.2.2")
    link.slow(kilobits=2000)
    lines = b"".join(b"%06d .a line of some length\n" % number for number in range(8000))
    message = b"Subject: long\n\n.\n" + lines
    sent = run(
        root, near, connector(["192.0.2.2"]), "send", "-f", "", "b@fabrikam.test", message=message
    )
    assert sent.returncode == 0, sent.stdout + sent.stderr
    [received] = exim.wait_received(1)
    assert received.content == message
