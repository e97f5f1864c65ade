"""Replies of next hops: whole ones whatever the pieces, and bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postconnector.delivery.reply import Reply
from postconnector.delivery.smtp.replies import ProtocolError, ReplyParser

_DIALOGUE = (
    b"220 mx.test ESMTP\r\n250-mx.test\r\n250-SIZE 1000\r\n250 DSN\r\n250 2.1.0 ok\r\n"
    b"550-5.1.1 nobody\n550 5.1.1 of that name\n354\r\n421 caf\xc3\xa9 \xff\r\n"
)
_REPLIES = [
    Reply(220, None, ("mx.test ESMTP",)),
    Reply(250, None, ("mx.test", "SIZE 1000", "DSN")),
    Reply(250, "2.1.0", ("ok",)),
    Reply(550, "5.1.1", ("nobody", "of that name")),
    Reply(354, None, ("",)),
    Reply(421, None, ("café \\xff",)),
]


def replies(*pieces: bytes) -> list[Reply]:
    parser, found = ReplyParser(), []
    for piece in pieces:
        parser.feed(piece)
        while (reply := parser.next_reply()) is not None:
            found.append(reply)
    return found


def in_pieces(data: bytes) -> st.SearchStrategy[list[bytes]]:
    cuts = st.lists(st.integers(0, len(data)), max_size=12).map(sorted)
    return cuts.map(lambda at: [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True)])


@given(in_pieces(_DIALOGUE))
def test_pieces_do_not_count(pieces: list[bytes]) -> None:
    assert replies(*pieces) == _REPLIES


@given(st.lists(st.binary(max_size=60) | st.sampled_from([b"\r\n", b"250", b"250-", b" ok\n"])))
def test_anything_is_a_reply_or_a_protocol_error(pieces: list[bytes]) -> None:
    try:
        found = replies(*pieces)
    except ProtocolError:
        return
    assert all(200 <= reply.code <= 599 for reply in found)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b" ",
        b"25",
        b"2500",
        b"250x",
        b"199 a",
        b"600 a",
        b"-50 a",
        b"\xff",
        b"25\xb2 a",
        b"+25",
    ],
)
def test_no_reply(line: bytes) -> None:
    with pytest.raises(ProtocolError, match="no reply"):
        replies(line + b"\r\n")


def test_codes_must_agree() -> None:
    with pytest.raises(ProtocolError, match="250 and 251"):
        replies(b"250-a\r\n251 b\r\n")


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_longest_line(end: bytes) -> None:
    line = b"250 " + 2044 * b"x"
    assert replies(line + end) == [Reply(250, None, (2044 * "x",))]
    with pytest.raises(ProtocolError, match="2048"):
        replies(line + b"xx" + end)
    with pytest.raises(ProtocolError, match="2048"):
        replies(line, b"xx")


def test_most_lines_and_bytes() -> None:
    assert len(replies(99 * b"250-a\r\n" + b"250 a\r\n")[0].lines) == 100
    with pytest.raises(ProtocolError, match="100 lines"):
        replies(100 * b"250-a\r\n" + b"250 a\r\n")
    with pytest.raises(ProtocolError, match="65536 bytes"):
        replies(40 * (b"250-" + 2000 * b"x" + b"\r\n"))


def test_what_is_left() -> None:
    parser = ReplyParser()
    assert parser.is_empty
    parser.feed(b"250-a\r\n")
    assert parser.next_reply() is None
    assert not parser.is_empty  # in the middle of a reply, though the bytes are read
    parser.feed(b"250 b\r\n2")
    assert parser.next_reply() is not None
    assert not parser.is_empty
    assert parser.unread == 1
