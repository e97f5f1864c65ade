"""How `postconnector test` shows what it found to people."""

from collections.abc import Iterator, Sequence

from postconnector.cli.output import print_diff, print_heading, print_line, print_list, print_table
from postconnector.delivery.reply import Reply
from postconnector.delivery.smtp.extensions import Extensions
from postconnector.delivery.trial.advice import next_step, warnings
from postconnector.delivery.trial.by_hand import OwnFiles, posttls_finger
from postconnector.delivery.trial.certificate import ShownCertificate
from postconnector.delivery.trial.findings import Demand, Finding, NotFound
from postconnector.delivery.trial.trial import TrialReport
from postconnector.delivery.trial.verdict import Outcome
from postconnector.enforcement.tls_requirement import Starttls
from postconnector.model.plain_text import clean
from postconnector.model.size import format_byte_quantity

_LONGEST = 600
_MOST_NAMES = 10
_MOST_CERTIFICATES = 10
_OFFERS = ("8BITMIME", "SMTPUTF8", "DSN", "PIPELINING", "REQUIRETLS")


def print_trial(report: TrialReport, notes: Sequence[str], own: OwnFiles | None) -> None:
    """What is demanded, target by target what was found, and what it comes to."""
    print_list(_about(report, notes))
    for number, finding in enumerate(report.findings, 1):
        print_heading(f"Next hop {number} of {len(report.findings)}: {finding.target}")
        rows = dict(_rows(finding, report.demand, report))
        by_hand = posttls_finger(report.demand, finding.target, report.trust, report.helo_name, own)
        print_list({**rows, "By hand": by_hand})
        _print_result(finding, report)
    for hop in report.not_found:
        print_heading(f"Next hop {hop.hop}")
        print_diff([f"- leads nowhere: {_said(hop.reply)}"])
    print_line()
    _print_summary(report)
    print_diff(_verdict_lines(report))


def _about(report: TrialReport, notes: Sequence[str]) -> dict[str, object]:
    demand, connector = report.demand, report.connector
    about: dict[str, object] = {"Connector": connector.name}
    if report.domain:
        about["Routed by DNS"] = f"for {report.domain}"
    else:
        about["Smart hosts"] = ", ".join(str(host) for host in connector.smart_hosts)
    about["Demands"] = describe(demand)
    if demand.shows_own is not None:
        about["Shows"] = f"{demand.shows_own.subject}, {_validity(demand.shows_own)}"
    if demand.user is not None:
        about["Logs in as"] = demand.user
    about["Greets as"] = report.helo_name
    if connector.source_ip_address is not None:
        about["Connects from"] = str(connector.source_ip_address)
    for number, note in enumerate(notes, 1):
        about["Note" if number == 1 else f"Note {number}"] = note
    return about


def describe(demand: Demand) -> str:
    """What is demanded of TLS."""
    if demand.starttls is Starttls.NEVER:
        return "nothing; TLS is not used (IgnoreSTARTTLS)"
    if demand.starttls is Starttls.IF_OFFERED:
        return "nothing; TLS is used if it is offered, with any certificate"
    if not demand.chain:
        return "TLS, with any certificate"
    lists = ", not revoked" if demand.revocation else ""
    if demand.names is None:
        return f"TLS, with a trusted certificate of any name{lists}"
    names = " or ".join(map(str, demand.names)) or "a name, which an address has not"
    return f"TLS, with a trusted certificate for {names}{lists}"


def _rows(finding: Finding, demand: Demand, report: TrialReport) -> Iterator[tuple[str, object]]:
    opened = finding.opened
    yield "Found by", finding.found.found_by
    if not finding.found.tried:
        yield "Tried", "not by the agent, which tries 5 addresses of a host, and 20 in all"
    if finding.milliseconds is not None:
        yield "Connection", f"{finding.local} to {finding.remote}, {finding.milliseconds:.1f} ms"
    if opened.banner:
        yield "Greeting", _short(opened.banner)
    if opened.in_clear is not None and (opened.tls is not None or finding.chain):
        yield "EHLO before TLS", _keywords(opened.in_clear)
    yield from _tls_rows(finding, demand)
    if opened.extensions.keywords:
        after = " after TLS" if opened.tls is not None else ""
        yield f"EHLO{after}", _keywords(opened.extensions)
    if demand.user is not None and finding.milliseconds is not None:
        yield "Login", _login(finding)
    if opened.extensions.keywords:
        yield "Takes", _takes(opened.extensions, report)
    if finding.sender is not None:
        yield "MAIL FROM", _said(finding.sender)
    if finding.recipient is not None:
        yield "RCPT TO", _said(finding.recipient)


def _tls_rows(finding: Finding, demand: Demand) -> Iterator[tuple[str, object]]:
    tls = finding.opened.tls
    if tls is not None:
        second = "; in a second session, which verified nothing" if finding.in_second else ""
        yield "TLS", f"{tls.version}, {tls.cipher}, {tls.bits} bits{second}"
    elif finding.opened.banner:
        yield "TLS", "none"
    for number, certificate in enumerate(finding.chain[:_MOST_CERTIFICATES], 1):
        yield f"Certificate {number}", f"{certificate.subject} ({certificate.key})"
        issuer = "itself" if certificate.self_signed else certificate.issuer
        yield f"  {number} issued by", issuer
        yield f"  {number} valid", _validity(certificate)
        if number == 1:
            yield f"  {number} names", _names(certificate)
    if finding.chain:
        yield "Chain", _met(finding.chain_met, "leads to a trusted authority", "NOT accepted")
        yield "Name", _met(finding.name_met, "as demanded", "NOT as demanded")
        yield "Own certificate", _own(finding, demand)


def _met(met: bool | None, yes: str, no: str) -> str:
    return "not demanded" if met is None else yes if met else no


def _own(finding: Finding, demand: Demand) -> str:
    asked = {True: "asked for", False: "not asked for", None: "not known whether it is asked for"}
    shown = "shown" if finding.ours_was_shown else "not shown"
    none = "" if demand.shows_own is not None else "; the connector has none (TlsCertificateName)"
    return f"{asked[finding.asks_for_ours]}, {shown}{none}"


def _login(finding: Finding) -> str:
    if finding.opened.mechanism is not None:
        return f"{finding.opened.mechanism}, accepted"
    if finding.mechanism is not None:
        return f"{finding.mechanism}, NOT accepted" if not finding.in_second else "not tried"
    return "did not come to it"


def _takes(extensions: Extensions, report: TrialReport) -> str:
    limit = extensions.size_limit
    size = "any size" if limit is None else f"{format_byte_quantity(limit)} at most"
    words = (f"{word} {'yes' if extensions.offers(word) else 'no'}" for word in _OFFERS)
    ours = report.connector.max_message_size
    return ", ".join((f"{size} (MaxMessageSize {ours})", *words))


def _print_result(finding: Finding, report: TrialReport) -> None:
    lines = [f"~ {text}" for text in warnings(finding, report.demand, report.connector)]
    if finding.failure is None:
        print_diff([*lines, "+ takes mail"])
        return
    said = " (said by it)" if finding.failure.said_by_peer else ""
    step = next_step(finding, report.demand, report.connector)
    print_diff([*lines, f"- does not take mail: {_said(finding.failure.reply)}{said}", f"~ {step}"])


def _print_summary(report: TrialReport) -> None:
    if len(report.findings) + len(report.not_found) < 2:
        return
    rows = [_summary(finding) for finding in report.findings]
    rows += [_nowhere(hop) for hop in report.not_found]
    print_table(("Next hop", "Found by", "TLS", "Takes mail"), rows)
    print_line()


def _summary(finding: Finding) -> tuple[str, str, str, str]:
    tls, failure = finding.opened.tls, finding.failure
    seen = tls.version if tls is not None and not finding.in_second else ""
    taken = "yes" if failure is None else f"no: {failure.stage.value}"
    return str(finding.target), finding.found.found_by, seen, taken


def _nowhere(hop: NotFound) -> tuple[str, str, str, str]:
    return hop.hop, "", "", "no: not found"


def _verdict_lines(report: TrialReport) -> list[str]:
    verdict, by = report.verdict, report.verdict.by
    if verdict.outcome is Outcome.DELIVERED and by is not None:
        lines = [f"+ Mail would be delivered, to {by.target}."]
        others = [f for f in report.findings if f.failure is not None]
        if others or report.not_found:
            lines.append("~ Not every next hop takes it, though; see above.")
        return lines
    refused = verdict.outcome is Outcome.REFUSED
    lines = [f"- Mail would {'be refused, and bounce' if refused else 'wait'}."]
    if verdict.reply is not None:
        lines.append(f"- The answer is: {_said(verdict.reply)}")
    step = next_step(by, report.demand, report.connector) if by is not None else ""
    lines.append(f"~ What to do: {step or 'see that the names are right, and in DNS'}")
    return lines


def _keywords(extensions: Extensions) -> str:
    found = (" ".join((name, *words)) for name, words in extensions.keywords.items())
    return _short(", ".join(found)) or "nothing"


def _names(certificate: ShownCertificate) -> str:
    shown = ", ".join(certificate.names[:_MOST_NAMES])
    more = len(certificate.names) - _MOST_NAMES
    return f"{shown} and {more} more" if more > 0 else shown or "none"


def _validity(certificate: ShownCertificate) -> str:
    days = certificate.days_left
    left = f"{days} days left" if days >= 0 else "EXPIRED"
    return f"{certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}, {left}"


def _said(reply: Reply) -> str:
    return _short(str(reply))


def _short(text: str) -> str:
    return clean(text)[:_LONGEST]
