"""The certificate store and the choice from it, with real certificates."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from postconnector.certificates.choice import NoCertificateError, choose_certificate
from postconnector.certificates.pem import read_store, windows_name
from postconnector.certificates.store import OwnCertificate
from postconnector.model.tls_certificate_name import TlsCertificateName
from postconnector.model.x500_name import X500Name

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
Rdns = Sequence[Sequence[tuple[x509.ObjectIdentifier, str]]]

CN, O, OU, C = (  # noqa: E741 (as they are written)
    NameOID.COMMON_NAME,
    NameOID.ORGANIZATION_NAME,
    NameOID.ORGANIZATIONAL_UNIT_NAME,
    NameOID.COUNTRY_NAME,
)
ROOT_NAME: Rdns = [[(C, "US")], [(O, "Contoso")], [(CN, "Contoso Root")]]
ISSUING_NAME: Rdns = [[(C, "US")], [(O, "Contoso")], [(CN, "Contoso Issuing CA")]]
SUBJECT: Rdns = [[(C, "US")], [(O, "Contoso")], [(CN, "smtp.contoso.com")]]
WANTED = TlsCertificateName.parse(
    "<I>CN=Contoso Issuing CA, O=Contoso, C=US<S>CN=smtp.contoso.com, O=Contoso, C=US"
)


def x509_name(rdns: Rdns) -> x509.Name:
    """A name in the order of X.509: the most general part first."""
    return x509.Name(
        [
            x509.RelativeDistinguishedName([x509.NameAttribute(oid, value) for oid, value in rdn])
            for rdn in rdns
        ]
    )


@dataclass(frozen=True)
class Issued:
    """A certificate with its key."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


def issue(
    subject: Rdns,
    issuer: "Issued | None" = None,
    start: datetime = NOW - 30 * DAY,
    end: datetime = NOW + 30 * DAY,
    key: ec.EllipticCurvePrivateKey | None = None,
) -> Issued:
    """A certificate, signed by `issuer` or by itself."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509_name(subject)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .sign(issuer.key if issuer else key, hashes.SHA256())
    )
    return Issued(key, certificate)


ROOT = issue(ROOT_NAME)
ISSUING = issue(ISSUING_NAME, ROOT)
LEAF = issue(SUBJECT, ISSUING)


def choose(folder: Path, name: TlsCertificateName = WANTED, now: datetime = NOW) -> OwnCertificate:
    return choose_certificate(name, read_store(folder), now)


def chain(own: OwnCertificate) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(own.pem)


def test_key_and_certificate_in_one_file(tmp_path: Path) -> None:
    (tmp_path / "smtp.pem").write_bytes(LEAF.key_pem + LEAF.certificate_pem)
    own = choose(tmp_path)
    assert own.file == tmp_path / "smtp.pem"
    assert chain(own) == [LEAF.certificate]


@pytest.mark.parametrize("suffixes", [(".crt", ".key"), (".cer", ".pem"), (".PEM", ".KEY")])
def test_key_and_certificate_in_two_files(tmp_path: Path, suffixes: tuple[str, str]) -> None:
    (tmp_path / f"zz{suffixes[0]}").write_bytes(LEAF.certificate_pem)
    (tmp_path / f"aa{suffixes[1]}").write_bytes(LEAF.key_pem)
    assert chain(choose(tmp_path)) == [LEAF.certificate]


def test_the_result_begins_with_the_key_as_postfix_wants_it(tmp_path: Path) -> None:
    (tmp_path / "smtp.pem").write_bytes(LEAF.certificate_pem + LEAF.key_pem)
    pem = choose(tmp_path).pem
    assert pem.startswith(b"-----BEGIN PRIVATE KEY-----\n")
    key = serialization.load_pem_private_key(pem, None)
    assert key.public_key() == chain(choose(tmp_path))[0].public_key()
    assert pem.count(b"PRIVATE KEY-----") == 2


def test_intermediates_are_included_and_the_root_is_left_out(tmp_path: Path) -> None:
    middle = issue([[(CN, "Middle CA")]], ROOT)
    issuing = issue(ISSUING_NAME, middle)
    leaf = issue(SUBJECT, issuing)
    unrelated = issue([[(CN, "Unrelated CA")]], ROOT)
    (tmp_path / "smtp.pem").write_bytes(leaf.key_pem + leaf.certificate_pem)
    (tmp_path / "chain.pem").write_bytes(
        ROOT.certificate_pem
        + middle.certificate_pem
        + unrelated.certificate_pem
        + issuing.certificate_pem
    )
    assert chain(choose(tmp_path)) == [
        leaf.certificate,
        issuing.certificate,
        middle.certificate,
    ]


def test_of_two_intermediates_of_one_name_the_one_that_signed(tmp_path: Path) -> None:
    """A CA that renewed its key under its old name."""
    other = issue(ISSUING_NAME, ROOT)
    (tmp_path / "smtp.pem").write_bytes(LEAF.key_pem + LEAF.certificate_pem)
    (tmp_path / "a.pem").write_bytes(ISSUING.certificate_pem)
    (tmp_path / "z.pem").write_bytes(other.certificate_pem)
    assert chain(choose(tmp_path)) == [LEAF.certificate, ISSUING.certificate]
    (tmp_path / "a.pem").write_bytes(other.certificate_pem)
    (tmp_path / "z.pem").write_bytes(ISSUING.certificate_pem)
    assert chain(choose(tmp_path)) == [LEAF.certificate, ISSUING.certificate]


def test_a_self_signed_certificate(tmp_path: Path) -> None:
    own = issue([[(CN, "localhost")]])
    (tmp_path / "localhost.pem").write_bytes(own.key_pem + own.certificate_pem)
    name = TlsCertificateName.parse("<I>CN=localhost<S>CN=localhost")
    assert chain(choose(tmp_path, name)) == [own.certificate]


def test_certificates_that_sign_each_other_end(tmp_path: Path) -> None:
    one_key, other_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    one_name: Rdns = [[(CN, "One")]]
    other_name: Rdns = [[(CN, "Other")]]
    one = issue(
        one_name, Issued(other_key, issue(other_name, key=other_key).certificate), key=one_key
    )
    other = issue(other_name, one, key=other_key)
    leaf = issue(SUBJECT, one)
    (tmp_path / "a.pem").write_bytes(leaf.key_pem + leaf.certificate_pem)
    (tmp_path / "b.pem").write_bytes(one.certificate_pem + other.certificate_pem)
    (own,) = read_store(tmp_path).certificates
    assert chain(own) == [leaf.certificate, one.certificate, other.certificate]


# --- The choice ---


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((-300, 100), (-10, 300)),  # both are valid
        ((-300, 300), (-10, 100)),
        ((-300, -1), (-10, 300)),  # the old one expired
    ],
)
def test_a_renewed_certificate_is_taken(
    tmp_path: Path, order: tuple[str, str], old: tuple[int, int], new: tuple[int, int]
) -> None:
    for name, (start, end) in zip(order, (old, new), strict=True):
        leaf = issue(SUBJECT, ISSUING, NOW + start * DAY, NOW + end * DAY)
        (tmp_path / f"{name}.pem").write_bytes(leaf.key_pem + leaf.certificate_pem)
    assert choose(tmp_path).file == tmp_path / f"{order[1]}.pem"


def test_a_renewal_that_is_not_valid_yet_is_not_taken(tmp_path: Path) -> None:
    for name, start in (("old", NOW - 300 * DAY), ("new", NOW + DAY)):
        leaf = issue(SUBJECT, ISSUING, start, NOW + 300 * DAY)
        (tmp_path / f"{name}.pem").write_bytes(leaf.key_pem + leaf.certificate_pem)
    assert choose(tmp_path).file == tmp_path / "old.pem"
    assert choose(tmp_path, now=NOW + 2 * DAY).file == tmp_path / "new.pem"


def test_a_renewal_with_the_same_key(tmp_path: Path) -> None:
    old = issue(SUBJECT, ISSUING, NOW - 300 * DAY, NOW + DAY)
    new = issue(SUBJECT, ISSUING, NOW - DAY, NOW + 300 * DAY, old.key)
    (tmp_path / "smtp.key").write_bytes(old.key_pem)
    (tmp_path / "2025.crt").write_bytes(old.certificate_pem)
    (tmp_path / "2026.crt").write_bytes(new.certificate_pem)
    assert choose(tmp_path).file == tmp_path / "2026.crt"


@pytest.mark.parametrize(
    ("now", "message"),
    [
        (NOW + 31 * DAY, "smtp.pem expired on 2026-07-01 12:00 UTC; renew it"),
        (NOW - 31 * DAY, "smtp.pem is not valid before 2026-05-02 12:00 UTC"),
    ],
)
def test_out_of_its_time(tmp_path: Path, now: datetime, message: str) -> None:
    (tmp_path / "smtp.pem").write_bytes(LEAF.key_pem + LEAF.certificate_pem)
    with pytest.raises(NoCertificateError) as refusal:
        choose(tmp_path, now=now)
    assert message in str(refusal.value)


@pytest.mark.parametrize("now", [NOW - 30 * DAY, NOW + 30 * DAY])
def test_valid_from_the_first_second_to_the_last(tmp_path: Path, now: datetime) -> None:
    (tmp_path / "smtp.pem").write_bytes(LEAF.key_pem + LEAF.certificate_pem)
    assert chain(choose(tmp_path, now=now)) == [LEAF.certificate]


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"smtp.pem": LEAF.certificate_pem},
        {"smtp.pem": LEAF.key_pem},
        {"smtp.pem": LEAF.certificate_pem, "other.key": ROOT.key_pem},
        {"smtp.txt": LEAF.key_pem + LEAF.certificate_pem},
        {"ca.pem": ISSUING.key_pem + ISSUING.certificate_pem},
    ],
    ids=["empty", "no key", "no certificate", "another key", "no PEM name", "another name"],
)
def test_none_with_its_key(tmp_path: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(NoCertificateError) as refusal:
        choose(tmp_path)
    assert f"with its private key is in {tmp_path}; put a PEM file" in str(refusal.value)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NoCertificateError):
        choose(tmp_path / "missing")
    assert read_store(tmp_path / "missing").problems == ()


@pytest.mark.parametrize(
    "name",
    [
        "<I>CN=Contoso Issuing CA, O=Contoso, C=US<S>CN=smtp.contoso.com",
        "<I>CN=Other CA, O=Contoso, C=US<S>CN=smtp.contoso.com, O=Contoso, C=US",
        "<I>CN=smtp.contoso.com, O=Contoso, C=US<S>CN=Contoso Issuing CA, O=Contoso, C=US",
        "<I>C=US, O=Contoso, CN=Contoso Issuing CA<S>C=US, O=Contoso, CN=smtp.contoso.com",
    ],
)
def test_both_names_must_be_equal(tmp_path: Path, name: str) -> None:
    (tmp_path / "smtp.pem").write_bytes(LEAF.key_pem + LEAF.certificate_pem)
    with pytest.raises(NoCertificateError):
        choose(tmp_path, TlsCertificateName.parse(name))


# --- Names ---


@pytest.mark.parametrize(
    ("rdns", "text"),
    [
        ([[(C, "US")], [(CN, "a")]], "CN=a, C=US"),
        ([[(C, "US")], [(CN, "A")]], "cn=a,c=us"),
        ([[(O, "Contoso, Ltd.")]], 'O="Contoso, Ltd."'),
        ([[(O, 'The "A" Team')]], 'O="The ""A"" Team"'),
        ([[(O, "A + B <c> #1; d = e")]], 'O="A + B <c> #1; d = e"'),
        ([[(O, " padded ")]], 'O=" padded "'),
        ([[(CN, "a"), (OU, "b")]], "OU=b + CN=a"),
        ([[(NameOID.STATE_OR_PROVINCE_NAME, "Washington")]], "S=Washington"),
        ([[(NameOID.STATE_OR_PROVINCE_NAME, "Washington")]], "ST=Washington"),
        ([[(NameOID.EMAIL_ADDRESS, "a@contoso.com")]], "E=a@contoso.com"),
        ([[(NameOID.DOMAIN_COMPONENT, "com")], [(NameOID.DOMAIN_COMPONENT, "b")]], "DC=b, DC=com"),
        ([[(NameOID.SERIAL_NUMBER, "4711")]], "SERIALNUMBER=4711"),
        ([[(NameOID.ORGANIZATION_IDENTIFIER, "x")]], "OID.2.5.4.97=x"),
        ([[(CN, "Müller & Söhne")]], "CN=Müller & Söhne"),
    ],
)
def test_a_name_as_windows_writes_it(rdns: Rdns, text: str) -> None:
    assert windows_name(x509_name(rdns)) == X500Name.parse(text)


@pytest.mark.parametrize(
    ("rdns", "text"),
    [
        ([[(C, "US")], [(CN, "a")]], "C=US, CN=a"),
        ([[(CN, "a"), (OU, "b")]], "CN=a, OU=b"),
        ([[(O, "Contoso, Ltd.")]], "O=Contoso"),
        ([[(NameOID.SURNAME, "4711")]], "SERIALNUMBER=4711"),
    ],
)
def test_a_name_that_differs(rdns: Rdns, text: str) -> None:
    assert windows_name(x509_name(rdns)) != X500Name.parse(text)


# --- What can't be read ---

UNKNOWN_CURVE = (
    ISSUING.certificate.public_bytes(Encoding.DER)
    # prime256v1 -> an object identifier that nobody gave out
    .replace(bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a8648ce3d03017f"))
)


@pytest.mark.parametrize(
    "data",
    [
        b"garbage",
        b"",
        b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        b"-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN CERTIFICATE-----\n",
        LEAF.certificate.public_bytes(Encoding.DER),
        LEAF.key.private_bytes(
            Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        ),
        b"\n" * (1024**2 + 1),
        x509.load_der_x509_certificate(UNKNOWN_CURVE).public_bytes(Encoding.PEM),
    ],
    ids=[
        "garbage",
        "empty",
        "bad certificate",
        "bad key",
        "cut off",
        "DER",
        "encrypted key",
        "too large",
        "unknown curve",
    ],
)
def test_an_unfit_file_is_reported_and_hides_no_other(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "bad.pem").write_bytes(data)
    (tmp_path / "smtp.pem").write_bytes(LEAF.key_pem + LEAF.certificate_pem)
    store = read_store(tmp_path)
    assert [own.file.name for own in store.certificates] == ["smtp.pem"]
    assert [problem.startswith(f"{tmp_path}/bad.pem: ") for problem in store.problems] == [True]


def test_a_folder_with_the_name_of_a_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "folder.pem").mkdir()
    (problem,) = read_store(tmp_path).problems
    assert problem.startswith(f"{tmp_path}/folder.pem: ")


def test_other_files_are_nobodys_business(tmp_path: Path) -> None:
    (tmp_path / "README").write_bytes(b"garbage")
    (tmp_path / "request.csr").write_bytes(b"garbage")
    assert read_store(tmp_path).problems == ()


def test_a_file_that_may_not_be_read_is_reported(tmp_path: Path) -> None:
    (tmp_path / "dangling.pem").symlink_to(tmp_path / "nowhere")
    (problem,) = read_store(tmp_path).problems
    assert problem.startswith(f"{tmp_path}/dangling.pem: ")


def test_a_private_key_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "smtp.pem").write_bytes(LEAF.key_pem + LEAF.certificate_pem)
    assert "PRIVATE KEY" not in repr(read_store(tmp_path))
