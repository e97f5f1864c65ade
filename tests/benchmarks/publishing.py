"""Publishing for a provider: 5,000 connectors, each with a smart host and credential of its own,
and 100,000 address spaces.

    .venv/bin/python -m tests.benchmarks.publishing [CONNECTORS [ADDRESS_SPACES_EACH]]

Needs root and Postfix. The peer of publishing is postmap(1) building the same tables, that of the
shared service is what `postfix check` takes for as many services as there are connectors.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.lab.administrator import Administrator
from tests.lab.command import POSTCONNECTOR
from tests.lab.loopback import free_port, wait_until
from tests.lab.postfix_instance import PostfixInstance

CONNECTORS, SPACES_EACH = 5_000, 20
CHANGED = 17
SERVICES_OF_THE_PEER = 1_000
"""Postfix checks them in square time: more would take minutes."""

OPTIONS_OF_THE_PEER = (
    "syslog_name=postfix/own",
    "smtp_fallback_relay=",
    "smtp_tls_security_level=secure",
    "smtp_tls_policy_maps=",
    "smtp_tls_loglevel=1",
    "smtp_tls_secure_cert_match=nexthop",
    "smtp_sasl_auth_enable=yes",
    "smtp_sasl_password_maps=lmdb:/etc/postfix/passwords",
    "smtp_sasl_security_options=noanonymous",
)


def connectors_file(count: int, spaces: int, changed: int | None = None) -> str:
    """The connectors; one of them may have another address space and limit than before."""
    return "".join(_connector(number, spaces, changed=number == changed) for number in range(count))


def _connector(number: int, spaces: int, *, changed: bool) -> str:
    domains = [f"{'*.' if n % 2 else ''}d{n}.customer{number}.example" for n in range(spaces)]
    limit = "max_message_size = '7 MB'\n" if changed else ""
    if changed:
        domains.append(f"new.customer{number}.example")
    return (
        f"[[send_connector]]\nname = 'Customer {number}'\naddress_spaces = {domains}\n"
        f"dns_routing_enabled = false\nsmart_hosts = ['relay.provider{number}.example']\n"
        f"port = 587\n{limit}smart_host_auth_mechanism = 'BasicAuthRequireTLS'\n"
        f"authentication_credential = {{ user_name = 'customer{number}',"
        f" password_file = 'secrets/{number}' }}\n"
    )


def timed(administrator: Administrator, *arguments: str) -> float:
    """Seconds that a command of ours takes; it must do what it is for."""
    start = time.perf_counter()
    result = administrator.run(*arguments)
    seconds = time.perf_counter() - start
    assert result.returncode in (0, 2), result.stdout + result.stderr
    return seconds


def started_anew(administrator: Administrator, command: str) -> float:
    """The same as a user starts it: `timed` has the program's modules ready."""
    named = "-c", str(administrator.connectors_file)
    host = "--config-directory", str(administrator.host.config_directory)
    start = time.perf_counter()
    subprocess.run([*POSTCONNECTOR, *named, *host, command], check=True, capture_output=True)
    return time.perf_counter() - start


def postmap_alone(administrator: Administrator, scratch: Path) -> float:
    """Seconds that postmap(1) takes for all tables that are live."""
    live = administrator.host.config_directory / "postconnector" / "live"
    seconds = 0.0
    for source in _sources(live):
        copy = scratch / "table"
        copy.write_bytes(source.read_bytes())
        seconds += command(administrator, "postmap", f"lmdb:{copy}")
    return seconds


def _sources(live: Path) -> Iterator[Path]:
    for built in live.rglob("*.lmdb"):
        yield built.with_suffix("")


def command(administrator: Administrator, name: str, *arguments: str) -> float:
    """Seconds that a command of Postfix takes for the host."""
    directory = str(administrator.host.config_directory)
    start = time.perf_counter()
    subprocess.run([name, "-c", directory, *arguments], check=True, capture_output=True)
    return time.perf_counter() - start


def followed(administrator: Administrator) -> None:
    """Wait until the policy service has read what was published, so that it has come to rest."""
    generation = (administrator.host.config_directory / "postconnector" / "live").readlink().name
    wait_until(
        lambda: (
            administrator.policy_log.read_text().count("connectors in force") >= int(generation)
            or None
        ),
        "the policy service to follow",
        timeout=60,
    )


def many_services(count: int) -> str:
    """What master.cf would have if every connector had a service of its own."""
    settings = "".join(f"  -o {name}\n" for name in OPTIONS_OF_THE_PEER)
    return "".join(f"own-{number} unix - - y - - smtp\n{settings}" for number in range(count))


def host_with(enter: ExitStack, root: Path, connectors: int, spaces: int) -> Administrator:
    """A host with passwords and a policy service, and nothing published."""
    settings = {
        "myhostname": "host.provider.example",
        "virtual_mailbox_domains": "provider.example",
        "smtp_tls_CAfile": "/etc/ssl/certs/ca-certificates.crt",
        "message_size_limit": "0",
    }
    host = PostfixInstance(root, "host", main_cf=settings, smtp_port=free_port())
    administrator = Administrator(root, enter.enter_context(host))
    for number in range(connectors):
        administrator.store_password(str(number), f"password of {number}")
    administrator.write_connectors(connectors_file(connectors, spaces))
    enter.enter_context(administrator.policy_service())
    return administrator


def peer_check(root: Path) -> float:
    """Seconds of `postfix check` with a service for each connector, as far as that is bearable."""
    host = PostfixInstance(root, "peer", master_cf=many_services(SERVICES_OF_THE_PEER))
    with host:
        return command(Administrator(root / "peer-admin", host), "postfix", "check")


def main() -> None:
    """Print what was measured."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # installed programs are compiled once
    given = [int(text) for text in sys.argv[1:3]]
    connectors, spaces = [*given, *(CONNECTORS, SPACES_EACH)[len(given) :]]
    with ExitStack() as enter:
        root = Path(enter.enter_context(tempfile.TemporaryDirectory(prefix="pct-", dir="/tmp")))
        root.chmod(0o755)
        administrator = host_with(enter, root, connectors, spaces)
        timed(administrator, "check")
        first = timed(administrator, "apply")
        followed(administrator)
        again = timed(administrator, "apply")
        administrator.write_connectors(connectors_file(connectors, spaces, changed=CHANGED))
        planned = timed(administrator, "plan")
        changed = timed(administrator, "apply")
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        followed(administrator)
        administrator.write_connectors(connectors_file(connectors, spaces))
        anew = started_anew(administrator, "apply")
        followed(administrator)
        postmap = postmap_alone(administrator, root)
        check = command(administrator, "postfix", "check")
        services = administrator.host.postconf("-M").count("\npc-")
        print(f"{connectors:,} connectors, {connectors * spaces:,} address spaces")
        print(f"{'postmap alone, for the same tables':<42} {postmap:5.2f} s")
        for what, seconds in (
            ("apply, the first", first),
            ("apply, nothing to change", again),
            ("plan, one connector changed", planned),
            ("apply, one connector changed", changed),
            ("the same with the start of Python", anew),
        ):
            print(f"{what:<42} {seconds:5.2f} s, {seconds / postmap:.1f} times postmap")
        print(f"{'most memory of a command':<42} {memory:5.0f} MB")
        print(f"{f'postfix check, {services} services of ours':<42} {check:5.2f} s")
        peer = peer_check(root)
        print(f"{f'postfix check, {SERVICES_OF_THE_PEER} services, not shared':<42} {peer:5.2f} s")


if __name__ == "__main__":
    main()
