"""Dot-stuffing undone is the message, wherever its pieces begin and end."""

from hypothesis import given
from hypothesis import strategies as st

from postconnector.delivery.lmtp.message_data import MessageDataReader
from postconnector.delivery.smtp.dot_stuffing import stuffed

_TEXT = st.lists(st.sampled_from([b".", b"\r\n", b"a", b"\r\n.", b"..", b" "])).map(b"".join)


@given(_TEXT, st.lists(st.integers(0, 60)).map(sorted))
def test_unstuffs_to_the_message(text: bytes, cuts: list[int]) -> None:
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    sent = b"".join(stuffed(pieces))
    whole = text if text.endswith(b"\r\n") or not text else text + b"\r\n"
    reader = MessageDataReader()
    assert reader.feed(sent) == whole
    assert reader.rest == b"", "the message ended before its end"
    assert reader.stray == 0


@given(st.binary(), st.lists(st.integers(0, 60)).map(sorted))
def test_pieces_do_not_count(data: bytes, cuts: list[int]) -> None:
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    assert b"".join(stuffed(pieces)) == b"".join(stuffed([data]))


def test_the_end_comes_with_the_last_piece() -> None:
    assert list(stuffed([b"a\r\n", b"", b"b\r\n"])) == [b"a\r\n", b"b\r\n.\r\n"]
    assert list(stuffed([b"a\r", b"\n.b"])) == [b"a\r", b"\n..b\r\n.\r\n"]
    assert list(stuffed([])) == [b".\r\n"]


def test_what_needs_nothing_is_not_copied() -> None:
    first = b"a\r\n" * 1000
    assert next(stuffed([first, b"b\r\n"])) is first
