"""Whether a certificate carries a name."""

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from postconnector.delivery.tls.names import UnreadableCertificateError, carries, names_in
from postconnector.enforcement.tls_requirement import CertificateName
from tests.lab.chains import CertificateKind, Chains

EXACT = CertificateName("mail.contoso.com")
BELOW = CertificateName("contoso.com", subdomains=True)


@pytest.fixture(scope="module")
def chains(tmp_path_factory: pytest.TempPathFactory) -> Chains:
    return Chains(tmp_path_factory.mktemp("chains"))


def der(path: Path) -> bytes:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return certificate.public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (CertificateKind(), ()),
        (CertificateKind(names=("b.test", "*.a.test")), ("b.test", "*.a.test")),
        (CertificateKind(common_names=("a.test",)), ("a.test",)),
        (CertificateKind(common_names=("Users", "a.test")), ("Users", "a.test")),
        (CertificateKind(names=("a.test",), common_names=("b.test",)), ("a.test", "b.test")),
        (CertificateKind(names=("a.test",), common_names=("a.test",)), ("a.test",)),
        (CertificateKind(addresses=("192.0.2.1",)), ()),
        (CertificateKind(names=("a.test\0.evil.test",)), ("a.test\0.evil.test",)),
    ],
)
def test_names_in_a_certificate(
    chains: Chains, kind: CertificateKind, names: tuple[str, ...]
) -> None:
    assert names_in(der(chains.issue("leaf", kind))) == names


def test_thousands_of_names(chains: Chains) -> None:
    names = tuple(f"host{number}.contoso.com" for number in range(4000))
    certificate = der(chains.issue("leaf", CertificateKind(names=names)))
    assert carries(names_in(certificate), [CertificateName("host3999.contoso.com")])
    with pytest.raises(UnreadableCertificateError):
        names_in(certificate + 100_000 * b"\0")


@given(st.binary(max_size=200))
def test_what_is_no_certificate(data: bytes) -> None:
    with pytest.raises(UnreadableCertificateError):
        names_in(data)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_a_certificate_cut_or_with_a_byte_changed(chains: Chains) -> None:
    """Whatever comes of it, nothing but the one error is raised."""
    whole = der(chains.issue("leaf", CertificateKind(names=("a.test",), common_names=("b.test",))))
    for position in range(len(whole)):
        changed = whole[:position] + bytes([whole[position] ^ 0x81]) + whole[position + 1 :]
        for data in (whole[:position], changed):
            try:
                names_in(data)
            except UnreadableCertificateError:
                continue


@pytest.mark.parametrize(
    ("name", "exact", "below"),
    [
        ("mail.contoso.com", True, True),
        ("MAIL.Contoso.COM", True, True),
        ("*.contoso.com", True, True),
        ("*.Contoso.com", True, True),
        ("a.mail.contoso.com", False, True),
        ("*.mail.contoso.com", False, True),
        ("contoso.com", False, False),
        ("*.com", False, False),
        ("*", False, False),
        ("notcontoso.com", False, False),
        ("mail.contoso.com.evil.test", False, False),
        ("mail.contoso.com\0.evil.test", False, False),
        ("evil.test\0.contoso.com", False, False),
        ("mail.contoso.com\n", False, False),
        (" mail.contoso.com", False, False),
        ("mail.contoso.com.", False, False),
        (".contoso.com", False, False),
        ("mail..contoso.com", False, False),
        ("m*.contoso.com", False, False),
        ("*il.contoso.com", False, False),
        ("mail.*.com", False, False),
        ("*.*.contoso.com", False, False),
        ("-mail.contoso.com", False, False),
        ("mail_1.contoso.com", False, True),
        ("ma\u0131l.contoso.com", False, False),
        ("192.0.2.1", False, False),
        ("", False, False),
        (64 * "a" + ".contoso.com", False, False),
        (".".join(130 * ["a"]) + ".contoso.com", False, False),
    ],
)
def test_carries(name: str, exact: bool, below: bool) -> None:
    assert carries([name], [EXACT]) is exact
    assert carries([name], [BELOW]) is below
    assert carries(["x.test", name], [CertificateName("y.test"), EXACT]) is exact
    assert not carries([name], [])


def test_a_labels_are_compared_without_case() -> None:
    demanded = CertificateName("xn--bcher-kva.example")
    assert carries(["XN--BCHER-KVA.example"], [demanded])
    assert not carries(["bücher.example"], [demanded])


LABELS = st.sampled_from(["a", "B", "*", "com", "x-y"])
DOMAINS = st.lists(LABELS, min_size=1, max_size=4).map(".".join)


@given(DOMAINS, DOMAINS.filter(lambda domain: "*" not in domain), st.booleans())
def test_as_label_by_label(name: str, domain: str, subdomains: bool) -> None:
    """Against the same rule told differently."""
    labels, wanted = name.lower().split("."), domain.lower().split(".")
    is_name = "*" not in labels[1:] and (labels[0] != "*" or len(labels) > 2)
    if subdomains:
        expected = labels[-len(wanted) :] == wanted and len(labels) > len(wanted)
    else:
        same = labels[1:] == wanted[1:] and labels[0] in ("*", wanted[0])
        expected = same and len(labels) == len(wanted)
    assert carries([name], [CertificateName(domain, subdomains)]) is (is_name and expected)
