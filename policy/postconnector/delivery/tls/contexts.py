"""TLS contexts: whom we trust, and which certificate of ours is shown.

TLS 1.2 at least. No context looks at names: `verification` does, as Exchange would. Ciphers are
those that OpenSSL has by default, as in Postfix, rather than Python's fewer ones, for want of
which a session that need not be encrypted would not be.
"""

import os
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from postconnector.certificates.choice import NoCertificateError

_CIPHERS = "DEFAULT:!aNULL:!PSK:!SRP"
_MOST_CONTEXTS = 200
_MOST_LISTS = 1000
_LARGEST_LIST = 64 * 1024**2
_LIST_SUFFIXES = {".pem", ".crl"}
_LIST = re.compile(rb"-----BEGIN X509 CRL-----[^-]+-----END X509 CRL-----")


@dataclass(frozen=True, slots=True)
class Trust:
    """The authorities that certificates must lead to; neither file nor directory: the machine's.

    `ca_file`: PEM. `ca_directory`: PEM files by hash (openssl rehash), read when they are needed.
    `crl_directory`: revocation lists, *.pem and *.crl in PEM form. With it, every authority of a
    chain, the root too, must have a current list there, or the certificate is not accepted.
    """

    ca_file: Path | None = None
    ca_directory: Path | None = None
    crl_directory: Path | None = None


class TrustError(Exception):
    """What is to be trusted can't be read; the text says what. Mail waits until it can."""


_Stamp = tuple[tuple[str, int, int, int], ...]


class TlsContexts:
    """Contexts that many sessions share.

    A file that has changed since, by its number, size or time, is read again; of `ca_directory`
    and the machine's own, it is the folder that is looked at.
    """

    def __init__(self, trust: Trust) -> None:
        self.trust = trust
        self._known: dict[tuple[bool, bytes | None], tuple[_Stamp, ssl.SSLContext]] = {}

    def context(self, *, chain: bool, shown: bytes | None) -> ssl.SSLContext:
        """`chain`: it is verified. `shown`: our key, certificate and intermediates (PEM), or none.

        Raises TrustError if what is trusted can't be read, which is not done without `chain`, and
        NoCertificateError if `shown` can't be used.
        """
        stamp = self._stamp() if chain else ()
        known = self._known.get((chain, shown))
        if known is not None and known[0] == stamp:
            return known[1]
        context = _context()
        if chain:
            self._verify(context)
        if shown is not None:
            _show(context, shown)
        if len(self._known) >= _MOST_CONTEXTS:
            self._known.clear()
        self._known[chain, shown] = (stamp, context)
        return context

    def _stamp(self) -> _Stamp:
        """Taken before files are read, so that a change in between is seen the next time."""
        trust = self.trust
        paths = [path for path in (trust.ca_file, trust.ca_directory) if path is not None]
        needed = [*paths, *self._lists()]
        if trust.crl_directory is not None:
            needed.append(trust.crl_directory)
        if paths:
            return tuple(_stamp_of(path) for path in needed)
        system = ssl.get_default_verify_paths()
        of_machine = [Path(path) for path in (system.cafile, system.capath) if path]
        return tuple(_stamp_of(path) for path in (*of_machine, *needed))

    def _verify(self, context: ssl.SSLContext) -> None:
        context.verify_mode = ssl.CERT_REQUIRED
        trust = self.trust
        if trust.ca_file is None and trust.ca_directory is None:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        else:
            try:
                context.load_verify_locations(trust.ca_file, trust.ca_directory)
            except OSError as error:
                reason = _reason(error)
                raise TrustError(f"the trusted certificates can't be read: {reason}") from error
        if trust.crl_directory is not None:
            context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_CHAIN
            for path in self._lists():
                _load_list(context, path)

    def _lists(self) -> list[Path]:
        folder = self.trust.crl_directory
        if folder is None:
            return []
        try:
            lists = sorted(path for path in folder.iterdir() if path.suffix in _LIST_SUFFIXES)
        except OSError as error:
            raise TrustError(f"{folder} can't be read: {_reason(error)}") from error
        if len(lists) > _MOST_LISTS:
            raise TrustError(f"{folder} has more than {_MOST_LISTS} revocation lists")
        return lists


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(_CIPHERS)
    return context


def _load_list(context: ssl.SSLContext, path: Path) -> None:
    """Only the revocation lists in the file: OpenSSL would trust certificates in it as well."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_LIST + 1)
        if len(data) > _LARGEST_LIST:
            raise TrustError(f"{path} is larger than {_LARGEST_LIST // 1024**2} MB")
        lists = _LIST.findall(data)
        if not lists:
            raise TrustError(f"{path} holds no revocation list in PEM form")
        with _in_memory(b"\n".join(lists) + b"\n") as file_name:
            context.load_verify_locations(file_name)
    except OSError as error:
        raise TrustError(f"the revocation list {path} can't be read: {_reason(error)}") from error


def _show(context: ssl.SSLContext, pem: bytes) -> None:
    """An encrypted key is refused: nobody is there who could be asked for its password."""
    try:
        with _in_memory(pem) as file_name:
            context.load_cert_chain(file_name, password="")
    except (OSError, ValueError) as error:
        reason = _reason(error)
        raise NoCertificateError(f"our certificate or its key can't be used: {reason}") from error


@contextmanager
def _in_memory(data: bytes) -> Iterator[str]:
    """A name by which OpenSSL reads `data`, which is on no disk."""
    with os.fdopen(os.memfd_create("pem", os.MFD_CLOEXEC), "wb") as file:
        file.write(data)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"


def _stamp_of(path: Path) -> tuple[str, int, int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise TrustError(f"{path} can't be read: {_reason(error)}") from error
    return str(path), status.st_ino, status.st_mtime_ns, status.st_size


def _reason(error: Exception) -> str:
    """OpenSSL's own word for what is wrong, or the system's."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
