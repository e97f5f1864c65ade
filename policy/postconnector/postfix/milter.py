"""The milter as Postfix sees it: who asks it, and what its marker header does. Pure.

It stands behind the host's own milters, so that it judges the message as they leave it.
"""

from collections.abc import Iterator

from postconnector.enforcement.marker import NAME, to_the_agent
from postconnector.model.organization import AskMilter, HostSettings
from postconnector.postfix.agent_path import agent_path
from postconnector.postfix.compiled import Parameter, Table
from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.host_listeners import (
    NON_SMTPD_MILTERS,
    SMTPD_MILTER_MAPS,
    SMTPD_MILTERS,
    told_of_itself,
    told_of_pickup,
    ways_back,
)
from postconnector.postfix.lookup_tables import joined
from postconnector.postfix.table_names import MILTER_TABLE

_TIMEOUT = "20s"
"""As for the policy service."""

LISTENER_MACRO, PICKUP_MACRO = "{postconnector_listener}", "{postconnector_pickup}"
"""What a listener says of itself; and what is said of pickup(8), as it is cleanup(8) that asks the
milter about its mail.
"""

_HEADER_CHECKS = "milter_header_checks"
_MACROS = "milter_macro_defaults"
_ASKING = {
    AskMilter.NONE: (),
    AskMilter.SENDMAIL: (NON_SMTPD_MILTERS,),
    AskMilter.SMTP: (SMTPD_MILTERS, NON_SMTPD_MILTERS),
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
        macros = (
            f"{{ {LISTENER_MACRO} = {told_of_itself(facts, host)} }}",
            f"{{ {PICKUP_MACRO} = {told_of_pickup(facts, host)} }}",
        )
        yield Parameter(_MACROS, joined(facts.parameter(_MACROS), *macros), "content filters")
        checks, theirs = facts.pattern_table(MILTER_TABLE), facts.parameter(_HEADER_CHECKS)
        yield Parameter(
            _HEADER_CHECKS,
            joined(checks, theirs),
            "what the milter sends to the delivery agent",
        )


def milter_tables(host: HostSettings, facts: PostfixFacts) -> Iterator[Table]:
    """header_checks(5): the one line that the milter's marker is."""
    if host.milter is not AskMilter.NONE:
        entries = (
            (f"/^{NAME}:[[:blank:]]{to_the_agent(way)}$/", f"FILTER {agent_path(host, way)}")
            for way in ways_back(facts, host)
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
    in_master_cf = [s for s in facts.service_settings if s.endswith(f"/{SMTPD_MILTER_MAPS}")]
    in_main_cf = [f"{SMTPD_MILTER_MAPS} of main.cf"] if facts.parameter(SMTPD_MILTER_MAPS) else []
    for where in (*in_main_cf, *(f"{setting} of master.cf" for setting in in_master_cf)):
        yield (
            f"{where} gives some clients other milters: their mail is not judged by ours; add"
            f" {host.milter_service} there"
        )
    for setting, value in facts.service_settings.items():
        if setting.endswith("/receive_override_options") and "no_milters" in value:
            yield (
                f"master.cf sets {setting} = {value}: what comes in there is routed by the"
                " connectors, but the milter does not see it"
            )
