"""Sessions of LMTP: the order of commands and replies, and that pieces do not count."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postconnector.delivery.envelope import Envelope, EnvelopeRecipient
from postconnector.delivery.lmtp.commands import LONGEST_LINE
from postconnector.delivery.lmtp.events import MessageBegun, MessageEnded, MessagePiece, SendBytes
from postconnector.delivery.lmtp.limits import Limits
from postconnector.delivery.lmtp.session import LmtpSession
from postconnector.delivery.reply import Reply

Step = str | MessageBegun | MessageEnded | bytes

LHLO = b"LHLO mail.contoso.test\r\n"
OPEN = b"MAIL FROM:<alice@contoso.test>\r\nRCPT TO:<bob@fabrikam.test>\r\n"
CLEAN_REPLY = re.compile(r"[245][0-9]{2}[ -]?[ -~]*|354 [ -~]*")


def run(*pieces: bytes, limits: Limits | None = None) -> list[Step]:
    """What happens: reply lines as text, pieces of a message joined, the rest as events."""
    session = LmtpSession(limits or Limits())
    sent, steps = "", list[Step]()
    for piece in pieces:
        for event in session.feed(piece):
            if isinstance(event, SendBytes):
                sent += event.data.decode("ascii")
                *lines, sent = sent.split("\r\n")
                steps.extend(lines)
            elif not isinstance(event, MessagePiece):
                steps.append(event)
            elif isinstance(steps[-1], bytes):
                steps[-1] += event.data
            else:
                steps.append(event.data)
    assert sent == "", "half a line was sent"
    if session.is_closed:
        steps.append("closed")
    return steps


def codes(steps: list[Step]) -> list[str]:
    """Reply codes, without those of LHLO's extensions, and what else happened by its name."""
    return [
        (step[:3] if step[:3].isdecimal() else step)
        if isinstance(step, str)
        else type(step).__name__
        for step in steps
        if not (isinstance(step, str) and step[3:4] == "-")
    ]


def begun(*addresses: str, sender: str = "alice@contoso.test", **more: str) -> MessageBegun:
    recipients = tuple(EnvelopeRecipient(address) for address in addresses)
    return MessageBegun(Envelope(sender, recipients), "mail.contoso.test", more)


def test_greeting() -> None:
    assert LmtpSession(Limits()).greeting() == b"220 postconnector LMTP\r\n"


def test_lhlo_without_enhanced_codes() -> None:
    assert run(LHLO, limits=Limits(message_size=1000)) == [
        "250-postconnector",
        "250-PIPELINING",
        "250-SIZE 1000",
        "250-8BITMIME",
        "250-SMTPUTF8",
        "250-DSN",
        "250-ENHANCEDSTATUSCODES",
        "250-REQUIRETLS",
        "250 XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE",
    ]


def test_a_message() -> None:
    assert run(LHLO, OPEN, b"RCPT TO:<bob@fabrikam.test>\r\nDATA\r\n", b"a\r\n.\r\n", b"QUIT\r\n")[
        9:
    ] == [
        "250 2.1.0 Ok",
        "250 2.1.5 Ok",
        "250 2.1.5 Ok",
        begun("bob@fabrikam.test", "bob@fabrikam.test"),
        "354 End data with <CR><LF>.<CR><LF>",
        b"a\r\n",
        MessageEnded(),
        "221 2.0.0 Bye",
        "closed",
    ]


def test_what_follows_in_the_same_packet_is_the_message_and_then_commands_again() -> None:
    data = LHLO + (OPEN + b"DATA\r\nQUIT\r\n.\r\n") * 2 + b"QUIT\r\nNOOP\r\n"
    message = ["250", "250", "MessageBegun", "354", "bytes", "MessageEnded"]
    steps = run(data)
    assert codes(steps) == ["250", *message, *message, "221", "closed"]
    assert steps.count(b"QUIT\r\n") == 2


def test_all_parameters_reach_the_envelope() -> None:
    steps = run(
        LHLO,
        "MAIL FROM:<é@contoso.test> SIZE=9 BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=Q REQUIRETLS\r\n"
        "RCPT TO:<ü@x.test> NOTIFY=DELAY,FAILURE ORCPT=utf-8;ü@x.test\r\nDATA\r\n".encode(),
    )
    recipient = EnvelopeRecipient("ü@x.test", "DELAY,FAILURE", "utf-8;ü@x.test")
    envelope = Envelope("é@contoso.test", (recipient,), "8BITMIME", True, "FULL", "Q", True)
    assert MessageBegun(envelope, "mail.contoso.test", {}) in steps


def test_xforward_holds_for_one_message() -> None:
    steps = run(
        LHLO,
        b"XFORWARD NAME=mx.test ADDR=192.0.2.1\r\nXFORWARD IDENT=4Q7\r\n",
        OPEN + b"DATA\r\n.\r\n" + OPEN + b"DATA\r\n",
    )
    found = [step for step in steps if isinstance(step, MessageBegun)]
    first = begun("bob@fabrikam.test", NAME="mx.test", ADDR="192.0.2.1", IDENT="4Q7")
    assert found == [first, begun("bob@fabrikam.test")]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"MAIL FROM:<>\r\n", ["503"]),
        (b"XFORWARD IDENT=1\r\n", ["503"]),
        (b"RCPT TO:<a@x.test>\r\n", ["503"]),
        (b"DATA\r\n", ["503"]),
        (b"EHLO x.test\r\nMAIL FROM:<>\r\n", ["500", "503"]),
        (LHLO + b"DATA\r\n", ["250", "503"]),
        (LHLO + b"RCPT TO:<a@x.test>\r\n", ["250", "503"]),
        (LHLO + b"MAIL FROM:<>\r\nMAIL FROM:<>\r\n", ["250", "250", "503"]),
        (LHLO + b"MAIL FROM:<>\r\nXFORWARD IDENT=1\r\n", ["250", "250", "503"]),
        (LHLO + b"MAIL FROM:<>\r\nRCPT TO:<x>\r\nDATA\r\n", ["250", "250", "501", "503"]),
        (LHLO + OPEN + b"RSET\r\nDATA\r\n", ["250", "250", "250", "250", "503"]),
        (LHLO + OPEN + LHLO + b"DATA\r\n", ["250", "250", "250", "250", "503"]),
        (LHLO + b"MAIL FROM:<>\r\nRCPT TO:<\xc3\xa9@x.test>\r\n", ["250", "250", "250"]),
        (b"NOOP\r\nVRFY x\r\nRSET\r\n", ["250", "252", "250"]),
        (b"\r\n\r\n", ["500", "500"]),
        (b"NOOP\n", []),
        (b"NOOP\nQUIT\r\n", ["500"]),
    ],
)
def test_order(data: bytes, expected: list[str]) -> None:
    assert codes(run(data)) == expected


def test_too_many_recipients() -> None:
    data = LHLO + OPEN + b"RCPT TO:<c@x.test>\r\nRCPT TO:<d@x.test>\r\nDATA\r\n"
    steps = run(data, limits=Limits(recipients=2))
    assert steps[-3] == "452 4.5.3 too many recipients"
    assert steps[-2] == begun("bob@fabrikam.test", "c@x.test")


def test_too_many_bad_commands() -> None:
    steps = run(b"X\r\n" * 9, limits=Limits(bad_commands=3))
    assert codes(steps) == ["500", "500", "421", "closed"]


def test_a_message_makes_good_for_bad_commands() -> None:
    data = LHLO + b"X\r\nX\r\n" + OPEN + b"DATA\r\n.\r\nX\r\nX\r\nX\r\n"
    assert codes(run(data, limits=Limits(bad_commands=3)))[-4:] == ["500", "500", "421", "closed"]


@pytest.mark.parametrize("end", [b"", b"\r\n"])
def test_too_long_a_line(end: bytes) -> None:
    longest = b"NOOP " + b"x" * (LONGEST_LINE - 7)
    assert codes(run(longest + b"\r\n")) == ["250"]
    assert codes(run(longest + b"xx" + end)) == ["421", "closed"]


def test_declared_size_above_the_limit() -> None:
    data = (
        LHLO
        + b"MAIL FROM:<> SIZE=100\r\nMAIL FROM:<> SIZE=101\r\nRSET\r\nMAIL FROM:<> SIZE=101\r\n"
    )
    steps = run(data, limits=Limits(message_size=100))
    assert steps[9:] == [
        "250 2.1.0 Ok",
        "503 5.5.1 nested MAIL command",
        "250 2.0.0 Ok",
        "552 5.3.4 the message is bigger than this server takes",
    ]


def test_real_size_above_the_limit() -> None:
    limits = Limits(message_size=100)
    text = b"." + b"." * 97
    steps = run(LHLO + OPEN + b"DATA\r\n" + text + b".\r\n.\r\n", limits=limits)
    assert steps[-2:] == [text + b"\r\n", MessageEnded()]
    steps = run(LHLO + OPEN + b"DATA\r\n" + text + b"..\r\n.\r\nNOOP\r\n", limits=limits)
    refusal = Reply(552, "5.3.4", ("the message is bigger than this server takes",))
    assert steps[-2:] == [MessageEnded(refusal), "250 2.0.0 Ok"]


def test_strays_are_told() -> None:
    assert run(LHLO + OPEN + b"DATA\r\na\nb\r\n.\r\n")[-1] == MessageEnded(None, 1)


def test_in_message() -> None:
    session = LmtpSession(Limits())
    list(session.feed(LHLO + OPEN))
    assert not session.in_message
    list(session.feed(b"DATA\r\n"))
    assert session.in_message
    list(session.feed(b".\r\n"))
    assert not session.in_message


fragments = st.sampled_from(
    [
        *(LHLO, OPEN, b"DATA\r\n", b".\r\n", b"\r\n.\r\n", b"RSET\r\n", b"QUIT\r\n", b"NOOP\r\n"),
        *(b"XFORWARD IDENT=1\r\n", b"MAIL FROM:<>\r\n", b"RCPT TO:<a@x.test>\r\n", b"X\r\n"),
        *(b"\r", b"\n", b".", b"\x00", b"\xff", b"text", b"y" * LONGEST_LINE, b"..\r\n"),
    ]
)
streams = st.lists(fragments, max_size=25).map(b"".join) | st.binary(max_size=50)
small = Limits(message_size=60, recipients=2, bad_commands=4)


@settings(max_examples=300)
@given(streams, st.lists(st.integers(0, 400)))
def test_the_pieces_do_not_count(data: bytes, cuts: list[int]) -> None:
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    pieces = [data[start:end] for start, end in pairwise(places)]
    unlimited = Limits(recipients=2, bad_commands=4)
    assert run(*pieces, limits=unlimited) == run(data, limits=unlimited)


@settings(max_examples=300)
@given(streams)
def test_whatever_comes_every_reply_is_clean_and_events_are_in_order(data: bytes) -> None:
    steps = run(data, limits=small)
    inside = False
    for step in steps:
        if isinstance(step, str):
            assert step == "closed" or CLEAN_REPLY.fullmatch(step)
            assert not inside or step.startswith("354 ")
        elif isinstance(step, MessageBegun):
            assert not inside
            assert 1 <= len(step.envelope.recipients) <= small.recipients
            inside = True
        elif isinstance(step, MessageEnded):
            assert inside
            inside = False
        else:
            assert inside
            assert 0 < len(step) <= small.message_size
