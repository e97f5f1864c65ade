"""What people are told to do about what was found."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import Any

import pytest

from postconnector.delivery.hosts.target import Target
from postconnector.delivery.reply import Reply
from postconnector.delivery.smtp.extensions import Extensions
from postconnector.delivery.smtp.opened import Opened
from postconnector.delivery.smtp.steps import Stage
from postconnector.delivery.tls.policy import TlsFacts
from postconnector.delivery.trial.advice import next_step, warnings
from postconnector.delivery.trial.certificate import ShownCertificate
from postconnector.delivery.trial.findings import Demand, Failure, Finding, FoundTarget
from postconnector.enforcement.tls_requirement import Starttls
from postconnector.model.send_connector import SendConnector

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONNECTOR = SendConnector(name="F", source_ip_address=IPv4Address("192.0.2.9"))
FACTS = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256, None, verified=True)
DEMAND = Demand(Starttls.REQUIRED, chain=True, user="ann")
FREE = Demand(Starttls.IF_OFFERED)
GOOD: dict[str, tuple[str, ...]] = {"SIZE": (), "8BITMIME": ()}


def certificate(days: int = 90) -> ShownCertificate:
    end = NOW + timedelta(days=days)
    return ShownCertificate("CN=mx", "CN=ca", NOW, end, days, ("a.test",), "RSA", "AA")


def finding(stage: Stage | None = None, *, said_by_peer: bool = False, **what: Any) -> Finding:
    """One that takes mail and has nothing wrong, but for `what`."""
    failure = Failure(Reply(451, "4.0.0"), stage, said_by_peer) if stage is not None else None
    opened = Opened(banner="hi", extensions=Extensions(GOOD), tls=FACTS)
    found = FoundTarget(Target("mx.test", "192.0.2.1", 25), "MX 10")
    return replace(Finding(found, opened=opened, failure=failure), **what)


CLEAR = Opened(banner="hi", in_clear=Extensions(), extensions=Extensions())
NEXT_STEPS = {
    "dead": (finding(Stage.CONNECT), DEMAND, "nc -vz -s 192.0.2.9 192.0.2.1 25"),
    "unwelcome": (finding(Stage.GREETING, said_by_peer=True), DEMAND, "ask its administrator why"),
    "no greeting": (finding(Stage.GREETING, opened=Opened()), DEMAND, "see that Port is right"),
    "no STARTTLS": (finding(Stage.TLS, opened=CLEAR), DEMAND, "switch STARTTLS on"),
    "expired": (finding(Stage.TLS, chain=(certificate(-1),), chain_met=False), DEMAND, "renew"),
    "untrusted": (finding(Stage.TLS, chain=(certificate(),), chain_met=False), DEMAND, "CAfile"),
    "no CRL": (
        finding(Stage.TLS, chain=(certificate(),), chain_met=False),
        replace(DEMAND, revocation=True),
        "have a current revocation list",
    ),
    "name": (finding(Stage.TLS, chain=(certificate(),), name_met=False), DEMAND, "is for a.test"),
    "wants ours": (
        finding(Stage.TLS, chain=(certificate(),), chain_met=True, asks_for_ours=True),
        DEMAND,
        "name one by TlsCertificateName",
    ),
    "no mechanism": (finding(Stage.LOGIN), DEMAND, "it offers none"),
    "login": (finding(Stage.LOGIN, mechanism="PLAIN"), DEMAND, "user name ann"),
    "recipient": (finding(Stage.RCPT), DEMAND, "right to send there"),
    "fine": (finding(), DEMAND, ""),
}


@pytest.mark.parametrize("name", NEXT_STEPS)
def test_next_steps(name: str) -> None:
    found, demand, said = NEXT_STEPS[name]
    step = next_step(found, demand, CONNECTOR)
    assert said in step
    assert bool(step) is bool(said)


def offering(**keywords: tuple[str, ...]) -> Finding:
    offered = {name.strip("_"): words for name, words in keywords.items()}
    return finding(opened=Opened(banner="hi", extensions=Extensions(offered), tls=FACTS))


def with_own(days: int) -> Demand:
    return replace(DEMAND, shows_own=certificate(days))


WARNINGS: dict[str, tuple[Callable[[], Finding], Demand, list[str]]] = {
    "nothing": (lambda: finding(chain=(certificate(),)), DEMAND, []),
    "in clear": (lambda: finding(opened=CLEAR), FREE, ["TLS is not offered", "8BITMIME"]),
    "broke": (lambda: finding(without_tls="it broke"), FREE, ["handshake broke: it broke"]),
    "soon": (lambda: finding(chain=(certificate(29),)), DEMAND, ["expires in 29 days"]),
    "ours soon": (finding, with_own(3), ["our certificate CN=mx expires in 3 days"]),
    "ours unasked": (
        lambda: finding(asks_for_ours=False),
        with_own(90),
        ["does not ask for our certificate"],
    ),
    "ours missing": (lambda: finding(asks_for_ours=True), DEMAND, ["we have none to show"]),
    "small": (
        lambda: offering(SIZE=("1048576",), _8BITMIME=()),
        DEMAND,
        ["it takes 1 MB (1,048,576 bytes) at most"],
    ),
    "large": (lambda: offering(SIZE=("99999999",), _8BITMIME=()), DEMAND, []),
    "7 bits": (lambda: offering(SIZE=()), DEMAND, ["8BITMIME is not offered"]),
    "dead": (lambda: finding(Stage.CONNECT, opened=Opened()), DEMAND, []),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_warnings(name: str) -> None:
    make, demand, said = WARNINGS[name]
    found = warnings(make(), demand, CONNECTOR)
    assert len(found) == len(said)
    assert all(part in text for part, text in zip(said, found, strict=True))
