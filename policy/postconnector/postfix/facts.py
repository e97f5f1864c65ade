"""What the compiler has to know of the Postfix it compiles for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

END_OF_DATA_RESTRICTIONS = "smtpd_end_of_data_restrictions"
RESTRICTIONS = ("smtpd_recipient_restrictions", END_OF_DATA_RESTRICTIONS)
"""Where smtpd(8) is told to ask the policy service."""

COPIED_PARAMETERS = (
    "transport_maps",
    "relayhost",
    *RESTRICTIONS,
    "smtp_tls_policy_maps",
    "smtp_header_checks",
    "smtp_mime_header_checks",
    "smtp_nested_header_checks",
    "smtp_delivery_status_filter",
    "smtpd_milters",
    "non_smtpd_milters",
    "milter_header_checks",
    "milter_macro_defaults",
)
"""Parameters whose host's own value is taken along, as main.cf has it."""

COMPARED_PARAMETERS = (
    "content_filter",
    "default_transport",
    "disable_dns_lookups",
    "message_size_limit",
    "parent_domain_matches_subdomains",
    "receive_override_options",
    "relay_transport",
    "sender_dependent_default_transport_maps",
    "sender_dependent_relayhost_maps",
    "smtp_dns_support_level",
    "smtp_enforce_tls",
    "smtp_never_send_ehlo",
    "smtp_sasl_password_result_delimiter",
    "smtp_tcp_port",
    "smtp_tls_CAfile",
    "smtp_tls_CApath",
    "smtp_tls_connection_reuse",
    "smtp_tls_per_site",
    "smtp_tls_security_level",
    "smtp_tls_wrappermode",
    "smtp_use_tls",
    "smtpd_milter_maps",
    "tls_required_enable",
    "use_srv_lookup",
)
"""Parameters of which it matters what they come to: `$name` is expanded in them."""

QUEUEING_PARAMETERS = ("content_filter", "receive_override_options")
"""Parameters of listeners in master.cf of which it matters what they come to."""

OWN_USER = "postconnector"
"""Whom our daemons run as, and the group that the delivery agent reads its secrets as."""

OWN_DIRECTORY = "postconnector"
"""Our folder in Postfix' configuration directory."""


@dataclass(frozen=True, slots=True)
class PostfixFacts:
    """A Postfix instance as it is without us.

    `version`: major and minor. `table_types`: all it has; `map_type`: for those we build.
    `hostname`: its myhostname. `smtp_chroot`: the chroot column of its smtp(8) service.
    `parameters`: the values of COPIED_PARAMETERS and COMPARED_PARAMETERS; one that this version
    does not know is empty. `missing_files`: parameters that name a file or folder that is not
    there. `programs`: what the services in master.cf run, by names such as smtp/inet.
    `service_settings`: the settings (-o) in it, by names such as smtp/inet/relayhost; `queueing`:
    what those of QUEUEING_PARAMETERS come to.
    """

    config_directory: Path
    queue_directory: Path
    version: tuple[int, int]
    map_type: str
    table_types: frozenset[str] = frozenset({"lmdb", "regexp"})
    hostname: str = "localhost"
    syslog_name: str = "postfix"
    smtp_chroot: str = "-"
    parameters: Mapping[str, str] = field(default_factory=dict)
    missing_files: tuple[str, ...] = ()
    programs: Mapping[str, str] = field(default_factory=dict)
    service_settings: Mapping[str, str] = field(default_factory=dict)
    queueing: Mapping[str, str] = field(default_factory=dict)

    @property
    def services(self) -> frozenset[str]:
        """The names of all services in master.cf."""
        return frozenset(name.partition("/")[0] for name in self.programs)

    @property
    def own_restrictions(self) -> dict[str, frozenset[str]]:
        """By smtpd(8) service, which of RESTRICTIONS it has of its own, where nobody is asked."""
        found = [name.rpartition("/") for name in self.service_settings]
        return {
            service: frozenset(name for each, _, name in found if each == service) & {*RESTRICTIONS}
            for service in sorted({each for each, _, name in found if name in RESTRICTIONS})
        }

    @property
    def own_directory(self) -> Path:
        """The folder that holds everything of ours."""
        return self.config_directory / OWN_DIRECTORY

    @property
    def live_directory(self) -> Path:
        """The published generation (a symbolic link in our folder)."""
        return Path(self._live)

    @property
    def _live(self) -> str:
        return f"{self.config_directory}/{OWN_DIRECTORY}/live"

    def table(self, name: str) -> str:
        """A table of the published generation, as Postfix names it."""
        return f"{self.map_type}:{self._live}/{name}"

    def pattern_table(self, name: str) -> str:
        """A table of patterns of the published generation, as Postfix names it."""
        return f"regexp:{self._live}/{name}"

    def parameter(self, name: str) -> str:
        """The host's own value of a parameter; empty if it has none."""
        return self.parameters.get(name, "")
