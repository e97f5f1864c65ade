"""OpenSMTPD as a receiver: foreground, in a folder of its own, beside an installed Postfix."""

import os
import pwd
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.lab.certificates import IssuedCertificate
from tests.lab.child import Child, Server, start_child, stop_child
from tests.lab.stored_message import StoredMessage, read_stored, wait_stored
from tests.lab.unpacked import UnpackedProgram, wait_until_up

PACKAGE = "opensmtpd"
_USERS = {"opensmtpd": 65002, "opensmtpq": 65003}
_MAIL_USER = "nobody"
# OpenSMTPD's own headers stand before the message that came.
_OWN_HEADERS = re.compile(rb"(?:(?:Return-Path|Delivered-To):.*\n)*Received:.*\n(?:[ \t].*\n)*")
_RECEIVED = re.compile(
    r"from (?P<helo>\S+) \(.*?\[(?P<address>[^\]]+)\]\) by \S+ \(OpenSMTPD\)"
    r" with (?P<protocol>\S+) id (?P<id>[0-9a-f]+)(?: \((?P<tls>[^:]+):)?"
)
_STORE = """\
#!/bin/sh
# Run for each message and recipient, the message on stdin.
set -eu
cd {mail}
{{ printf 'sender: %s\\nrecipient: %s\\n\\n' "$SENDER" "$RECIPIENT"; cat; }} >tmp/$$
mv tmp/$$ new/$(date +%s.%N).$$
"""


class OpenSmtpd(Server):
    """Takes mail for `domains`; relays for nobody. It has neither PIPELINING nor CRAM-MD5.

    `certificate`: offers STARTTLS with it; `tls_required`: takes mail only after STARTTLS.
    `user`, `password`: takes mail only after AUTH PLAIN or LOGIN, which it offers with TLS alone.
    `message_size_limit`: in bytes; it takes no notice of SIZE with MAIL, and refuses after DATA.
    """

    def __init__(
        self,
        root: Path,
        name: str,
        domains: Sequence[str],
        *,
        address: str,
        port: int,
        certificate: IssuedCertificate | None = None,
        tls_required: bool = False,
        user: str | None = None,
        password: str = "",
        message_size_limit: int = 100_000_000,
    ) -> None:
        if certificate is None and (tls_required or user is not None):
            raise ValueError("OpenSMTPD needs a certificate for that")
        self.name = name
        self.address = address
        self.port = port
        self.directory = root / name
        self._domains = domains
        self._certificate = certificate
        self._tls_required = tls_required
        self._login = None if user is None else (user, password)
        self._message_size_limit = message_size_limit
        self._program: UnpackedProgram | None = None
        self._daemon: Child | None = None

    def start(self) -> None:
        """Start smtpd and wait until it listens; the first time, make its folders."""
        if self._program is None:
            self._program = self._write()
        command = self._program.command(
            "usr/sbin/smtpd", "-d", "-T", "smtp", "-f", str(self._configuration)
        )
        self._daemon = start_child(command, self._console)
        wait_until_up(self._daemon, self._console, self.address, self.port)

    def stop(self) -> None:
        """Stop smtpd, which ends its processes."""
        if self._daemon is not None:
            stop_child(self._daemon)
            self._daemon = None

    def received(self) -> list[StoredMessage]:
        """Every message so far, one for each recipient."""
        return [self._message(path) for path in sorted((self.directory / "mail/new").iterdir())]

    def wait_received(self, count: int = 1) -> list[StoredMessage]:
        """Wait until there are so many messages, and return them all."""
        return wait_stored(self.received, count, self.name)

    def log(self) -> str:
        """All that smtpd logs, with every line of every dialogue."""
        return self._console.read_text(errors="replace")

    @property
    def _configuration(self) -> Path:
        return self.directory / "smtpd.conf"

    @property
    def _console(self) -> Path:
        return self.directory / "console"

    def _write(self) -> UnpackedProgram:
        self.directory.mkdir()
        self.directory.chmod(0o755)
        program = UnpackedProgram(PACKAGE, self.directory, _USERS)
        for name in ("spool/smtpd", "run", "lib/opensmtpd/empty", "mail/tmp", "mail/new"):
            (self.directory / name).mkdir(parents=True)
        (self.directory / "spool/smtpd").chmod(0o711)
        owner = pwd.getpwnam(_MAIL_USER)
        for name in ("mail/tmp", "mail/new"):
            os.chown(self.directory / name, owner.pw_uid, owner.pw_gid)
        # Nobody answers there, and at once: smtpd asks for the name of every client.
        (self.directory / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        for source, target in {
            "spool": "/var/spool",
            "run": "/run",
            "lib": "/var/lib",
            "resolv.conf": "/etc/resolv.conf",
            "package/usr/libexec": "/usr/libexec",
        }.items():
            program.mount(self.directory / source, target)
        store = self.directory / "store"
        store.write_text(_STORE.format(mail=self.directory / "mail"))
        store.chmod(0o755)
        self._configuration.write_text("\n".join([*self._settings(program, store), ""]))
        return program

    def _settings(self, program: UnpackedProgram, store: Path) -> list[str]:
        domains = ", ".join(f'"{domain}"' for domain in self._domains)
        listener = f"listen on {self.address} port {self.port} hostname {self.name}.test"
        lines = [f"smtp max-message-size {self._message_size_limit}"]
        if self._certificate is not None:
            lines += [
                f'pki own cert "{self._certificate.certificate_file}"',
                f'pki own key "{self._certificate.key_file}"',
            ]
            listener += f" {'tls-require' if self._tls_required else 'tls'} pki own"
        if self._login is not None:
            user, password = self._login
            lines.append(f'table logins {{ "{user}" = "{_hashed(password, program)}" }}')
            listener += " auth <logins>"
        return [
            *lines,
            f"table domains {{ {domains} }}",
            f'table recipients {{ "@" = "{_MAIL_USER}" }}',
            listener,
            f'action store mda "{store}" virtual <recipients>',
            "match from any for domain <domains> action store",
        ]

    def _message(self, path: Path) -> StoredMessage:
        facts, message = read_stored(path)
        own = _OWN_HEADERS.match(message)
        assert own is not None, message
        session = _RECEIVED.search(" ".join(own[0].decode().split()))
        assert session is not None, own[0]
        return StoredMessage(
            sender=facts["sender"],
            recipient=facts["recipient"],
            helo=session["helo"],
            client_address=session["address"].removeprefix("IPv6:"),
            protocol=session["protocol"],
            tls=session["tls"],
            login=self._login_of(session["id"]),
            content=message[own.end() :],
        )

    def _login_of(self, message_id: str) -> str | None:
        log = self.log()
        session = re.search(rf"^(\w+) smtp message msgid={message_id} ", log, re.MULTILINE)
        assert session is not None, message_id
        login = rf"^{session[1]} smtp authentication user=(\S+) result=ok$"
        found = re.search(login, log, re.MULTILINE)
        return found[1] if found else None


def _hashed(password: str, program: UnpackedProgram) -> str:
    result = subprocess.run(
        program.command("usr/libexec/opensmtpd/encrypt"),
        input=f"{password}\n",
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout.strip()
