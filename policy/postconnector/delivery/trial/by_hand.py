"""The same look at a next hop with Postfix' own tool, posttls-finger(1). Pure."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from postconnector.delivery.hosts.target import Target
from postconnector.delivery.tls.contexts import Trust
from postconnector.delivery.trial.findings import Demand
from postconnector.enforcement.tls_requirement import CertificateName, Starttls

_FLOOR = ">=TLSv1.2"


@dataclass(frozen=True, slots=True)
class OwnFiles:
    """Where a certificate of ours, and its key, stand (PEM)."""

    certificate: Path
    key: Path


def posttls_finger(
    demand: Demand, target: Target, trust: Trust, helo_name: str, own: OwnFiles | None
) -> str:
    """A line for a shell. `trust`: the machine's must be named in it, or nobody is trusted.

    It has no level for a chain without a name: that is `encrypt`, and whether it says Trusted.
    It knows no revocation lists, and no address to connect from.
    """
    level = _level(demand)
    words = ["posttls-finger", "-l", level, "-o", f"myhostname={helo_name}"]
    if level != "none":
        words += ["-c", "-p", _FLOOR, *_trusted(trust)]
        words += ["-s", target.host] if target.host != target.address else []
        words += ["-k", str(own.certificate), "-K", str(own.key)] if own is not None else []
    literal = f"ipv6:{target.address}" if ":" in target.address else target.address
    words.append(f"[{literal}]:{target.port}")
    return shlex.join([*words, *_matches(demand.names or ())])


def _level(demand: Demand) -> str:
    if demand.starttls is Starttls.NEVER:
        return "none"
    if demand.starttls is Starttls.IF_OFFERED:
        return "may"
    return "secure" if demand.names else "encrypt"


def _trusted(trust: Trust) -> list[str]:
    words = ["-F", str(trust.ca_file)] if trust.ca_file is not None else []
    return words + (["-P", str(trust.ca_directory)] if trust.ca_directory is not None else [])


def _matches(names: Sequence[CertificateName]) -> list[str]:
    return [f".{name.domain}" if name.subdomains else name.domain for name in names]
