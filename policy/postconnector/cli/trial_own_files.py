"""Where a certificate of ours and its key stand, for people who want to show it by hand."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from postconnector.delivery.trial.by_hand import OwnFiles

_LARGEST = 1024**2
_MOST_FILES = 1000


def find_own_files(directory: Path, published: bytes) -> OwnFiles | None:
    """The files in the certificate store that `published` (key, certificate; PEM) is made of."""
    leaf = x509.load_pem_x509_certificate(published)
    public = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    certificate = key = None
    for path, data in _files(directory):
        with suppress(ValueError, TypeError, UnsupportedAlgorithm):
            # Only the first of a file's certificates is the one that is shown by it.
            if certificate is None and b"BEGIN CERTIFICATE" in data:
                is_leaf = x509.load_pem_x509_certificate(data) == leaf
                certificate = path if is_leaf else None
            if key is None and b"PRIVATE KEY" in data:
                found = load_pem_private_key(data, None).public_key()
                encoded = found.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
                key = path if encoded == public else None
    return OwnFiles(certificate, key) if certificate is not None and key is not None else None


def _files(directory: Path) -> Iterator[tuple[Path, bytes]]:
    with suppress(OSError):
        for path in sorted(directory.iterdir())[:_MOST_FILES]:
            with suppress(OSError):
                if path.is_file():
                    with path.open("rb") as file:
                        yield path, file.read(_LARGEST)
