"""Hosts with a main.cf and master.cf of their own, what stands beside Postfix on them, and where
their mail arrives.

Beside Postfix: a server of TLS policies, as postfix-tlspol and postfix-mta-sts-resolver are; an
after-queue content filter; a milter that signs.
"""

import contextlib
import email
import email.policy
import hashlib
import re
import smtplib
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import Milter

from postconnector.postfix.host import read_text, write_text
from tests.lab.child import Child, Server, start_child, stop_child
from tests.lab.loopback import free_port, wait_for_port, wait_until
from tests.lab.peers import Peer, ReceivedMessage
from tests.lab.postfix_instance import PostfixInstance

FILTER_MARK = "X-Contoso-Filter"
MILTER_MARK = "X-Contoso-Signature"
_SOURCE_FOLDER = Path(__file__).parents[2]
_SUSPENDED = re.compile(r"^delivery temporarily suspended: ")
_DIAGNOSTIC = re.compile(r"^Diagnostic-Code: (?P<text>.*(?:\n .*)*)", re.MULTILINE)
_numbers = count(1)


class ConfiguredHost(PostfixInstance):
    """A Postfix with a main.cf as given, byte for byte.

    `main_cf` begins with what `lab_settings` gives; master.cf is the lab's, with `services`
    appended. `tables`: sources in the configuration directory, which
    postmap(1), or postalias(1) for `aliases`, makes into lmdb tables, or for `TYPE:name` into
    one of that type. What is not UTF-8 in a text stands there as surrogates.
    """

    def __init__(
        self,
        root: Path,
        name: str,
        *,
        main_cf: str,
        services: str = "",
        tables: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
        smtp_port: int,
        resolver: str | None = None,
    ) -> None:
        self._tables = list(map(_table, tables or {}))
        self._texts = {"main.cf": main_cf, **(files or {})}
        self._texts |= {_table(table)[1]: text for table, text in (tables or {}).items()}
        self._services = services
        super().__init__(root, name, smtp_port=smtp_port, resolver=resolver)

    def _write(self) -> None:
        """Everything is there, tables too, before the first process looks."""
        super()._write()
        folder = self.config_directory
        master_cf = read_text(folder / "master.cf") + self._services
        for name, text in {**self._texts, "master.cf": master_cf}.items():
            write_text(folder / name, text)
        for kind, name in self._tables:
            command = "postalias" if name == "aliases" else "postmap"
            subprocess.run([command, "-c", str(folder), f"{kind}:{folder / name}"], check=True)

    def mailboxes(self) -> dict[str, list[bytes]]:
        """The messages in each Maildir of the host."""
        return {
            folder.name: [path.read_bytes() for path in sorted(folder.glob("new/*"))]
            for folder in (self.directory / "mail").iterdir()
        }

    def delay_reason(self, recipient: str) -> str | None:
        """Why a recipient's message waits in the deferred queue, if it does."""
        for message in self.queue():
            if message["queue_name"] == "deferred":
                for waiting in message["recipients"]:
                    if waiting["address"] == recipient:
                        return _SUSPENDED.sub("", str(waiting["delay_reason"]))
        return None

    def empty_queue(self) -> None:
        """Delete everything in the queue (postsuper -d)."""
        subprocess.run(
            ["postsuper", "-c", str(self.config_directory), "-d", "ALL"],
            check=True,
            capture_output=True,
        )


def _table(name: str) -> tuple[str, str]:
    """Type and name of a table."""
    kind, _, name = name.rpartition(":")
    return kind or "lmdb", name


def lab_settings(directory: Path, *, log_file: bool = True) -> str:
    """What main.cf needs for an instance in this folder that stays on loopback.

    Without `log_file` it logs to syslog. postlogd(8) waits for itself, and all for it, when as it
    starts it has something to say of main.cf, such as that a parameter stands there twice.
    """
    log = f"maillog_file = {directory}/log/maillog\nmaillog_file_prefixes = {directory}/log\n"
    return (
        f"queue_directory = {directory}/spool\n"
        f"data_directory = {directory}/data\n"
        f"{log if log_file else ''}"
        "inet_interfaces = 127.0.0.1\n"
        "inet_protocols = ipv4\n"
        "smtp_host_lookup = dns\n"
        "smtpd_peername_lookup = no\n"
    )


@dataclass(frozen=True)
class Mail:
    """A message to be sent: to smtpd(8) at the host's port or another, or by sendmail(1)."""

    recipient: str
    sender: str = "alice@contoso.test"
    port: int | None = None
    by_sendmail: bool = False


@dataclass(frozen=True)
class Arrival:
    """Where a message came, and how it looked there.

    `where`: a receiver's name, `mailbox NAME`, or `refused`, `deferred` or `bounced` with the
    `reason`.
    `headers`: their names in order; `marks`: what a filter or milter wrote.
    """

    where: str
    reason: str = ""
    recipient: str = ""
    sender: str = ""
    helo: str | None = None
    protocol: str = ""
    tls: str | None = None
    headers: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    body: str = ""


class MailFlow:
    """Sends mail to a host and follows it to the host's mailboxes and these receivers."""

    def __init__(self, host: ConfiguredHost, receivers: Sequence[Peer]) -> None:
        self._host = host
        self._receivers = receivers
        self._sent: list[str] = []

    def send(self, mails: Sequence[Mail]) -> dict[Mail, Arrival]:
        """Send each message and wait for where it comes."""
        refusals: dict[Mail, Arrival] = {}
        ids: dict[Mail, str] = {}
        for mail in mails:
            ids[mail] = f"<{next(_numbers)}.drop-in@contoso.test>"
            reply = self._submit(mail, ids[mail])
            if reply is not None:
                refusals[mail] = Arrival("refused", reason=reply)
        self._sent += [ids[mail] for mail in mails if mail not in refusals]
        arrivals = {
            mail: refusals.get(mail) or self._wait_for(mail, message_id)
            for mail, message_id in ids.items()
        }
        self._host.empty_queue()
        return arrivals

    def repeated(self) -> list[str]:
        """The messages that came more than once."""
        return [message_id for message_id in self._sent if len(self._copies(message_id)) > 1]

    def _submit(self, mail: Mail, message_id: str) -> str | None:
        """Hand a message to Postfix; return the reply that refuses it."""
        text = _compose(mail, message_id)
        if mail.by_sendmail:
            self._host.sendmail(mail.sender, [mail.recipient], text)
            return None
        port = mail.port or self._host.smtp_port or 0
        with smtplib.SMTP(self._host.smtp_address, port, timeout=30) as session:
            session.ehlo("client.contoso.test")
            try:
                session.sendmail(mail.sender, mail.recipient, text)
            except smtplib.SMTPRecipientsRefused as error:
                [(code, reply)] = error.recipients.values()
                return f"RCPT: {code} {reply.decode()}"
            except smtplib.SMTPResponseException as error:
                return f"{type(error).__name__}: {error.smtp_code} {error.smtp_error!r}"
        return None

    def _wait_for(self, mail: Mail, message_id: str) -> Arrival:
        def look() -> Arrival | None:
            for copy in self._copies(message_id):
                return copy
            reason = self._host.delay_reason(mail.recipient)
            return Arrival("deferred", reason=reason) if reason is not None else None

        return wait_until(look, f"{mail.recipient}'s message")

    def _copies(self, message_id: str) -> list[Arrival]:
        wanted = f"\nMessage-ID: {message_id}\n".encode()
        return [
            _arrival(where, data) if wanted in data.partition(b"\n\n")[0] else _bounce(data)
            for where, messages in self._places()
            for data in messages
            if wanted in data
        ]

    def _places(self) -> Iterator[tuple[str, list[bytes]]]:
        for receiver in self._receivers:
            yield receiver.name, receiver.mail()
        for name, messages in self._host.mailboxes().items():
            yield f"mailbox {name}", messages


def _compose(mail: Mail, message_id: str) -> bytes:
    return (
        f"From: {mail.sender}\nTo: {mail.recipient}\nMessage-ID: {message_id}\n"
        "Date: Mon, 01 Jan 2024 12:00:00 +0000\nSubject: drop-in\n\nHello.\n"
    ).encode()


def _arrival(where: str, data: bytes) -> Arrival:
    received = ReceivedMessage(email.message_from_bytes(data, policy=email.policy.compat32))
    message = received.message
    return Arrival(
        where,
        recipient=received.recipient,
        sender=str(message["Return-Path"]),
        helo=received.helo,
        protocol=received.protocol,
        tls=received.tls,
        headers=tuple(message.keys()),
        marks=tuple(
            f"{name}: {value}"
            for name, value in message.items()
            if name in (FILTER_MARK, MILTER_MARK)
        ),
        body=str(message.get_payload()),
    )


def _bounce(report: bytes) -> Arrival:
    """A message as the report tells (RFC 3464) that came instead of it."""
    found = _DIAGNOSTIC.search(report.decode())
    return Arrival("bounced", reason=" ".join(found["text"].split()) if found else "")


class _ThreadingServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False


class _ListeningServer(Server):
    """A TCP server on loopback, a thread for each client."""

    def __init__(self, handler: type[socketserver.BaseRequestHandler]) -> None:
        self._server = _ThreadingServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.port = int(self._server.server_address[1])

    def start(self) -> None:
        """Start to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and give the port back."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class TlsPolicyServer(_ListeningServer):
    """Answers smtp_tls_policy_maps by the socketmap protocol: a policy for each next hop.

    `asked` are the next hops that it was asked for.
    """

    def __init__(self, policies: Mapping[str, str]) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while (request := _read_netstring(self.rfile)) is not None:
                    key = request.partition(" ")[2]
                    asked.append(key)
                    policy = policies.get(key)
                    reply = f"OK {policy}" if policy is not None else "NOTFOUND "
                    self.wfile.write(f"{len(reply)}:{reply},".encode())

        super().__init__(Handler)


def _read_netstring(stream: Any) -> str | None:
    digits = b""
    while (byte := stream.read(1)) != b":":
        if not byte:
            return None
        digits += byte
    text: bytes = stream.read(int(digits) + 1)
    return text[:-1].decode()


class ContentFilter(_ListeningServer):
    """An after-queue content filter: takes mail by SMTP, marks it, and gives it back.

    `clients`: the addresses that it was told messages came from (XFORWARD).
    """

    def __init__(self, return_port: int) -> None:
        self.clients: list[str] = []
        heard = self.clients

        class Handler(_FilterSession):
            port, clients = return_port, heard

        super().__init__(Handler)


class _FilterSession(socketserver.StreamRequestHandler):
    """One SMTP session (RFC 5321); what comes by DATA is answered as the way back answers it."""

    port: int
    clients: list[str]

    def handle(self) -> None:
        self._reply("220 filter.contoso.test ESMTP")
        self._forget()
        while line := self.rfile.readline():
            verb, _, argument = line.decode().strip().partition(" ")
            if verb.upper() == "QUIT":
                self._reply("221 2.0.0 Bye")
                return
            self._obey(verb.upper(), argument)

    def _obey(self, verb: str, argument: str) -> None:
        match verb:
            case "MAIL":
                self._sender = _path(argument)
            case "RCPT":
                self._recipients.append(_path(argument))
            case "DATA":
                self._reply("354 Go ahead")
                self._reply(self._give_back(b"".join(self._data())))
                self._forget()
                return
            case "RSET":
                self._forget()
            case "EHLO":
                self._reply("250-filter.contoso.test")
                self._reply("250 XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT")
                return
            case "XFORWARD":
                self.clients += re.findall(r"\bADDR=(\S+)", argument)
            case "HELO" | "NOOP":
                pass
            case _:
                self._reply("502 5.5.2 Command unknown")
                return
        self._reply("250 2.0.0 Ok")

    def _data(self) -> Iterator[bytes]:
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            yield line.removeprefix(b".")

    def _give_back(self, data: bytes) -> str:
        marked = f"{FILTER_MARK}: passed\r\n".encode() + data
        try:
            with smtplib.SMTP("127.0.0.1", self.port, "filter.contoso.test", timeout=30) as way:
                way.sendmail(self._sender, self._recipients, marked)
        except (smtplib.SMTPException, OSError) as error:
            return f"451 4.3.0 {type(error).__name__}"
        return "250 2.0.0 Ok: filtered"

    def _forget(self) -> None:
        self._sender = ""
        self._recipients: list[str] = []

    def _reply(self, text: str) -> None:
        with contextlib.suppress(ConnectionError):
            self.wfile.write(f"{text}\r\n".encode())


def _path(argument: str) -> str:
    return argument.partition("<")[2].rpartition(">")[0]


class SigningMilter(Server):
    """A milter that adds a header with a digest of the body; a process of its own."""

    def __init__(self, root: Path) -> None:
        self._log = root / "milter.log"
        self._process: Child | None = None
        self.port = free_port()

    def start(self) -> None:
        """Start it and wait until it listens."""
        program = (
            f"import sys; sys.path.insert(0, {str(_SOURCE_FOLDER)!r})\n"
            "from tests.lab.host_configurations import run_signing_milter\n"
            f"run_signing_milter({self.port})\n"
        )
        self._process = start_child([sys.executable, "-c", program], self._log)
        wait_for_port("127.0.0.1", self.port)

    def stop(self) -> None:
        """Stop it, at once: libmilter looks only every five seconds whether it is to end."""
        if self._process is not None:
            self._process.kill()
            stop_child(self._process)
            self._process = None


class _Signing(Milter.Base):  # type: ignore[misc]
    """Signs one message after the other."""

    def envfrom(self, *_: str) -> Any:
        self._digest = hashlib.sha256()
        return Milter.CONTINUE

    def body(self, chunk: bytes) -> Any:
        self._digest.update(chunk)
        return Milter.CONTINUE

    def eom(self) -> Any:
        self.addheader(MILTER_MARK, f"d=contoso.test; bh={self._digest.hexdigest()}")
        return Milter.CONTINUE


def run_signing_milter(port: int) -> None:
    """Serve as a milter until this process ends."""
    Milter.factory = _Signing
    Milter.set_flags(Milter.ADDHDRS)
    Milter.runmilter("signing", f"inet:{port}@127.0.0.1", 30)
