"""How `postconnector test` shows what it saw: for people, and as JSON."""

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from postconnector.cli.output import print_heading, print_json, print_line, print_list
from postconnector.delivery.inspection import Inspection
from postconnector.delivery.reply import Reply, clean
from postconnector.delivery.smtp.extensions import Extensions
from postconnector.delivery.tls.contexts import Trust
from postconnector.enforcement.tls_requirement import (
    Starttls,
    TlsRequirement,
    certificate_names,
)
from postconnector.model.send_connector import SendConnector

_CAPABILITIES = ("PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "DSN", "STARTTLS", "REQUIRETLS")


@dataclass(frozen=True, slots=True)
class Tested:
    """A connector, and what was demanded of its next hops for mail to `domain`."""

    connector: SendConnector
    domain: str
    requirement: TlsRequirement
    trust: Trust
    inspections: Sequence[Inspection]

    @property
    def would_be_delivered(self) -> bool:
        """Whether a next hop takes mail, and none before it refuses it for good."""
        for inspection in self.inspections:
            if inspection.failure is None:
                return True
            if inspection.failure.is_permanent and inspection.target is not None:
                return False
        return False


def _demand(tested: Tested) -> str:
    """What the connector demands of TLS, for people."""
    requirement = tested.requirement
    if requirement.starttls is Starttls.NEVER:
        return "no TLS (IgnoreSTARTTLS)"
    if requirement.starttls is Starttls.IF_OFFERED:
        return "TLS if it is offered"
    names = certificate_names(requirement, tested.domain, tested.connector)
    if names is not None:
        return f"TLS, trusted certificate for {' or '.join(map(str, names)) or 'no possible name'}"
    return "TLS, trusted certificate, any name" if requirement.chain else "TLS, any certificate"


def _posttls_finger(inspection: Inspection, tested: Tested) -> str | None:
    """How to look with Postfix' own tool; it has no word for a chain without a name."""
    requirement, trust = tested.requirement, tested.trust
    target = inspection.target
    if target is None:
        return None
    names = certificate_names(requirement, tested.domain, tested.connector)
    level = {Starttls.NEVER: "none", Starttls.IF_OFFERED: "may"}.get(
        requirement.starttls, "secure" if names else "encrypt"
    )
    words = ["posttls-finger", "-c", "-l", level]
    words += ["-F", str(trust.ca_file)] if trust.ca_file is not None else []
    words += ["-P", str(trust.ca_directory)] if trust.ca_directory is not None else []
    words.append(f"[{target.address}]:{target.port}")
    if level == "secure":
        words += [f".{n.domain}" if n.subdomains else n.domain for n in names or ()]
    return shlex.join(words)


def print_for_people(tested: Tested) -> None:
    """Next hop by next hop, and what it comes to."""
    inspections = tested.inspections
    print_line(f'Send connector "{tested.connector.name}" demands: {_demand(tested)}')
    for each in inspections:
        print_heading(f"{each.hop}: {each.target or 'no address'}")
        shown = _as_shown(each, tested.connector)
        finger = _posttls_finger(each, tested)
        if finger is not None:
            shown["By hand"] = finger
        print_list(shown)
    print_line()
    taking = [each for each in inspections if each.failure is None]
    if tested.would_be_delivered:
        print_line(f"Mail would be delivered, to {taking[0].target}.")
        for each in inspections:
            if each.failure is not None:
                failure = clean(str(each.failure))
                print_line(f"! {each.target or each.hop} would not take it: {failure}")
        return
    permanent = any(each.failure is not None and each.failure.is_permanent for each in inspections)
    print_line(f"! Mail would {'be refused' if permanent else 'wait'}: see the answers above.")


def _as_shown(inspection: Inspection, connector: SendConnector) -> dict[str, object]:
    opened = inspection.opened
    shown: dict[str, object] = {}
    if inspection.seconds is not None:
        milliseconds = f"{inspection.seconds * 1000:.0f} ms"
        shown["Connection"] = f"from {inspection.local_endpoint}, ready after {milliseconds}"
    if opened.banner:
        shown["Banner"] = opened.banner
    if opened.in_clear is not None and opened.tls is not None:
        shown["EHLO, in clear"] = _keywords(opened.in_clear)
    if opened.extensions.keywords:
        shown["EHLO"] = _keywords(opened.extensions)
    shown |= _tls_as_shown(inspection)
    if connector.tls_certificate_name is not None:
        shown["Own certificate"] = f"{connector.tls_certificate_name}, if it is asked for"
    if opened.mechanism is not None:
        shown["Login"] = f"accepted ({opened.mechanism})"
    shown["Size"] = _size(opened.extensions, connector)
    if inspection.recipient_answer is not None:
        shown["Recipient"] = clean(str(inspection.recipient_answer))
    failure = inspection.failure
    shown["Verdict"] = "takes mail" if failure is None else clean(str(failure))
    return {name: value for name, value in shown.items() if value}


def _tls_as_shown(inspection: Inspection) -> dict[str, object]:
    tls, certificate = inspection.opened.tls, inspection.certificate
    if tls is None:
        return {"TLS": "none"} if inspection.seconds is not None else {}
    shown: dict[str, object] = {"TLS": f"{tls.version}, {tls.cipher}, {tls.bits} bits"}
    if certificate is not None:
        valid = f"{certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}"
        shown["Certificate"] = certificate.subject
        shown["  issued by"] = certificate.issuer
        shown["  names"] = ", ".join(certificate.names) or "none"
        shown["  valid"] = f"{valid}, {certificate.days_left} days left"
    if inspection.certificate_unverified:
        shown["  looked at"] = "in a second session, which verified nothing"
    else:
        shown["  verified"] = "yes" if tls.verified else "no, and need not be"
    return shown


def _keywords(extensions: Extensions) -> str:
    return clean(", ".join(" ".join((k, *words)) for k, words in extensions.keywords.items()))


def _size(extensions: Extensions, connector: SendConnector) -> str:
    """The next hop's SIZE against MaxMessageSize."""
    theirs, ours = extensions.size_limit, connector.max_message_size.limit
    if theirs is None:
        return ""
    if ours is None or ours > theirs:
        return f"{theirs:,} bytes; MaxMessageSize allows more: {connector.max_message_size}"
    return f"{theirs:,} bytes, enough for MaxMessageSize {connector.max_message_size}"


def print_as_json(tested: Tested) -> None:
    """All of it."""
    print_json(
        {
            "connector": tested.connector.name,
            "would_be_delivered": tested.would_be_delivered,
            "demand": _demand(tested),
            "next_hops": [_as_json(each, tested) for each in tested.inspections],
        }
    )


def _as_json(inspection: Inspection, tested: Tested) -> dict[str, object]:
    opened, target, tls = inspection.opened, inspection.target, inspection.opened.tls
    failure, certificate = inspection.failure, inspection.certificate
    return {
        "hop": inspection.hop,
        "target": asdict(target) if target is not None else None,
        "takes_mail": failure is None,
        "failure": _reply_as_json(failure),
        "local_endpoint": inspection.local_endpoint or None,
        "seconds": inspection.seconds,
        "banner": opened.banner or None,
        "ehlo_in_clear": opened.in_clear.keywords if opened.in_clear is not None else None,
        "ehlo": opened.extensions.keywords,
        "offers": {word: opened.extensions.offers(word) for word in _CAPABILITIES},
        "tls": None
        if tls is None
        else {
            "version": tls.version,
            "cipher": tls.cipher,
            "bits": tls.bits,
            "verified": tls.verified,
            "looked_at_without_verification": inspection.certificate_unverified,
        },
        "certificate": None
        if certificate is None
        else {
            "subject": certificate.subject,
            "issuer": certificate.issuer,
            "names": list(certificate.names),
            "not_before": certificate.not_before.isoformat(),
            "not_after": certificate.not_after.isoformat(),
            "days_left": certificate.days_left,
        },
        "login": opened.mechanism,
        "size": opened.extensions.size_limit,
        "max_message_size": tested.connector.max_message_size.limit,
        "recipient": _reply_as_json(inspection.recipient_answer),
        "posttls_finger": _posttls_finger(inspection, tested),
    }


def _reply_as_json(reply: Reply | None) -> dict[str, object] | None:
    if reply is None:
        return None
    return {"code": reply.code, "enhanced_code": reply.enhanced, "text": clean(reply.text)}
