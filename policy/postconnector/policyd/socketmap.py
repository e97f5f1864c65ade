"""Postfix' socketmap protocol (socketmap_table(5)): bytes in, questions out; answers. No I/O.

A question is `map key`, an answer a word with data or a reason behind it, both as netstrings: the
length in digits, a colon, the bytes, a comma.
"""

from collections.abc import Iterator
from typing import NamedTuple

MOST_BYTES = 100_000
"""Of a question and of an answer, as Postfix has it."""

_MOST_DIGITS = len(str(MOST_BYTES))

NOT_FOUND = "NOTFOUND "


class Question(NamedTuple):
    """What is asked: a key, in one of our maps."""

    map: str
    key: str


class SocketmapError(Exception):
    """What came is no question; nothing more can be read from this client."""


class QuestionParser:
    """Takes bytes as they come and gives the questions that are complete."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[Question]:
        """Give every question that `data` completes; SocketmapError where one is none."""
        self._buffer += data
        start = 0
        try:
            while (found := self._next(start)) is not None:
                text, start = found
                yield _question(text)
        finally:
            self._buffer = self._buffer[start:]

    @property
    def pending(self) -> bool:
        """Whether part of a question has come."""
        return bool(self._buffer)

    def _next(self, start: int) -> tuple[bytes, int] | None:
        """The question that begins at `start`, and where the next one does."""
        head = self._buffer[start : start + _MOST_DIGITS + 1]
        digits, colon, _ = head.partition(b":")
        if (digits or colon) and not _is_length(digits, whole=bool(colon)):
            raise SocketmapError("no length in digits")
        if not colon:
            return None
        length = int(digits)
        if length > MOST_BYTES:
            raise SocketmapError(f"a question of more than {MOST_BYTES} bytes")
        begin = start + len(digits) + 1
        end = begin + length
        if len(self._buffer) <= end:
            return None
        if self._buffer[end : end + 1] != b",":
            raise SocketmapError("a question without a comma behind it")
        return self._buffer[begin:end], end + 1


def _is_length(digits: bytes, *, whole: bool) -> bool:
    """Whether these are the digits of a length, or may begin them."""
    if len(digits) > _MOST_DIGITS or (len(digits) > 1 and digits.startswith(b"0")):
        return False
    return digits.isdigit() or not (digits or whole)


def _question(text: bytes) -> Question:
    try:
        name, blank, key = text.decode("utf-8").partition(" ")
    except UnicodeDecodeError:
        raise SocketmapError("a question that is not UTF-8") from None
    if not name or not blank:
        raise SocketmapError("a question without a map and a key")
    return Question(name, key)


def found(data: str) -> str:
    """The answer that the key has this value."""
    return f"OK {data}"


def try_later(reason: str) -> str:
    """The answer that nobody can say now: Postfix then defers."""
    return f"TEMP {reason}"


def netstring(answer: str) -> bytes:
    """An answer as it is sent. ValueError for one that Postfix would not read, or not log well."""
    if any(not character.isprintable() for character in answer):
        raise ValueError("an answer is one line of printable characters")
    data = answer.encode()
    if len(data) > MOST_BYTES:
        raise ValueError(f"an answer of more than {MOST_BYTES} bytes")
    return b"%d:%s," % (len(data), data)
