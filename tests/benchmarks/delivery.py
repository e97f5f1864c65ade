"""Delivery: how many messages a second leave by the agent, beside Postfix' own smtp(8)?

    .venv/bin/python -m tests.benchmarks.delivery

As root. A queue full of messages drains to the same smtp-sink, by DNS routing: by smtp(8), and
through the delivery agent, twice each; the better run counts. Both connectors say the same but for
the DNS servers. Then the agent gets 100 messages of 25 MB at once, for the memory that it takes.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.lab.administrator import Administrator
from tests.lab.child import Child, start_child, stop_child
from tests.lab.dns_server import NsdServer, zone
from tests.lab.loopback import free_address, free_port, wait_for_port, wait_until
from tests.lab.postfix_instance import PostfixInstance

RUNS = ((4 * 1024, 3000), (1024 * 1024, 200))
"""Size in bytes, and how many messages."""

AT_ONCE, LARGE = 100, 25 * 1024**2

CONNECTORS = """
[organization]
exchange_version = "2019"

[[organization.server]]
name = "HOST"
fqdn = "host.contoso.test"
server_role = "Edge"
external_dns_servers = ["{dns}"]

[[send_connector]]
name = "Native"
address_spaces = ["native.test"]
port = {port}
max_message_size = "unlimited"

[[send_connector]]
name = "Agent"
address_spaces = ["agent.test"]
port = {port}
max_message_size = "unlimited"
use_external_dns_servers_enabled = true
"""


@contextmanager
def sink(root: Path, address: str, port: int) -> Iterator[None]:
    """smtp-sink(1), which takes all and keeps nothing."""
    command = ["smtp-sink", "-u", "nobody", f"{address}:{port}", "1000"]
    child = start_child(command, root / "sink.log")
    try:
        wait_for_port(address, port)
        yield
    finally:
        stop_child(child)


def drain(host: PostfixInstance, domain: str, size: int, count: int) -> float:
    """Seconds from when a queue with so many messages may leave until all have."""
    host.postconf("-e", "defer_transports = pc-native pc-delivery-agent")
    host.postfix("reload")
    source = ["smtp-source", "-s", "20", "-m", str(count), "-l", str(size)]
    envelope = ["-f", "alice@contoso.test", "-t", f"bob@{domain}"]
    to = f"{host.smtp_address}:{host.smtp_port}"
    subprocess.run([*source, *envelope, to], check=True, capture_output=True)
    host.wait_idle()
    before = sent(host)
    host.postconf("-e", "defer_transports =")
    host.postfix("reload")
    began = time.perf_counter()
    host.flush()
    wait_until(
        lambda: sent(host) - before >= count or None, f"{count} messages to leave", timeout=300
    )
    return time.perf_counter() - began


def sent(host: PostfixInstance) -> int:
    """How many deliveries the log has."""
    log = host.directory / "log" / "maillog"
    return log.read_bytes().count(b"status=sent")


def deliver_at_once(host: PostfixInstance) -> None:
    """Give the agent large messages, all at the same time, and wait until it has answered."""
    agent = f"unix:{host.queue_directory}/postconnector/deliver"
    source = ["smtp-source", "-L", "-s", str(AT_ONCE), "-m", str(AT_ONCE), "-l", str(LARGE)]
    envelope = ["-f", "alice@contoso.test", "-t", "bob@agent.test"]
    subprocess.run([*source, *envelope, agent], check=True, capture_output=True)


def most_memory(process: Child) -> int:
    """The most that a process ever had in memory, in MB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) // 1024


def main() -> int:
    """Measure and print."""
    if os.geteuid() != 0:
        sys.stderr.write("be root\n")
        return 77
    with tempfile.TemporaryDirectory(prefix="pcb-", dir="/tmp") as name, ExitStack() as stack:
        root = Path(name)
        root.chmod(0o755)
        port = free_port()
        address = free_address(port)
        stack.enter_context(sink(root, address, port))
        records = ["@ MX 10 mx", f"mx A {address}"]
        zones = {f"{each}.test": zone(f"{each}.test", records) for each in ("native", "agent")}
        dns = stack.enter_context(NsdServer(root, zones))
        host = PostfixInstance(
            root,
            "host",
            smtp_port=free_port(),
            resolver=dns.address,
            main_cf={"myhostname": "host.contoso.test", "message_size_limit": "0"},
        )
        administrator = Administrator(root, stack.enter_context(host))
        stack.enter_context(administrator.policy_service())
        agent = stack.enter_context(administrator.delivery_agent())
        administrator.publish(CONNECTORS.format(dns=dns.address, port=port))
        for size, count in RUNS:
            rates: dict[str, float] = {}
            for path in ("native", "agent", "native", "agent"):
                rate = count / drain(host, f"{path}.test", size, count)
                rates[path] = max(rate, rates.get(path, 0.0))
            ratio = rates["agent"] / rates["native"]
            print(
                f"{size:>9,} bytes: smtp(8) {rates['native']:,.0f}/s,"
                f" agent {rates['agent']:,.0f}/s, ratio {ratio:.2f}"
            )
        before = most_memory(agent)
        deliver_at_once(host)
        after = most_memory(agent)
        print(
            f"{AT_ONCE} x {LARGE // 1024**2} MB at once: {after} MB of memory, {before} MB before"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
