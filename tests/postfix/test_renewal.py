"""Our own certificates are renewed, expire and vanish: Postfix, the delivery agent, and a next hop
that looks at what it is shown. The host sends by both: native.test by Postfix itself, which demands
no TLS there, and agent.test by the agent.
"""

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from postconnector.postfix.generations import About
from postconnector.postfix.unfinished import mark_unfinished
from tests.lab.administrator import Administrator
from tests.lab.agent_connectors import by_smart_hosts
from tests.lab.certificates import CertificateAuthority, IssuedCertificate
from tests.lab.child import Child
from tests.lab.loopback import free_address, free_port, wait_until
from tests.lab.maillog import Delivery
from tests.lab.meddling import applied_meanwhile
from tests.lab.tls_peer import SeenSession, TlsPeer
from tests.postfix.conftest import HostMaker

DAY = timedelta(days=1)
NAME = (
    '\ntls_certificate_name = "<I>CN=Contoso Test CA, O=Contoso<S>CN=smtp.contoso.test, O=Contoso"'
)
EXCHANGE = (
    "The certificate specified in TlsCertificateName of the SendConnector could not be found."
)
BOTH = ("native.test", "agent.test")
CONTRIB = Path(__file__).resolve().parents[2] / "contrib" / "postfix"
_numbers = count()


@pytest.fixture
def peer(authority: CertificateAuthority, enter: ExitStack) -> TlsPeer:
    """The next hop of both connectors."""
    port = free_port()
    certificate = authority.issue("peer", common_name=None, dns_names=["peer.test"])
    address = free_address(port)
    return enter.enter_context(
        TlsPeer(address, port, certificate.chain_file, clients=authority.ca_file)
    )


@pytest.fixture
def host(new_host: HostMaker) -> Administrator:
    return new_host({"smtp_tls_security_level": "may"})


@pytest.fixture
def agent(host: Administrator) -> Iterator[Child]:
    with host.delivery_agent() as child:
        yield child


def native(peer: TlsPeer, more: str = NAME) -> str:
    return (
        '[[send_connector]]\nname = "Native"\naddress_spaces = ["native.test"]\n'
        f'dns_routing_enabled = false\nsmart_hosts = ["{peer.address}"]\nport = {peer.port}{more}\n'
    )


def by_agent(peer: TlsPeer) -> str:
    return by_smart_hosts("Agent", peer.port, [peer.address], "agent.test", more=NAME)


@pytest.fixture
def connectors(peer: TlsPeer) -> str:
    return native(peer) + by_agent(peer)


IssueOwn = Callable[..., IssuedCertificate]


@pytest.fixture
def issue(authority: CertificateAuthority) -> IssueOwn:
    """Issue a certificate that the connectors name, by the days of its beginning and end."""

    def issue(start: float = -1, end: float = 60) -> IssuedCertificate:
        now = datetime.now(UTC)
        return authority.issue(
            f"own{next(_numbers)}",
            common_name="smtp.contoso.test",
            not_before=now + start * DAY,
            not_after=now + end * DAY,
        )

    return issue


def sha256(issued: IssuedCertificate) -> str:
    leaf = x509.load_pem_x509_certificate(issued.certificate_file.read_bytes())
    return leaf.fingerprint(hashes.SHA256()).hex(":").upper()


def send(host: Administrator, domain: str) -> Delivery:
    """Send a message, and wait for the first attempt."""
    recipient, message_id = f"bob@{domain}", f"<{next(_numbers)}.renewal@contoso.test>"
    text = f"Subject: renewal\nMessage-ID: {message_id}\n\nHello\n"
    host.host.sendmail("alice@contoso.test", [recipient], text.encode())
    return host.host.log.wait_for_delivery(recipient, message_id=message_id)


def shown(host: Administrator, peer: TlsPeer, domain: str) -> str | None:
    """The fingerprint that the next hop sees with a message."""
    delivery = send(host, domain)
    assert delivery.status == "sent", delivery
    assert peer.delivered is not None
    return peer.delivered.client_sha256


def delivered(peer: TlsPeer) -> list[SeenSession]:
    """The sessions that brought a message."""
    return [session for session in peer.sessions if session.message is not None]


def live(host: Administrator) -> Path:
    return (host.host.config_directory / "postconnector" / "live").resolve()


def states(host: Administrator) -> dict[str, Any]:
    found = json.loads((live(host) / "certificates.json").read_text())
    connectors: dict[str, Any] = found["connectors"]
    return connectors


def renew(host: Administrator) -> list[str]:
    """Run renew; what it says of connectors."""
    result = host.run("renew")
    assert result.returncode == 0, result.stdout + result.stderr
    return [line for line in result.stdout.splitlines() if "connector " in line]


def reloads(host: Administrator) -> int:
    return sum(line.text.startswith("reload --") for line in host.host.log.lines())


# --- renewal


@pytest.mark.usefixtures("agent")
def test_a_renewed_certificate_is_shown_without_a_restart(
    host: Administrator, agent: Child, peer: TlsPeer, connectors: str, issue: IssueOwn
) -> None:
    old, new = issue(-9), issue()
    host.store_certificate("smtp", old)
    host.publish(connectors)
    for domain in BOTH:
        assert shown(host, peer, domain) == sha256(old)
    (master,) = [line.split()[0] for line in pid_of_master(host)]
    host.store_certificate("smtp", new)
    lines = renew(host)
    assert [line.partition(" shows ")[0] for line in lines] == [
        'connector "Native"',
        'connector "Agent"',
    ]
    until = f"{datetime.now(UTC) + 60 * DAY:%Y-%m-%d}"
    assert all(f"CN=smtp.contoso.test,O=Contoso until {until}" in line for line in lines)
    for domain in BOTH:
        assert shown(host, peer, domain) == sha256(new)
    assert agent.poll() is None
    assert (master,) == tuple(line.split()[0] for line in pid_of_master(host))
    assert {name: state["certificate"]["sha256"] for name, state in states(host).items()} == {
        "Native": sha256(new),
        "Agent": sha256(new),
    }
    assert host.run("status").returncode == 0
    generation, before = live(host), reloads(host)
    assert renew(host) == []
    assert (live(host), reloads(host)) == (generation, before)
    assert '"command": "renew"' in (generation / "about.json").read_text()


def pid_of_master(host: Administrator) -> list[str]:
    return (host.host.queue_directory / "pid" / "master.pid").read_text().splitlines()


def test_for_the_agent_alone_postfix_is_not_reloaded(
    host: Administrator, agent: Child, peer: TlsPeer, issue: IssueOwn
) -> None:
    assert agent.poll() is None
    old, new = issue(-9), issue()
    host.store_certificate("smtp", old)
    host.publish(by_agent(peer))
    assert shown(host, peer, "agent.test") == sha256(old)
    before = reloads(host)
    host.store_certificate("smtp", new)
    assert len(renew(host)) == 1
    assert shown(host, peer, "agent.test") == sha256(new)
    assert reloads(host) == before


def test_a_changed_intermediate_is_published_too(
    host: Administrator, peer: TlsPeer, issue: IssueOwn, authority: CertificateAuthority
) -> None:
    own = issue()
    host.store_certificate("smtp", own)
    host.publish(native(peer))
    before = (live(host) / "certificates/pc-native.pem").read_bytes()
    # Of the same name and key as the authority, and signed by another: an intermediate.
    cross = authority.cross_signed(CertificateAuthority(authority.ca_file.parent / "x", "Root X"))
    path = host.folder / "certificates" / "cross.pem"
    path.write_bytes(cross)
    [line] = renew(host)
    assert line.startswith('connector "Native" shows ')
    after = (live(host) / "certificates/pc-native.pem").read_bytes()
    assert after.startswith(before)
    assert after.endswith(cross)
    assert shown(host, peer, "native.test") == sha256(own)


def test_renew_takes_the_published_connectors_and_no_edit(
    host: Administrator, peer: TlsPeer, issue: IssueOwn
) -> None:
    host.store_certificate("smtp", issue(-9))
    host.publish(native(peer))
    published = (live(host) / "connectors.toml").read_bytes()
    host.write_connectors("nonsense")
    host.store_certificate("smtp", new := issue())
    assert len(renew(host)) == 1
    assert (live(host) / "connectors.toml").read_bytes() == published
    assert shown(host, peer, "native.test") == sha256(new)


def test_an_apply_meanwhile_is_not_taken_back(
    host: Administrator, peer: TlsPeer, issue: IssueOwn
) -> None:
    host.store_certificate("smtp", issue(-9))
    host.publish(native(peer))
    host.store_certificate("smtp", issue())
    newer = native(peer, f"{NAME}\nmax_message_size = '1 MB'")
    result = host.run("renew", path=applied_meanwhile(host, newer))
    assert (result.returncode, "try again" in result.stderr) == (os.EX_TEMPFAIL, True), result
    assert (live(host) / "connectors.toml").read_text() == newer


def test_rollback_passes_renewals_by(host: Administrator, peer: TlsPeer, issue: IssueOwn) -> None:
    host.publish(native(peer, more=""))
    host.store_certificate("smtp", issue(-9))
    host.publish(native(peer))
    for start in (-5, -1):
        host.store_certificate("smtp", issue(start))
        assert len(renew(host)) == 1
    result = host.run("rollback")
    assert result.returncode == 0, result.stderr
    assert "generation 1 again" in result.stdout
    assert not (live(host) / "certificates.json").exists()


# --- what can't be shown


def _missing(store: Path, _: IssueOwn) -> None:
    (store / "smtp.pem").unlink()


def _unreadable(store: Path, _: IssueOwn) -> None:
    (store / "smtp.pem").write_text("-----BEGIN CERTIFICATE-----\nnonsense\n")


def _another_key(store: Path, issue: IssueOwn) -> None:
    pem = issue().certificate_file.read_bytes() + issue().key_file.read_bytes()
    (store / "smtp.pem").write_bytes(pem)


def _expired(store: Path, issue: IssueOwn) -> None:
    (store / "smtp.pem").write_bytes(issue(-9, -1).chain_file.read_bytes())


def _not_yet(store: Path, issue: IssueOwn) -> None:
    (store / "smtp.pem").write_bytes(issue(1).chain_file.read_bytes())


_GONE = "(no certificate with this issuer and subject and with its private key is in the store)"


@pytest.mark.parametrize(
    ("damage", "told", "said"),
    [
        (_missing, _GONE, "put a PEM file with both there"),
        (_unreadable, _GONE, "smtp.pem: "),
        (_another_key, _GONE, "smtp.pem has the certificate, and no file has its key"),
        (_expired, "(it expired on ", "it expired on "),
        (_not_yet, "(it is not valid before ", "it is not valid before "),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
@pytest.mark.usefixtures("agent")
def test_mail_waits_until_there_is_one_again(
    host: Administrator,
    peer: TlsPeer,
    connectors: str,
    issue: IssueOwn,
    damage: Callable[[Path, IssueOwn], None],
    told: str,
    said: str,
) -> None:
    host.store_certificate("smtp", issue(-20))
    host.publish(connectors)
    damage(host.folder / "certificates", issue)
    lines = renew(host)
    assert ['"Native"' in lines[0], '"Agent"' in lines[1]] == [True, True]
    assert all(line.startswith("mail of connector ") and said in line for line in lines)
    for domain in BOTH:
        waits = send(host, domain)
        assert (waits.status, waits.dsn) == ("deferred", "4.7.5")
        assert f"{EXCHANGE} {told}" in waits.text
    assert peer.delivered is None
    generation = live(host)
    assert renew(host) == lines
    assert live(host) == generation
    status = host.run("status", "--json")
    assert status.returncode == 1
    found = json.loads(status.stdout)
    assert [c["waits"] for c in found["certificates"]] == [True, True]
    assert sum(said in problem for problem in found["problems"]) == 2
    assert found["drift"] == []
    assert host.run("apply").returncode == os.EX_CONFIG
    host.host.wait_idle()
    host.store_certificate("smtp", new := issue())
    assert len(renew(host)) == 2
    for domain in BOTH:
        assert shown(host, peer, domain) == sha256(new)
    host.host.flush()
    wait_until(lambda: not host.host.queue() or None, "the mail that waited")
    assert {session.client_sha256 for session in delivered(peer)} == {sha256(new)}
    assert host.run("status").returncode == 0


def test_daemons_log_what_waits_and_what_ends_soon(
    host: Administrator, peer: TlsPeer, issue: IssueOwn
) -> None:
    """When they start, and each day."""
    host.store_certificate("smtp", issue(-9, 12.5))
    host.publish(native(peer))
    with host.delivery_agent():
        wait_until(
            lambda: 'of connector "Native" ends in 12 days' in host.agent_log.read_text() or None,
            "the warning",
        )
    (host.folder / "certificates" / "smtp.pem").unlink()
    assert len(renew(host)) == 1
    with host.delivery_agent():
        wait_until(
            lambda: 'mail of connector "Native" waits: ' in host.agent_log.read_text() or None,
            "the error",
        )


def test_what_is_published_holds_no_secret_and_everybody_may_read_it(
    host: Administrator, peer: TlsPeer, issue: IssueOwn
) -> None:
    host.store_certificate("smtp", issue())
    host.publish(native(peer))
    path = live(host) / "certificates.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert "PRIVATE" not in path.read_text()


def test_no_mail_takes_what_a_process_has_read_before(
    host: Administrator, peer: TlsPeer, issue: IssueOwn, root: Path
) -> None:
    """smtp(8) lives, with the chain that has expired, while another one is published."""
    host.store_certificate("smtp", issue(-9))
    host.publish(native(peer))
    _expired(host.folder / "certificates", issue)
    assert len(renew(host)) == 1
    assert send(host, "native.test").status == "deferred"  # by a process with that chain
    host.store_certificate("smtp", new := issue())
    path = f"{meddling(host, root / 'bin')}:{os.environ['PATH']}"
    result = host.run("renew", path=path)
    assert result.returncode == 0, result.stderr
    attempts = [d for d in host.host.log.deliveries() if d.recipient == "eve@native.test"]
    assert attempts
    assert {attempt.status for attempt in attempts} == {"deferred"}
    assert not delivered(peer)
    assert json.loads(host.run("status", "--json").stdout)["drift"] == []
    host.host.flush()
    wait_until(lambda: not host.host.queue() or None, "the mail that waited")
    assert {session.client_sha256 for session in delivered(peer)} == {sha256(new)}


def meddling(host: Administrator, folder: Path) -> Path:
    """A postfix(1) that has a message tried, and all that waits, right before each reload."""
    config, log = host.host.config_directory, host.host.directory / "log" / "maillog"
    folder.mkdir()
    script = folder / "postfix"
    script.write_text(
        "#!/bin/sh\n"
        f"tried() {{ grep -c 'to=<eve@native.test>.*status=' {log}; }}\n"
        'case "$*" in *reload)\n'
        "    before=$(tried)\n"
        f"    sendmail -C {config} -i -f alice@contoso.test eve@native.test </dev/null\n"
        f"    postqueue -c {config} -f\n"
        '    for i in $(seq 200); do [ "$(tried)" = "$before" ] || break; sleep 0.05; done\n'
        "esac\n"
        f'exec {shutil.which("postfix")} "$@"\n'
    )
    script.chmod(0o755)
    return folder


# --- candidates


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_of_several_the_one_that_became_valid_last(
    host: Administrator, peer: TlsPeer, issue: IssueOwn, order: Sequence[str]
) -> None:
    first, second = order
    host.store_certificate(first, issue(-20))
    host.store_certificate(second, newer := issue(-10, 50))
    host.store_certificate("expired", issue(-5, -1))
    host.store_certificate("future", issue(5))
    host.write_connectors(native(peer))
    why = "of 4, the valid one that became valid last; not future.pem (not valid before "
    plan = host.run("plan")
    assert f"# TlsCertificateName: {why}" in plan.stdout
    apply = host.run("apply")
    assert why in apply.stdout
    [line] = [line for line in apply.stdout.splitlines() if why in line]
    assert line.startswith('connector "Native" shows CN=smtp.contoso.test,O=Contoso until ')
    assert f"certificates/{second}.pem" in line
    for other in ("expired.pem (expired on ", f"{first}.pem (valid since "):
        assert other in line
    assert shown(host, peer, "native.test") == sha256(newer)
    assert why in host.run("status").stdout
    assert renew(host) == []
    host.store_certificate("newest", newest := issue(-2))
    [line] = renew(host)
    assert "/newest.pem): of 5, the valid one that became valid last; not " in line
    assert shown(host, peer, "native.test") == sha256(newest)
    (host.folder / "certificates" / "newest.pem").unlink()
    assert len(renew(host)) == 1
    assert shown(host, peer, "native.test") == sha256(newer)


# --- when it can't be done


def test_before_the_first_apply_there_is_nothing_to_renew(host: Administrator) -> None:
    result = host.run("renew")
    assert (result.returncode, result.stdout) == (0, "nothing is published yet\n")


def test_an_apply_that_did_not_finish_comes_first(
    host: Administrator, peer: TlsPeer, issue: IssueOwn
) -> None:
    host.store_certificate("smtp", issue(-9))
    host.publish(native(peer))
    host.store_certificate("smtp", issue())
    generation = live(host)
    mark_unfinished(generation.parents[1], 2, About.now("apply"))
    result = host.run("renew")
    assert result.returncode == os.EX_TEMPFAIL
    assert "an apply did not finish" in result.stderr
    assert live(host) == generation


def test_a_renewal_that_did_not_finish_is_finished_by_the_next(
    host: Administrator, peer: TlsPeer, issue: IssueOwn
) -> None:
    host.store_certificate("smtp", issue(-9))
    host.publish(native(peer))
    host.store_certificate("smtp", new := issue())
    mark = live(host).parents[1] / "unfinished"
    mark_unfinished(mark.parent, 2, About.now("renew"))
    assert any(line.startswith('connector "Native" shows') for line in renew(host))
    assert not mark.exists()
    assert shown(host, peer, "native.test") == sha256(new)


def test_without_the_policy_service_nothing_changes(
    new_host: HostMaker, peer: TlsPeer, issue: IssueOwn
) -> None:
    host = new_host(policy_service=False)
    host.store_certificate("smtp", issue(-9))
    with host.policy_service():
        host.publish(native(peer))
    generation = live(host)
    host.store_certificate("smtp", issue())
    assert host.run("renew").returncode == os.EX_UNAVAILABLE
    assert live(host) == generation


def test_a_damaged_generation_is_not_renewed(
    host: Administrator, peer: TlsPeer, issue: IssueOwn
) -> None:
    host.store_certificate("smtp", issue(-9))
    host.publish(native(peer))
    assert send(host, "native.test").status == "sent"
    (live(host) / "certificates.json").write_text("nonsense")
    result = host.run("renew")
    assert result.returncode == os.EX_CONFIG
    assert "the live generation is damaged; postconnector apply puts it right" in result.stderr
    assert send(host, "native.test").status == "sent"  # by what was known before
    assert host.run("apply").returncode == 0
    assert renew(host) == []


# --- the units


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    units = []
    for kind in ("service", "timer", "path"):
        unit = tmp_path / f"postconnector-renew.{kind}"
        text = (CONTRIB / unit.name).read_text()
        unit.write_text(text.replace("/usr/local/bin/postconnector renew", "/bin/true"))
        units.append(unit)
    command = ["systemd-analyze", "verify", *map(str, units)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    said = [line for line in result.stderr.splitlines() if "postconnector-renew" in line]
    assert (result.returncode, said) == (0, [])
