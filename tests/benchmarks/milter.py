"""The milter: how many messages a second come in by SMTP with it, and with one that does nothing?

    .venv/bin/python -m tests.benchmarks.milter

As root, with gcc and libmilter's headers. smtp-source sends to one Postfix, which delivers nothing
meanwhile: with our milter, and with a no-op in C that negotiates the same; without any for
comparison. Each seven times in turn; the median of each counts, and of the ratios in each turn.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from tests.lab.administrator import Administrator
from tests.lab.child import start_child, stop_child
from tests.lab.loopback import free_port, wait_until
from tests.lab.postfix_instance import PostfixInstance

SESSIONS = 20
TURNS = 7
RUNS = ((4 * 1024, 1000), (1024 * 1024, 150))
"""Size in bytes, and how many messages."""

NOOP = "unix:noop"
SOURCE = Path(__file__).parents[1] / "lab" / "noop_milter.c"
CONNECTORS = """
[host]
milter = "smtp"

[[send_connector]]
name = "Internet"
address_spaces = ["*"]
max_message_size = "10 MB"
"""


@contextmanager
def noop_milter(root: Path, path: Path) -> Iterator[None]:
    """Build it, and run it at this socket."""
    program = root / "noop_milter"
    command = ["gcc", "-O2", "-o", str(program), str(SOURCE), "-lmilter", "-lpthread"]
    subprocess.run(command, check=True)
    child = start_child([str(program), str(path)], root / "noop.log")
    try:
        wait_until(lambda: path.exists() or None, "the no-op milter")
        yield
    finally:
        stop_child(child)


def rate(host: PostfixInstance, milters: str, size: int, count: int) -> float:
    """Messages a second that Postfix takes."""
    host.postconf("-e", f"smtpd_milters = {milters}")
    host.postfix("reload")
    source = ["smtp-source", "-s", str(SESSIONS), "-l", str(size)]
    envelope = ["-f", "alice@contoso.test", "-t", "bob@fabrikam.test"]
    to = f"{host.smtp_address}:{host.smtp_port}"
    # The first messages find processes that are just starting.
    subprocess.run([*source, "-m", str(SESSIONS), *envelope, to], check=True, capture_output=True)
    began = time.perf_counter()
    subprocess.run([*source, "-m", str(count), *envelope, to], check=True, capture_output=True)
    return count / (time.perf_counter() - began)


def measured(host: PostfixInstance, milters: str, size: int, count: int) -> float:
    """The same, and the queue is empty again."""
    found = rate(host, milters, size, count)
    command = ["postsuper", "-c", str(host.config_directory), "-d", "ALL"]
    subprocess.run(command, check=True, capture_output=True)
    return found


def main() -> int:
    """Measure and print."""
    if os.geteuid() != 0:
        sys.stderr.write("be root\n")
        return 77
    with tempfile.TemporaryDirectory(prefix="pcb-", dir="/tmp") as name, ExitStack() as stack:
        root = Path(name)
        root.chmod(0o755)
        settings = {"myhostname": "host.contoso.test", "message_size_limit": "0"}
        port = free_port()
        host = PostfixInstance(root, "host", smtp_port=port, main_cf=settings)
        administrator = Administrator(root, stack.enter_context(host))
        stack.enter_context(noop_milter(root, host.queue_directory / "noop"))
        stack.enter_context(administrator.policy_service())
        stack.enter_context(administrator.delivery_agent())
        stack.enter_context(administrator.milter())
        administrator.publish(CONNECTORS)
        ours = host.postconf("-h", "smtpd_milters").strip()
        host.postconf("-e", "defer_transports = pc-internet")
        host.postconf("-e", "smtpd_recipient_restrictions =")
        for size, count in RUNS:
            turns = [
                [measured(host, milter, size, count) for milter in ("", NOOP, ours)]
                for _ in range(TURNS)
            ]
            bare, noop, own = map(median, zip(*turns, strict=True))
            ratio = median(own / noop for _, noop, own in turns)
            print(
                f"{size:>9,} bytes: no milter {bare:,.0f}/s, no-op in C {noop:,.0f}/s"
                f" ({noop / bare:.2f} of none), ours {own:,.0f}/s, ratio to the no-op {ratio:.2f}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
