"""What the properties of one connector demand of each other.

Each rule is a function that yields what it finds; the number behind it (V4, …) is that of
docs/properties.md, where the source in Exchange's documentation is named. A rule is only
asked when all properties it looks at were valid by themselves.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from postconnector.model.problem import Problem, Severity
from postconnector.model.send_connector import (
    SendConnector,
    SmartHostAuthMechanism,
    TlsAuthLevel,
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found: the property at fault, and one sentence."""

    property: str
    message: str
    severity: Severity = Severity.ERROR


Rule = Callable[[SendConnector], Iterator[Finding]]
_RULES: list[tuple[frozenset[str], Rule]] = []


def _rule(*properties: str) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        _RULES.append((frozenset(properties), rule))
        return rule

    return register


def rule_problems(connector: SendConnector, broken: frozenset[str] = frozenset()) -> list[Problem]:
    """All problems of a connector that more than one property makes.

    `broken` names the properties that were not valid by themselves.
    """
    return [
        Problem(
            message=finding.message,
            path=(finding.property,),
            connector=connector.name,
            property=finding.property,
            severity=finding.severity,
        )
        for properties, rule in _RULES
        if not properties & broken
        for finding in rule(connector)
    ]


@_rule("address_spaces")
def _address_spaces(connector: SendConnector) -> Iterator[Finding]:
    """V2."""
    if not connector.address_spaces:
        yield Finding("address_spaces", 'required; write e.g. address_spaces = ["contoso.com"]')
    seen: set[str] = set()
    for space in connector.address_spaces:
        key = space.address.lower()
        if key in seen:
            yield Finding(
                "address_spaces",
                f"{space.address} is named more than once; its lowest cost counts",
                Severity.WARNING,
            )
        seen.add(key)
        if space.domain and "." not in space.domain:
            yield Finding("address_spaces", f"{space.address} has only one label", Severity.WARNING)


@_rule("dns_routing_enabled", "smart_hosts")
def _routing(connector: SendConnector) -> Iterator[Finding]:
    """V4, V5."""
    if connector.smart_hosts and connector.dns_routing_enabled:
        yield Finding(
            "smart_hosts",
            "smart hosts can't be used while dns_routing_enabled is true, which is the default;"
            " add dns_routing_enabled = false",
        )
    if not connector.smart_hosts and not connector.dns_routing_enabled:
        yield Finding(
            "dns_routing_enabled",
            "false needs smart hosts; add smart_hosts, or take this line out to route by DNS",
        )


@_rule("smart_host_auth_mechanism", "smart_hosts", "authentication_credential")
def _authentication(connector: SendConnector) -> Iterator[Finding]:
    """V6, V8."""
    mechanism = connector.smart_host_auth_mechanism
    if mechanism is SmartHostAuthMechanism.EXCHANGE_SERVER:
        yield Finding(
            "smart_host_auth_mechanism",
            "ExchangeServer (GSSAPI of Exchange) can't be spoken by Postfix;"
            " use BasicAuthRequireTLS, or ExternalAuthoritative over a secured network",
        )
    if connector.authenticates and connector.authentication_credential is None:
        yield Finding(
            "smart_host_auth_mechanism",
            f"{mechanism} needs authentication_credential; add authentication_credential ="
            ' { user_name = "…", password_file = "…" }',
        )
    if not connector.authenticates and connector.authentication_credential is not None:
        yield Finding(
            "authentication_credential",
            f"not used with smart_host_auth_mechanism {mechanism};"
            " set BasicAuthRequireTLS or BasicAuth, or take the credential out",
            Severity.WARNING,
        )
    if mechanism is not SmartHostAuthMechanism.NONE and not connector.smart_hosts:
        yield Finding(
            "smart_host_auth_mechanism",
            f"{mechanism} has no effect without smart hosts",
            Severity.WARNING,
        )


@_rule("smart_host_auth_mechanism", "ignore_starttls", "smart_hosts", "tls_domain")
def _authentication_over_tls(connector: SendConnector) -> Iterator[Finding]:
    mechanism = connector.smart_host_auth_mechanism
    if mechanism is not SmartHostAuthMechanism.BASIC_AUTH_REQUIRE_TLS:
        return
    if connector.ignore_starttls:
        yield Finding(
            "ignore_starttls",
            "must be false with BasicAuthRequireTLS, which logs in only after STARTTLS",
        )
    if connector.tls_domain is None:
        for host in connector.smart_hosts:
            if host.is_address:
                yield Finding(
                    "smart_hosts",
                    f"BasicAuthRequireTLS asks for a certificate with the smart host's name, and"
                    f" {host} has none: mail will wait; write the host's name",
                    Severity.WARNING,
                )


@_rule("smart_host_auth_mechanism", "force_helo")
def _authentication_needs_ehlo(connector: SendConnector) -> Iterator[Finding]:
    if connector.force_helo and connector.authenticates:
        yield Finding(
            "force_helo", "HELO offers no AUTH, which smart_host_auth_mechanism needs; set it false"
        )


@_rule("require_tls", "ignore_starttls")
def _require_tls(connector: SendConnector) -> Iterator[Finding]:
    """V9."""
    if connector.require_tls and connector.ignore_starttls:
        yield Finding("ignore_starttls", "must be false when require_tls is true")


@_rule("require_tls", "force_helo")
def _tls_needs_ehlo(connector: SendConnector) -> Iterator[Finding]:
    if connector.force_helo and connector.require_tls:
        yield Finding(
            "force_helo", "HELO offers no STARTTLS, which require_tls needs; set one of them false"
        )


@_rule("require_tls", "ignore_starttls", "tls_auth_level")
def _tls_auth_level(connector: SendConnector) -> Iterator[Finding]:
    """V10."""
    if connector.tls_auth_level is None:
        return
    if not connector.require_tls:
        yield Finding(
            "tls_auth_level", "can't be given when require_tls is false; add require_tls = true"
        )
    elif connector.ignore_starttls:
        yield Finding("tls_auth_level", "can't be given when ignore_starttls is true")


@_rule("tls_auth_level", "tls_domain", "dns_routing_enabled")
def _tls_domain(connector: SendConnector) -> Iterator[Finding]:
    """V11, V12."""
    validates = connector.tls_auth_level is TlsAuthLevel.DOMAIN_VALIDATION
    if connector.tls_domain is not None and not validates:
        yield Finding(
            "tls_domain",
            'can only be set if tls_auth_level is "DomainValidation"',
        )
    if validates and connector.tls_domain is None and not connector.dns_routing_enabled:
        yield Finding(
            "tls_domain",
            "required when tls_auth_level is DomainValidation and mail goes to smart hosts;"
            " write the name that the smart host's certificate must carry",
        )


@_rule("max_message_size")
def _max_message_size(connector: SendConnector) -> Iterator[Finding]:
    if connector.max_message_size.limit == 0:
        yield Finding(
            "max_message_size", "0 means that no message takes this connector", Severity.WARNING
        )


@_rule("port")
def _port(connector: SendConnector) -> Iterator[Finding]:
    if connector.port == 0:
        yield Finding("port", "nothing can be reached on port 0: mail will wait", Severity.WARNING)
