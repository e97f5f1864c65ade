"""A test certificate authority whose names are predictable, as connectors name them.

The authority is `CN=Contoso Test CA, O=Contoso`; a certificate's subject is
`CN=<common name>, O=Contoso`.
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class IssuedCertificate:
    """Files of a certificate, all readable by root alone.

    `chain_file`: private key, certificate and the authority's certificate, in one PEM.
    """

    certificate_file: Path
    key_file: Path
    chain_file: Path


class CertificateAuthority:
    """Issues certificates into a folder."""

    def __init__(self, directory: Path, common_name: str = "Contoso Test CA") -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(common_name)
        self._certificate = (
            _builder(self._name, self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        self.ca_file = directory / "ca.pem"
        self.ca_file.write_bytes(self._certificate.public_bytes(Encoding.PEM))

    def issue(
        self,
        name: str,
        *,
        common_name: str | None,
        dns_names: Sequence[str] = (),
        not_before: datetime.datetime | None = None,
        not_after: datetime.datetime | None = None,
        self_signed: bool = False,
    ) -> IssuedCertificate:
        """Issue a certificate; `name` is for its files."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(common_name)
        issuer, signer = (subject, key) if self_signed else (self._name, self._key)
        builder = _builder(subject, issuer, key, not_before, not_after).add_extension(
            x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            ),
            critical=False,
        )
        if dns_names:
            names = x509.SubjectAlternativeName([x509.DNSName(n) for n in dns_names])
            builder = builder.add_extension(names, critical=False)
        return self._store(name, key, builder.sign(signer, hashes.SHA256()))

    def cross_signed(self, other: "CertificateAuthority") -> bytes:
        """The certificate (PEM) by which another authority vouches for this one."""
        return (
            _builder(self._name, other._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(other._key, hashes.SHA256())
            .public_bytes(Encoding.PEM)
        )

    def _store(
        self, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate
    ) -> IssuedCertificate:
        files = IssuedCertificate(
            self._directory / f"{name}.crt",
            self._directory / f"{name}.key",
            self._directory / f"{name}.pem",
        )
        pem = certificate.public_bytes(Encoding.PEM)
        key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        for path, data in (
            (files.certificate_file, pem),
            (files.key_file, key_pem),
            (files.chain_file, key_pem + pem + self.ca_file.read_bytes()),
        ):
            path.touch(mode=0o600)
            path.write_bytes(data)
        return files


def _name(common_name: str | None) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Contoso")]
    if common_name is not None:
        attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    return x509.Name(attributes)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    not_before: datetime.datetime | None = None,
    not_after: datetime.datetime | None = None,
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before or now - _DAY)
        .not_valid_after(not_after or now + 30 * _DAY)
    )
