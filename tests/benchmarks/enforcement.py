"""Enforcement: what do the policy service's answers cost, beside a server that does nothing?

    .venv/bin/python -m tests.benchmarks.enforcement

As root. Requests of Postfix 3.7 to the policy service and to a bare echo server on asyncio, from
20 and 100 connections, three times each in turn; the better run counts. The time of the processor
that each takes for a request says more where others use the machine. Then messages by smtpd(8) to a
smtp-sink, by a listener that asks the policy service, as apply compiles it, by one that asks the
echo server, which shows what asking costs Postfix whoever answers, and by one that asks nobody.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.delivery import sent, sink
from tests.lab.administrator import Administrator
from tests.lab.child import Child, start_child, stop_child
from tests.lab.loopback import free_address, free_port, wait_for_port, wait_until
from tests.lab.postfix_instance import PostfixInstance

CONNECTIONS = (20, 100)
SECONDS = 1.5
TIMES = 3

MESSAGES, SIZE = 1500, 4 * 1024
"""Of each run through Postfix."""

TURNS = 7
"""Of these runs: they differ by a tenth, so their median counts."""

DOMAINS = 500
"""With a connector each, beside that for all others."""

CONNECTOR = """
[[send_connector]]
name = "{name}"
address_spaces = ["{space}"]
dns_routing_enabled = false
smart_hosts = ["{address}"]
port = {port}
max_message_size = "{limit}"
"""


@dataclass
class Server:
    """One that answers policy requests, and the better of its runs."""

    socket: Path
    process: Child
    rate: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    processor: float = 0.0
    """Microseconds for a request."""

    def load(self, connections: int, seconds: float) -> None:
        """Ask it for so many seconds."""
        before = _processor_time(self.process.pid)
        command = [sys.executable, "-m", "tests.benchmarks.policy_load", str(self.socket)]
        result = subprocess.run(
            [*command, str(connections), str(seconds)], check=True, capture_output=True
        )
        found = json.loads(result.stdout)
        if found["rate"] > self.rate:
            self.rate, self.p50, self.p99 = found["rate"], found["p50"], found["p99"]
            taken = _processor_time(self.process.pid) - before
            self.processor = taken / found["asked"] * 1e6

    def __str__(self) -> str:
        return (
            f"{self.rate:,.0f}/s, p50 {self.p50:,.0f} µs, p99 {self.p99:,.0f} µs,"
            f" processor {self.processor:.1f} µs"
        )


def _processor_time(process: int) -> float:
    """Seconds."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def echo_server(root: Path) -> Iterator[tuple[Path, Child]]:
    """The server that does nothing."""
    path = root / "echo"
    child = start_child(
        [sys.executable, "-m", "tests.benchmarks.echo_server", str(path)], root / "echo.log"
    )
    try:
        wait_until(lambda: _is_listening(path) or None, "the echo server")
        path.chmod(0o666)
        yield path, child
    finally:
        stop_child(child)


def _is_listening(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def measure_requests(echo: tuple[Path, Child], policy: tuple[Path, Child]) -> None:
    """Print what both answer in a second."""
    for connections in CONNECTIONS:
        bare, ours = Server(*echo), Server(*policy)
        for _ in range(TIMES):
            for server in (bare, ours):
                server.load(connections, SECONDS)
        print(f"{connections:>4} connections, echo server:    {bare}")
        print(f"{connections:>4} connections, policy service: {ours}")
        print(
            f"{connections:>4} connections, ratio: {ours.rate / bare.rate:.2f}, of the processor"
            f" {bare.processor / ours.processor:.2f}"
        )


def deliver(host: PostfixInstance, port: int) -> float:
    """Seconds from the first of so many messages until the last is delivered."""
    before = sent(host)
    source = ["smtp-source", "-s", "10", "-m", str(MESSAGES), "-l", str(SIZE)]
    envelope = ["-f", "alice@contoso.test", "-t", "bob@d1.test"]
    began = time.perf_counter()
    subprocess.run(
        [*source, *envelope, f"{host.smtp_address}:{port}"], check=True, capture_output=True
    )
    wait_until(lambda: sent(host) - before >= MESSAGES or None, "the messages", timeout=120)
    return time.perf_counter() - began


def measure_messages(host: PostfixInstance, bare_port: int, echo_port: int) -> None:
    """Print how many messages a second go through Postfix."""
    assert host.smtp_port is not None
    ports = (bare_port, echo_port, host.smtp_port)
    seconds: list[list[float]] = [[] for _ in ports]
    for _ in range(TURNS):
        for port, taken in zip(ports, seconds, strict=True):
            taken.append(deliver(host, port))
    bare, echo, ours = (MESSAGES / statistics.median(taken) for taken in seconds)
    print(
        f"{MESSAGES} messages by smtpd(8): bare {bare:,.0f}/s, with the echo server {echo:,.0f}/s,"
        f" with the policy service {ours:,.0f}/s; ratio {ours / bare:.2f} (of the echo server"
        f" {echo / bare:.2f})"
    )


def listeners(bare_port: int, echo_port: int, echo: Path) -> str:
    """In master.cf, beside the one that asks the policy service."""
    asks = f"check_policy_service,unix:{echo}"
    return (
        f"127.0.0.1:{bare_port} inet n - y - - smtpd\n"
        "    -o smtpd_recipient_restrictions= -o smtpd_end_of_data_restrictions=\n"
        f"127.0.0.1:{echo_port} inet n - n - - smtpd\n"
        f"    -o smtpd_recipient_restrictions={asks} -o smtpd_end_of_data_restrictions={asks}\n"
    )


def connectors(address: str, port: int) -> str:
    """A file of many connectors to the same smart host."""
    found = [("All", "*", "200 KB")]
    found += [(f"D{n}", f"d{n}.test", f"{100 + n} KB") for n in range(DOMAINS)]
    return "".join(
        CONNECTOR.format(name=name, space=space, limit=limit, address=address, port=port)
        for name, space, limit in found
    )


def main() -> int:
    """Measure and print."""
    if os.geteuid() != 0:
        sys.stderr.write("be root\n")
        return 77
    with tempfile.TemporaryDirectory(prefix="pcb-", dir="/tmp") as name, ExitStack() as stack:
        root = Path(name)
        root.chmod(0o755)
        sink_port, bare_port, echo_port = free_port(), free_port(), free_port()
        address = free_address(sink_port)
        stack.enter_context(sink(root, address, sink_port))
        echo = stack.enter_context(echo_server(root))
        host = PostfixInstance(
            root,
            "host",
            smtp_port=free_port(),
            main_cf={"myhostname": "host.contoso.test", "message_size_limit": "0"},
            master_cf=listeners(bare_port, echo_port, echo[0]),
        )
        administrator = Administrator(root, stack.enter_context(host))
        wait_for_port("127.0.0.1", bare_port)
        policy = stack.enter_context(administrator.policy_service())
        administrator.publish(connectors(address, sink_port))
        measure_requests(echo, (host.queue_directory / "postconnector" / "policy", policy))
        measure_messages(host, bare_port, echo_port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
