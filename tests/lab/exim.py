"""Exim 4 as a receiver: foreground, in a folder of its own, beside an installed Postfix."""

import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.certificates import IssuedCertificate
from tests.lab.child import Child, Server, start_child, stop_child
from tests.lab.stored_message import StoredMessage, read_stored, wait_stored
from tests.lab.unpacked import UnpackedProgram, wait_until_up

PACKAGE = "exim4-daemon-light"
_USER = ("Debian-exim", 65001)
# What goes before a stored message, by the names of StoredMessage and Exim's of the values.
_FACTS = {
    "sender": "$sender_address",
    "recipient": "$local_part@$domain",
    "helo": "$sender_helo_name",
    "client_address": "$sender_host_address",
    "protocol": "$received_protocol",
    "tls": "$tls_in_ver",
    "login": "$authenticated_id",
    "client_certificate": "$tls_in_peerdn",
    "server_name": "$tls_in_sni",
    "commands": "$acl_m_commands",
}
_TO_MAILDIR = """
begin routers
all:
  driver = accept
  caseful_local_part
  transport = maildir

begin transports
maildir:
  driver = appendfile
  maildir_format
  directory = {mail}
  message_prefix = "{prefix}"
"""
_AUTHENTICATORS = """
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{user}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
  server_set_id = $auth2
  server_advertise_condition = {advertise}
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = <| Username: | Password:
  server_condition = ${{if and{{{{eq{{$auth1}}{{{user}}}}}{{eq{{$auth2}}{{{password}}}}}}}}}
  server_set_id = $auth1
  server_advertise_condition = {advertise}
cram_md5:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = ${{if eq{{$auth1}}{{{user}}}{{{password}}}fail}}
  server_set_id = $auth1
  server_advertise_condition = {advertise}
"""


@dataclass(frozen=True)
class EximMessage(StoredMessage):
    """A message as Exim stored it; in `recipient` a quoted local part is without its quotes.

    `client_certificate`: the subject of the certificate that the client showed, if it was asked.
    `server_name`: what the client sent as SNI.
    `commands`: MAIL and every RCPT that was taken, as they came.
    """

    client_certificate: str | None
    server_name: str | None
    commands: tuple[str, ...]


class Exim(Server):
    """Takes mail for `domains`; relays for nobody.

    `certificate`: offers STARTTLS with it; `tls_required`: takes mail only after STARTTLS.
    `user`, `password` (letters and digits): takes mail only after AUTH PLAIN, LOGIN or CRAM-MD5,
    which it offers with TLS alone if `auth_only_with_tls`.
    `message_size_limit`: in bytes; 0 for none.
    `settings`: more main options by their names, as `{"accept_8bitmime": "false"}`. Switched on by
    default are 8BITMIME, PIPELINING, CHUNKING, DSN and SMTPUTF8.
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
        auth_only_with_tls: bool = False,
        message_size_limit: int = 0,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.address = address
        self.port = port
        self.directory = root / name
        self._domains = domains
        self._certificate = certificate
        self._tls_required = tls_required
        self._login = None if user is None else (user, password)
        self._auth_only_with_tls = auth_only_with_tls
        self._settings = {"message_size_limit": str(message_size_limit), **(settings or {})}
        self._program: UnpackedProgram | None = None
        self._daemon: Child | None = None

    def start(self) -> None:
        """Start the daemon and wait until it listens; the first time, make its folders."""
        if self._program is None:
            self._program = self._write()
        console = self.directory / "console"
        command = self._program.command("usr/sbin/exim4", "-C", str(self._configuration), "-bdf")
        self._daemon = start_child(command, console)
        wait_until_up(self._daemon, console, self.address, self.port)

    def stop(self) -> None:
        """Kill the daemon, and with it its sessions, which would outlive it.

        Asked to end it would first run itself again, which may be later than the folder is gone.
        """
        if self._daemon is not None:
            if self._daemon.poll() is None:
                os.killpg(self._daemon.pid, signal.SIGKILL)
            stop_child(self._daemon)
            self._daemon = None

    def received(self) -> list[EximMessage]:
        """Every message so far, one for each recipient."""
        return [_message(path) for path in sorted((self.directory / "mail").glob("new/*"))]

    def wait_received(self, count: int = 1) -> list[EximMessage]:
        """Wait until there are so many messages, and return them all."""
        return wait_stored(self.received, count, self.name)

    def log(self) -> str:
        """Exim's main log with everything that it can log."""
        return (self.directory / "log" / "mainlog").read_text()

    @property
    def _configuration(self) -> Path:
        return self.directory / "exim.conf"

    def _write(self) -> UnpackedProgram:
        self.directory.mkdir()
        self.directory.chmod(0o755)
        program = UnpackedProgram(PACKAGE, self.directory, dict([_USER]))
        for name in ("spool", "log", "mail"):
            (self.directory / name).mkdir()
            self._give(self.directory / name)
        options = {**self._main_options(), **self._tls_options(), **self._settings}
        sections = ["".join(f"{name} = {value}\n" for name, value in options.items())]
        sections += [f"domainlist ours = {' : '.join(self._domains)}\n", self._access_lists()]
        prefix = "".join(f"{name}: {value}\\n" for name, value in _FACTS.items()) + "\\n"
        sections.append(_TO_MAILDIR.format(mail=self.directory / "mail", prefix=prefix))
        if self._login is not None:
            user, password = self._login
            advertise = "${if def:tls_in_cipher}" if self._auth_only_with_tls else "true"
            sections.append(
                _AUTHENTICATORS.format(user=user, password=password, advertise=advertise)
            )
        self._configuration.write_text("".join(sections))
        return program

    def _main_options(self) -> dict[str, str]:
        return {
            "primary_hostname": f"{self.name}.test",
            "local_interfaces": f"<; [{self.address}]:{self.port}",
            "spool_directory": str(self.directory / "spool"),
            "log_file_path": str(self.directory / "log" / "%slog"),
            "log_selector": "+all",
            "write_rejectlog": "false",
            "pid_file_path": str(self.directory / "exim.pid"),
            # It delivers as its own user, not by running itself again with set-user-id.
            "deliver_drop_privilege": "true",
            "keep_environment": "",
            # Nothing asks DNS, which a test may have broken.
            "host_lookup": "",
            "rfc1413_query_timeout": "0s",
            "received_header_text": "",
            "smtp_accept_max": "0",
            "smtp_accept_queue_per_connection": "0",
            "dsn_advertise_hosts": "*",
            "smtputf8_advertise_hosts": "*",
            "acl_smtp_mail": "mail",
            "acl_smtp_rcpt": "rcpt",
        }

    def _tls_options(self) -> dict[str, str]:
        if self._certificate is None:
            return {"tls_advertise_hosts": ""}
        # The daemon reads it after it has become its own user.
        copy = self.directory / "certificate.pem"
        shutil.copy(self._certificate.chain_file, copy)
        self._give(copy)
        return {"tls_advertise_hosts": "*", "tls_certificate": str(copy)}

    def _access_lists(self) -> str:
        lines = ["begin acl", "mail:"]
        if self._tls_required:
            lines += ["  deny !encrypted = *", "    message = 530 5.7.0 STARTTLS first"]
        if self._login is not None:
            lines += ["  deny !authenticated = *", "    message = 530 5.7.0 AUTH first"]
        lines += [
            "  accept set acl_m_commands = $smtp_command",
            "rcpt:",
            "  deny !domains = +ours",
            "    message = 550 5.7.1 no relaying",
            r"  accept set acl_m_commands = $acl_m_commands\t$smtp_command",
        ]
        return "\n".join([*lines, ""])

    def _give(self, path: Path) -> None:
        _, number = _USER
        os.chown(path, number, number)


def _message(path: Path) -> EximMessage:
    facts, content = read_stored(path)
    return EximMessage(
        sender=facts["sender"],
        recipient=facts["recipient"],
        helo=facts["helo"],
        client_address=facts["client_address"],
        protocol=facts["protocol"].upper(),
        tls=facts["tls"].replace("TLS1", "TLSv1") or None,
        login=facts["login"] or None,
        client_certificate=facts["client_certificate"] or None,
        server_name=facts["server_name"] or None,
        commands=tuple(facts["commands"].split("\t")),
        content=content,
    )
