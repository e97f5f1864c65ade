"""How a message came to the agent: all of it from what stands before what the client sent."""

from pathlib import Path

import pytest

from postconnector.delivery.envelope import Envelope, EnvelopeRecipient
from postconnector.delivery.lmtp.transaction import Transaction
from postconnector.delivery.received import RETURN_HELO, Received, received
from postconnector.delivery.spool import Spool, SpooledMessage
from postconnector.postfix.agent_path import AGENT_PATH_LHLO

CLIENTS = (
    b"Received: from inner (inner [192.0.2.1])\r\n\tby outer; today\r\nSubject: a\r\n\r\nbody\r\n"
)
BY_SMTP = (
    b"Received: from mx.test (unknown [192.0.2.7])\r\n\tby host.test (Postfix) with ESMTP id 4XyZ12"
    b"\r\n\tfor <b@x.test>; Tue, 24 Nov 2026 15:33:22 +0000 (UTC)\r\n"
)
BY_SENDMAIL = (
    b"Received: by host.test (Postfix, from userid 0)\r\n\tid 93E89226584;"
    b" Tue, 24 Nov 2026 15:52:32 +0000 (UTC)\r\n"
)
RETURNED = (
    f"Received: from {RETURN_HELO} (localhost [127.0.0.1])\r\n".encode()
    + b"\tby host.test (Postfix) with ESMTP id 4XyZ99; Tue, 24 Nov 2026 15:33:23 +0000 (UTC)\r\n"
)
PREPENDED = b"Received-SPF: pass\r\n\tidentity=mailfrom\r\nX-Other : 1\r\n"
MARKER = b"X-Postconnector-Path: agent\r\n"


def found(directory: Path, data: bytes, *, lhlo: str = "host.test", ident: str = "") -> Received:
    content = SpooledMessage(Spool(directory))
    for start in range(0, len(data), 7):  # whatever the pieces in which it came
        content.write(data[start : start + 7])
    envelope = Envelope("a@x.test", (EnvelopeRecipient("b@x.test"),))
    return received(Transaction(envelope, content, lhlo, {"IDENT": ident} if ident else {}))


@pytest.mark.parametrize(
    "before",
    [BY_SMTP, BY_SENDMAIL, PREPENDED + BY_SMTP, RETURNED + BY_SMTP, RETURNED + PREPENDED + BY_SMTP],
    ids=["smtp", "sendmail", "prepended", "returned", "returned-prepended"],
)
def test_the_size_is_what_the_client_sent(tmp_path: Path, before: bytes) -> None:
    it = found(tmp_path, before + CLIENTS)
    assert it.size == len(CLIENTS)
    assert it.came_back == before.startswith(RETURNED)


def test_the_mark_of_our_milter_does_not_count(tmp_path: Path) -> None:
    marked = BY_SENDMAIL + MARKER + CLIENTS
    assert found(tmp_path, marked, lhlo=AGENT_PATH_LHLO).size == len(CLIENTS)
    assert found(tmp_path, marked).size == len(MARKER + CLIENTS)


def test_only_where_it_led_by_filter_it_is_on_the_agent_path(tmp_path: Path) -> None:
    assert found(tmp_path, BY_SMTP, lhlo=AGENT_PATH_LHLO).on_agent_path
    assert not found(tmp_path, BY_SMTP).on_agent_path


@pytest.mark.parametrize(
    ("lhlo", "on_agent_path", "way"),
    [
        (AGENT_PATH_LHLO, True, ""),
        (f"{AGENT_PATH_LHLO}-late", True, "late"),
        (f"{AGENT_PATH_LHLO}-filtered", True, "filtered"),
        (f"{AGENT_PATH_LHLO}-late-filtered-1a2b3c4d", True, "late-filtered-1a2b3c4d"),
        (f"{AGENT_PATH_LHLO}-1a2b3c4d", False, ""),
        (f"{AGENT_PATH_LHLO}-../../x", False, ""),
        (f"{AGENT_PATH_LHLO}-", False, ""),
        (f"x{AGENT_PATH_LHLO}-late", False, ""),
    ],
)
def test_the_client_says_by_which_way_it_goes_back(
    tmp_path: Path, lhlo: str, on_agent_path: bool, way: str
) -> None:
    it = found(tmp_path, BY_SMTP, lhlo=lhlo)
    assert (it.on_agent_path, it.way) == (on_agent_path, way)


def test_a_client_can_not_say_that_it_came_back(tmp_path: Path) -> None:
    assert not found(tmp_path, BY_SMTP + RETURNED + CLIENTS).came_back
    assert not found(tmp_path, PREPENDED + RETURNED + CLIENTS).came_back


def test_the_queue_id_is_told_or_found(tmp_path: Path) -> None:
    assert found(tmp_path, BY_SMTP + CLIENTS, ident="4Abc12").queue_id == "4Abc12"
    assert found(tmp_path, BY_SENDMAIL + CLIENTS).queue_id == "93E89226584"
    assert found(tmp_path, b"Received: by x\r\n\tid \xff; today\r\n\r\n").queue_id is None


@pytest.mark.parametrize(
    "data", [b"", b"\r\n", b"no header\r\n", b"Received: ", b"Received: x", b"A: 1\r\n" * 50_000]
)
def test_without_a_received_all_of_it_counts(tmp_path: Path, data: bytes) -> None:
    assert found(tmp_path, data).size == len(data)
