"""TLS, and logging in to a smart host."""

import re
from collections.abc import Iterator

from postconnector.model.address_space import Specificity
from postconnector.model.organization import OrganizationSettings
from postconnector.model.rules.rule import Finding, Rule, rule_for, warning
from postconnector.model.send_connector import (
    SendConnector,
    SmartHostAuthMechanism,
    TlsAuthLevel,
)

RULES: list[Rule] = []
_STATE = re.compile(r"(?:^|[,+>])\s*ST\s*=", re.IGNORECASE)


@rule_for(RULES, "smart_host_auth_mechanism", "smart_hosts", "authentication_credential")
def _authentication(connector: SendConnector, _settings: OrganizationSettings) -> Iterator[Finding]:
    """V6, V8."""
    mechanism = connector.smart_host_auth_mechanism
    if mechanism is SmartHostAuthMechanism.EXCHANGE_SERVER:
        yield Finding(
            "smart_host_auth_mechanism",
            "ExchangeServer (GSSAPI of Exchange) can't be spoken here;"
            " use BasicAuthRequireTLS, or ExternalAuthoritative over a secured network",
        )
    if connector.authenticates and connector.authentication_credential is None:
        yield Finding(
            "smart_host_auth_mechanism",
            f"{mechanism} needs AuthenticationCredential; add authentication_credential ="
            ' { user_name = "…", password_file = "…" }',
        )
    if not connector.authenticates and connector.authentication_credential is not None:
        yield warning(
            "authentication_credential",
            f"not used with SmartHostAuthMechanism {mechanism};"
            " set BasicAuthRequireTLS or BasicAuth, or take the credential out",
        )
    if mechanism is not SmartHostAuthMechanism.NONE and not connector.smart_hosts:
        yield warning("smart_host_auth_mechanism", f"{mechanism} has no effect without SmartHosts")


@rule_for(RULES, "smart_host_auth_mechanism", "ignore_starttls", "smart_hosts", "tls_domain")
def _authentication_over_tls(
    connector: SendConnector, _settings: OrganizationSettings
) -> Iterator[Finding]:
    mechanism = connector.smart_host_auth_mechanism
    if mechanism is not SmartHostAuthMechanism.BASIC_AUTH_REQUIRE_TLS:
        return
    if connector.ignore_starttls:
        yield Finding(
            "ignore_starttls",
            "IgnoreSTARTTLS must be false with BasicAuthRequireTLS, which logs in only after"
            " STARTTLS",
        )
    if connector.tls_domain is None:
        for host in connector.smart_hosts:
            if host.is_address:
                yield warning(
                    "smart_hosts",
                    f"BasicAuthRequireTLS asks for a certificate with the smart host's name, and"
                    f" {host} has none: mail will wait; write the host's name",
                )


@rule_for(RULES, "smart_host_auth_mechanism", "force_helo")
def _authentication_needs_ehlo(
    connector: SendConnector, _settings: OrganizationSettings
) -> Iterator[Finding]:
    if connector.force_helo and connector.authenticates:
        yield Finding(
            "force_helo", "HELO offers no AUTH, which SmartHostAuthMechanism needs; set it false"
        )


@rule_for(RULES, "require_tls", "ignore_starttls")
def _require_tls(connector: SendConnector, _settings: OrganizationSettings) -> Iterator[Finding]:
    """V9."""
    if connector.require_tls and connector.ignore_starttls:
        yield Finding("ignore_starttls", "IgnoreSTARTTLS must be false when RequireTLS is true")


@rule_for(RULES, "require_tls", "force_helo")
def _tls_needs_ehlo(connector: SendConnector, _settings: OrganizationSettings) -> Iterator[Finding]:
    if connector.force_helo and connector.require_tls:
        yield Finding(
            "force_helo", "HELO offers no STARTTLS, which RequireTLS needs; set one of them false"
        )


@rule_for(RULES, "require_tls", "ignore_starttls", "tls_auth_level")
def _tls_auth_level(connector: SendConnector, _settings: OrganizationSettings) -> Iterator[Finding]:
    """V10."""
    if connector.tls_auth_level is None:
        return
    if not connector.require_tls:
        yield Finding(
            "tls_auth_level",
            "TlsAuthLevel can't be given when RequireTLS is false; add require_tls = true",
        )
    elif connector.ignore_starttls:
        yield Finding("tls_auth_level", "TlsAuthLevel can't be given when IgnoreSTARTTLS is true")


@rule_for(RULES, "tls_auth_level", "tls_domain", "dns_routing_enabled")
def _tls_domain(connector: SendConnector, _settings: OrganizationSettings) -> Iterator[Finding]:
    """V11, V12."""
    validates = connector.tls_auth_level is TlsAuthLevel.DOMAIN_VALIDATION
    if connector.tls_domain is not None and not validates:
        yield Finding(
            "tls_domain", "TlsDomain can only be set if TlsAuthLevel is set to DomainValidation"
        )
    if validates and connector.tls_domain is None and not connector.dns_routing_enabled:
        yield Finding(
            "tls_domain",
            "TlsDomain is required when TlsAuthLevel is DomainValidation and DNSRoutingEnabled is"
            " false; write the name that the smart host's certificate must carry",
        )


@rule_for(
    RULES, "domain_secure_enabled", "dns_routing_enabled", "ignore_starttls", "address_spaces"
)
def _domain_secure(connector: SendConnector, settings: OrganizationSettings) -> Iterator[Finding]:
    """V24."""
    if not connector.domain_secure_enabled:
        return
    if not connector.dns_routing_enabled or connector.ignore_starttls:
        yield warning(
            "domain_secure_enabled",
            "DomainSecureEnabled works only with DNSRoutingEnabled true and IgnoreSTARTTLS false:"
            " it has no effect",
        )
    elif not settings.tls_send_domain_secure_list:
        yield warning(
            "domain_secure_enabled",
            "DomainSecureEnabled has no effect: tls_send_domain_secure_list under [organization]"
            " names no domain",
        )
    elif any(space.specificity is Specificity.ALL for space in connector.address_spaces):
        yield warning(
            "domain_secure_enabled",
            "with the address space *, DomainSecureEnabled holds for the domains in"
            " tls_send_domain_secure_list alone",
        )
    if connector.tls_auth_level is not None:
        yield warning(
            "domain_secure_enabled", "both DomainSecureEnabled and TlsAuthLevel are carried out"
        )
    if connector.frontend_proxy_enabled:
        yield warning(
            "domain_secure_enabled",
            "Exchange does not support DomainSecureEnabled with FrontendProxyEnabled",
        )


@rule_for(RULES, "tls_certificate_name")
def _certificate_name(
    connector: SendConnector, _settings: OrganizationSettings
) -> Iterator[Finding]:
    name = connector.tls_certificate_name
    if name is not None and _STATE.search(name.text):
        yield warning(
            "tls_certificate_name", "Windows writes S= where this has ST=; they count as the same"
        )


@rule_for(RULES, "cloud_services_mail_enabled", "require_tls")
def _cloud_services(connector: SendConnector, _settings: OrganizationSettings) -> Iterator[Finding]:
    if connector.cloud_services_mail_enabled and not connector.require_tls:
        yield warning(
            "cloud_services_mail_enabled",
            "Microsoft 365 trusts the headers only over authenticated TLS; add require_tls = true",
        )
