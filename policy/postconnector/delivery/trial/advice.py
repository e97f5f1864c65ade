"""What to do about what a trial found: next steps where mail is not taken, and warnings. Pure."""

from collections.abc import Iterator

from postconnector.delivery.smtp.steps import Stage
from postconnector.delivery.trial.findings import Demand, Finding
from postconnector.enforcement.tls_requirement import Starttls
from postconnector.model.send_connector import SendConnector
from postconnector.model.size import format_byte_quantity

_WARN_DAYS = 30
_MOST_SHOWN = 5


def next_step(finding: Finding, demand: Demand, connector: SendConnector) -> str:
    """What somebody should do, where a target does not take mail."""
    failure = finding.failure
    if failure is None:
        return ""
    match failure.stage:
        case Stage.CONNECT:
            return _reach(finding, connector)
        case Stage.GREETING if failure.said_by_peer or finding.opened.banner:
            return (
                "it does not want to talk to this host: ask its administrator why, and name the"
                f" address that it sees, that of {finding.local} or what it is translated to"
            )
        case Stage.GREETING:
            return (
                "something answers at that port, but does not greet as an SMTP server does: see"
                " that Port is right (at 465 servers begin with TLS, which connectors can't)"
            )
        case Stage.EHLO:
            return "see its answer; it may not like the name that we greet by (Fqdn)"
        case Stage.TLS:
            return _tls(finding, demand)
        case Stage.LOGIN:
            return _login(finding, demand)
        case Stage.MAIL | Stage.RCPT:
            return (
                "see its answer: it is about the sender, the recipient, or this host's right to"
                " send there; its administrator can tell more"
            )
        case _:
            return "see its answer"


def warnings(finding: Finding, demand: Demand, connector: SendConnector) -> list[str]:
    """What is not as good as it might be, whether mail is taken or not."""
    return [*_of_tls(finding, demand), *_of_offers(finding, connector)]


def _reach(finding: Finding, connector: SendConnector) -> str:
    target = finding.target
    source = connector.source_ip_address
    bound = f" -s {source}" if source is not None else ""
    return (
        f"see that an SMTP server listens at port {target.port} there, and that no firewall is in"
        f" between: nc -vz{bound} {target.address} {target.port}"
    )


def _tls(finding: Finding, demand: Demand) -> str:
    in_clear = finding.opened.in_clear
    if not finding.chain:
        if in_clear is not None and not in_clear.offers("STARTTLS"):
            return (
                "have its administrator switch STARTTLS on, and look for a firewall that filters"
                " it out of SMTP; else the connector can't demand TLS"
            )
        return "its administrator's log says more; so does the line below, by hand"
    if finding.chain_met is False:
        return _chain(finding, demand)
    if finding.name_met is False:
        return _name(finding)
    if finding.asks_for_ours and not finding.ours_was_shown:
        return (
            "it asks for a certificate of ours: name one by TlsCertificateName, which its"
            " administrator has to accept"
        )
    return "its administrator's log says more; so does the line below, by hand"


def _chain(finding: Finding, demand: Demand) -> str:
    expired = [certificate for certificate in finding.chain if certificate.days_left < 0]
    if expired:
        return f"its administrator has to renew the certificate {expired[0].subject}"
    known = " and have a current revocation list" if demand.revocation else ""
    return (
        f"its administrator has to show a whole chain, from {finding.chain[0].subject} to an"
        f" authority that is trusted here{known}; one of their own is named by"
        " trusted_certificates in [host], or Postfix' smtp_tls_CAfile"
    )


def _name(finding: Finding) -> str:
    names = finding.chain[0].names
    shown = ", ".join(names[:_MOST_SHOWN]) + (", ..." if len(names) > _MOST_SHOWN else "")
    return (
        f"its certificate is for {shown or 'nobody'}: if that is who it should be, say so by"
        " TlsDomain; else they, or DNS, lead to somebody else"
    )


def _login(finding: Finding, demand: Demand) -> str:
    if finding.mechanism is None:
        offered = ", ".join(finding.opened.extensions.mechanisms) or "none"
        return f"it offers no way to log in that is spoken here; it offers {offered}"
    return (
        f"see that user name {demand.user} and its password (or token) are right, and that the"
        " account may send by SMTP"
    )


def _of_tls(finding: Finding, demand: Demand) -> Iterator[str]:
    opened = finding.opened
    if finding.without_tls:
        yield f"mail goes out in clear, as the TLS handshake broke: {finding.without_tls}"
    elif demand.starttls is Starttls.IF_OFFERED and opened.banner and opened.tls is None:
        yield "mail goes out in clear: TLS is not offered, and the connector does not demand it"
    for certificate in finding.chain:
        if 0 <= certificate.days_left < _WARN_DAYS:
            yield f"the certificate {certificate.subject} expires in {certificate.days_left} days"
    own = demand.shows_own
    if own is not None and own.days_left < _WARN_DAYS:
        yield f"our certificate {own.subject} expires in {own.days_left} days"
    if own is not None and finding.asks_for_ours is False:
        yield "it does not ask for our certificate (TlsCertificateName), so it was not shown"
    if own is None and finding.asks_for_ours and finding.failure is None:
        yield "it asks for a certificate of ours, and takes mail without; we have none to show"


def _of_offers(finding: Finding, connector: SendConnector) -> Iterator[str]:
    opened = finding.opened
    if not opened.banner or (finding.failure is not None and not opened.extensions.keywords):
        return
    extensions = opened.extensions
    theirs, ours = extensions.size_limit, connector.max_message_size.limit
    if theirs is not None and (ours is None or ours > theirs):
        yield (
            f"it takes {format_byte_quantity(theirs)} at most, less than MaxMessageSize"
            f" ({connector.max_message_size}) lets through: larger messages will bounce"
        )
    if not opened.spoke_ehlo:
        yield "it was greeted by HELO: no TLS, no login, no size, no 8-bit mail"
    elif not extensions.offers("8BITMIME"):
        yield "8BITMIME is not offered: messages with 8-bit text will bounce"
