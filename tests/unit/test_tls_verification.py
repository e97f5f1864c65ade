"""Whether a session's TLS is enough, and the sentences that say why it is not."""

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from postconnector.delivery.tls.contexts import TlsContexts, Trust
from postconnector.delivery.tls.policy import Starttls, TlsFacts, TlsFailedError, TlsPolicy
from postconnector.delivery.tls.verification import handshake_failure, verify
from postconnector.enforcement.tls_requirement import CertificateName
from tests.lab.chains import CertificateKind, Chains
from tests.unit.tls_handshake import server_context, shake_hands


@pytest.fixture(scope="module")
def chains(tmp_path_factory: pytest.TempPathFactory) -> Chains:
    return Chains(tmp_path_factory.mktemp("chains"))


Check = Callable[..., TlsFacts]


@pytest.fixture
def check(chains: Chains) -> Check:
    """Shake hands with a next hop that has this certificate, and judge it."""

    def verified(*names: str, expected: tuple[str, ...] | None, chain: bool = True) -> TlsFacts:
        path = chains.issue("leaf", CertificateKind(names=names))
        context = TlsContexts(Trust(chains.ca_file)).context(chain=chain, shown=None)
        demanded = None if expected is None else tuple(CertificateName(n) for n in expected)
        session, _ = shake_hands(context, server_context(path))
        return verify(TlsPolicy(Starttls.REQUIRED, context, demanded), session)

    return verified


def test_what_was_agreed_on(check: Check) -> None:
    facts = check("mx.test", expected=("mx.test",))
    assert (facts.version, facts.verified) == ("TLSv1.3", True)
    assert "AES" in facts.cipher or "CHACHA" in facts.cipher
    assert facts.bits >= 128
    assert facts.certificate is not None


def test_any_name(check: Check) -> None:
    assert check("x.test", expected=None).verified
    assert not check("x.test", expected=None, chain=False).verified


@pytest.mark.parametrize(
    ("names", "expected", "says"),
    [
        (("a.test", "b.test"), ("mx.test",), "expected: mx.test; seen: a.test, b.test"),
        ((), ("mx.test", "mx2.test"), "expected: mx.test, mx2.test; seen: none"),
        (("mx.test",), (), "expected: a name, which an address has not; seen: mx.test"),
        (
            tuple(f"{n}.test" for n in range(2000)),
            ("mx.test",),
            "seen: 0.test, 1.test, 2.test, 3.test, 4.test and 1995 more",
        ),
        (("evil\r\n250 ok.test",), ("mx.test",), r"seen: evil\r\n250 ok.test"),
    ],
)
def test_another_name(
    check: Check, names: tuple[str, ...], expected: tuple[str, ...], says: str
) -> None:
    with pytest.raises(TlsFailedError) as failure:
        check(*names, expected=expected)
    assert str(failure.value).startswith("the server's certificate has another name; expected: ")
    assert str(failure.value).endswith(says)


def test_names_that_cannot_be_read_are_none(chains: Chains) -> None:
    """A dNSName with a byte above 127, which OpenSSL lets through; the CN then counts no more."""
    san = bytes([0x30, 13, 0x82, 11]) + "b\xfccher.test".encode("latin-1")
    kind = CertificateKind(encoded_names=san, common_names=("mx.test",))
    context = TlsContexts(Trust(chains.ca_file)).context(chain=True, shown=None)
    session, _ = shake_hands(context, server_context(chains.issue("odd", kind)))
    with pytest.raises(TlsFailedError, match=r"can't be read \(.*\); expected: mx.test"):
        verify(TlsPolicy(Starttls.REQUIRED, context, (CertificateName("mx.test"),)), session)


# --- broken handshakes; those of real servers are in tests/delivery/test_tls_matrix.py


def ssl_error(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}] whatever (_ssl.c:1)")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (TimeoutError(), "the server did not answer in time"),
        (ConnectionAbortedError("SSL handshake is…"), "the server did not answer in time"),
        (ConnectionResetError(104, "Connection reset by peer"), "the server closed the connection"),
        (EOFError(), "the server closed the connection"),
        (ssl.SSLEOFError(8, "EOF occurred"), "the server closed the connection"),
        (OSError(113, "No route to host"), "No route to host"),
        (ssl_error("WRONG_VERSION_NUMBER"), "what the server sends is not TLS"),
        (ssl_error("SSLV3_ALERT_BAD_CERTIFICATE"), "the server does not accept our certificate"),
        (ssl_error("SOME_NEW_REASON"), "some new reason"),
        (ssl.SSLError("odd"), "SSLError"),
        (RuntimeError("secret"), "RuntimeError"),
    ],
)
def test_handshake_failure(error: Exception, says: str) -> None:
    assert str(handshake_failure(error)) == f"the TLS handshake failed: {says}"


def test_a_failure_that_is_said_already() -> None:
    failure = TlsFailedError("said")
    assert handshake_failure(failure) is failure


def broken(chains: Chains, path: Path) -> TlsFailedError:
    context = TlsContexts(Trust(chains.ca_file)).context(chain=True, shown=None)
    with pytest.raises(ssl.SSLError) as failure:
        shake_hands(context, server_context(path))
    return handshake_failure(failure.value)


def test_chain_failure(chains: Chains) -> None:
    path = chains.issue("stranger", CertificateKind(signed_by="itself"))
    assert str(broken(chains, path)) == (
        "the server's certificate can't be trusted: it is self-signed, and not trusted here"
    )


def test_a_chain_failure_that_has_no_sentence() -> None:
    error = ssl.SSLCertVerificationError(1, "x")
    error.verify_code, error.verify_message = 9999, "new\nreason" + 500 * "!"
    said = str(handshake_failure(error))
    assert said.startswith(r"the server's certificate can't be trusted: new\nreason!!!")
    assert len(said) < 200
