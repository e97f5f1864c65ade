"""The line for posttls-finger(1); that it runs is shown in tests/delivery."""

from pathlib import Path

import pytest

from postconnector.delivery.hosts.target import Target
from postconnector.delivery.tls.contexts import Trust
from postconnector.delivery.trial.by_hand import OwnFiles, posttls_finger
from postconnector.delivery.trial.findings import Demand
from postconnector.delivery.trial.trial import named_trust
from postconnector.enforcement.tls_requirement import CertificateName, Starttls

MX = Target("mx.fabrikam.test", "192.0.2.1", 25)
V6 = Target("2001:db8::1", "2001:db8::1", 587)
CA = Trust(Path("/etc/ca file.pem"), Path("/etc/cas"))
NAMES = (CertificateName("fabrikam.test", subdomains=True), CertificateName("f.test"))
HEAD = "posttls-finger -l {} -o myhostname=out.test"
TLS = "-c -p '>=TLSv1.2'"


@pytest.mark.parametrize(
    ("demand", "target", "trust", "own", "line"),
    [
        (Demand(Starttls.NEVER), MX, CA, None, f"{HEAD.format('none')} '[192.0.2.1]:25'"),
        (
            Demand(Starttls.IF_OFFERED),
            *(V6, Trust(), None),
            f"{HEAD.format('may')} {TLS} '[ipv6:2001:db8::1]:587'",
        ),
        (
            Demand(Starttls.REQUIRED, chain=True, names=NAMES),
            *(MX, CA, None),
            f"{HEAD.format('secure')} {TLS} -F '/etc/ca file.pem' -P /etc/cas -s mx.fabrikam.test"
            " '[192.0.2.1]:25' .fabrikam.test f.test",
        ),
        (
            Demand(Starttls.REQUIRED, chain=True),
            *(V6, Trust(Path("/ca.pem")), OwnFiles(Path("/own.crt"), Path("/own.key"))),
            f"{HEAD.format('encrypt')} {TLS} -F /ca.pem -k /own.crt -K /own.key"
            " '[ipv6:2001:db8::1]:587'",
        ),
    ],
)
def test_what_is_demanded_in_its_words(
    demand: Demand, target: Target, trust: Trust, own: OwnFiles | None, line: str
) -> None:
    assert posttls_finger(demand, target, trust, "out.test", own) == line


def test_the_machine_s_authorities_are_named() -> None:
    """Or it would trust nobody."""
    named = named_trust(Trust())
    assert named.ca_file is not None or named.ca_directory is not None
    assert named_trust(CA) == CA
