"""TLS contexts: whom they trust, what they show, and when files are read again."""

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from postconnector.certificates.choice import NoCertificateError
from postconnector.delivery.tls import contexts as contexts_module
from postconnector.delivery.tls.contexts import TlsContexts, Trust, TrustError
from tests.lab.chains import CertificateKind, Chains
from tests.unit.tls_handshake import server_context, shake_hands

KIND = CertificateKind(names=("mx.test",))


@pytest.fixture(scope="module")
def chains(tmp_path_factory: pytest.TempPathFactory) -> Chains:
    return Chains(tmp_path_factory.mktemp("chains"))


@pytest.fixture(scope="module")
def good(chains: Chains) -> Path:
    return chains.issue("good", KIND)


def is_trusted(contexts: TlsContexts, chain: Path) -> bool:
    try:
        shake_hands(contexts.context(chain=True, shown=None), server_context(chain))
    except ssl.SSLCertVerificationError:
        return False
    return True


def test_only_a_chain_that_is_asked_for_is_verified(chains: Chains, good: Path) -> None:
    contexts = TlsContexts(Trust(chains.ca_file))
    stranger = chains.issue("stranger", CertificateKind(signed_by="stranger"))
    assert is_trusted(contexts, good)
    assert not is_trusted(contexts, stranger)
    shake_hands(contexts.context(chain=False, shown=None), server_context(stranger))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl(1)")
def test_a_folder_of_authorities_by_hash(chains: Chains, good: Path, tmp_path: Path) -> None:
    folder = tmp_path / "authorities"
    folder.mkdir()
    contexts = TlsContexts(Trust(ca_directory=folder))
    assert not is_trusted(contexts, good)
    shutil.copy(chains.ca_file, folder / "ca.pem")
    subprocess.run(["openssl", "rehash", folder], check=True)
    assert is_trusted(contexts, good)


def test_the_machines_authorities(
    good: Path, chains: Chains, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not is_trusted(TlsContexts(Trust()), good)
    monkeypatch.setenv("SSL_CERT_FILE", str(chains.ca_file))
    assert is_trusted(TlsContexts(Trust()), good)


def test_the_same_context_until_a_file_changes(chains: Chains, good: Path, tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    shutil.copy(Chains(tmp_path / "others").ca_file, ca_file)
    contexts = TlsContexts(Trust(ca_file))
    before = contexts.context(chain=True, shown=None)
    assert contexts.context(chain=True, shown=None) is before
    assert not is_trusted(contexts, good)
    renewed = tmp_path / "new.pem"
    shutil.copy(chains.ca_file, renewed)
    renewed.replace(ca_file)
    assert contexts.context(chain=True, shown=None) is not before
    assert is_trusted(contexts, good)


def test_authorities_that_cannot_be_read(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    for trust, says in (
        (Trust(tmp_path / "missing.pem"), "missing.pem can't be read: No such file"),
        (Trust(ca_directory=tmp_path / "missing"), "missing can't be read: No such file"),
        (Trust(empty), "the trusted certificates can't be read"),
        (Trust(crl_directory=tmp_path / "missing"), "missing can't be read: No such file"),
    ):
        contexts = TlsContexts(trust)
        with pytest.raises(TrustError, match=says):
            contexts.context(chain=True, shown=None)
        contexts.context(chain=False, shown=None)


# --- revocation lists


def test_a_list_that_comes_later(chains: Chains, tmp_path: Path) -> None:
    revoked = chains.issue("revoked", CertificateKind(revoked=True))
    folder = tmp_path / "lists"
    folder.mkdir()
    contexts = TlsContexts(Trust(chains.ca_file, crl_directory=folder))
    fresh = chains.issue("fresh", KIND)
    assert not is_trusted(contexts, fresh)  # no list is not an empty list
    for path in chains.revocation_lists("current").iterdir():
        shutil.copy(path, folder)
    assert is_trusted(contexts, fresh)
    assert not is_trusted(contexts, revoked)


def test_several_lists_in_one_file_and_other_files_beside(chains: Chains, tmp_path: Path) -> None:
    folder = tmp_path / "lists"
    folder.mkdir()
    lists = [path.read_bytes() for path in chains.revocation_lists("joined").iterdir()]
    (folder / "all.pem").write_bytes(b"# comment\n" + b"".join(lists))
    (folder / "README").write_text("no list")
    contexts = TlsContexts(Trust(chains.ca_file, crl_directory=folder))
    via = chains.issue("via", CertificateKind(signed_by="intermediate"))
    assert is_trusted(contexts, via)


def test_a_certificate_among_the_lists_is_not_trusted(chains: Chains, tmp_path: Path) -> None:
    """OpenSSL alone would take it for an authority."""
    other = Chains(tmp_path / "other")
    chain = other.issue("leaf", KIND)
    folder = other.revocation_lists("current")
    with (folder / "root.crl").open("ab") as file:
        file.write(other.ca_file.read_bytes())
    trusted = TlsContexts(Trust(other.ca_file, crl_directory=folder))
    assert is_trusted(trusted, chain)
    assert not is_trusted(TlsContexts(Trust(chains.ca_file, crl_directory=folder)), chain)


def test_lists_that_cannot_be_read(
    chains: Chains, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contexts = TlsContexts(Trust(chains.ca_file, crl_directory=tmp_path))
    path = tmp_path / "a.crl"
    broken = b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"
    for data, says in (
        (b"", "holds no revocation list in PEM form"),
        (chains.ca_file.read_bytes(), "holds no revocation list in PEM form"),
        (broken, "the revocation list .*a.crl can't be read"),
    ):
        path.write_bytes(data)
        with pytest.raises(TrustError, match=says):
            contexts.context(chain=True, shown=None)
    monkeypatch.setattr(contexts_module, "_LARGEST_LIST", 10)
    with pytest.raises(TrustError, match="larger than"):
        contexts.context(chain=True, shown=None)
    monkeypatch.setattr(contexts_module, "_MOST_LISTS", 0)
    with pytest.raises(TrustError, match="more than 0 revocation lists"):
        contexts.context(chain=True, shown=None)


# --- our own certificate


def _open_files() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def test_our_certificate_with_its_intermediate_is_shown(chains: Chains, good: Path) -> None:
    kind = CertificateKind(common_names=("smtp.test",), signed_by="intermediate", purpose="any")
    pem = chains.issue("own", kind).read_bytes()
    contexts = TlsContexts(Trust(chains.ca_file))
    files = _open_files()
    for chain in (True, False):
        context = contexts.context(chain=chain, shown=pem)
        _, server_end = shake_hands(context, server_context(good, chains.ca_file))
        certificate = server_end.getpeercert()
        assert certificate is not None
        assert ((("commonName", "smtp.test"),)) in certificate["subject"]
        assert contexts.context(chain=chain, shown=pem) is context
        assert contexts.context(chain=chain, shown=None) is not context
    assert _open_files() == files


def test_a_certificate_of_ours_that_cannot_be_used(chains: Chains, good: Path) -> None:
    contexts = TlsContexts(Trust(chains.ca_file))
    key = serialization.load_pem_private_key(good.read_bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    certificate = good.read_bytes()[good.read_bytes().index(b"-----BEGIN CERT") :]
    other_key = chains.issue("other", KIND).read_bytes().partition(b"-----BEGIN CERT")[0]
    for pem in (b"", b"nothing", certificate, locked + certificate, other_key + certificate):
        with pytest.raises(NoCertificateError, match="can't be used") as refusal:
            contexts.context(chain=False, shown=pem)
        assert "PRIVATE" not in str(refusal.value)


def test_contexts_are_not_kept_without_end(
    chains: Chains, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contexts_module, "_MOST_CONTEXTS", 2)
    contexts = TlsContexts(Trust(chains.ca_file))
    for number in range(5):
        pem = good.read_bytes() + b"\n" * number
        contexts.context(chain=False, shown=pem)
        assert len(contexts._known) <= 2


def test_no_version_before_1_2(chains: Chains) -> None:
    context = TlsContexts(Trust(chains.ca_file)).context(chain=False, shown=None)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert not context.check_hostname
    names = [cipher["name"] for cipher in context.get_ciphers()]
    assert "AES128-GCM-SHA256" in names  # with Python's own choice mail would go in clear
    assert not [name for name in names if "NULL" in name or name.startswith(("PSK", "SRP", "ADH"))]
