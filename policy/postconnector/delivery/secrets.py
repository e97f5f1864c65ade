"""What the delivery agent shows and says to next hops: passwords, tokens, our certificates.

It is not root: `apply` leaves it those of its own connectors, by the names of their services, in
the published generation. What is not there keeps mail waiting.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from postconnector.model.send_connector import SendConnector
from postconnector.postfix.local_routing import LocalRouting
from postconnector.postfix.table_names import agent_certificate, agent_password

_LARGEST = 1024**2


class NoSecretError(Exception):
    """A secret can't be read; the text says which, and never what is in it."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """By connector name: passwords, and certificates with their keys in PEM form."""

    passwords: Mapping[str, str] = field(repr=False)
    certificates: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def published(cls, local: LocalRouting, generation: Path) -> "Secrets":
        """Those that a generation has for the agent."""
        passwords, certificates = {}, {}
        for connector in _of_agent(local):
            name = local.names[connector.name]
            if (password := _read(generation / agent_password(name))) is not None:
                passwords[connector.name] = password.decode("utf-8", "replace").removesuffix("\n")
            if (certificate := _read(generation / agent_certificate(name))) is not None:
                certificates[connector.name] = certificate
        return cls(passwords, certificates)

    def login_secret(self, connector: SendConnector) -> str:
        """The password, or the token that is in its file now. Raises NoSecretError."""
        credential = connector.authentication_credential
        if credential is not None and credential.token_file is not None:
            token = _read(Path(credential.token_file))
            text = token.decode("ascii", "replace").strip() if token is not None else ""
            if not text.isprintable() or not text:
                raise NoSecretError(f"{credential.token_file} holds no token that can be read")
            return text
        password = self.passwords.get(connector.name)
        if password is None:
            raise NoSecretError("its password can't be read")
        return password


def _of_agent(local: LocalRouting) -> Iterator[SendConnector]:
    return (c for c in local.own if local.agent_reason(c) is not None)


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST)
    except OSError:
        return None
