"""The table of what is enforced: every way into the host, every outcome, on real Postfix.

What becomes of whom stands in enforcement_situations.toml.
"""

import re
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab.enforcement_world import (
    KB,
    LARGEST,
    LIMITS,
    EnforcementWorld,
    chunked_reply,
    compose,
    data_reply,
    raw_data_reply,
    without_trace,
)
from tests.lab.loopback import wait_until

_TABLE = Path(__file__).with_name("enforcement_situations.toml")
_WAYS = ("size", "no size", "lying size", "BDAT", "LF", "sendmail", "sendmail CRLF")
_TOO_BIG = "too big"


@dataclass(frozen=True)
class Row:
    """One situation by one way; `number` tells its messages from those of others."""

    number: int
    way: str
    situation: Mapping[str, Any]

    @property
    def message_id(self) -> str:
        return f"row{self.number}@contoso.test"

    @property
    def sender(self) -> str:
        return f"sender{self.number}@contoso.test"

    @property
    def fates(self) -> Mapping[str, str]:
        fates: Mapping[str, str] = self.situation["recipients"]
        return fates

    @property
    def too_big(self) -> list[str]:
        return [recipient for recipient, fate in self.fates.items() if fate == _TOO_BIG]

    @property
    def delivered(self) -> list[str]:
        return sorted(recipient for recipient, fate in self.fates.items() if fate != _TOO_BIG)

    @property
    def by_sendmail(self) -> bool:
        return self.way.startswith("sendmail")

    @property
    def by_agent_path(self) -> bool:
        key = {"size": "path_with_size", "sendmail": "path_by_sendmail"}.get(self.way.split()[0])
        path = self.situation["path"]
        return bool(self.situation.get(key, path) == "agent")


def _rows() -> Iterator[Any]:
    number = 0
    for situation in tomllib.loads(_TABLE.read_text())["situation"]:
        ways = _WAYS if situation["ways"] == "all" else situation["ways"]
        for way in ways:
            number += 1
            yield pytest.param(Row(number, way, situation), id=f"{situation['name']}-{way}")


@pytest.fixture(scope="module")
def world() -> Iterator[EnforcementWorld]:
    with tempfile.TemporaryDirectory(prefix="pct-", dir="/tmp") as name, ExitStack() as enter:
        Path(name).chmod(0o755)
        world = EnforcementWorld(Path(name), enter)
        yield world
        nothing_came_twice(world)


def nothing_came_twice(world: EnforcementWorld) -> None:
    """Of all messages of all tests, also of what has come since its own test looked."""
    at_partner = Counter((without_trace(m.content), m.recipient) for m in world.partner.received())
    stored = Counter(
        (without_trace(m), re.findall(rb"^X-Original-To: (.*)$", m, re.M)[0])
        for m in (*world.old.mail(), *world.host.mail())
    )
    assert not [key for key, count in (at_partner + stored).items() if count > 1]


@pytest.mark.parametrize("row", list(_rows()))
def test_row(world: EnforcementWorld, row: Row) -> None:
    message = compose(row.message_id, row.situation["kilobytes"] * KB, row.sender)
    if not submitted(world, row, message):
        assert world.deliveries(row.message_id) == []
        assert world.reports(row.sender) == []
        return
    reported = [] if row.way == "size" else row.too_big
    world.wait_settled(row.message_id)
    arrived = world.arrived(row.message_id, len(row.delivered))
    assert [each.recipient for each in arrived] == row.delivered
    assert {each.content for each in arrived} == {message.replace(b"\r\n", b"\n")}
    assert_reports(world, row.sender, reported, len(message))
    assert_ways(world, row, reported)


def submitted(world: EnforcementWorld, row: Row, message: bytes) -> bool:
    """Submit it; False if nobody was left to have it. The client hears what it must."""
    if row.by_sendmail:
        line_end = b"\r\n" if row.way.endswith("CRLF") else b"\n"
        world.host.sendmail(row.sender, list(row.fates), message.replace(b"\r\n", line_end))
        return True
    sizes = {"size": len(message), "lying size": 1000}
    parameters = [f"size={sizes[row.way]}"] if row.way in sizes else []
    with world.administrator.smtp() as session:
        assert session.mail(row.sender, parameters)[0] == 250
        for recipient in row.fates:
            code, said = session.rcpt(recipient)
            refused = row.way == "size" and recipient in row.too_big
            assert code == (552 if refused else 250), said
            if refused:
                assert_names(said.decode(), recipient, len(message))
        if row.way == "size" and not row.delivered:
            return False
        if row.way == "LF":
            code, text = raw_data_reply(session, dotted(message).replace(b"\r\n", b"\n") + b".\r\n")
        else:
            code, text = {"BDAT": chunked_reply}.get(row.way, data_reply)(session, message)
    assert code == (250 if row.delivered else 552), text
    if not row.delivered:
        assert_names(text, row.too_big[0], len(message))
        assert f"and {len(row.too_big) - 1} more recipient" in text
    return bool(row.delivered)


def dotted(message: bytes) -> bytes:
    return re.sub(rb"^\.", b"..", message, flags=re.M)


def assert_names(text: str, recipient: str, size: int) -> None:
    """A refusal says who, how large, what the limit is and whose."""
    name = LARGEST[recipient.partition("@")[2].removesuffix(".test")]
    limit = f"{LIMITS[name]} KB ({LIMITS[name] * KB:,} bytes)"
    assert (
        f"message of {size:,} bytes to {recipient} is larger than MaxMessageSize {limit}"
        f' of Send connector "{name}"' in text
    )
    assert "5.3.4" in text


def assert_reports(
    world: EnforcementWorld, sender: str, recipients: Sequence[str], size: int
) -> None:
    """One report about just these, or none."""
    if not recipients:
        assert world.reports(sender) == []
        return
    [report] = wait_until(lambda: world.reports(sender) or None, "the report")
    assert report.recipients == dict.fromkeys(recipients, "failed")
    assert report.text.count("\nStatus: 5.3.4\n") == len(recipients)
    if "(and " in report.text:  # the milter has one text for all
        recipients = recipients[:1]
    for recipient in recipients:
        assert_names(report.text, recipient, size)


def assert_ways(world: EnforcementWorld, row: Row, reported: Sequence[str]) -> None:
    """By which services each went: one attempt by each, none deferred."""
    found: dict[str, list[tuple[str, str]]] = {}
    for delivery in world.deliveries(row.message_id):
        found.setdefault(delivery.recipient, []).append((delivery.service, delivery.status))
    first = [("pc-agent-path/lmtp", "sent")] if row.by_agent_path else []
    expected = {
        each: sorted([*first, (_service(row.fates[each]), "sent")]) for each in row.delivered
    }
    refusing = "pc-agent-path/lmtp" if row.by_agent_path else "cleanup"
    expected |= {each: [(refusing, "bounced")] for each in reported}
    assert {recipient: sorted(ways) for recipient, ways in found.items()} == expected
    ids = world.host.log.queue_ids(f"<{row.message_id}>")
    for recipient, fate in row.fates.items():
        if fate.startswith("agent "):
            said = [s for s in world.agent_log(recipient) if any(f" {i}: " in s for i in ids)]
            assert sum(f"connector={fate.split()[1]}," in line for line in said) == 1


def _service(fate: str) -> str:
    if fate.startswith("agent "):
        return "pc-delivery-agent/lmtp"
    return f"{fate}/smtp" if fate.startswith("pc-") else fate
