"""The milter as Postfix sees it: who asks it, and what its marker header does. Pure.

It stands behind the host's own milters, so that it judges the message as they leave it.
"""

from collections.abc import Iterator

from postconnector.enforcement.marker import NAME, to_the_agent
from postconnector.model.organization import AskMilter, HostSettings
from postconnector.postfix.agent_path import agent_path
from postconnector.postfix.compiled import Parameter, Table
from postconnector.postfix.facts import END_OF_DATA_RESTRICTIONS, RESTRICTIONS, PostfixFacts
from postconnector.postfix.listener import SMTPD_MILTERS, telling, ways_back
from postconnector.postfix.lookup_tables import joined
from postconnector.postfix.table_names import MILTER_TABLE

_TIMEOUT = "20s"
"""As for the policy service."""

LISTENER_MACRO = "{postconnector_listener}"
"""What a listener says of itself."""

_HEADER_CHECKS = "milter_header_checks"
_MACROS = "milter_macro_defaults"
_ASKING = {
    AskMilter.NONE: (),
    AskMilter.SENDMAIL: ("non_smtpd_milters",),
    AskMilter.SMTP: (SMTPD_MILTERS, "non_smtpd_milters"),
}


def milter_parameters(host: HostSettings, facts: PostfixFacts) -> Iterator[Parameter]:
    """Who asks the milter. Without an answer mail is deferred, whatever others may do then."""
    ours = (
        f"{{ {host.milter_service}, default_action=tempfail, protocol=6,"
        f" connect_timeout={_TIMEOUT}, command_timeout={_TIMEOUT}, content_timeout={_TIMEOUT} }}"
    )
    for name in _ASKING[host.milter]:
        theirs = facts.parameter(name)
        yield Parameter(name, joined(theirs, ours), "MaxMessageSize")
    if host.milter is not AskMilter.NONE:
        macro = f"{{ {LISTENER_MACRO} = {telling(facts, asking_parameters(host))} }}"
        yield Parameter(_MACROS, joined(facts.parameter(_MACROS), macro), "content filters")
        checks, theirs = facts.pattern_table(MILTER_TABLE), facts.parameter(_HEADER_CHECKS)
        yield Parameter(
            _HEADER_CHECKS,
            joined(checks, theirs),
            "what the milter sends to the delivery agent",
        )


def asked_restrictions(host: HostSettings) -> tuple[str, ...]:
    """Where smtpd(8) asks the policy service: not at the end of data what the milter judges there
    by the same rules, and with the headers."""
    if host.milter is not AskMilter.SMTP:
        return RESTRICTIONS
    return tuple(name for name in RESTRICTIONS if name != END_OF_DATA_RESTRICTIONS)


def asking_parameters(host: HostSettings) -> tuple[str, ...]:
    """What has a listener ask the rules at all times; one of its own in master.cf prevents that."""
    by_milter = (SMTPD_MILTERS,) if host.milter is AskMilter.SMTP else ()
    return (*asked_restrictions(host), *by_milter)


def milter_tables(host: HostSettings, facts: PostfixFacts) -> Iterator[Table]:
    """header_checks(5): the one line that the milter's marker is."""
    if host.milter is not AskMilter.NONE:
        entries = (
            (f"/^{NAME}:[[:blank:]]{to_the_agent(way)}$/", f"FILTER {agent_path(host, way)}")
            for way in ways_back(facts, asking_parameters(host))
        )
        yield Table(MILTER_TABLE, tuple(entries), patterns=True)


def milter_conflicts(host: HostSettings, facts: PostfixFacts) -> Iterator[str]:
    """What on the host keeps mail from the milter."""
    for name in _ASKING[host.milter]:
        for setting in facts.service_settings:
            if setting.endswith(f"/{name}"):
                yield (
                    f"master.cf sets {setting}: mail that comes in there is not judged by the"
                    f" milter; take the setting out, or add {host.milter_service} to it"
                )
    if host.milter is AskMilter.SMTP:
        yield from _by_client(host, facts)


def _by_client(host: HostSettings, facts: PostfixFacts) -> Iterator[str]:
    if facts.parameter("smtpd_milter_maps"):
        yield (
            "smtpd_milter_maps of main.cf gives some clients other milters: their mail is not"
            f" judged by ours; add {host.milter_service} there"
        )
    for setting, value in facts.service_settings.items():
        if setting.endswith("/receive_override_options") and "no_milters" in value:
            yield (
                f"master.cf sets {setting} = {value}: what comes in there is routed by the"
                " connectors, but the milter does not see it"
            )
