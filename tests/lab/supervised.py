"""Daemons that are killed and held, and started again as systemd would.

`Supervised` is one daemon; `Enforced` is a host with all of them, between a client that keeps what
it is told to bring again, and a receiver.
"""

import os
import signal
import smtplib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from tests.lab.administrator import Administrator
from tests.lab.certificates import CertificateAuthority
from tests.lab.child import Child
from tests.lab.loopback import free_address, free_port, wait_until
from tests.lab.mixed_load import SENDERS, MixedLoad, connectors
from tests.lab.peers import Peer, tls_partner
from tests.lab.postfix_instance import PostfixInstance

IMPATIENT = {
    "minimal_backoff_time": "1s",
    "maximal_backoff_time": "1s",
    "queue_run_delay": "1s",
}
"""What waits is tried again at once."""

_ASKED_SOON = {"timeout=20s": "timeout=1s"}
_DELIVERED_SOON = {"lmtp_data_done_timeout=3600s": "lmtp_data_done_timeout=3s"}
"""Of what we compile: so that being held is longer than a timeout, before the test ends."""

_LMTP_TIMEOUTS = ("connect", "lhlo", "xforward", "mail", "rcpt", "data_init", "data_xfer")
_HELPS_EACH = 5.0
"""Seconds."""

_SPOOL = ("maildrop", "incoming", "active", "deferred")


class Supervised:
    """A daemon; `run` starts it. `is_missed`: a line of Postfix' log when somebody misses it."""

    def __init__(self, run: Callable[[], AbstractContextManager[Child]], is_missed: bytes) -> None:
        self.is_missed = is_missed
        self._run = run
        self._stack = ExitStack()
        self._child: Child | None = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self._child = self._stack.enter_context(self._run())

    def kill(self) -> None:
        """As the kernel does when memory is short."""
        self._signal(signal.SIGKILL)
        self._stack.close()

    def hold(self) -> None:
        """It neither runs nor is gone."""
        self._signal(signal.SIGSTOP)
        if self._child is not None:
            tasks = Path(f"/proc/{self._child.pid}/task")
            wait_until(lambda: _are_stopped(tasks) or None, "the daemon to stop")

    def let_go(self) -> None:
        """It goes on, and knows nothing of it."""
        self._signal(signal.SIGCONT)

    def end(self) -> None:
        """Whatever its state is."""
        if self._child is not None and self._child.poll() is None:
            self.let_go()
        self._stack.close()

    def _signal(self, number: signal.Signals) -> None:
        assert self._child is not None
        os.killpg(self._child.pid, number)


class Enforced:
    """A host with limits (see `mixed_load`) and its daemons, a client and a receiver.

    The client is a Postfix too, which has a queue; it is never hurt. `milter`: who is asked
    about what comes in by which way, as in [host].
    """

    def __init__(
        self,
        root: Path,
        enter: ExitStack,
        authority: CertificateAuthority,
        milter: str = "none",
        main_cf: Mapping[str, str] | None = None,
    ) -> None:
        host_port = free_port()
        self._root = root
        self.peer = enter.enter_context(self._receiver("peer", authority))
        self.peers = [self.peer]
        self.host = enter.enter_context(
            PostfixInstance(
                root,
                "host",
                main_cf={
                    **IMPATIENT,
                    "myhostname": "host.contoso.test",
                    "virtual_mailbox_domains": "contoso.test",
                    "message_size_limit": "0",
                    "smtp_tls_CAfile": str(authority.ca_file),
                    # A client that is told to come again, often in one session, is not held up.
                    "smtpd_error_sleep_time": "0",
                    **{f"lmtp_{name}_timeout": "3s" for name in _LMTP_TIMEOUTS},
                    **(main_cf or {}),
                },
                smtp_port=host_port,
            )
        )
        self.client = enter.enter_context(_client(root, host_port))
        self.administrator = Administrator(root, self.host)
        a = self.administrator
        self.daemons = {
            "policy": Supervised(a.policy_service, b"Connector policy service is unavailable"),
            "agent": Supervised(a.delivery_agent, b"status=deferred"),
            "milter": Supervised(a.milter, b"milter-reject"),
        }
        if milter == "none":
            del self.daemons["milter"]
        for daemon in self.daemons.values():
            daemon.start()
            enter.callback(daemon.end)
        a.publish(connectors(self.peer, milter))
        self.load = MixedLoad(self._by_sendmail if milter == "sendmail" else self._by_smtp)
        enter.callback(self.load.close)

    def add_receiver(self, enter: ExitStack, authority: CertificateAuthority) -> Peer:
        """One more, for the same domains."""
        receiver = enter.enter_context(self._receiver(f"peer{len(self.peers)}", authority))
        self.peers.append(receiver)
        return receiver

    def _receiver(self, name: str, authority: CertificateAuthority) -> Peer:
        port = free_port()
        return tls_partner(
            self._root,
            name,
            [f"{domain}.test" for domain in ("small", "tight", "large", "free", "agent")],
            authority.issue(name, common_name=None, dns_names=[f"{name}.test"]),
            authority.ca_file,
            address=free_address(port),
            port=port,
            require=False,
        )

    def be_impatient(self, with_agent: bool = True) -> None:
        """Shorten the timeouts that were compiled; the next apply puts them right."""
        files = [self.host.config_directory / name for name in ("main.cf", "master.cf")]
        texts = [path.read_text() for path in files]
        for long, short in (_ASKED_SOON | (_DELIVERED_SOON if with_agent else {})).items():
            assert any(long in text for text in texts)
            texts = [text.replace(long, short) for text in texts]
        for path, text in zip(files, texts, strict=True):
            path.write_text(text)
        self.host.settle()
        self.host.postfix("reload").check_returncode()

    def _by_smtp(self, messages: Sequence[tuple[str, Sequence[str], bytes]]) -> None:
        """Have the client send them."""
        address = self.client.smtp_address, self.client.smtp_port or 0
        with smtplib.SMTP(*address, timeout=30) as session:
            for sender, recipients, content in messages:
                session.sendmail(sender, recipients, content)

    def _by_sendmail(self, messages: Sequence[tuple[str, Sequence[str], bytes]]) -> None:
        """Have programs on the host send them."""
        for sender, recipients, content in messages:
            self.host.sendmail(sender, recipients, content.replace(b"\r\n", b"\n"))

    # --- while it goes on

    def arrived(self) -> int:
        """How many messages are in mailboxes."""
        folders = [each.directory / "mail/all/new" for each in (*self.peers, self.host)]
        return sum(len(list(folder.iterdir())) for folder in folders if folder.exists())

    def wait_arriving(self, more: int) -> None:
        """Wait until so many more have arrived than there are now."""
        wanted = self.arrived() + more
        wait_until(lambda: self.arrived() >= wanted or None, f"{more} more messages", 40)

    def wait_missed(self, daemon: Supervised, since: int) -> None:
        """Wait until the host's log says that a daemon is missed, or nothing is left to do."""
        log = self._log()
        wait_until(
            lambda: daemon.is_missed in log.read_bytes()[since:] or self._is_idle() or None,
            "the daemon to be missed",
        )

    def wait_logged(self, words: bytes, since: int) -> None:
        """Wait until the host's log has these words, behind so many bytes."""
        log = self._log()
        wait_until(lambda: words in log.read_bytes()[since:] or None, f"{words!r} in the log")

    def log_size(self) -> int:
        """How long the host's log is now, in bytes."""
        return self._log().stat().st_size

    def wait_drained(self, timeout: float = 90.0) -> None:
        """Wait until all are submitted, and no queue holds anything.

        They try again by themselves, and are helped once in a while: see `load.Outcome`.
        """
        flushed = time.monotonic()

        def drained() -> bool | None:
            nonlocal flushed
            if time.monotonic() - flushed > _HELPS_EACH:
                flushed = time.monotonic()
                self.client.flush()
                self.host.flush()
            return self._is_idle() or None

        try:
            wait_until(drained, "all to be delivered", timeout)
        except TimeoutError as error:
            queues = self.client.queue() + self.host.queue()
            raise TimeoutError(f"{error}: {len(queues)}, {queues[:5]}") from None

    def _is_idle(self) -> bool:
        """Looked at twice, as a message may pass from one folder to another just then."""
        return self.load.is_submitted and not any(self._holds_mail() for _ in range(2))

    def _holds_mail(self) -> bool:
        return any(
            files
            for instance in (self.client, self.host, *self.peers)
            for folder in _SPOOL
            for _, _, files in os.walk(instance.queue_directory / folder)
        )

    def _log(self) -> Path:
        return self.host.directory / "log" / "maillog"


def _client(root: Path, host_port: int) -> PostfixInstance:
    """Sends all to the host; with SIZE= from one sender, without it from the other."""
    hop = f"[127.0.0.1]:{host_port}"
    return PostfixInstance(
        root,
        "client",
        main_cf={
            **IMPATIENT,
            "relayhost": hop,
            "smtp_destination_concurrency_limit": "8",
            "unsized_destination_concurrency_limit": "8",
            "sender_dependent_default_transport_maps": f"inline:{{ {SENDERS[1]}=unsized:{hop} }}",
        },
        master_cf="unsized unix - - n - - smtp -o smtp_discard_ehlo_keywords=size\n",
        smtp_port=free_port(),
        chroot=False,
    )


def _are_stopped(tasks: Path) -> bool:
    """Whether every thread is: the signal takes effect in each by itself."""
    states = [(task / "stat").read_text().rpartition(") ")[2][0] for task in tasks.iterdir()]
    return set(states) == {"T"}
