"""Receivers: Postfix instances that take mail for some domains, and what they saw of it."""

import email
import email.message
import email.policy
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.certificates import IssuedCertificate
from tests.lab.postfix_instance import PostfixInstance

_RECEIVED_FROM = re.compile(r"from (?P<helo>\S+) \((?P<reverse>\S+) \[(?P<address>[^\]]+)\]\)")
_TLS = re.compile(r"\(using (?P<protocol>\S+) with cipher")
_CLIENT_CERTIFICATE = re.compile(
    r'\(Client CN "(?P<cn>[^"]*)", Issuer "[^"]*" \((?P<verified>[^)]*)\)\)'
)


@dataclass(frozen=True)
class ReceivedMessage:
    """A stored message, and what its receiver wrote about the session."""

    message: email.message.Message

    @property
    def recipient(self) -> str:
        """The envelope recipient."""
        return str(self.message["X-Original-To"])

    @property
    def message_id(self) -> str:
        """The Message-ID."""
        return str(self.message["Message-ID"])

    @property
    def received_header(self) -> str:
        """The topmost Received header, unfolded."""
        return " ".join(str(self.message.get_all("Received", [""])[0]).split())

    @property
    def helo(self) -> str | None:
        """The name by which the client greeted."""
        match = _RECEIVED_FROM.match(self.received_header)
        return match["helo"] if match else None

    @property
    def client_address(self) -> str | None:
        """The address that the client connected from."""
        match = _RECEIVED_FROM.match(self.received_header)
        return match["address"] if match else None

    @property
    def protocol(self) -> str:
        """With what the message came: SMTP, ESMTP, ESMTPS, ESMTPSA …"""
        match = re.search(r" with (\w*SMTP\w*) id ", self.received_header)
        return match[1] if match else ""

    @property
    def tls(self) -> str | None:
        """The TLS version; None for a session without TLS."""
        match = _TLS.search(self.received_header)
        return match["protocol"] if match else None

    @property
    def client_certificate(self) -> str | None:
        """The CN of the certificate that the client showed."""
        match = _CLIENT_CERTIFICATE.search(self.received_header)
        return match["cn"] if match else None

    @property
    def client_certificate_verified(self) -> bool:
        """Whether the receiver trusts the client's certificate."""
        match = _CLIENT_CERTIFICATE.search(self.received_header)
        return match is not None and match["verified"] == "verified OK"

    @property
    def authenticated_sender(self) -> str | None:
        """The user that the client logged in as."""
        match = re.search(r"\(Authenticated sender: ([^)]*)\)", self.received_header)
        return match[1] if match else None


class Peer(PostfixInstance):
    """A receiver at an address and port of its own."""

    def __init__(
        self,
        root: Path,
        name: str,
        domains: Sequence[str],
        *,
        address: str,
        port: int,
        main_cf: Mapping[str, str],
        files: Mapping[str, str] | None = None,
    ) -> None:
        settings = {
            "virtual_mailbox_domains": ", ".join(domains),
            "mynetworks": "127.0.0.1/32",
            "message_size_limit": "0",
            **main_cf,
        }
        super().__init__(
            root,
            name,
            main_cf=settings,
            smtp_port=port,
            smtp_address=address,
            chroot=False,
            files=files,
        )
        self.address = address
        self.port = port

    def received(self) -> list[ReceivedMessage]:
        """Every message so far."""
        return [
            ReceivedMessage(email.message_from_bytes(data, policy=email.policy.compat32))
            for data in self.mail()
        ]


def plain_receiver(
    root: Path, name: str, domains: Sequence[str], *, address: str, port: int
) -> Peer:
    """A receiver without TLS."""
    return Peer(root, name, domains, address=address, port=port, main_cf={})


def tls_partner(
    root: Path,
    name: str,
    domains: Sequence[str],
    certificate: IssuedCertificate,
    ca_file: Path,
    *,
    address: str,
    port: int,
    require: bool = True,
) -> Peer:
    """A receiver that wants TLS (or only offers it), and asks for the client's certificate."""
    return Peer(
        root,
        name,
        domains,
        address=address,
        port=port,
        main_cf={
            **_tls_settings(certificate, "encrypt" if require else "may"),
            "smtpd_tls_ask_ccert": "yes",
            "smtpd_tls_CAfile": str(ca_file),
        },
    )


def auth_smart_host(
    root: Path,
    name: str,
    domains: Sequence[str],
    *,
    user: str,
    password: str,
    certificate: IssuedCertificate | None,
    auth_only_with_tls: bool,
    address: str,
    port: int,
) -> Peer:
    """A receiver that takes mail only from clients that log in (Cyrus SASL, PLAIN and LOGIN)."""
    database = root / f"{name}-sasldb2"
    _write_user(database, name, user, password)
    return Peer(
        root,
        name,
        domains,
        address=address,
        port=port,
        main_cf={
            **(_tls_settings(certificate, "may") if certificate is not None else {}),
            "smtpd_sasl_auth_enable": "yes",
            "smtpd_sasl_local_domain": name,
            "smtpd_sasl_security_options": "noanonymous",
            "smtpd_sasl_authenticated_header": "yes",
            "smtpd_tls_auth_only": "yes" if auth_only_with_tls else "no",
            "smtpd_recipient_restrictions": "permit_sasl_authenticated, reject",
        },
        # Where Debian's Postfix looks for it, before /etc.
        files={
            "sasl/smtpd.conf": "pwcheck_method: auxprop\nauxprop_plugin: sasldb\n"
            f"mech_list: PLAIN LOGIN\nsasldb_path: {database}\n"
        },
    )


def add_login(root: Path, name: str, user: str, password: str) -> None:
    """Let one more user log in at the auth_smart_host of this name."""
    _write_user(root / f"{name}-sasldb2", name, user, password)


def _tls_settings(certificate: IssuedCertificate, level: str) -> dict[str, str]:
    return {
        "smtpd_tls_security_level": level,
        "smtpd_tls_chain_files": str(certificate.chain_file),
        "smtpd_tls_received_header": "yes",
    }


def _write_user(database: Path, realm: str, user: str, password: str) -> None:
    subprocess.run(
        ["saslpasswd2", "-p", "-c", "-f", str(database), "-u", realm, user],
        input=password.encode(),
        check=True,
    )
    database.chmod(0o644)
