"""From a connector to the TLS policy of a session."""

import datetime
import ssl
from pathlib import Path

import pytest

from postconnector.certificates.choice import NoCertificateError
from postconnector.delivery.tls.contexts import TlsContexts, Trust, TrustError
from postconnector.delivery.tls.policies import certificate_to_show, tls_policy
from postconnector.delivery.tls.policy import CertificateName, Starttls, TlsPolicy
from postconnector.model.organization import OrganizationSettings
from tests.lab.chains import CertificateKind, Chains
from tests.unit.connectors import connector

NOW = datetime.datetime.now(datetime.UTC)
VALIDATION: dict[str, object] = {"require_tls": True, "tls_auth_level": "DomainValidation"}
NAMED: dict[str, object] = {"tls_certificate_name": "<I>CN=Contoso Test Root<S>CN=smtp.test"}


@pytest.fixture(scope="module")
def chains(tmp_path_factory: pytest.TempPathFactory) -> Chains:
    return Chains(tmp_path_factory.mktemp("chains"))


def policy(trust: Trust, **properties: object) -> TlsPolicy:
    settings = OrganizationSettings()
    return tls_policy("contoso.com", connector(**properties), settings, TlsContexts(trust), None)


@pytest.mark.parametrize(
    ("properties", "starttls", "mode", "names"),
    [
        ({}, Starttls.IF_OFFERED, ssl.CERT_NONE, None),
        ({"require_tls": True}, Starttls.REQUIRED, ssl.CERT_NONE, None),
        (
            {"require_tls": True, "tls_auth_level": "CertificateValidation"},
            Starttls.REQUIRED,
            ssl.CERT_REQUIRED,
            None,
        ),
        (VALIDATION, Starttls.REQUIRED, ssl.CERT_REQUIRED, (CertificateName("contoso.com"),)),
    ],
)
def test_policy(
    chains: Chains,
    properties: dict[str, object],
    starttls: Starttls,
    mode: ssl.VerifyMode,
    names: tuple[CertificateName, ...] | None,
) -> None:
    found = policy(Trust(chains.ca_file), **properties)
    assert (found.starttls, found.names) == (starttls, names)
    assert found.context is not None
    assert found.context.verify_mode is mode


def test_no_context_without_starttls(tmp_path: Path) -> None:
    found = policy(Trust(tmp_path / "missing"), ignore_starttls=True)
    assert found == TlsPolicy(Starttls.NEVER, None)


def test_trust_that_cannot_be_read_matters_only_where_it_is_needed(tmp_path: Path) -> None:
    missing = Trust(tmp_path / "missing")
    assert policy(missing, require_tls=True).context is not None
    with pytest.raises(TrustError):
        policy(missing, **VALIDATION)


def test_our_certificate(chains: Chains) -> None:
    pem = chains.issue("own", CertificateKind(common_names=("smtp.test",))).read_bytes()
    named = connector(**NAMED)
    assert certificate_to_show(named, pem, NOW) == pem
    assert certificate_to_show(connector(), pem, NOW) is None
    assert certificate_to_show(connector(**NAMED, ignore_starttls=True), None, NOW) is None


@pytest.mark.parametrize(
    ("valid", "says"), [("expired", "expired on .* UTC; renew it"), ("not yet", "not valid before")]
)
def test_our_certificate_at_the_wrong_time(chains: Chains, valid: str, says: str) -> None:
    pem = chains.issue("own", CertificateKind(valid=valid)).read_bytes()
    with pytest.raises(NoCertificateError, match=says):
        certificate_to_show(connector(**NAMED), pem, NOW)


@pytest.mark.parametrize("published", [None, b"", b"-----BEGIN CERTIFICATE-----\nAAAA"])
def test_our_certificate_is_not_there(published: bytes | None) -> None:
    with pytest.raises(NoCertificateError):
        certificate_to_show(connector(**NAMED), published, NOW)
