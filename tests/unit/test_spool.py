"""The message on its way: in memory or in a file, what its properties say, and its end."""

import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postconnector.delivery.content import Content
from postconnector.delivery.spool import CHUNK_SIZE, MOST_IN_MEMORY, Spool, SpooledMessage

HEADER = b"Subject: a\r\nTo: b@x.test\r\n\r\n"


def spooled(directory: Path, *pieces: bytes) -> SpooledMessage:
    message = SpooledMessage(Spool(directory))
    for piece in pieces:
        message.write(piece)
    return message


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_it_is_content(tmp_path: Path) -> None:
    content: Content = spooled(tmp_path, HEADER)
    assert list(content.chunks()) == [HEADER]


@pytest.mark.parametrize("size", [0, 1, MOST_IN_MEMORY, MOST_IN_MEMORY + 1, 300_000])
def test_what_was_written_is_read_as_often_as_asked(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    message = spooled(tmp_path, data[:1000], data[1000:])
    assert message.size == size
    first, second = message.chunks(), message.chunks()
    assert b"".join(part for pair in zip(first, second, strict=True) for part in pair[:1]) == data
    assert all(0 < len(part) <= CHUNK_SIZE for part in message.chunks())
    message.close()


@pytest.mark.parametrize("size", [MOST_IN_MEMORY, MOST_IN_MEMORY + 1])
def test_only_large_messages_take_a_file_and_it_has_no_name(tmp_path: Path, size: int) -> None:
    before = open_files()
    message = spooled(tmp_path, b"x" * size)
    assert open_files() - before == (size > MOST_IN_MEMORY)
    assert list(tmp_path.iterdir()) == []
    message.close()
    message.close()
    assert open_files() == before


@pytest.mark.parametrize("size", [10, MOST_IN_MEMORY + 1])
def test_a_reader_does_not_take_a_closed_message_for_an_empty_one(
    tmp_path: Path, size: int
) -> None:
    message = spooled(tmp_path, b"x" * size)
    chunks = message.chunks()
    message.close()
    with pytest.raises(ValueError, match="closed"):
        next(chunks)


def test_without_room_in_memory_small_messages_take_a_file_until_there_is_room_again(
    tmp_path: Path,
) -> None:
    spool = Spool(tmp_path, room=1000)
    first = SpooledMessage(spool)
    first.write(b"a" * 900)
    before = open_files()
    second = SpooledMessage(spool)
    second.write(b"b" * 50)
    second.write(b"b" * 51)
    assert open_files() == before + 1
    assert b"".join(second.chunks()) == b"b" * 101
    third = SpooledMessage(spool)
    first.close()
    third.write(b"c" * 1000)
    assert open_files() == before + 1
    second.close()
    assert b"".join(third.chunks()) == b"c" * 1000


def test_without_its_directory_only_small_messages_are_kept(tmp_path: Path) -> None:
    message = spooled(tmp_path / "missing", b"x" * MOST_IN_MEMORY)
    with pytest.raises(FileNotFoundError):
        message.write(b"x")
    message.close()


@pytest.mark.parametrize(
    ("data", "is_8bit", "has_8bit_header"),
    [
        (b"", False, False),
        (b"a: b\r\n", False, False),
        (b"a: b\r\n\r\n", False, False),
        (b"a: b\r\n\r\nc\r\n\r\nd", False, False),
        (b"\r\n\xc3\xa9\r\n\r\n", True, False),
        (b"a: b\r\n\r\n\xc3\xa9", True, False),
        (b"a: \xc3\xa9\r\n\r\nb", True, True),
        (b"a: \xff", True, True),
    ],
)
def test_properties(tmp_path: Path, data: bytes, is_8bit: bool, has_8bit_header: bool) -> None:
    expected = is_8bit, has_8bit_header
    at_once = spooled(tmp_path, data)
    assert (at_once.is_8bit, at_once.has_8bit_header) == expected
    in_bytes = spooled(tmp_path, *(data[n : n + 1] for n in range(len(data))))
    assert (in_bytes.is_8bit, in_bytes.has_8bit_header) == expected


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"\xe9"])).map(b"".join),
    st.lists(st.integers(0, 40)),
)
def test_the_pieces_do_not_count(tmp_path: Path, data: bytes, cuts: list[int]) -> None:
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    message = spooled(tmp_path, *(data[start:end] for start, end in pairwise(places)))
    end = (b"\r\n" + data).find(b"\r\n\r\n")
    header_end = end + 2 if end >= 0 else len(data)
    assert message.is_8bit == (not data.isascii())
    assert message.has_8bit_header == (not data[:header_end].isascii())
    assert b"".join(message.chunks()) == data
