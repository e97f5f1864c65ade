"""Replies of next hops, beside a reader that goes line by line, and as we say them again."""

from dataclasses import dataclass, field

from postconnector.delivery.reply import Reply
from postconnector.delivery.smtp.replies import ProtocolError, ReplyParser
from tests.fuzz.given import agree, given

_MOST_SENT = 80_000
WORDS = (
    b"220 mx.test ESMTP\r\n",
    b"250-mx.test\r\n250 SIZE 1000\r\n",
    b"250 2.1.0 ok\r\n",
    b"550-5.1.1 nobody\r\n550 5.1.1 here\r\n",
    b"354 go on\r\n",
    b"421 \xc3\xa9\xff\n",
    b"599 5.999.999\t",
    b"250-",
    b"\r\r\n",
    b"\x00\x1b\x85",
    b"250-a\r\n\xfe\x62\x06",
    b"250-x\xfd\x80\x0b",
    b"250 x\xfd\x80\x0b\r\n",
    b"250-x\xfd\x7e\x0a\r\n\xfe\x40\xbf",
)
_LONGEST = 2048 + len(b"\r")
_MOST_LINES = 100
_MOST_BYTES = 64 * 1024


@dataclass
class Heard:
    """What came of some bytes. `broken`: they are no replies, from some point on."""

    replies: list[Reply] = field(default_factory=list)
    broken: bool = False
    unread: int = 0
    is_empty: bool = False


def check(data: bytes) -> None:
    """AssertionError where the parser does not do what it promises."""
    whole, reads = given(data, _MOST_SENT)
    expected = naive(whole)
    agree(read([whole]), expected)
    agree(read(reads), expected)
    for reply in expected.replies[:50]:
        _said_again(reply)


def read(reads: list[bytes]) -> Heard:
    """As our client does."""
    parser, heard = ReplyParser(), Heard()
    for data in reads:
        parser.feed(data)
        try:
            while (reply := parser.next_reply()) is not None:
                heard.replies.append(reply)
        except ProtocolError:
            heard.broken = True
            return heard
        assert parser.unread <= _LONGEST
    heard.unread, heard.is_empty = parser.unread, parser.is_empty
    return heard


def naive(data: bytes) -> Heard:
    """One line after the other."""
    heard, said = Heard(), list[bytes]()
    *complete, last = data.split(b"\n")
    for line in complete:
        said.append(line.removesuffix(b"\r"))
        if len(line) > _LONGEST or not _go_on(said):
            heard.broken = True
            return heard
        if said[-1][3:4] != b"-":
            heard.replies.append(_reply(said))
            said = []
    if len(last) > _LONGEST:
        heard.broken = True
    else:
        heard.unread, heard.is_empty = len(last), not last and not said
    return heard


def _go_on(said: list[bytes]) -> bool:
    """Whether these lines are a reply or its beginning."""
    code = said[0][:3]
    return (
        len(said) <= _MOST_LINES
        and sum(map(len, said)) <= _MOST_BYTES
        and len(code) == 3
        and code.isdigit()
        and b"200" <= code <= b"599"
        and all(line[:3] == code and line[3:4] in (b"", b" ", b"-") for line in said)
    )


def _reply(said: list[bytes]) -> Reply:
    code = said[0][:3].decode()
    lines = [line[4:].decode("utf-8", "backslashreplace") for line in said]
    enhanced, _ = _parted(lines[0])
    if enhanced is None or enhanced[0] != code[0]:
        return Reply(int(code), None, tuple(lines))
    texts = (
        text if found == enhanced else line for line in lines for found, text in [_parted(line)]
    )
    return Reply(int(code), enhanced, tuple(texts))


def _parted(line: str) -> tuple[str | None, str]:
    """An enhanced code, and what follows; None where there is none."""
    word = line.replace("\t", " ").split(" ")[0]
    numbers = word.split(".")
    is_enhanced = (
        len(numbers) == 3
        and numbers[0] in ("2", "4", "5")
        and all(1 <= len(n) <= 3 and set(n) <= set("0123456789") for n in numbers[1:])
    )
    return (word, line[len(word) :].lstrip(" \t")) if is_enhanced else (None, line)


def _said_again(reply: Reply) -> None:
    """As Postfix hears it from us: one reply, with the same codes, of printable lines."""
    encoded = reply.encode()
    assert encoded.endswith(b"\r\n")
    for line in encoded.decode("ascii").removesuffix("\r\n").split("\r\n"):
        assert line.isprintable()
        assert len(line) <= 510
    heard = read([encoded])
    assert heard.is_empty
    assert not heard.broken
    [again] = heard.replies
    assert again.code == reply.code
    if reply.code // 100 != 3:
        assert again.status == reply.status
        assert again.encode().split() == encoded.split()
