"""What `postconnector test` found, as JSON."""

from collections.abc import Sequence

from postconnector.delivery.reply import Reply
from postconnector.delivery.smtp.extensions import Extensions
from postconnector.delivery.trial.advice import next_step, warnings
from postconnector.delivery.trial.by_hand import OwnFiles, posttls_finger
from postconnector.delivery.trial.certificate import ShownCertificate
from postconnector.delivery.trial.findings import Demand, Failure, Finding
from postconnector.delivery.trial.trial import TrialReport
from postconnector.delivery.trial.verdict import Outcome
from postconnector.model.plain_text import clean

_OFFERS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "REQUIRETLS", "CHUNKING")


def trial_json(
    report: TrialReport, notes: Sequence[str], own: OwnFiles | None
) -> dict[str, object]:
    """All of it, and nothing that a peer said uncleaned."""
    verdict = report.verdict
    return {
        "connector": report.connector.name,
        "domain": report.domain or None,
        "outcome": verdict.outcome.value,
        "would_be_delivered": verdict.outcome is Outcome.DELIVERED,
        "by": str(verdict.by.target) if verdict.by is not None else None,
        "answer": reply_json(verdict.reply),
        "demand": _demand(report.demand),
        "helo_name": report.helo_name,
        "max_message_size": report.connector.max_message_size.limit,
        "notes": list(notes),
        "not_found": [
            {"hop": clean(hop.hop), "answer": reply_json(hop.reply)} for hop in report.not_found
        ],
        "next_hops": [_finding(finding, report, own) for finding in report.findings],
    }


def _finding(finding: Finding, report: TrialReport, own: OwnFiles | None) -> dict[str, object]:
    target, opened, demand = finding.target, finding.opened, report.demand
    return {
        "target": str(target),
        "host": target.host,
        "address": target.address,
        "port": target.port,
        "found_by": finding.found.found_by,
        "agent_would_try": finding.found.tried,
        "takes_mail": finding.failure is None,
        "failure": _failure(finding.failure),
        "next_step": next_step(finding, demand, report.connector) or None,
        "warnings": warnings(finding, demand, report.connector),
        "local_endpoint": finding.local or None,
        "remote_endpoint": finding.remote or None,
        "connection_ms": round(finding.milliseconds, 1) if finding.milliseconds else None,
        "banner": clean(opened.banner) or None,
        "spoke_ehlo": opened.spoke_ehlo,
        "ehlo_in_clear": _keywords(opened.in_clear) if opened.in_clear is not None else None,
        "ehlo": _keywords(opened.extensions),
        "offers": {word: opened.extensions.offers(word) for word in _OFFERS},
        "size": opened.extensions.size_limit,
        "tls": _tls(finding),
        "login": {
            "mechanism": finding.mechanism,
            "accepted": opened.mechanism is not None,
        }
        if demand.user is not None
        else None,
        "sender": reply_json(finding.sender),
        "recipient": reply_json(finding.recipient),
        "posttls_finger": posttls_finger(demand, target, report.trust, report.helo_name, own),
        "dialogue": finding.dialogue,
    }


def _tls(finding: Finding) -> dict[str, object]:
    tls = finding.opened.tls
    return {
        "version": tls.version if tls is not None else None,
        "cipher": tls.cipher if tls is not None else None,
        "bits": tls.bits if tls is not None else None,
        "chain_met": finding.chain_met,
        "name_met": finding.name_met,
        "second_session_without_verification": finding.in_second,
        "went_on_in_clear": finding.without_tls or None,
        "asks_for_own_certificate": finding.asks_for_ours,
        "own_certificate_shown": finding.ours_was_shown,
        "chain": [_certificate(certificate) for certificate in finding.chain],
    }


def _demand(demand: Demand) -> dict[str, object]:
    names = demand.names
    own = demand.shows_own
    return {
        "tls": demand.starttls.value,
        "chain": demand.chain,
        "names": [str(name) for name in names] if names is not None else None,
        "revocation_lists": demand.revocation,
        "user": demand.user,
        "own_certificate": _certificate(own) if own is not None else None,
    }


def _certificate(certificate: ShownCertificate) -> dict[str, object]:
    return {
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "self_signed": certificate.self_signed,
        "not_before": certificate.not_before.isoformat(),
        "not_after": certificate.not_after.isoformat(),
        "days_left": certificate.days_left,
        "names": list(certificate.names),
        "key": certificate.key,
        "sha256": certificate.fingerprint,
    }


def _keywords(extensions: Extensions) -> dict[str, list[str]]:
    return {clean(name): [*map(clean, words)] for name, words in extensions.keywords.items()}


def _failure(failure: Failure | None) -> dict[str, object] | None:
    if failure is None:
        return None
    said = "peer" if failure.said_by_peer else "us"
    return {"stage": failure.stage.value, "said_by": said, "answer": reply_json(failure.reply)}


def reply_json(reply: Reply | None) -> dict[str, object] | None:
    """A reply; what a peer may have said in it is fit to be shown."""
    if reply is None:
        return None
    return {"code": reply.code, "enhanced_code": reply.enhanced, "text": clean(reply.text)}
