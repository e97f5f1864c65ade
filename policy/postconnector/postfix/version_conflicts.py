"""What a version of Postfix lacks, or has that works against connectors. Pure.

docs/postfix-versions.md has what was tried, and where.
"""

from collections.abc import Iterator, Sequence

from postconnector.model.problem import quoted
from postconnector.model.send_connector import SendConnector
from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.native import tls_demand

_MOST_NAMED = 3


def version_conflicts(native: Sequence[SendConnector], facts: PostfixFacts) -> Iterator[str]:
    """A sentence for each."""
    yield from _source_addresses(native, facts)
    yield from _no_tls_by_header(native, facts)
    yield from _srv_records(native, facts)
    yield from _per_site(native, facts)


def named(names: Sequence[str]) -> str:
    """The first connectors of a list, for a sentence."""
    shown = ", ".join(quoted(name) for name in names[:_MOST_NAMED])
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"connector{'s' if len(names) > 1 else ''} {shown}{more}"


def _source_addresses(native: Sequence[SendConnector], facts: PostfixFacts) -> Iterator[str]:
    bound = [c.name for c in native if c.source_ip_address is not None]
    if bound and facts.version < (3, 7):
        major, minor = facts.version
        yield (
            f"this is Postfix {major}.{minor}: before 3.7 mail leaves from another address when"
            f" that of SourceIPAddress is not there: {named(bound)}"
        )


def _no_tls_by_header(native: Sequence[SendConnector], facts: PostfixFacts) -> Iterator[str]:
    demanding = [c.name for c in native if tls_demand(c).level in ("encrypt", "secure")]
    if demanding and facts.parameter("tls_required_enable") == "yes":  # since 3.10
        yield (
            "whoever writes the header TLS-Required: no gets round what"
            f" {named(demanding)} demand{'s' if len(demanding) == 1 else ''} of TLS, even in plain"
            " text; set tls_required_enable = no in main.cf"
        )


def _srv_records(native: Sequence[SendConnector], facts: PostfixFacts) -> Iterator[str]:
    """Postfix asks for them only where neither the next hop nor the service names a port."""
    by_dns = [c.name for c in native if c.dns_routing_enabled and c.port == 25]
    if by_dns and "smtp" in facts.parameter("use_srv_lookup").replace(",", " ").split():
        yield (  # since 3.8
            "use_srv_lookup of main.cf has Postfix ask for SRV records instead of MX for"
            f" {named(by_dns)}; take smtp out there"
        )


def _per_site(native: Sequence[SendConnector], facts: PostfixFacts) -> Iterator[str]:
    demanding = [c.name for c in native if tls_demand(c).level is not None]
    if demanding and facts.parameter("smtp_tls_per_site") and facts.version >= (3, 9):
        yield (
            "smtp_tls_per_site is out of use since Postfix 3.9, which will not have it emptied for"
            f" {named(demanding)}: turn it into smtp_tls_policy_maps, or apply is refused"
        )
