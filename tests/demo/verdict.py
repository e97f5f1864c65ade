"""Whether a message went its way: what was expected against what was seen."""

from tests.demo.journey import Journey
from tests.demo.messages import CONNECTORS, Expected


def taken(journey: Journey) -> str:
    """The connector that a message took, by the log and by what its receiver saw."""
    by_log = {service: name for name, (service, _) in CONNECTORS.items()}
    by_receiver = {helo: name for name, (_, helo) in CONNECTORS.items()}
    logged = by_log.get(journey.service or "", "none")
    seen = by_receiver.get(journey.helo or "", "none")
    if journey.outcome != "delivered" or seen == logged:
        return logged
    return f"{logged} by the log, {seen} by the receiver"


def compare(expected: Expected, journey: Journey) -> list[str]:
    """What is not as expected."""
    checks = [
        ("outcome", expected.outcome, journey.outcome),
        ("connector", expected.connector or "none", taken(journey)),
        ("our certificate", expected.own_certificate or "none", journey.own_certificate or "none"),
    ]
    if expected.outcome == "delivered":
        tls = expected.tls if expected.tls in ("none", "encrypted") else "verified"
        checks.append(("TLS", tls, journey.tls))
    return [f"{what}: {wanted} expected" for what, wanted, got in checks if wanted != got]
