"""Whose mail goes on waiting until Postfix has taken another chain."""

from datetime import UTC, datetime, timedelta

import pytest

from postconnector.certificates.state import CertificateFacts, CertificateState, CertificateStates
from postconnector.model.send_connector import SendConnector
from postconnector.postfix.compiled import Compiled, Service
from postconnector.postfix.withheld_certificates import withheld_services, withholding

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)
GONE = CertificateState(certificate=None, why="gone", problem="it is gone")


def until(end: timedelta) -> CertificateState:
    facts = CertificateFacts(
        subject="CN=a",
        issuer="CN=b",
        not_before=NOW - 9 * DAY,
        not_after=NOW + end,
        sha256="",
        file="",
    )
    return CertificateState(certificate=facts, why="")


VALID, EXPIRED = until(DAY), until(-DAY)


def published(state: CertificateState | None) -> bytes:
    connectors = {"A": state, "B": VALID} if state is not None else {"B": VALID}
    return CertificateStates(directory="/store", connectors=connectors).data()


def compiled(state: CertificateState) -> Compiled:
    services = tuple(
        Service(f"pc-{name.lower()}", (SendConnector(name=name),), ()) for name in "ABC"
    )
    chains = {"certificates/pc-a.pem": b"new", "certificates/pc-b.pem": b"same"}
    return Compiled(services, (), (), chains, {}, certificate_states=published(state))


@pytest.mark.parametrize(
    ("before", "chain", "finishing", "withheld"),
    [
        (VALID, b"old", False, False),
        (EXPIRED, b"old", False, True),
        (GONE, b"old", False, True),
        (GONE, b"new", False, False),  # it came back as it was
        (GONE, b"new", True, True),  # who knows what was read meanwhile?
        (VALID, b"old", True, False),
        (None, b"old", False, False),  # the connector had none
    ],
)
def test_whose_mail_goes_on_waiting(
    before: CertificateState | None, chain: bytes, finishing: bool, withheld: bool
) -> None:
    live = {
        "certificates.json": published(before),
        "certificates/pc-a.pem": chain,
        "certificates/pc-b.pem": b"same",
    }
    found = withheld_services(compiled(VALID), live, NOW, finishing=finishing)
    assert found == ({"pc-a": ("A",)} if withheld else {})


def test_nothing_is_withheld_where_nothing_was_published() -> None:
    assert withheld_services(compiled(VALID), {}, NOW, finishing=False) == {}


def test_those_wait_and_no_others() -> None:
    states = CertificateStates.parse(withholding(published(VALID), {"pc-a": ("A",)}))
    problems = {name: state.problem for name, state in states.connectors.items()}
    assert problems == {"A": "Postfix is just taking a renewed one", "B": None}
    assert withholding(published(GONE), {"pc-a": ("A",)}) == published(GONE)
