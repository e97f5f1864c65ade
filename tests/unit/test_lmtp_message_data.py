"""The message behind DATA: its end, dot-stuffing, and bytes that are no line ends."""

import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from postconnector.delivery.lmtp.message_data import MessageDataReader

# What smuggling is made of, far more often than chance would make it.
awkward = st.lists(
    st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"\x00", b"a", b"\xc3\xa9"])
).map(b"".join)


def read(*pieces: bytes) -> tuple[bytes, bytes | None, int]:
    """The message, what follows it, and how many bytes became blanks."""
    reader = MessageDataReader()
    message = b""
    for piece in pieces:
        if reader.rest is not None:
            reader.rest += piece
        else:
            message += reader.feed(piece)
    return message, reader.rest, reader.stray


def naive(data: bytes) -> tuple[bytes, bytes] | None:
    """The same, line by line and byte by byte."""
    lines = (b"\r\n" + data).split(b"\r\n")[1:]
    if b"." not in lines[:-1]:
        return None
    end = lines.index(b".")
    rest = b"\r\n".join(lines[end + 1 :])
    message = b"".join(
        line.removeprefix(b".").translate(bytes.maketrans(b"\r\n\x00", b"   ")) + b"\r\n"
        for line in lines[:end]
    )
    return message, rest


def stuff(message: bytes) -> bytes:
    return (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(places)]


@pytest.mark.parametrize(
    ("data", "message", "rest"),
    [
        (b".\r\n", b"", b""),
        (b"\r\n.\r\n", b"\r\n", b""),
        (b"a: b\r\n\r\nc\r\n.\r\n", b"a: b\r\n\r\nc\r\n", b""),
        (b"..\r\n.\r\n", b".\r\n", b""),
        (b".a\r\n...b\r\n.\r\n", b"a\r\n..b\r\n", b""),
        (b"a\r\n.\r\nQUIT\r\n", b"a\r\n", b"QUIT\r\n"),
        (b"a\r\n.\r\n.\r\n", b"a\r\n", b".\r\n"),
        (b"a" * 5000 + b"\r\n.\r\n", b"a" * 5000 + b"\r\n", b""),
    ],
)
def test_messages(data: bytes, message: bytes, rest: bytes) -> None:
    assert read(data) == (message, rest, 0)


@pytest.mark.parametrize(
    "end",
    [
        b"\n.\n",
        b"\n.\r\n",
        b"\r\n.\n",
        b"\r.\r",
        b"\r.\r\n",
        b"\r\n.\r",
        b"\r\n.\r\r\n",
        b"\r\n.\x00\r\n",
        b"\r\n\x00.\r\n",
        b"\n\r.\n\r",
        b"\r\n. \r\n",
    ],
)
def test_nothing_else_ends_a_message_and_none_of_it_leaves(end: bytes) -> None:
    message, rest, _ = read(b"a" + end + b"MAIL FROM:<>\r\n.\r\nNOOP\r\n")
    assert rest == b"NOOP\r\n"
    assert b"MAIL FROM:<>" in message
    without_line_ends = message.replace(b"\r\n", b"")
    assert b"\r" not in without_line_ends
    assert b"\n" not in without_line_ends
    assert end not in message


@pytest.mark.parametrize(
    ("data", "message", "stray"),
    [
        (b"a\nb\rc\r\n.\r\n", b"a b c\r\n", 2),
        (b"\n.\r\n.\r\n", b" .\r\n", 1),
        (b"\r\r\n.\r\n", b" \r\n", 1),
        (b"a\r\n\n.\r\n.\r\n", b"a\r\n .\r\n", 1),
        (b".\r\r\n.\r\n", b" \r\n", 1),
        (b"\x00.\r\n\x00\r\n.\r\n", b" .\r\n \r\n", 2),
        (b"Subject: a\rX-Organization: b\r\n.\r\n", b"Subject: a X-Organization: b\r\n", 1),
    ],
)
def test_what_is_no_line_end_or_nul_becomes_a_blank(
    data: bytes, message: bytes, stray: int
) -> None:
    assert read(data) == (message, b"", stray)


@settings(max_examples=400)
@given(awkward, st.lists(st.integers(0, 60)))
@example(b"\r\n.\r\n.\r\n", [1, 2, 3, 4, 5, 6, 7])
def test_whatever_the_pieces_it_is_what_it_is_line_by_line(data: bytes, cuts: list[int]) -> None:
    message, rest, stray = read(*in_pieces(data, cuts))
    expected = naive(data)
    if expected is None:
        assert rest is None
        message, rest, more = read(*in_pieces(data, cuts), b"\r\n.\r\n")
        assert (message, rest) == naive(data + b"\r\n.\r\n")
        stray = max(stray, more)
    else:
        assert (message, rest) == expected
    assert read(data + b"\r\n.\r\n")[2] >= stray


@settings(max_examples=200)
@given(st.lists(st.text(alphabet=".aé", max_size=4)), st.lists(st.integers(0, 60)), awkward)
def test_dot_stuffing_is_undone(lines: list[str], cuts: list[int], rest: bytes) -> None:
    message = "".join(f"{line}\r\n" for line in lines).encode()
    assert read(*in_pieces(stuff(message) + rest, cuts)) == (message, rest, 0)


def test_a_large_message_in_pieces() -> None:
    message = b".a line that begins with a dot\r\n" * 30_000
    data = stuff(message)
    pieces = [data[start : start + 65_536] for start in range(0, len(data), 65_536)]
    assert read(*pieces) == (message, b"", 0)
