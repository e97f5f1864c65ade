"""What compiling gives: everything of ours that Postfix will read, not yet written anywhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from postconnector.model.send_connector import SendConnector
from postconnector.postfix.settings import Setting


@dataclass(frozen=True, slots=True)
class Service:
    """A service in master.cf, and the connectors that it carries out.

    `why_own`: what keeps its only connector from sharing, on a host with many connectors.
    `program`: smtp, lmtp for those that hand mail to the delivery agent, or smtpd and cleanup for
    those that take it back.
    """

    name: str
    connectors: tuple[SendConnector, ...]
    settings: tuple[Setting, ...]
    why_own: str | None = None
    program: str = "smtp"

    @property
    def is_private(self) -> bool:
        """Whether only Postfix' own programs reach it."""
        return self.program not in ("smtpd", "cleanup")

    @property
    def socket(self) -> str:
        """Where Postfix listens for it, within the queue directory."""
        return f"{'private' if self.is_private else 'public'}/{self.name}"


@dataclass(frozen=True, slots=True)
class Table:
    """A lookup table; one that is secret is readable by root alone and never shown.

    The keys of one with `patterns` are regular expressions (regexp_table(5)), the first that
    matches counts, and nothing is built of it.
    """

    name: str
    entries: tuple[tuple[str, str], ...] = field(repr=False)
    secret: bool = False
    patterns: bool = False


@dataclass(frozen=True, slots=True)
class AgentOnly:
    """A connector that the delivery agent carries out, and why Postfix can't."""

    connector: SendConnector
    reason: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of main.cf that we set, and why."""

    name: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class Compiled:
    """All that is to be published.

    `certificates`: PEM contents by file name within the generation's folder. `agent_files`: what
    the delivery agent may read besides, in the same way.
    `certificate_states`: what everybody may know of certificates (see `certificates.state`).
    `warnings`: what on this host works against the connectors. `refusals`: why nothing of this can
    be published here.
    """

    services: tuple[Service, ...]
    tables: tuple[Table, ...]
    parameters: tuple[Parameter, ...]
    certificates: Mapping[str, bytes] = field(repr=False)
    agent_files: Mapping[str, bytes] = field(repr=False)
    agent_only: tuple[AgentOnly, ...] = ()
    certificate_states: bytes | None = None
    warnings: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()

    @property
    def native(self) -> tuple[Service, ...]:
        """The services of connectors that Postfix carries out by itself."""
        return tuple(service for service in self.services if service.program == "smtp")
