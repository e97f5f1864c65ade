"""A Postfix instance of its own: configuration, queue, data, log and mailboxes in one folder.

master.cf is Debian's: smtp(8), smtpd(8) and most others run chrooted in the queue directory.
So does the resolver: a chrooted smtp(8) asks the server in `<queue>/etc/resolv.conf`, and a
private DNS server needs nothing of the machine's own.
"""

import json
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.lab.child import Child, Server, start_child, stop_child
from tests.lab.loopback import wait_for_port, wait_until
from tests.lab.maillog import LogReader

_CHROOT_FILES = ("services", "hosts", "nsswitch.conf", "host.conf")
_META_DIRECTORIES = (Path("/etc/postfix"), Path("/usr/share/postfix"))
_QUEUE_FOLDERS = (
    *((name, 0o700, "root") for name in ("active", "bounce", "corrupt", "defer", "deferred")),
    *((name, 0o700, "root") for name in ("flush", "hold", "incoming", "private", "saved")),
    ("trace", 0o700, "root"),
    ("maildrop", 0o730, "postdrop"),
    ("public", 0o710, "postdrop"),
    ("pid", 0o755, "root"),
)
_MASTER_CF = """\
pickup     unix  n  -  y  1     1  pickup
cleanup    unix  n  -  y  -     0  cleanup
qmgr       unix  n  -  n  300   1  qmgr
tlsmgr     unix  -  -  y  1000? 1  tlsmgr
rewrite    unix  -  -  y  -     -  trivial-rewrite
bounce     unix  -  -  y  -     0  bounce
defer      unix  -  -  y  -     0  bounce
trace      unix  -  -  y  -     0  bounce
verify     unix  -  -  y  -     1  verify
flush      unix  n  -  y  1000? 0  flush
proxymap   unix  -  -  n  -     -  proxymap
proxywrite unix  -  -  n  -     1  proxymap
smtp       unix  -  -  y  -     -  smtp
relay      unix  -  -  y  -     -  smtp
        -o syslog_name=postfix/$service_name
showq      unix  n  -  y  -     -  showq
error      unix  -  -  y  -     -  error
retry      unix  -  -  y  -     -  error
discard    unix  -  -  y  -     -  discard
local      unix  -  n  n  -     -  local
virtual    unix  -  n  n  -     -  virtual
lmtp       unix  -  -  y  -     -  lmtp
anvil      unix  -  -  y  -     1  anvil
scache     unix  -  -  y  -     1  scache
postlog    unix-dgram n - n  -     1  postlogd
"""


class PostfixInstance(Server):
    """One instance; a context manager that starts and stops it.

    `files`: more files, by their names in the configuration directory; also main.cf or master.cf
    as a whole.
    `chroot`: whether services run chrooted as in Debian's master.cf.
    `main_cf` adds to or overrides the settings below; `master_cf` is appended to Debian's.
    Mail for virtual_mailbox_domains goes to one Maildir, whatever the user part is.
    """

    def __init__(
        self,
        root: Path,
        name: str,
        *,
        main_cf: Mapping[str, str] | None = None,
        master_cf: str = "",
        smtp_port: int | None = None,
        smtp_address: str = "127.0.0.1",
        resolver: str | None = None,
        chroot: bool = True,
        files: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.directory = root / name
        self.config_directory = self.directory / "etc"
        self.queue_directory = self.directory / "spool"
        self.smtp_address = smtp_address
        self.smtp_port = smtp_port
        self.log = LogReader(self.directory / "log" / "maillog")
        self._resolver = resolver
        self._chroot = chroot
        self._files = dict(files or {})
        self._main_cf = {**self._own_main_cf(), **(main_cf or {})}
        self._master_cf = master_cf
        self._master: Child | None = None

    def start(self) -> None:
        """Start master(8) and wait until it takes mail; the first time, make its folders.

        Not by postfix(1), whose script would stand between us and master(8).
        """
        if not self.config_directory.exists():
            self._write()
        # Not asked of this instance: its log is not there yet, and postconf would wait for it.
        daemons = _run(["postconf", "-dhx", "daemon_directory"]).stdout.strip()
        self._master = start_child(
            [f"{daemons}/master", "-s", "-c", str(self.config_directory)],
            self.directory / "log" / "console",
        )
        if self.smtp_port is not None:
            wait_for_port(self.smtp_address, self.smtp_port)
        pickup = self.queue_directory / "public" / "pickup"
        wait_until(lambda: pickup.exists() or None, f"{self.name}'s pickup service")

    def stop(self) -> None:
        """Stop master(8) and all its processes."""
        if self._master is not None:
            stop_child(self._master)
            self._master = None

    def postfix(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run postfix(1) for this instance."""
        return _run(["postfix", "-c", str(self.config_directory), *arguments])

    def postconf(self, *arguments: str) -> str:
        """Run postconf(1) for this instance, and return what it prints."""
        result = _run(["postconf", "-c", str(self.config_directory), *arguments])
        result.check_returncode()
        return result.stdout

    def settle(self) -> None:
        """Date main.cf back: Postfix reads no further while it is younger than two seconds."""
        settled = time.time() - 5
        os.utime(self.config_directory / "main.cf", (settled, settled))

    def sendmail(self, sender: str, recipients: Sequence[str], message: bytes) -> None:
        """Submit a message by sendmail(1)."""
        subprocess.run(
            ["sendmail", "-C", str(self.config_directory), "-i", "-f", sender, "--", *recipients],
            input=message,
            check=True,
        )

    def queue(self) -> list[dict[str, Any]]:
        """The messages in the queue (postqueue -j)."""
        result = _run(["postqueue", "-c", str(self.config_directory), "-j"])
        return [json.loads(line) for line in result.stdout.splitlines()]

    def flush(self) -> None:
        """Have everything in the queue tried again now (postqueue -f).

        It says that the mail system is down where qmgr(8) is too busy to be told.
        """
        command = ["postqueue", "-c", str(self.config_directory), "-f"]
        wait_until(lambda: _run(command).returncode == 0 or None, "the queue to be tried again")

    def wait_idle(self) -> None:
        """Wait until every message in the queue has gone or waits for another attempt."""
        resting = {"deferred", "hold"}
        wait_until(
            lambda: all(m["queue_name"] in resting for m in self.queue()) or None,
            f"{self.name}'s queue to come to rest",
        )

    def mail(self) -> list[bytes]:
        """The messages in the Maildir."""
        return [path.read_bytes() for path in sorted(self._maildir.glob("new/*"))]

    def holds_message(self, message_id: str) -> bool:
        """Whether a message with this Message-ID came to the Maildir."""
        wanted = f"\nMessage-ID: {message_id}\n".encode()
        return any(wanted in message for message in self.mail())

    @property
    def _maildir(self) -> Path:
        return self.directory / "mail" / "all"

    def _own_main_cf(self) -> dict[str, str]:
        user = pwd.getpwnam("nobody")
        return {
            "compatibility_level": "3.6",
            "queue_directory": str(self.queue_directory),
            "data_directory": str(self.directory / "data"),
            "maillog_file": str(self.directory / "log" / "maillog"),
            "maillog_file_prefixes": str(self.directory / "log"),
            "myhostname": f"{self.name}.test",
            "mydestination": "",
            "alias_maps": "",
            "alias_database": "",
            "mynetworks": "127.0.0.0/8",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "append_dot_mydomain": "no",
            "biff": "no",
            "smtp_host_lookup": "dns",
            "smtp_address_preference": "ipv4",
            # Its default is virtual_mailbox_maps, which here has every domain.
            "virtual_mailbox_domains": "",
            "virtual_mailbox_base": str(self.directory / "mail"),
            "virtual_mailbox_maps": "static:all/",
            "virtual_mailbox_limit": "0",
            "virtual_uid_maps": f"static:{user.pw_uid}",
            "virtual_gid_maps": f"static:{user.pw_gid}",
            "virtual_minimum_uid": "1",
            "smtpd_peername_lookup": "no",
            "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
        }

    def _write(self) -> None:
        for folder in ("etc", "spool", "data", "log", "mail"):
            (self.directory / folder).mkdir(parents=True)
        for path in (self.directory, *self.directory.iterdir()):
            path.chmod(0o755)
        shutil.chown(self.directory / "data", "postfix")
        shutil.chown(self.directory / "mail", "nobody")
        main_cf = "".join(f"{name} = {value}\n" for name, value in self._main_cf.items())
        (self.config_directory / "main.cf").write_text(main_cf)
        listener = ""
        if self.smtp_port is not None:
            listener = f"{self.smtp_address}:{self.smtp_port} inet n - y - - smtpd\n"
        services = listener + _MASTER_CF
        if not self._chroot:
            services = services.replace(" y ", " n ")
        (self.config_directory / "master.cf").write_text(services + self._master_cf)
        for name, text in self._files.items():
            path = self.config_directory / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        self.settle()
        self._write_meta_files()
        self._write_queue()
        self._write_chroot()

    def _write_meta_files(self) -> None:
        """What postfix(1) wants in its configuration directory besides."""
        for name in ("postfix-files", "dynamicmaps.cf", "postfix-files.d", "dynamicmaps.cf.d"):
            source = next((d / name for d in _META_DIRECTORIES if (d / name).exists()), None)
            if source is not None:
                copy = shutil.copytree if source.is_dir() else shutil.copy
                copy(source, self.config_directory / name)

    def _write_queue(self) -> None:
        """The queue's folders as Postfix' own set-up makes them, which takes it seconds."""
        for name, mode, group in _QUEUE_FOLDERS:
            folder = self.queue_directory / name
            folder.mkdir()
            shutil.chown(folder, "root" if name == "pid" else "postfix", group)
            folder.chmod(mode)

    def _write_chroot(self) -> None:
        etc = self.queue_directory / "etc"
        etc.mkdir()
        for name in _CHROOT_FILES:
            if (source := Path("/etc", name)).exists():
                shutil.copy(source, etc / name)
        # With no server of ours nothing answers: a test never asks the machine's resolver.
        (etc / "resolv.conf").write_text(f"nameserver {self._resolver or '127.0.0.1'}\n")


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
