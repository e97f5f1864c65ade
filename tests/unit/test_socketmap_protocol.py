"""The socketmap protocol: questions out of any stream of bytes, answers that Postfix can read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postconnector.policyd.socketmap import (
    MOST_BYTES,
    NOT_FOUND,
    Question,
    QuestionParser,
    SocketmapError,
    found,
    netstring,
    try_later,
)

NAMES = st.text(st.characters(exclude_characters=" ", exclude_categories=["Cs"]), min_size=1)
KEYS = st.text(st.characters(exclude_categories=["Cs"]))


def sent(text: str) -> bytes:
    """As Postfix sends it."""
    data = text.encode()
    return b"%d:%s," % (len(data), data)


def questions(*parts: bytes) -> list[Question]:
    parser = QuestionParser()
    return [question for part in parts for question in parser.feed(part)]


@st.composite
def split(draw: st.DrawFn, streams: st.SearchStrategy[bytes]) -> list[bytes]:
    """A stream in any parts."""
    stream = draw(streams)
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)))))
    return [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


ASKED = st.lists(st.tuples(NAMES, KEYS), max_size=5)


@given(ASKED, st.data())
def test_questions_come_whole_however_the_bytes_are_split(
    asked: list[tuple[str, str]], data: st.DataObject
) -> None:
    stream = b"".join(sent(f"{name} {key}") for name, key in asked)
    parts = data.draw(split(st.just(stream)))
    assert questions(*parts) == [Question(name, key) for name, key in asked]


@given(split(st.binary()))
def test_any_bytes_are_questions_or_an_error(parts: list[bytes]) -> None:
    try:
        for question in questions(*parts):
            assert question.map
    except SocketmapError as error:
        assert str(error).isprintable()


@given(st.binary())
def test_splitting_changes_nothing(stream: bytes) -> None:
    def outcome(*parts: bytes) -> tuple[list[Question], str | None]:
        parser = QuestionParser()
        came: list[Question] = []
        try:
            for part in parts:
                came.extend(parser.feed(part))
        except SocketmapError as error:
            return came, str(error)
        return came, None

    bytewise = outcome(*(stream[i : i + 1] for i in range(len(stream))))
    assert outcome(stream) == bytewise


@pytest.mark.parametrize(
    "stream",
    [
        b"-1:a b,",
        b"+3:a b,",
        b" 3:a b,",
        b"3 :a b,",
        b"03:a b,",
        b"00:,",
        b":a b,",
        b"3;a b,",
        b"x",
        b"\n",
        b"3:a b;",
        b"3:a b\n3:a b,",
        b"2:a b,",
        b"0:,",
        b"1: ,",
        b"1:a,",
        b"2: b,",
        b"3:a\xff ,",
        b"100001:",
        b"999999:",
        b"1000000",
        b"9" * 100,
        "٣:a b,".encode(),
    ],
)
def test_what_is_no_question(stream: bytes) -> None:
    with pytest.raises(SocketmapError):
        questions(stream)


@pytest.mark.parametrize("length", [b"100000:", b"99999:", b"0", b"1", b""])
def test_what_may_become_one(length: bytes) -> None:
    parser = QuestionParser()
    assert list(parser.feed(length)) == []
    assert parser.pending == bool(length)


def test_the_largest_question() -> None:
    key = "k" * (MOST_BYTES - 2)
    assert questions(sent(f"m {key}")) == [Question("m", key)]
    with pytest.raises(SocketmapError, match="more than 100000 bytes"):
        questions(sent(f"m {key}k")[:8])


def test_a_key_may_be_empty_and_have_blanks() -> None:
    assert questions(sent("m "), sent("m a b  c")) == [Question("m", ""), Question("m", "a b  c")]


def test_what_is_pending() -> None:
    parser = QuestionParser()
    assert list(parser.feed(b"3:a b,3:a")) == [Question("a", "b")]
    assert parser.pending
    assert list(parser.feed(b" b,")) == [Question("a", "b")]
    assert not parser.pending


@pytest.mark.parametrize(
    ("answer", "data"),
    [
        (found("smtp:[192.0.2.1]"), b"19:OK smtp:[192.0.2.1],"),
        (NOT_FOUND, b"9:NOTFOUND ,"),
        (try_later("für später"), "17:TEMP für später,".encode()),
    ],
)
def test_answers(answer: str, data: bytes) -> None:
    assert netstring(answer) == data


@pytest.mark.parametrize("answer", ["OK a\nb", "OK \0", "OK " + "x" * MOST_BYTES, "OK \udc80"])
def test_answers_that_are_none(answer: str) -> None:
    with pytest.raises(ValueError):
        netstring(answer)
