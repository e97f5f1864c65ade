"""Postfix' policy protocol, beside a reader that goes line by line."""

from dataclasses import dataclass, field

from postconnector.policyd.protocol import (
    MOST_ATTRIBUTES,
    MOST_BYTES,
    ProtocolError,
    Request,
    RequestParser,
    answer,
)
from tests.fuzz.given import agree, given

_MOST_SENT = 80_000
WORDS = (
    b"request=smtpd_access_policy\n",
    b"protocol_state=RCPT\n",
    b"recipient=bob@contoso.test\n",
    b"size=12345\n",
    b"instance=1.2.3\n",
    b"=",
    b"\n\n",
    b"\r\n",
    b"\xc3\xa9",
    b"a=b\n\xfe\xc7\x03\n",
    b"a=b\xfd\x80\x10",
    b"\xfd\x7f\x10\n",
)


@dataclass
class Heard:
    """What came of some bytes. `broken`: they are no requests, from some point on."""

    requests: list[Request] = field(default_factory=list)
    broken: bool = False
    pending: bool = False


def check(data: bytes) -> None:
    """AssertionError where the parser does not do what it promises."""
    whole, reads = given(data, _MOST_SENT)
    expected = naive(whole)
    agree(read([whole]), expected)
    agree(read(reads), expected)
    _written_again(whole, expected)
    for request in expected.requests:
        for value in request.values():
            _answered(value)


def read(reads: list[bytes]) -> Heard:
    """As our server does."""
    parser, heard = RequestParser(), Heard()
    for data in reads:
        try:
            heard.requests.extend(parser.feed(data))
        except ProtocolError:
            heard.broken = True
            return heard
        # One byte more: the first half of the end.
        assert len(parser._buffer) <= MOST_BYTES + 1
    heard.pending = parser.pending
    return heard


def naive(data: bytes) -> Heard:
    """One line after the other."""
    heard, lines = Heard(), list[bytes]()
    *complete, last = data.split(b"\n")
    for line in complete:
        if line:
            lines.append(line)
        elif _is_request(lines):
            heard.requests.append(dict(_attribute(line) for line in lines))
            lines = []
        else:
            heard.broken = True
            return heard
    heard.broken = _size([*lines, last] if last else lines) > MOST_BYTES
    heard.pending = not heard.broken and bool(lines or last)
    return heard


def _is_request(lines: list[bytes]) -> bool:
    return (
        0 < len(lines) <= MOST_ATTRIBUTES
        and _size(lines) <= MOST_BYTES
        and all(line.find(b"=") > 0 for line in lines)
    )


def _size(lines: list[bytes]) -> int:
    return len(b"\n".join(lines))


def _attribute(line: bytes) -> tuple[str, str]:
    at = line.index(b"=")
    return line[:at].decode("utf-8", "replace"), line[at + 1 :].decode("utf-8", "replace")


def _written_again(whole: bytes, heard: Heard) -> None:
    """Requests are what was sent, where no name stands twice and all is UTF-8."""
    written = [
        "".join(f"{name}={value}\n" for name, value in request.items()) + "\n"
        for request in heard.requests
    ]
    told = whole.split(b"\n\n")
    for text, block in zip(written, told, strict=False):
        lines = block.split(b"\n")
        if "\ufffd" not in text and len({line.split(b"=")[0] for line in lines}) == len(lines):
            assert text.encode() == block + b"\n\n"


def _answered(action: str) -> None:
    """An answer is one line, or refused."""
    try:
        line = answer(action)
    except ValueError:
        assert not action.isprintable()
        return
    assert line == f"action={action}\n\n".encode()
    assert len(line.decode().splitlines()) == 2
    assert "\r" not in action
