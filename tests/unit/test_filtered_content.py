"""A message behind the header firewall: what leaves is what Postfix would let leave, byte for byte.

What Postfix would do is told here by its patterns and by mime_state(3) written down again, line by
line; tests/delivery/test_filtered_content.py asks Postfix itself about the same messages.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postconnector.delivery.content import Content
from postconnector.delivery.filtered_content import filtered
from postconnector.delivery.header import LARGEST_HEADER, HeaderTooLargeError
from postconnector.enforcement.header_firewall import CrossPremises, HeaderFirewall
from postconnector.postfix.header_checks import header_patterns

FIREWALLS = [
    HeaderFirewall(organization, routing, cross_premises)
    for organization, routing in itertools.product((False, True), repeat=2)
    for cross_premises in CrossPremises
]
OPEN = HeaderFirewall(True, True, CrossPremises.AS_THEY_ARE)
CLOSED = HeaderFirewall(False, False, CrossPremises.REMOVED)
CLOUD = HeaderFirewall(False, True, CrossPremises.MADE)

MESSAGES = {
    "ordinary": b"Received: from a by b;\r\n\tTue, 24 Nov 2026\r\nFrom: alice@contoso.com\r\n"
    b"X-MS-Exchange-Organization-SCL: -1\r\nSubject: x\r\n\r\nReceived: in the body\r\n",
    "nothing of Exchange's": b"From: alice@contoso.com\r\nSubject: x\r\n\r\nbody\r\n",
    "folded": b"X-MS-Exchange-Organization-AuthSource:\r\n EX1.contoso.com\r\n\t\r\n  (x)\r\n"
    b"To: b\r\n\r\nbody\r\n",
    "names in the folds": b"Comments: x\r\n Received: x\r\n\tX-MS-Exchange-Forest-A: x\r\n"
    b"\r\nbody\r\n",
    "odd letters": b"rEcEiVeD: x\r\nx-ms-exchange-ORGANIZATION-scl: 1\r\n"
    b"X-MS-EXCHANGE-CROSSPREMISES-A: x\r\nRESENT-to: x\r\n\r\n",
    "blanks before the colon": b"Received : x\r\nX-MS-Exchange-Organization-SCL \t : 1\r\n"
    b"Resent-Bcc\t:\r\nX-MS-Exchange-Forest- :x\r\nSubject : x\r\n\r\nbody\r\n",
    "neighbours": b"X-Received: x\r\nReceived-SPF: x\r\nResent-Reply-To: x\r\nResent-: x\r\n"
    b"X-MS-Exchange-Organizational-Unit: x\r\nX-MS-Exchange-Organization: x\r\n"
    b"X-MS-Exchange-Organization-SCL-Other: x\r\nX-MS-Exchange-Organization-AuthA: x\r\n\r\n",
    "crossing": b"X-MS-Exchange-Organization-SCL: -1\r\n"
    b"x-ms-exchange-organization-bcc:c@a.com,\r\n d@a.com\r\n"
    b"X-MS-Exchange-CrossPremises-SCL: 9\r\nX-MS-Exchange-Organization-AuthDomain: a.com\r\n"
    b"X-MS-Exchange-Organization-Mapi-Admin-Submission:\r\n\r\nbody\r\n",
    "of parts": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nReceived: x\r\n"
    b"\r\nx\r\n--b\r\nContent-Type: message/rfc822\r\n"
    b"\r\nX-MS-Exchange-Organization-SCL: 1\r\n\r\nx\r\n--b--\r\n",
    "no header": b"\r\nReceived: x\r\n\r\nX-MS-Exchange-Organization-SCL: 1\r\n",
    "no header, no blank line": b"hello there\r\nReceived: x\r\n",
    "no body": b"Subject: x\r\nReceived: x\r\n",
    "no body and nothing left": b"Received: x\r\n",
    "no line end": b"Subject: x\r\nReceived: x\r\n and more",
    "no line end in the header that stays": b"Received: x\r\nSubject: x",
    "nothing": b"",
    "one blank line": b"\r\n",
    "a line of a mailbox first": b"From alice Tue Nov 24 01:02:03 2026\r\nReceived: x\r\nTo: b\r\n"
    b"\r\nx\r\n",
    "more of them": b">From alice Tue Nov\r\n>>From bob\r\nReceived: x\r\n\r\nFrom alice\r\n"
    b"Received: x\r\n",
    "one of them later": b"To: b\r\nFrom alice Tue Nov 24\r\nReceived: body\r\n",
    "a line without a colon": b"Received: x\r\nTo: b\r\nnonsense\r\nReceived: body\r\n",
    "a colon after a blank": b"To: b\r\nnon sense: x\r\nReceived: body\r\n",
    "a colon first": b"To: b\r\n: x\r\nReceived: body\r\n",
    "controls in a name": b"Received: x\r\nRece\x01ived: body\r\nReceived: body\r\n",
    "an 8-bit name": "Received: x\r\nTö: b\r\nReceived: body\r\n".encode(),
    "8-bit text": "Received: ö\r\nSubject: ö\r\n ö\r\n\r\nö\r\n".encode(),
    "line ends without CR": b"To: b\nReceived: x\n x\nX-MS-Exchange-Forest-A: x\n\nbody\n",
    "mixed line ends": b"To: b\r\nReceived: x\n x\r\nSubject: y\nX-MS-Exchange-Forest-A: x\r\n\n",
    "CR alone": b"To: b\rReceived: x\r\nReceived: x\rTo: b\r\n\r\n",
    "two CRs": b"To: b\r\nReceived: x\r\r\nTo: b\r\n\r\r\nReceived: body\r\n",
    "a line of blanks": b"To: b\r\n \r\nReceived: x\r\n\t \r\nSubject: x\r\n\r\n",
    "long": b"X-MS-Exchange-Organization-Antispam-Report: " + b"x" * 99_000 + b"\r\nTo: b\r\n\r\n",
    "many": b"Received: x\r\nTo: b\r\n" * 500 + b"\r\nReceived: body\r\n",
}


Patterns = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Text:
    """A message in memory, read in pieces of `step` bytes."""

    data: bytes
    step: int = 64 * 1024

    @property
    def size(self) -> int:
        return len(self.data)

    @property
    def is_8bit(self) -> bool:
        return not self.data.isascii()

    @property
    def has_8bit_header(self) -> bool:
        fields, _ = header_of(self.data)
        return not b"".join(fields).isascii()

    def chunks(self) -> Iterator[bytes]:
        return (self.data[start : start + self.step] for start in range(0, self.size, self.step))


def read(content: Content) -> bytes:
    pieces = list(content.chunks())
    assert all(0 < len(piece) <= 64 * 1024 for piece in pieces)
    data = b"".join(pieces)
    assert content.size == len(data)
    assert content.is_8bit == (not data.isascii())
    return data


def header_of(data: bytes) -> tuple[list[bytes], bytes]:
    """The header as mime_state(3) reads it: fields and what else there is, and the rest."""
    lines = re.findall(rb"[^\n]*\n|[^\n]+", data)
    found: list[bytes] = []
    while lines and re.match(rb">*From ", lines[0]) and b"\n" in lines[0]:
        found.append(lines.pop(0))  # to smtpd(8) they are Mailbox-Line headers
    while lines:
        if found and lines[0][:1] in (b" ", b"\t"):
            found[-1] += lines.pop(0)
        elif re.match(rb"[!-9;-~]+[ \t]*:", lines[0]):
            found.append(lines.pop(0))
        else:
            break
    return found, b"".join(lines)


def as_postfix(data: bytes, firewall: HeaderFirewall) -> bytes:
    """The message when each of its headers went through the patterns."""
    fields, rest = header_of(data)
    patterns = header_patterns(firewall)
    return b"".join(after for each in fields if (after := _checked(each, patterns))) + rest


def _checked(field: bytes, patterns: Patterns) -> bytes | None:
    action = action_for(field, patterns)
    if action is None:
        return field
    word, _, text = action.partition(b" ")
    return text if word == b"REPLACE" else None


def action_for(field: bytes, patterns: Patterns) -> bytes | None:
    """What regexp_table(5) has for a header."""
    for pattern, action in patterns:
        match = re.match(pattern[1:-1].encode(), shown(field), re.IGNORECASE | re.DOTALL)
        if match is not None:
            return match.expand(action.encode().replace(b"$", b"\\"))
    return None


def shown(field: bytes) -> bytes:
    """A header as tables are asked for it."""
    return re.sub(rb"^([!-9;-~]+)[ \t]+:", rb"\1:", field)


@pytest.mark.parametrize("firewall", FIREWALLS, ids=str)
@pytest.mark.parametrize("name", MESSAGES)
def test_what_leaves_is_what_postfix_lets_leave(name: str, firewall: HeaderFirewall) -> None:
    data = MESSAGES[name]
    wanted = as_postfix(data, firewall)
    assert read(filtered(Text(data), firewall)) == wanted
    assert read(filtered(Text(data, step=7 + len(data) // 50), firewall)) == wanted


def test_the_table_by_hand() -> None:
    """Of what the patterns say here, some in plain sight."""

    def leaving(name: str, firewall: HeaderFirewall) -> bytes:
        return read(filtered(Text(MESSAGES[name]), firewall))

    assert leaving("ordinary", CLOSED) == (
        b"From: alice@contoso.com\r\nSubject: x\r\n\r\nReceived: in the body\r\n"
    )
    assert leaving("blanks before the colon", CLOSED) == b"Subject : x\r\n\r\nbody\r\n"
    assert leaving("crossing", CLOUD) == (
        b"X-MS-Exchange-CrossPremises-SCL: -1\r\nX-MS-Exchange-CrossPremises-bcc:c@a.com,\r\n"
        b" d@a.com\r\nX-MS-Exchange-CrossPremises-SCL: 9\r\n"
        b"X-MS-Exchange-CrossPremises-Mapi-Admin-Submission:\r\n\r\nbody\r\n"
    )
    assert leaving("blanks before the colon", CLOUD) == (
        b"Received : x\r\nX-MS-Exchange-CrossPremises-SCL: 1\r\nResent-Bcc\t:\r\nSubject : x\r\n"
        b"\r\nbody\r\n"
    )
    assert leaving("a line of a mailbox first", CLOSED) == (
        b"From alice Tue Nov 24 01:02:03 2026\r\nTo: b\r\n\r\nx\r\n"
    )
    assert leaving("no body and nothing left", CLOSED) == b""


LINES = st.sampled_from(
    [
        b"Received: x",
        b"received\t : x",
        b"X-MS-Exchange-Organization-SCL: 1",
        b"x-ms-exchange-organization-scl :1",
        b"X-MS-Exchange-Forest-A:",
        b"X-MS-Exchange-CrossPremises-SCL: \xc3\xb6",
        b"Subject: \xc3\xb6",
        b"From alice",
        b">From x",
        b" Received: x",
        b"\t",
        b"nonsense",
        b": x",
        b"x",
        b"",
        b"\r",
        b"\x7fTo: b",
    ]
)


@given(
    st.lists(st.tuples(LINES, st.sampled_from([b"\r\n", b"\r\n", b"\n"])), max_size=12),
    LINES,
    st.integers(1, 40),
    st.sampled_from(FIREWALLS),
)
def test_any_lines_in_any_pieces(
    lines: list[tuple[bytes, bytes]], last: bytes, step: int, firewall: HeaderFirewall
) -> None:
    data = b"".join(line + end for line, end in lines) + last
    if data[:1] in (b" ", b"\t"):
        data = b"To: b\r\n" + data  # Postfix' server takes that for a body; see the test below
    content = filtered(Text(data, step), firewall)
    assert read(content) == as_postfix(data, firewall)


def test_a_message_that_begins_with_a_fold_is_filtered_all_the_same() -> None:
    """Who reads it may skip that line; to Postfix' server it begins the body."""
    assert (
        read(filtered(Text(b" x\r\nReceived: x\r\nTo: b\r\n\r\n"), CLOSED))
        == b" x\r\nTo: b\r\n\r\n"
    )


@pytest.mark.parametrize("name", MESSAGES)
def test_an_open_firewall_lets_the_message_pass_as_it_is(name: str) -> None:
    content = Text(MESSAGES[name])
    assert filtered(content, OPEN) is content


@pytest.mark.parametrize("name", ["nothing of Exchange's", "of parts", "no header", "nothing"])
def test_where_nothing_is_to_be_done_the_message_is_the_same(name: str) -> None:
    content = Text(MESSAGES[name])
    assert filtered(content, CLOSED) is content


@pytest.mark.parametrize(
    ("data", "is_8bit", "has_8bit_header"),
    [
        ("Received: ö\r\nTo: b\r\n\r\nbody\r\n", False, False),
        ("Received: ö\r\nTo: b\r\n\r\nbödy\r\n", True, False),
        ("Received: ö\r\nTo: ö\r\n\r\nbody\r\n", True, True),
        ("Received: x\r\nTo: ö\r\n\r\nbody\r\n", True, True),
        ("Received: x\r\nTo: b\r\n\r\nbödy\r\n", True, False),
        ("Received: ö\r\nTo: b\r\n\r\n" + "x" * 200_000 + "ö\r\n", True, False),
    ],
)
def test_what_is_8bit_afterwards(data: str, is_8bit: bool, has_8bit_header: bool) -> None:
    content = filtered(Text(data.encode()), CLOSED)
    assert (content.is_8bit, content.has_8bit_header) == (is_8bit, has_8bit_header)
    read(content)


def test_it_is_read_from_the_beginning_each_time() -> None:
    content = filtered(Text(MESSAGES["ordinary"], step=10), CLOSED)
    half_read = content.chunks()
    next(half_read)
    assert read(content) == read(content) == as_postfix(MESSAGES["ordinary"], CLOSED)


def header_of_size(size: int, end: bytes) -> bytes:
    first = b"Received: x\r\n"
    return first + b"To: " + b"x" * (size - len(first) - 6) + b"\r\n" + end


@pytest.mark.parametrize("step", [50_000, 64 * 1024, LARGEST_HEADER])
def test_a_header_that_is_too_large_never_leaves(step: int) -> None:
    """At the limit the line that ends it is counted, which is the blank one."""
    data = header_of_size(LARGEST_HEADER - 1, b"\r\n" + b"body\r\n" * 20_000)
    assert read(filtered(Text(data, step), CLOSED)) == data.removeprefix(b"Received: x\r\n")
    for size, end in ((LARGEST_HEADER, b"\r\n"), (2 * LARGEST_HEADER, b""), (2**20 + 1, b"")):
        large = Text(header_of_size(size, end), step)
        assert filtered(large, OPEN) is large
        with pytest.raises(HeaderTooLargeError) as caught:
            filtered(large, CLOSED)
    assert (caught.value.reply.code, caught.value.reply.enhanced) == (552, "5.3.4")


def test_a_body_has_no_limit() -> None:
    line = b"Received: x" * 100 + b"\r\n"
    content = Text(b"To: b\r\n\r\n" + line * 2_000)
    assert filtered(content, CLOSED) is content
