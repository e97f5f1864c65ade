"""Postfix' socketmap protocol and its answers, beside a reader that goes from left to right."""

from dataclasses import dataclass, field

from postconnector.policyd.lookups import Lookups
from postconnector.policyd.socketmap import (
    MOST_BYTES,
    Question,
    QuestionParser,
    SocketmapError,
    netstring,
)
from postconnector.postfix.live_routes import CERTIFICATE_MAP, REASON_MAP, TRANSPORT_MAP
from tests.fuzz.given import agree, given

_MOST_SENT = 120_000
_ROUTES = f"{TRANSPORT_MAP} ".encode()
_CERTIFICATES = f"{CERTIFICATE_MAP}/All ".encode()
_REASONS = f"{REASON_MAP}/A%20l ".encode()
WORDS = (
    b"3:a b,",
    b"0:,",
    b"00:",
    b"1:",
    b"100000:",
    b"100001:",
    b"4294967296:",
    b"-1:",
    b":",
    b",",
    b"\xc3\xa9",
    b"%d:%spc-all:[a.test]:25\\, b.test," % (len(_ROUTES) + 22, _ROUTES),
    b"%d:%sx.test," % (len(_CERTIFICATES) + 6, _CERTIFICATES),
    b"%d:%sx.test," % (len(_REASONS) + 6, _REASONS),
    b"100000:a b\xfd\x87\x10\xfe\x10\xff\xfe\x01\xe9,",
)
_UNUSABLE = {"All": "expired\r\non Monday", "A l": "no such file"}


@dataclass
class Heard:
    """What came of some bytes. `broken`: they are no questions, from some point on."""

    questions: list[Question] = field(default_factory=list)
    broken: bool = False
    pending: bool = False


def check(data: bytes) -> None:
    """AssertionError where the parser, or an answer, is not as promised."""
    whole, reads = given(data, _MOST_SENT)
    expected = naive(whole)
    agree(read([whole]), expected)
    agree(read(reads), expected)
    _written_again(whole, expected)
    lookups = Lookups(lambda: _UNUSABLE)
    for question in expected.questions[:50]:
        _answered(question, lookups.answer(question))


def read(reads: list[bytes]) -> Heard:
    """As our server does."""
    parser, heard = QuestionParser(), Heard()
    for data in reads:
        try:
            heard.questions.extend(parser.feed(data))
        except SocketmapError:
            heard.broken = True
            return heard
        assert len(parser._buffer) <= len(b"100000:") + MOST_BYTES
    heard.pending = parser.pending
    return heard


def naive(data: bytes) -> Heard:
    """One byte after the other, as far as lengths and commas go."""
    heard, at = Heard(), 0
    while at < len(data):
        digits = b""
        while data[at : at + 1].isdigit() and len(digits) <= 6:
            digits, at = digits + data[at : at + 1], at + 1
        heard.broken = len(digits) > 6 or (digits[:1] == b"0" and digits != b"0")
        if heard.broken or at == len(data):
            break
        length = int(digits or b"-1")
        text, end = data[at + 1 : at + 1 + length], data[at + 1 + length : at + 2 + length]
        heard.broken = data[at : at + 1] != b":" or not 0 <= length <= MOST_BYTES
        if heard.broken or not end:
            break
        question = _question(text)
        heard.broken = end != b"," or question is None
        if question is None or heard.broken:
            break
        heard.questions.append(question)
        at += length + 2
    else:
        return heard
    heard.pending = not heard.broken
    return heard


def _question(text: bytes) -> Question | None:
    name, blank, key = text.partition(b" ")
    try:
        found = Question(name.decode(), key.decode())
    except UnicodeDecodeError:
        return None
    return found if name and blank else None


def _written_again(whole: bytes, heard: Heard) -> None:
    """Questions are what was sent."""
    at = 0
    for question in heard.questions:
        text = f"{question.map} {question.key}"
        if text.isprintable():
            written = netstring(text)
            assert whole.startswith(written, at)
        at = whole.index(b":", at) + 1 + len(text.encode()) + 1


def _answered(question: Question, answer: str) -> None:
    """By one line; a route by the same hops in the same round."""
    word, _, said = answer.partition(" ")
    assert word in ("OK", "NOTFOUND", "TEMP")
    assert answer.isprintable()
    if word == "OK" and question.map == TRANSPORT_MAP:
        service, _, hops = said.partition(":")
        asked, _, routes = question.key.partition(":")
        assert service == asked
        told, known = hops.split(", "), [h for h in routes.replace(",", " ").split(" ") if h]
        assert len(told) == len(known)
        assert any(known[n:] + known[:n] == told for n in range(len(known)))
    if word == "NOTFOUND":
        assert said == ""
        assert question.map.split("/")[0] in (CERTIFICATE_MAP, REASON_MAP)
