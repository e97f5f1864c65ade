"""The delivery agent as Postfix sees it: services that speak LMTP, and what the agent may read.

Pure. The passwords and certificates of its connectors are files of the generation that the
agent's group may read, as the agent is not root; those of other connectors are not.
"""

from collections.abc import Iterator, Mapping

from postconnector.postfix.agent_path import (
    agent_path_settings,
    return_cleanup_service,
    return_service,
)
from postconnector.postfix.compiled import Parameter, Service
from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.host_listeners import ways_back
from postconnector.postfix.local_routing import LocalRouting
from postconnector.postfix.service_names import AGENT_PATH_SERVICE, AGENT_SERVICE, on_way
from postconnector.postfix.settings import Setting
from postconnector.postfix.table_names import agent_certificate, agent_password

_ANSWERS_WITHIN = "3600s"
"""The agent answers when the next hops have; see `delivery.attempts`."""

_CONCURRENCY = "100"
"""All that the agent delivers has one next hop in Postfix' eyes. This is as many deliveries at once
as a service has processes (default_process_limit)."""

_LIKE_SMTP = ("generic_maps", "header_checks", "body_checks")
"""What the host may do to mail on its way out, whichever path it takes."""


def agent_services(local: LocalRouting, facts: PostfixFacts) -> Iterator[Service]:
    """The lmtp(8) service of the connectors of this host that need the agent, if there are any.

    And that of the agent path, which any message may take, with the way back from there, if there
    are connectors at all.
    """
    connectors = tuple(c for c in local.own if local.agent_reason(c) is not None)
    if connectors:
        settings = (*_talks_to_the_agent(AGENT_SERVICE, facts), *_like_smtp())
        yield Service(AGENT_SERVICE, connectors, settings, program="lmtp")
    if local.has_connectors:
        for way, listener in ways_back(facts, local.organization.host).items():
            name = on_way(AGENT_PATH_SERVICE, way)
            settings = (*_talks_to_the_agent(name, facts), *agent_path_settings(way))
            yield Service(name, (), settings, program="lmtp")
            yield return_service(facts, way, listener)
        yield return_cleanup_service(facts)


def _like_smtp() -> Iterator[Setting]:
    for name in _LIKE_SMTP:
        yield Setting(f"lmtp_{name}", "", "the host's own", f"smtp_{name}")


def _talks_to_the_agent(name: str, facts: PostfixFacts) -> tuple[Setting, ...]:
    return (
        Setting("syslog_name", f"{facts.syslog_name}/{name}", "delivery agent"),
        Setting("lmtp_send_xforward_command", "yes", "the agent logs the queue id"),
        Setting("lmtp_tls_security_level", "none", "the agent is on this host"),
        Setting("lmtp_tls_policy_maps", "", "the agent is on this host"),
        Setting("lmtp_sasl_auth_enable", "no", "the agent is on this host"),
        Setting("lmtp_data_done_timeout", _ANSWERS_WITHIN, "the agent asks the next hop first"),
    )


def agent_parameters(services: tuple[Service, ...]) -> Iterator[Parameter]:
    """What qmgr(8) has to know of the service."""
    if any(service.name == AGENT_SERVICE for service in services):
        yield Parameter(
            f"{AGENT_SERVICE}_destination_concurrency_limit",
            _CONCURRENCY,
            "all that the delivery agent delivers has one next hop",
        )


def agent_files(
    local: LocalRouting, passwords: Mapping[str, str], certificates: Mapping[str, bytes]
) -> dict[str, bytes]:
    """By name within the generation's folder, what the agent needs of its own connectors."""
    files: dict[str, bytes] = {}
    for connector in local.own:
        if local.agent_reason(connector) is None:
            continue
        name = local.names[connector.name]
        if connector.name in passwords:
            files[agent_password(name)] = f"{passwords[connector.name]}\n".encode()
        if connector.name in certificates:
            files[agent_certificate(name)] = certificates[connector.name]
    return files
