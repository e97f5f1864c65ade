"""What a handshake shows, from real handshakes in memory."""

import ssl
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from postconnector.delivery.trial.handshake import HandshakeRecord
from tests.lab.chains import CertificateKind, Chains


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext) -> None:
    """In memory; whoever does not like it gives up."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    with suppress(ssl.SSLCertVerificationError):
        for _ in range(4):
            for end in (ours, theirs):
                with suppress(ssl.SSLWantReadError):
                    end.do_handshake()


def contexts(
    tmp_path: Path, version: str, kind: CertificateKind
) -> tuple[Chains, Path, ssl.SSLContext, ssl.SSLContext]:
    chains = Chains(tmp_path)
    issued = chains.issue("peer", kind)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(issued)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(chains.ca_file)
    client.minimum_version = client.maximum_version = ssl.TLSVersion[version]
    return chains, issued, client, server


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
@pytest.mark.parametrize("signed_by", ["intermediate", "stranger"])
def test_the_chain_is_seen_whether_it_is_accepted_or_not(
    tmp_path: Path, version: str, signed_by: str
) -> None:
    kind = CertificateKind(names=("peer.test",), signed_by=signed_by)
    _, issued, client, server = contexts(tmp_path, version, kind)
    record = HandshakeRecord.of(client)
    assert record.asks_for_ours is None
    shake_hands(client, server)
    sent = x509.load_pem_x509_certificates(issued.read_bytes())
    assert record.chain == tuple(each.public_bytes(Encoding.DER) for each in sent)
    assert len(record.chain) == (2 if signed_by == "intermediate" else 1)
    assert record.accepted is (signed_by == "intermediate")
    # TLS 1.2 would ask behind its certificate, to which it did not come.
    assert record.asks_for_ours is (False if record.accepted or version == "TLSv1_3" else None)
    assert not record.ours_was_shown


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
@pytest.mark.parametrize("has_own", [True, False])
def test_whether_ours_is_wanted_and_shown(tmp_path: Path, version: str, has_own: bool) -> None:
    chains, _, client, server = contexts(tmp_path, version, CertificateKind(names=("peer.test",)))
    server.load_verify_locations(chains.ca_file)
    server.verify_mode = ssl.CERT_OPTIONAL
    if has_own:
        client.load_cert_chain(chains.issue("own", CertificateKind(purpose="client")))
    record = HandshakeRecord.of(client)
    shake_hands(client, server)
    assert record.asks_for_ours is True
    assert record.ours_was_shown is has_own


@given(st.binary(max_size=60), st.sampled_from([0x0303, 0x0304]))
def test_no_message_is_too_odd(data: bytes, version: int) -> None:
    record = HandshakeRecord()
    record.note(None, "read", version, 22, 11, data)
    assert sum(map(len, record.chain)) <= len(data)
