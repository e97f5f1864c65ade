"""Certificates of next hops, right and wrong in every way, and revocation lists.

One root, `ca_file`, is trusted. It has signed an intermediate authority, and another one that was
revoked later. `stranger` is a root that nobody trusts.
"""

import datetime
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_DAY = datetime.timedelta(days=1)
_VALID = {"now": (-30, 30), "expired": (-30, -1), "not yet": (1, 30)}
_PURPOSES: dict[str, list[ObjectIdentifier]] = {
    "server": [ExtendedKeyUsageOID.SERVER_AUTH],
    "client": [ExtendedKeyUsageOID.CLIENT_AUTH],
    "any": [],
}


@dataclass(frozen=True)
class CertificateKind:
    """What a certificate is like.

    `common_names`: from the most general to the most specific, as in the certificate. `signed_by`:
    root, intermediate, revoked intermediate, stranger, itself. `sent`: the whole chain, or the
    leaf alone. `valid`: now, expired, not yet. `purpose`: server, client, any. `key`: ecdsa, or
    rsa with its bits. `encoded_names`: the SAN as it is to stand there (DER), instead of `names`.
    """

    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    common_names: tuple[str, ...] = ()
    signed_by: str = "root"
    sent: str = "chain"
    valid: str = "now"
    revoked: bool = False
    purpose: str = "server"
    key: str = "ecdsa"
    encoded_names: bytes | None = None


@dataclass(frozen=True)
class _Authority:
    certificate: x509.Certificate
    key: Key


class Chains:
    """Makes certificates into a folder."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        root = _authority("Contoso Test Root")
        self._authorities = {
            "root": root,
            "intermediate": _authority("Contoso Test Intermediate", root),
            "revoked intermediate": _authority("Contoso Test Revoked", root),
            "stranger": _authority("Stranger Root"),
        }
        self._revoked = [self._authorities["revoked intermediate"].certificate]
        self.ca_file = directory / "ca.pem"
        self.ca_file.write_bytes(root.certificate.public_bytes(Encoding.PEM))

    def issue(self, name: str, kind: CertificateKind) -> Path:
        """A file with key, certificate, and the intermediate if it is sent (PEM)."""
        key = _key(kind.key)
        subject = _name(*kind.common_names)
        authority = self._authorities.get(kind.signed_by)
        issuer = authority.certificate.subject if authority else subject
        builder = _builder(subject, issuer, key, *_VALID[kind.valid])
        for extension in _extensions(kind):
            builder = builder.add_extension(extension, critical=False)
        leaf = builder.sign(authority.key if authority else key, hashes.SHA256())
        if kind.revoked:
            self._revoked.append(leaf)
        chain = [leaf]
        if authority and authority.certificate.issuer != authority.certificate.subject:
            chain += [authority.certificate] if kind.sent == "chain" else []
        path = self._directory / f"{name}.pem"
        path.touch(mode=0o600)
        path.write_bytes(_key_pem(key) + _pem(chain))
        return path

    def revocation_lists(self, which: str) -> Path:
        """A folder of lists: current, expired, or of the root alone (incomplete).

        It has all that was revoked so far.
        """
        folder = self._directory / f"lists-{which}"
        folder.mkdir()
        for name, authority in self._authorities.items():
            if which != "incomplete" or name == "root":
                crl = self._list(authority, _VALID["expired" if which == "expired" else "now"])
                (folder / f"{name}.crl").write_bytes(crl)
        return folder

    def _list(self, authority: _Authority, valid: tuple[int, int]) -> bytes:
        now = datetime.datetime.now(datetime.UTC)
        issuer = authority.certificate.subject
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer)
            .last_update(now + valid[0] * _DAY)
            .next_update(now + valid[1] * _DAY)
        )
        for certificate in self._revoked:
            if certificate.issuer == issuer:
                builder = builder.add_revoked_certificate(
                    x509.RevokedCertificateBuilder()
                    .serial_number(certificate.serial_number)
                    .revocation_date(now - _DAY)
                    .build()
                )
        return builder.sign(authority.key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _authority(name: str, parent: _Authority | None = None) -> _Authority:
    key = _key("ecdsa")
    subject = _name(name)
    issuer = parent.certificate.subject if parent else subject
    certificate = (
        _builder(subject, issuer, key, *_VALID["now"])
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(parent.key if parent else key, hashes.SHA256())
    )
    return _Authority(certificate, key)


def _extensions(kind: CertificateKind) -> Iterable[x509.ExtensionType]:
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in kind.names]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in kind.addresses]
    if kind.encoded_names is not None:
        yield x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, kind.encoded_names)
    elif names:
        yield x509.SubjectAlternativeName(names)
    if purposes := _PURPOSES[kind.purpose]:
        yield x509.ExtendedKeyUsage(purposes)


def _key(kind: str) -> Key:
    if kind == "ecdsa":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65537, int(kind.removeprefix("rsa ")))


def _name(*common_names: str) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Contoso")]
    attributes += [x509.NameAttribute(NameOID.COMMON_NAME, name) for name in common_names]
    return x509.Name(attributes)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: Key, start: int, end: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + start * _DAY)
        .not_valid_after(now + end * _DAY)
    )


def _key_pem(key: Key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _pem(certificates: Iterable[x509.Certificate]) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)
