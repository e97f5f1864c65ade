"""What the compiler has to know of the Postfix it compiles for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

READ_PARAMETERS = (
    "transport_maps",
    "default_transport",
    "relayhost",
    "smtpd_recipient_restrictions",
    "smtpd_end_of_data_restrictions",
    "smtp_tls_security_level",
    "smtp_use_tls",
    "smtp_enforce_tls",
    "smtp_tls_per_site",
    "smtp_tls_CAfile",
    "smtp_tls_CApath",
    "sender_dependent_default_transport_maps",
    "sender_dependent_relayhost_maps",
    "relay_transport",
    "content_filter",
    "message_size_limit",
    "smtp_tls_policy_maps",
    "smtp_header_checks",
)
"""Parameters of which the compiler wants the host's own value, as main.cf has it."""

OWN_DIRECTORY = "postconnector"
"""Our folder in Postfix' configuration directory."""

RESTRICTIONS = ("smtpd_recipient_restrictions", "smtpd_end_of_data_restrictions")
"""Where smtpd(8) is told to ask the policy service."""


@dataclass(frozen=True, slots=True)
class PostfixFacts:
    """A Postfix instance as it is without us.

    `version`: major and minor. `map_type`: for the tables we build. `hostname`: its myhostname.
    `smtp_chroot`: the chroot column of its smtp(8) service. `parameters`: the values of
    READ_PARAMETERS, unexpanded. `unasking_services`: smtpd(8) services that do not ask the
    policy service, because master.cf sets one of RESTRICTIONS for them.
    """

    config_directory: Path
    queue_directory: Path
    version: tuple[int, int]
    map_type: str
    hostname: str = "localhost"
    syslog_name: str = "postfix"
    smtp_chroot: str = "-"
    parameters: Mapping[str, str] = field(default_factory=dict)
    unasking_services: tuple[str, ...] = ()

    @property
    def own_directory(self) -> Path:
        """The folder that holds everything of ours."""
        return self.config_directory / OWN_DIRECTORY

    @property
    def live_directory(self) -> Path:
        """The published generation (a symbolic link in our folder)."""
        return self.own_directory / "live"

    def table(self, name: str) -> str:
        """A table of the published generation, as Postfix names it."""
        return f"{self.map_type}:{self.live_directory}/{name}"

    def pattern_table(self, name: str) -> str:
        """A table of patterns of the published generation, as Postfix names it."""
        return f"regexp:{self.live_directory}/{name}"

    def parameter(self, name: str) -> str:
        """The host's own value of a parameter; empty if it has none."""
        return self.parameters.get(name, "")
