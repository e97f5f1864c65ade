"""What connectors name but the connectors file does not hold: passwords and certificates.

Everything missing or unfit is a problem of its connector before anything is published.
"""

import errno
import os
import stat
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from postconnector.model.problem import Problem
from postconnector.model.send_connector import SendConnector
from postconnector.postfix.facts import OWN_USER
from postconnector.postfix.local_routing import LocalRouting
from postconnector.postfix.native import logs_in
from postconnector.postfix.own_certificates import (
    OwnCertificates,
    chosen_certificates,
    published_certificates,
    renewed_certificates,
)
from postconnector.postfix.quoting import UnquotableError, table_entry
from postconnector.postfix.table_names import agent_password, password_table
from postconnector.sources.connector_entry import CONNECTORS

_LONGEST_PASSWORD = 1000


class _UnfitFileError(Exception):
    """A password file can't be used; the text says why, without the password."""


@dataclass(slots=True)
class Inputs:
    """Passwords by connector name, certificates, and what is wrong."""

    passwords: dict[str, str] = field(default_factory=dict, repr=False)
    certificates: OwnCertificates = field(default_factory=OwnCertificates)
    problems: list[Problem] = field(default_factory=list)

    def with_certificates(self, certificates: OwnCertificates) -> "Inputs":
        """These, in place of none."""
        self.certificates = certificates
        self.problems.extend(certificates.problems)
        return self


def read_inputs(local: LocalRouting, folder: Path, now: datetime | None = None) -> Inputs:
    """Read what this host's connectors name; relative paths start in `folder`."""
    inputs = Inputs()
    for index, connector in enumerate(local.organization.connectors):
        if not local.is_own(connector):
            continue
        try:
            if password := _password(connector, folder):
                inputs.passwords[connector.name] = password
        except _UnfitFileError as error:
            inputs.problems.append(
                _problem(index, connector, "authentication_credential", str(error))
            )
    directory = folder / local.organization.host.certificate_directory
    return inputs.with_certificates(chosen_certificates(local, directory, now or datetime.now(UTC)))


def read_published_inputs(local: LocalRouting, generation: Path) -> Inputs:
    """Read what this host's connectors were published with, from a generation's folder."""
    certificates = published_certificates(local, generation)
    return _published_passwords(local, generation).with_certificates(certificates)


def read_publishable_inputs(local: LocalRouting, generation: Path) -> Inputs:
    """The same, where a certificate that has expired since is a problem."""
    certificates = published_certificates(local, generation, datetime.now(UTC))
    return _published_passwords(local, generation).with_certificates(certificates)


def read_renewed_inputs(local: LocalRouting, generation: Path) -> Inputs:
    """The same with the certificates that the store has now, in whatever state they are."""
    certificates = renewed_certificates(local, generation, datetime.now(UTC))
    return _published_passwords(local, generation).with_certificates(certificates)


def _published_passwords(local: LocalRouting, generation: Path) -> Inputs:
    inputs = Inputs()
    tables: dict[str, dict[str, str]] = {}
    for index, connector in enumerate(local.organization.connectors):
        credential = connector.authentication_credential
        service = local.names.get(connector.name)
        if credential is None or service is None or not logs_in(connector):
            continue
        if credential.password_file is None:
            continue
        if local.agent_reason(connector) is not None:
            password = _published_password(generation / agent_password(service))
        else:
            if service not in tables:
                tables[service] = _published_logins(generation / password_table(service))
            password = tables[service].get(local.next_hop(connector).partition(",")[0])
        if password is None:
            message = "the generation does not hold its password"
            inputs.problems.append(_problem(index, connector, "authentication_credential", message))
        else:
            inputs.passwords[connector.name] = password.removeprefix(f"{credential.user_name}:")
    return inputs


def _published_password(file: Path) -> str | None:
    """What is there for the delivery agent."""
    try:
        return file.read_text("utf-8").removesuffix("\n")
    except OSError:
        return None


def _published_logins(table: Path) -> dict[str, str]:
    try:
        return logins_in(table.read_text("utf-8"))
    except OSError:
        return {}


def logins_in(source: str) -> dict[str, str]:
    """What a table of passwords holds by next hop: user and password."""
    lines = source.split("\n")
    return {hop: login for hop, _, login in (line.partition("\t") for line in lines)}


def _problem(index: int, connector: SendConnector, name: str, message: str) -> Problem:
    return Problem(message, (CONNECTORS, index, name), connector.name, name)


def _password(connector: SendConnector, folder: Path) -> str | None:
    credential = connector.authentication_credential
    if credential is None or not logs_in(connector):
        return None
    if credential.password_file is None:
        _look_at_token(Path(credential.token_file or ""))
        return None
    return _read_password(folder, credential.password_file, credential.user_name)


def _read_password(folder: Path, file: str, user_name: str) -> str:
    path = os.path.join(folder, file)  # noqa: PTH118 (there may be thousands)
    try:
        status, data = _read(path)
    except FileNotFoundError as error:
        raise _UnfitFileError(
            f"{path}: {error.strerror}; write the password alone into it, for root alone (0600)"
        ) from None
    except OSError as error:
        raise _UnfitFileError(f"{path}: {error.strerror}") from None
    if not _is_private(status):
        raise _UnfitFileError(
            f"{path} can be read by others than its owner; do: chown root {path}; chmod 600 {path}"
        )
    try:
        password = data.decode("utf-8").removesuffix("\n")
        table_entry("key", f"{user_name}:{password}")
    except (UnicodeDecodeError, UnquotableError):
        password = ""
    if not 0 < len(password) <= _LONGEST_PASSWORD or password != password.strip():
        raise _UnfitFileError(
            f"{path} must hold the password and nothing else: one line of printable characters,"
            f" not beginning or ending with a blank, at most {_LONGEST_PASSWORD}"
        )
    return password


def holds_password(folder: Path, file: str, password: str) -> bool:
    """Whether a file can be read as this password, which was read before. Raises OSError."""
    status, data = _read(os.path.join(folder, file))  # noqa: PTH118 (there may be thousands)
    return _is_private(status) and data.removesuffix(b"\n") == password.encode()


def _is_private(status: os.stat_result) -> bool:
    return status.st_uid in (0, os.geteuid()) and not stat.S_IMODE(status.st_mode) & 0o077


def _look_at_token(path: Path) -> None:
    """A token is read when it is needed: something else renews it."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise _UnfitFileError(f"{path}: {error.strerror}") from None
    if stat.S_IMODE(mode) & 0o007:
        raise _UnfitFileError(
            f"{path} can be read by everybody; do: chown root:{OWN_USER} {path}; chmod 640 {path}"
        )


def _read(path: str) -> tuple[os.stat_result, bytes]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "is no file")
        return status, os.read(descriptor, _LONGEST_PASSWORD + 2)
    finally:
        os.close(descriptor)
