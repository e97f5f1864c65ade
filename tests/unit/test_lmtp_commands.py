"""Command lines of LMTP: what is one, what is refused, and by which reply."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postconnector.delivery.envelope import EnvelopeRecipient
from postconnector.delivery.lmtp.command_error import CommandError
from postconnector.delivery.lmtp.commands import (
    Command,
    Lhlo,
    Mail,
    Rcpt,
    Word,
    Xforward,
    parse_command,
)


def to(address: str, notify: str | None = None, orcpt: str | None = None) -> Rcpt:
    return Rcpt(EnvelopeRecipient(address, notify, orcpt))


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("LHLO mail.contoso.com", Lhlo("mail.contoso.com")),
        ("lhlo [127.0.0.1]", Lhlo("[127.0.0.1]")),
        ("DATA", Word.DATA),
        ("data  ", Word.DATA),
        ("RSET", Word.RSET),
        ("NOOP whatever", Word.NOOP),
        ("VRFY bob", Word.VRFY),
        ("QUIT", Word.QUIT),
        ("MAIL FROM:<>", Mail("")),
        ("mail from: <alice@contoso.com>", Mail("alice@contoso.com")),
        ("MAIL FROM:<@a.test,@b.test:alice@contoso.com>", Mail("alice@contoso.com")),
        ("MAIL FROM:<a@b.test> SIZE=0", Mail("a@b.test", 0)),
        ("MAIL FROM:<a@b.test> size=12345 body=8bitmime", Mail("a@b.test", 12345, "8BITMIME")),
        (
            "MAIL FROM:<a@b.test>  RET=HDRS  ENVID=QQ+2B1 BODY=7BIT",
            Mail("a@b.test", body="7BIT", ret="HDRS", envid="QQ+2B1"),
        ),
        ("MAIL FROM:<a@b.test> REQUIRETLS", Mail("a@b.test", requiretls=True)),
        ("MAIL FROM:<é@bücher.test> SMTPUTF8", Mail("é@bücher.test", smtputf8=True)),
        ("MAIL FROM:<é@bücher.test> BODY=8BITMIME", Mail("é@bücher.test", body="8BITMIME")),
        ("RCPT TO:<é@x.test>", Rcpt(EnvelopeRecipient("é@x.test"))),
        (f"MAIL FROM:<{'v' * 400}@b.test>", Mail(f"{'v' * 400}@b.test")),
        ("RCPT TO:<bob@fabrikam.com>", to("bob@fabrikam.com")),
        ("RCPT TO:<Postmaster>", to("Postmaster")),
        ("RCPT TO:<bob@[192.0.2.1]>", to("bob@[192.0.2.1]")),
        ("RCPT TO:<bob@[IPv6:2001:db8::1]>", to("bob@[IPv6:2001:db8::1]")),
        ("RCPT TO:<a..b.@docomo.test>", to("a..b.@docomo.test")),
        ('RCPT TO:<"a b>c@d\\"e"@x.test>', to('"a b>c@d\\"e"@x.test')),
        ('RCPT TO:<""@x.test>', to('""@x.test')),
        ("RCPT TO:<IMCEAFAX-+2B1@x.test>", to("IMCEAFAX-+2B1@x.test")),
        ("RCPT TO:<b@_x.test> NOTIFY=never", to("b@_x.test", "never")),
        ("RCPT TO:<b@x.test> NOTIFY=SUCCESS,DELAY", to("b@x.test", "SUCCESS,DELAY")),
        (
            "RCPT TO:<b@x.test> ORCPT=rfc822;b+2Bc@x.test",
            to("b@x.test", orcpt="rfc822;b+2Bc@x.test"),
        ),
        (
            "XFORWARD NAME=mx.test ADDR=IPv6:2001:db8::1 IDENT=4Q7 HELO=[UNAVAILABLE]",
            Xforward({"NAME": "mx.test", "ADDR": "IPv6:2001:db8::1", "IDENT": "4Q7", "HELO": ""}),
        ),
        ("xforward helo=a+20b+1Bc+C3+A9", Xforward({"HELO": "a b\\x1bc\\xe9"})),
    ],
)
def test_commands(line: str, command: Command) -> None:
    assert parse_command(line.encode()) == command


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("", "500 5.5.2"),
        ("HELLO", "500 5.5.2"),
        (" NOOP", "500 5.5.2"),
        ("NOOP\tx", "500 5.5.2"),
        ("NOOP\nMAIL FROM:<>", "500 5.5.2"),
        ("NOOP\rx", "500 5.5.2"),
        ("NOOP\x00", "500 5.5.2"),
        ("NOOP \x9b31m", "500 5.5.2"),
        ("RCPT TO:<b\u2028@x.test>", "500 5.5.2"),
        ("HELO x.test", "500 5.5.1"),
        ("EHLO x.test", "500 5.5.1"),
        ("STARTTLS", "502 5.5.1"),
        ("EXPN all", "502 5.5.1"),
        ("LHLO", "501 5.5.4"),
        ("LHLO a b", "501 5.5.4"),
        ("LHLO bücher.test", "501 5.5.4"),
        ("DATA now", "501 5.5.4"),
        ("QUIT now", "501 5.5.4"),
        ("MAIL", "501 5.5.4"),
        ("MAIL TO:<a@b.test>", "501 5.5.4"),
        ("MAIL FROM:a@b.test", "501 5.5.4"),
        ("MAIL FROM:<a@b.test", "501 5.5.4"),
        ("MAIL FROM:<a@b.test>SIZE=1", "501 5.5.4"),
        ("MAIL FROM:<<a@b.test>>", "501 5.5.4"),
        ("MAIL FROM:<a@b.test> SIZE=", "501 5.5.4"),
        ("MAIL FROM:<a@b.test> SIZE", "501 5.5.4"),
        ("MAIL FROM:<a@b.test> SIZE=-1", "501 5.5.4"),
        ("MAIL FROM:<a@b.test> SIZE=123456789012345678901", "501 5.5.4"),
        ("MAIL FROM:<a@b.test> SIZE=1 size=1", "501 5.5.4"),
        ("MAIL FROM:<a@b.test> BODY=BINARYMIME", "501 5.5.4"),
        ("MAIL FROM:<a@b.test> RET=ALL", "501 5.5.4"),
        ("MAIL FROM:<a@b.test> ENVID=", "501 5.5.4"),
        ("MAIL FROM:<a@b.test> ENVID=a+", "501 5.5.4"),
        ("MAIL FROM:<a@b.test> ENVID=a+2b", "501 5.5.4"),
        ("MAIL FROM:<a@b.test> ENVID=a=b", "501 5.5.4"),
        ("MAIL FROM:<a@b.test> SMTPUTF8=1", "501 5.5.4"),
        ("MAIL FROM:<a@b.test> REQUIRETLS=no", "501 5.5.4"),
        ("MAIL FROM:<a@b.test> =", "501 5.5.4"),
        ("MAIL FROM:<a@b.test> ü=1", "501 5.5.4"),
        ("MAIL FROM:<a@b.test> AUTH=<>", "555 5.5.4"),
        ("MAIL FROM:<a@b.test> NOTIFY=NEVER", "555 5.5.4"),
        ("MAIL FROM:<alice>", "501 5.1.7"),
        ("MAIL FROM:<@b.test>", "501 5.1.7"),
        ("MAIL FROM:<a@>", "501 5.1.7"),
        ("MAIL FROM:<a@b@c.test>", "501 5.1.7"),
        ("MAIL FROM:<a b@c.test>", "501 5.1.7"),
        ("RCPT TO:<>", "501 5.1.3"),
        ("RCPT TO:<bob>", "501 5.1.3"),
        ("RCPT TO:<b@x..test>", "501 5.1.3"),
        ("RCPT TO:<b@x.test.>", "501 5.1.3"),
        ("RCPT TO:<b@[]>", "501 5.1.3"),
        ('RCPT TO:<"b@x.test>', "501 5.5.4"),
        ('RCPT TO:<a"b"@x.test>', "501 5.1.3"),
        (f"RCPT TO:<b@{'x' * 256}>", "501 5.1.3"),
        (f"RCPT TO:<{'b' * 1030}@x.test>", "501 5.1.3"),
        ("RCPT TO:<b@x.test> NOTIFY=NEVER,DELAY", "501 5.5.4"),
        ("RCPT TO:<b@x.test> NOTIFY=DELAY,DELAY", "501 5.5.4"),
        ("RCPT TO:<b@x.test> NOTIFY=", "501 5.5.4"),
        ("RCPT TO:<b@x.test> NOTIFY=SOMETIMES", "501 5.5.4"),
        ("RCPT TO:<b@x.test> ORCPT=b@x.test", "501 5.5.4"),
        ("RCPT TO:<b@x.test> ORCPT=rfc822;", "501 5.5.4"),
        ("RCPT TO:<b@x.test> ORCPT=utf-8;é@x.test", "501 5.5.4"),
        ("RCPT TO:<b@x.test> SIZE=1", "555 5.5.4"),
        ("XFORWARD", "501 5.5.4"),
        ("XFORWARD COLOUR=red", "501 5.5.4"),
        ("XFORWARD NAME", "501 5.5.4"),
        ("XFORWARD NAME=a+2", "501 5.5.4"),
    ],
)
def test_refusals(line: str, status: str) -> None:
    with pytest.raises(CommandError) as error:
        parse_command(line.encode())
    assert f"{error.value.reply.code} {error.value.reply.enhanced}" == status


def test_what_is_not_utf8_is_refused() -> None:
    with pytest.raises(CommandError) as error:
        parse_command(b"MAIL FROM:<\xe9@b.test> SMTPUTF8")
    assert error.value.reply.code == 500


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("RCPT TO:<é@bücher.test>", to("é@bücher.test")),
        ('RCPT TO:<"é b"@x.test>', to('"é b"@x.test')),
        ("RCPT TO:<b@x.test> ORCPT=utf-8;é@x.test", to("b@x.test", orcpt="utf-8;é@x.test")),
        ("RCPT TO:<b@x.test> ORCPT=rfc822;b@x.test", to("b@x.test", orcpt="rfc822;b@x.test")),
    ],
)
def test_recipients_with_smtputf8(line: str, command: Command) -> None:
    assert parse_command(line.encode(), smtputf8=True) == command


def test_no_value_of_a_client_stands_in_a_reply() -> None:
    for line in (b"MAIL FROM:<xyzzy>", b"XYZZY", b"MAIL FROM:<> XYZZY", b"XFORWARD XYZZY=1"):
        with pytest.raises(CommandError) as error:
            parse_command(line)
        assert "xyzzy" not in str(error.value.reply).lower()


words = st.sampled_from(
    [
        *("MAIL FROM:", "RCPT TO:", "XFORWARD ", "SIZE=1", "ORCPT=", "NOTIFY=", "IDENT="),
        *("rfc822;", "+2B", "<", ">", '"', "\\", "@", "a", "é", ".", ":", " ", "[", "]", "="),
    ]
)


@settings(max_examples=300)
@given(st.binary(max_size=60) | st.lists(words, max_size=20).map(lambda w: "".join(w).encode()))
def test_any_line_is_a_command_or_refused(line: bytes) -> None:
    try:
        command = parse_command(line, smtputf8=True)
    except CommandError as error:
        assert error.reply.is_permanent
        return
    address = ""
    if isinstance(command, Rcpt):
        address = command.recipient.address
    elif isinstance(command, Mail):
        address = command.sender
    assert not set(address) & set("\r\n\x00")
