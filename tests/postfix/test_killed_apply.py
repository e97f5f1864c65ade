"""apply killed at its system calls, and on a full disk: the old or the new connectors, whole."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.demo.journey import compose
from tests.lab.administrator import Administrator
from tests.lab.loopback import free_port, wait_until
from tests.lab.peers import Peer, plain_receiver
from tests.postfix.conftest import HostMaker

CHANGING = (
    "rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,rmdir,mkdir,mkdirat,"
    "chmod,fchmod,fchmodat,chown,fchown,lchown,fchownat,utimensat,truncate,ftruncate,write,pwrite64"
)
"""System calls that change a file, an attribute or a name (creating one is followed by others)."""

DOMAINS = ("a.test", "b.test", "else.test")
NOW_AND_THEN = 10
"""After so many kills, mail is sent too, or the next command has its try."""


InForce = tuple[bytes, bytes, Path | None]
"""main.cf, master.cf, and where the link to the tables leads."""


@dataclass(frozen=True)
class Site:
    """A host with its administrator, two receivers, and two states of the connectors."""

    administrator: Administrator
    receivers: tuple[Peer, Peer]
    old: str
    new: str

    @property
    def configuration(self) -> Path:
        return self.administrator.host.config_directory

    def ways(self) -> dict[str, tuple[str, str | None]]:
        """Send a message to each domain: which receiver got it, and how it was greeted."""
        tag = f"{time.monotonic_ns()}@contoso.test"
        with self.administrator.smtp() as session:
            for domain in DOMAINS:
                to = f"bob@{domain}"
                session.sendmail("alice@contoso.test", [to], compose(to, 500, f"<{domain}.{tag}>"))
        return {domain: self._arrived(f"<{domain}.{tag}>") for domain in DOMAINS}

    def _arrived(self, message_id: str) -> tuple[str, str | None]:
        def found() -> tuple[str, str | None] | None:
            for receiver in self.receivers:
                if receiver.holds_message(message_id):
                    (message,) = (m for m in receiver.received() if m.message_id == message_id)
                    return receiver.name, message.helo
            return None

        return wait_until(found, f"{message_id} at a receiver")

    def after_restart(self) -> dict[str, str]:
        """What the files make Postfix do: for each domain, route, settings and password."""
        return {domain: self._by_files(domain) for domain in DOMAINS}

    def _by_files(self, domain: str) -> str:
        postconf = self.administrator.host.postconf
        tables = postconf("-h", "transport_maps").strip()
        route = self._query(tables.partition(",")[0], domain) if tables else ""
        route = route or postconf("-h", "default_transport").strip()
        service, _, hop = route.partition(":")
        settings = postconf("-P", f"{service}/unix/*") if service.startswith("pc") else ""
        passwords = re.search(r"smtp_sasl_password_maps = (\S+)", settings)
        login = self._query(passwords[1], hop) if passwords else ""
        return (
            "\n".join((route, settings, login))
            .replace("pcn-", "pc-")
            .replace("/standing-in/", "/live/")
        )

    def in_force(self) -> InForce:
        """All that Postfix begins with."""
        live = self.configuration / "postconnector" / "live"
        main_cf, master_cf = (self.configuration / name for name in ("main.cf", "master.cf"))
        link = live.readlink() if live.is_symlink() else None
        return main_cf.read_bytes(), master_cf.read_bytes(), link

    def _query(self, table: str, key: str) -> str:
        command = ["postmap", "-c", str(self.configuration), "-q", key, table]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    def leftovers(self) -> list[str]:
        """What only an apply at work has in Postfix' folders."""
        own = self.configuration / "postconnector"
        places = (self.configuration, own, self.administrator.host.queue_directory / "private")
        passing = re.compile(r"\..*postconnector|unfinished|standing-in|pcn-|.*\.(?:new|kept)$")
        found = (path for place in places if place.exists() for path in place.iterdir())
        return [path.name for path in found if passing.match(path.name)]

    def restore(self, copy: Path) -> None:
        """Have the files of a copy, and a Postfix that has read them."""
        for path in self.configuration.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(copy, self.configuration, symlinks=True, dirs_exist_ok=True)
        self.administrator.host.settle()
        assert self.administrator.host.postfix("reload").returncode == 0


def connector(name: str, space: str, receiver: Peer, properties: str = "") -> str:
    return (
        f'[[send_connector]]\nname = "{name}"\naddress_spaces = ["{space}"]\n'
        f'dns_routing_enabled = false\nsmart_hosts = ["{receiver.address}"]\n'
        f"port = {receiver.port}\n{properties}\n"
    )


LOGIN = (
    'smart_host_auth_mechanism = "BasicAuth"\n'
    'authentication_credential = { user_name = "contoso", password_file = "secrets/password" }\n'
)


@pytest.fixture
def site(root: Path, new_host: HostMaker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("TMPDIR", str(root))  # what a killed command leaves goes with the test
    first, second = (
        plain_receiver(root, name, DOMAINS, address="127.0.0.1", port=free_port())
        for name in ("first", "second")
    )
    with first, second:
        administrator = new_host()
        administrator.store_password("password", "secret")
        old = (
            connector("A", "a.test", first, 'fqdn = "one.test"')
            + connector("B", "b.test", first)
            + connector("Old", "*", first, 'fqdn = "old.test"')
        )
        new = (
            connector("A", "a.test", first, f'fqdn = "two.test"\n{LOGIN}')
            + connector("B", "b.test", second)
            + connector("New", "*", second, 'fqdn = "new.test"')
        )
        yield Site(administrator, (first, second), old, new)


@dataclass(frozen=True)
class Call:
    """A system call of an apply: the how-manieth of its name, and as strace(1) shows it."""

    name: str
    ordinal: int
    text: str

    def injection(self, fault: str) -> tuple[str, str]:
        """The option of strace that makes this call fail, or the process die before it."""
        return "-e", f"inject={self.name}:{fault}:when={self.ordinal}"


def apply_under_strace(
    administrator: Administrator, *arguments: str, log: Path | None = None
) -> int:
    """Run apply under strace(1), which can log its system calls and interfere with them."""
    return under_strace(administrator, "apply", CHANGING, *arguments, log=log).returncode


def under_strace(
    administrator: Administrator,
    command: str,
    traced: str,
    *arguments: str,
    log: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command of ours under strace(1)."""
    strace = ("strace", "-qq", "-y", "-o", str(log or os.devnull), "-e", f"trace={traced}")
    return administrator.run(command, tracer=(*strace, *arguments))


def calls_of_apply(administrator: Administrator, log: Path) -> list[Call]:
    """The system calls of an apply that comes to its end."""
    assert apply_under_strace(administrator, log=log) == 0
    return logged_calls(log)


def logged_calls(log: Path) -> list[Call]:
    """What strace(1) wrote of system calls."""
    counts: Counter[str] = Counter()
    calls = []
    for line in log.read_text().splitlines():
        name, parenthesis, _ = line.partition("(")
        if parenthesis:
            counts[name] += 1
            calls.append(Call(name, counts[name], line))
    return calls


def in_two(calls: list[Call]) -> tuple[list[Call], list[Call]]:
    """The calls while apply only writes beside what is in force, and those from then on."""
    mark = next(n for n, call in enumerate(calls) if "/unfinished>" in call.text)
    return calls[:mark], calls[mark:]


def kill_before(administrator: Administrator, call: Call) -> str:
    """Have apply killed before it makes a call; return what to say of it."""
    killed = apply_under_strace(administrator, *call.injection("signal=KILL"))
    assert killed == -signal.SIGKILL, call.text
    return f"killed before {call.text}"


def test_killed_at_a_system_call_the_host_has_the_old_or_the_new_connectors(
    site: Site, tmp_path: Path
) -> None:
    administrator = site.administrator
    administrator.publish(site.old)
    shutil.copytree(site.configuration, tmp_path / "before", symlinks=True)
    old, old_files = site.ways(), site.after_restart()
    administrator.write_connectors(site.new)
    calls = calls_of_apply(administrator, tmp_path / "strace")
    new, new_files = site.ways(), site.after_restart()
    assert all(old[domain] != new[domain] for domain in DOMAINS)
    assert all(old_files[domain] != new_files[domain] for domain in DOMAINS)
    building, swapping = in_two(calls)
    site.restore(tmp_path / "before")
    untouched = site.in_force()
    for number, call in enumerate(building):
        what = kill_before(administrator, call)
        assert site.in_force() == untouched, what
        if number % NOW_AND_THEN == 0:
            assert site.ways() == old, what
    seen: set[bool] = set()
    for number, call in enumerate(swapping):
        site.restore(tmp_path / "before")
        what = kill_before(administrator, call)
        assert site.ways() in (old, new), what
        files = site.after_restart()
        assert files in (old_files, new_files), what
        seen.add(files == new_files)
        if number % NOW_AND_THEN == 0:
            assert administrator.run("apply").returncode == 0, what
            assert site.after_restart() == new_files, what
            assert site.leftovers() == [], what
    assert seen == {False, True}


def test_killed_first_apply_leaves_the_host_as_it_was_or_publishes(
    site: Site, tmp_path: Path
) -> None:
    """And remove takes out whatever it left, to the byte."""
    administrator = site.administrator
    shutil.copytree(site.configuration, tmp_path / "before", symlinks=True)
    untouched, untouched_files = site.in_force(), site.after_restart()
    administrator.write_connectors(site.old)
    calls = calls_of_apply(administrator, tmp_path / "strace")
    published_files = site.after_restart()
    building, swapping = in_two(calls)
    site.restore(tmp_path / "before")
    for number, call in enumerate(building):
        what = kill_before(administrator, call)
        assert site.in_force() == untouched, what
        if number % NOW_AND_THEN == 0:
            assert_removed(site, untouched, what)
    for call in swapping:
        site.restore(tmp_path / "before")
        what = kill_before(administrator, call)
        assert site.after_restart() in (untouched_files, published_files), what
        assert_removed(site, untouched, what)


def assert_removed(site: Site, untouched: InForce, what: str) -> None:
    assert site.administrator.run("remove").returncode == 0, what
    assert site.leftovers() == [], what
    assert site.in_force() == untouched, what


def test_the_next_command_says_what_happened(site: Site, tmp_path: Path) -> None:
    administrator = site.administrator
    administrator.publish(site.old)
    shutil.copytree(site.configuration, tmp_path / "before", symlinks=True)
    administrator.write_connectors(site.new)
    calls = calls_of_apply(administrator, tmp_path / "strace")
    rename = next(n for n, c in enumerate(calls) if c.name == "rename" and '/main.cf")' in c.text)
    for number, whose in ((rename, "the earlier ones are"), (rename + 1, "its connectors are")):
        site.restore(tmp_path / "before")
        apply_under_strace(administrator, *calls[number].injection("signal=KILL"))
        for command, status, said in (
            ("plan", 2, "stderr"),
            ("status", 1, "stdout"),
            ("rollback", 0, "stdout"),
        ):
            result = administrator.run(command)
            assert result.returncode == status, result
            assert f"did not finish: {whose}" in getattr(result, said), result
        assert site.ways() == {d: ("first", w[1]) for d, w in site.ways().items()}
        assert site.leftovers() == []


def test_a_full_disk_leaves_everything_as_it_was(site: Site, tmp_path: Path) -> None:
    administrator = site.administrator
    administrator.publish(site.old)
    shutil.copytree(site.configuration, tmp_path / "before", symlinks=True)
    old_files = site.after_restart()
    main_cf, master_cf = (site.configuration / name for name in ("main.cf", "master.cf"))
    texts = main_cf.read_bytes(), master_cf.read_bytes()
    administrator.write_connectors(site.new)
    calls = calls_of_apply(administrator, tmp_path / "strace")
    below = f"{site.configuration}/"
    taking_space = [
        call
        for call in calls
        if call.name in ("write", "mkdir", "symlink", "link", "linkat")
        and below in call.text
        and " = -1 " not in call.text
    ]
    for call in taking_space:
        site.restore(tmp_path / "before")
        status = apply_under_strace(administrator, *call.injection("error=ENOSPC"))
        assert status == os.EX_IOERR, (call.text, status)
        assert site.after_restart() == old_files, call.text
        assert (main_cf.read_bytes(), master_cf.read_bytes()) == texts, call.text
        assert site.leftovers() == [], call.text
    assert len(taking_space) > 10
