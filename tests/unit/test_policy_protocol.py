"""The policy delegation protocol: requests in any pieces, bounds, and what is no request."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postconnector.policyd.protocol import (
    MOST_ATTRIBUTES,
    MOST_BYTES,
    Outline,
    ProtocolError,
    Request,
    RequestParser,
    answer,
)

RCPT = (
    b"request=smtpd_access_policy\nprotocol_state=RCPT\nrecipient=bob@contoso.com\n"
    b"size=12345\ninstance=123.456.7\nsasl_username=\n\n"
)


def parse(data: bytes) -> list[Request]:
    return list(RequestParser().feed(data))


def test_a_request_as_postfix_sends_it() -> None:
    assert parse(RCPT) == [
        {
            "request": "smtpd_access_policy",
            "protocol_state": "RCPT",
            "recipient": "bob@contoso.com",
            "size": "12345",
            "instance": "123.456.7",
            "sasl_username": "",
        }
    ]


SAMPLES = sorted((Path(__file__).parent / "policy_requests").glob("*.txt"))
NO_CONTEXT = b"\npolicy_context=\n"
OUR_CONTEXT = b"\npolicy_context=asked-here filtered; scan:[::1]:10025; no_milters\n"
USUAL = [path for path in SAMPLES if NO_CONTEXT in path.read_bytes()]
ALWAYS_THERE = {"protocol_name", "client_address", "helo_name", "sender", "size", "queue_id"}


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_requests_of_all_versions(path: Path) -> None:
    data = path.read_bytes()
    version, _, state = path.stem.partition("-")
    minor = int(version.partition(".")[2])
    first, second = parse(data + data)
    assert first == second
    assert first["request"] == "smtpd_access_policy"
    assert first["protocol_state"] == ("END-OF-MESSAGE" if state.startswith("end") else "RCPT")
    assert first.keys() >= ALWAYS_THERE
    assert first.get("mail_version", version).startswith(version)
    assert len(first) == (31 if minor >= 8 else 29)
    assert "".join(f"{n}={v}\n" for n, v in first.items()) + "\n" == data.decode()


@pytest.mark.parametrize("context", [NO_CONTEXT, OUR_CONTEXT], ids=["none", "ours"])
@pytest.mark.parametrize("path", USUAL, ids=lambda path: path.stem)
def test_requests_of_all_versions_have_an_outline(path: Path, context: bytes) -> None:
    data = path.read_bytes().replace(NO_CONTEXT, context)
    parser = RequestParser()
    assert [parser.outline(data)] == [outline_of(request) for request in parse(data)]
    assert not parser.pending
    for other in (data + data, data[:-1], data[1:], b"a=b\n" + data, data.replace(b"=", b"", 1)):
        assert parser.outline(other) is None
    assert list(parser.feed(data[:10])) == []
    assert parser.outline(data) is None  # it is the rest of another


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"request=smtpd_access_policy", b"request=junk_mail_policy"),
        (b"protocol_state=RCPT", b"protocol_state=DATA"),
        (b"policy_context=", b"policy_context=postconnector-return"),
        (b"\nsize=", b"\nsize=x"),
        (b"\nsize=", b"\nsize=12345678901234567890"),
    ],
)
def test_what_is_not_usual_has_none(old: bytes, new: bytes) -> None:
    for path in USUAL:
        data = path.read_bytes()
        if old in data:
            assert RequestParser().outline(data.replace(old, new)) is None


def outline_of(request: Request) -> Outline:
    return (
        request["protocol_state"],
        request["recipient"],
        request["instance"],
        request["size"],
    )


@settings(max_examples=200)
@given(st.sampled_from(SAMPLES), st.integers(0, 700), st.binary(max_size=5))
def test_an_outline_is_that_of_the_whole_request(path: Path, place: int, put: bytes) -> None:
    usual = path.read_bytes()
    data = usual[:place] + put + usual[place:]
    outline = RequestParser().outline(data)
    parser = RequestParser()
    for before in (usual, data):  # how others went on is remembered
        parser.outline(before)
        assert parser.outline(data) == outline
    if outline is not None:
        [request] = parse(data)
        assert outline == outline_of(request)
        assert request["request"] == "smtpd_access_policy"
        context = request["policy_context"]
        assert not context or context.startswith("asked-")


@pytest.mark.parametrize("length", [10, 10_000])
def test_what_begins_like_the_rest_of_another_has_no_outline(length: int) -> None:
    usual = USUAL[0].read_bytes()
    data = usual.replace(b"\nccert_issuer=", b"\nccert_issuer=" + b"x" * length)
    parser = RequestParser()
    assert parser.outline(data) == parser.outline(usual)
    begins = data.index(b"etrn_domain=")
    for end in range(begins, len(data), length // 10):
        assert parser.outline(data) is not None
        assert parser.outline(data[:end]) is None


def test_values_with_equals_signs_and_other_letters() -> None:
    [path] = [path for path in SAMPLES if path.stem == "3.10-rcpt"]
    [request] = parse(path.read_bytes())
    assert request["sasl_username"] == "alice=sales@contoso.test"
    assert request["sender"] == "älice@contoso.test"


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_the_order_of_attributes_and_unknown_ones_do_not_count(path: Path) -> None:
    """As Postfix sends them they are read in one step; any others must come to the same."""
    data = path.read_bytes()
    [request] = parse(data)
    lines = data.decode().splitlines()[:-1]
    for others in (
        [*lines[1:], lines[0]],
        lines[::-1],
        [*lines, "new_in_3.11=yes"],
        ["new=yes", *lines],
    ):
        [found] = parse("\n".join([*others, "", ""]).encode())
        assert {name: found[name] for name in request} == request
        assert len(found) == len(others)
    for missing in range(len(lines)):
        [found] = parse("\n".join([*lines[:missing], *lines[missing + 1 :], "", ""]).encode())
        assert found == {name: request[name] for name in found}
        assert len(found) == len(lines) - 1


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_broken_line_among_those_of_postfix(path: Path) -> None:
    lines = path.read_bytes().splitlines()[:-1]
    for place in range(len(lines)):
        for broken in (b"nonsense", b"=value", b"\x00"):
            with pytest.raises(ProtocolError):
                parse(b"\n".join([*lines[:place], broken, *lines[place + 1 :], b"", b""]))


@pytest.mark.parametrize(
    ("data", "requests"),
    [
        (b"", []),
        (b"a=b\n", []),
        (b"a=b\n\n", [{"a": "b"}]),
        (b"a=b=c\n\n", [{"a": "b=c"}]),
        (b"a= b \n\n", [{"a": " b "}]),
        (b"a=b\na=c\n\n", [{"a": "c"}]),
        (b"a=b\n\nc=d\n\n", [{"a": "b"}, {"c": "d"}]),
        ("a=bücher\n\n".encode(), [{"a": "bücher"}]),
        (b"a=\xff\n\n", [{"a": "\ufffd"}]),
        (b"a=b\r\n\n", [{"a": "b\r"}]),
        (b"a=\x00\x1b\n\n", [{"a": "\x00\x1b"}]),
    ],
)
def test_requests(data: bytes, requests: list[Request]) -> None:
    assert parse(data) == requests


@pytest.mark.parametrize(
    "data",
    [
        b"\n",
        b"\n\n",
        b"a=b\n\n\n",
        b"nonsense\n\n",
        b"=value\n\n",
        b"a=b\nnonsense\n\n",
        b"GET / HTTP/1.1\r\n\n\n",
        b"EHLO mail.contoso.com\n\n",
        b"x" * (MOST_BYTES + 1),
        b"a=" + b"x" * MOST_BYTES + b"\n\n",
        b"a=b\n" * MOST_ATTRIBUTES + b"a=b\n\n",
    ],
)
def test_what_is_no_request(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse(data)


@pytest.mark.parametrize(
    "data",
    [
        b"a=" + b"x" * (MOST_BYTES - 2) + b"\n\n",
        b"\n".join(b"a%d=b" % n for n in range(MOST_ATTRIBUTES)) + b"\n\n",
        RCPT * 1000,
    ],
)
def test_what_is_just_within_the_bounds(data: bytes) -> None:
    assert len(parse(data)) == data.count(b"\n\n")


def test_what_came_before_nonsense_is_answered() -> None:
    parser = RequestParser()
    requests = parser.feed(b"a=b\n\nnonsense\n\n")
    assert next(requests) == {"a": "b"}
    with pytest.raises(ProtocolError):
        next(requests)


def test_pending() -> None:
    parser = RequestParser()
    assert not parser.pending
    assert list(parser.feed(b"a=b\n")) == []
    assert parser.pending
    assert list(parser.feed(b"\n")) == [{"a": "b"}]
    assert not parser.pending


attributes = st.dictionaries(
    st.from_regex(r"[a-z_]{1,8}", fullmatch=True),
    st.text(st.characters(blacklist_characters="\n", blacklist_categories=["Cs"]), max_size=8),
    min_size=1,
    max_size=5,
)


@settings(max_examples=200)
@given(st.lists(attributes, max_size=5), st.lists(st.integers(0, 300)))
def test_the_pieces_do_not_count(requests: list[Request], cuts: list[int]) -> None:
    data = "".join(
        "".join(f"{name}={value}\n" for name, value in request.items()) + "\n"
        for request in requests
    ).encode()
    parser = RequestParser()
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    found = [
        request
        for start, end in itertools.pairwise(places)
        for request in parser.feed(data[start:end])
    ]
    assert found == requests
    assert not parser.pending


@settings(max_examples=200)
@given(st.binary())
def test_any_bytes_are_requests_or_refused(data: bytes) -> None:
    try:
        requests = parse(data)
    except ProtocolError:
        return
    assert len(requests) == data.count(b"\n\n")
    for request in requests:
        assert all(name and "\n" not in name + value for name, value in request.items())


@pytest.mark.parametrize(
    ("action", "line"),
    [
        ("DUNNO", b"action=DUNNO\n\n"),
        ("552 5.3.4 Größe", "action=552 5.3.4 Größe\n\n".encode()),
    ],
)
def test_answer(action: str, line: bytes) -> None:
    assert answer(action) == line


@pytest.mark.parametrize("action", ["DUNNO\n", "OK\n\naction=REJECT", "a\rb", "a\x00b", "a\u2028b"])
def test_an_answer_is_one_line(action: str) -> None:
    with pytest.raises(ValueError):
        answer(action)
