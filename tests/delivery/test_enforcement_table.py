"""The table of what is enforced: every way into the host, every outcome, on real Postfix.

What becomes of whom stands in enforcement_situations.toml.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab.enforcement_world import (
    KB,
    EnforcementWorld,
    assert_names,
    chunked_reply,
    compose,
    data_reply,
    raw_data_reply,
)

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
    def size(self) -> int:
        return int(self.situation.get("bytes") or self.situation["kilobytes"] * KB)

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
        keys = {"size": "path_with_size", "sendmail": "path_by_sendmail"}
        key = keys.get(self.way.split()[0], "path")
        path = self.situation["path"]
        return bool(self.situation.get(key, path) == "agent")


def _rows() -> Iterator[Any]:
    number = 0
    for situation in tomllib.loads(_TABLE.read_text())["situation"]:
        ways = _WAYS if situation["ways"] == "all" else situation["ways"]
        for way in ways:
            number += 1
            yield pytest.param(Row(number, way, situation), id=f"{situation['name']}-{way}")


@pytest.mark.parametrize("row", list(_rows()))
def test_row(enforcement: EnforcementWorld, row: Row) -> None:
    message = compose(row.message_id, row.size, row.sender)
    if not submitted(enforcement, row, message):
        assert enforcement.deliveries(row.message_id) == []
        assert enforcement.reports(row.sender) == []
        return
    reported = [] if row.way == "size" else row.too_big
    enforcement.wait_settled(row.message_id)
    arrived = enforcement.arrived(row.message_id, len(row.delivered))
    assert [each.recipient for each in arrived] == row.delivered
    assert all(each.content == message.replace(b"\r\n", b"\n") for each in arrived)
    assert_reports(enforcement, row.sender, reported, len(message))
    assert_ways(enforcement, row, reported)


def submitted(enforcement: EnforcementWorld, row: Row, message: bytes) -> bool:
    """Submit it; False if nobody was left to have it. The client hears what it must."""
    if row.by_sendmail:
        line_end = b"\r\n" if row.way.endswith("CRLF") else b"\n"
        enforcement.host.sendmail(row.sender, list(row.fates), message.replace(b"\r\n", line_end))
        return True
    sizes = {"size": len(message), "lying size": 1000}
    parameters = [f"size={sizes[row.way]}"] if row.way in sizes else []
    with enforcement.administrator.smtp() as session:
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


def assert_reports(
    enforcement: EnforcementWorld, sender: str, recipients: Sequence[str], size: int
) -> None:
    """One report about just these, or none."""
    if not recipients:
        assert enforcement.reports(sender) == []
        return
    [report] = enforcement.wait_reports(sender)
    assert report.recipients == dict.fromkeys(recipients, "failed")
    assert report.text.count("\nStatus: 5.3.4\n") == len(recipients)
    for recipient in recipients:
        assert_names(report.text, recipient, size)


def assert_ways(enforcement: EnforcementWorld, row: Row, reported: Sequence[str]) -> None:
    """By which services each went: one attempt by each, none deferred."""
    found: dict[str, list[tuple[str, str]]] = {}
    for delivery in enforcement.deliveries(row.message_id):
        found.setdefault(delivery.recipient, []).append((delivery.service, delivery.status))
    first = [("pc-agent-path/lmtp", "sent")] if row.by_agent_path else []
    expected = {
        each: sorted([*first, (_service(row.fates[each]), "sent")]) for each in row.delivered
    }
    refusing = "pc-agent-path/lmtp" if row.by_agent_path else "cleanup"
    expected |= {each: [(refusing, "bounced")] for each in reported}
    assert {recipient: sorted(ways) for recipient, ways in found.items()} == expected
    ids = enforcement.host.log.queue_ids(f"<{row.message_id}>")
    for recipient, fate in row.fates.items():
        if fate.startswith("agent "):
            said = [s for s in enforcement.agent_log(recipient) if any(f" {i}: " in s for i in ids)]
            assert sum(f"connector={fate.split()[1]}," in line for line in said) == 1


def _service(fate: str) -> str:
    if fate.startswith("agent "):
        return "pc-delivery-agent/lmtp"
    return f"{fate}/smtp" if fate.startswith("pc-") else fate
