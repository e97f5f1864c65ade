"""PowerShell's literals: what they mean, and that nothing else is ever taken for one."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postconnector.sources.exported.objects import UnreadableExportError, Unresolved, Value
from postconnector.sources.exported.powershell_values import parse_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("25", 25),
        ("-1", -1),
        ("0", 0),
        ("007", "007"),
        ("9" * 30, "9" * 30),
        ("25MB", "25MB"),
        ("00:10:00", "00:10:00"),
        ("1.00:00:00", "1.00:00:00"),
        ("*", "*"),
        ("--", "--"),
        ("mail.contoso.com", "mail.contoso.com"),
        ("  mail.contoso.com\r\n", "mail.contoso.com"),
        ("[192.0.2.1]", "[192.0.2.1]"),
        ("smtp`:contoso", "smtp:contoso"),
        ("C:\\Certs\\mail.cer", "C:\\Certs\\mail.cer"),
        ("'25'", "25"),
        ("''", ""),
        ("'SMTP:*;1'", "SMTP:*;1"),
        ("'it''s $true'", "it's $true"),
        ('"SMTP:*;1"', "SMTP:*;1"),
        ('"say ""hi"""', 'say "hi"'),
        ('"a`"b`$c`n`t`q``"', 'a"b$c\n\tq`'),
        ('"100 $"', "100 $"),
        ('"one\ntwo"', "one\ntwo"),
        ("\u2018SMTP:*;1\u2019", "SMTP:*;1"),
        ("\u201cTo \u2018Fabrikam\u2019\u201d", "To \u2018Fabrikam\u2019"),
        ("$true", True),
        ("$False", False),
        ("$NULL", None),
        ("a,b", ["a", "b"]),
        ("'a', \"b\" ,\n  3", ["a", "b", 3]),
        ("mail1.contoso.com, `\n  mail2.contoso.com", ["mail1.contoso.com", "mail2.contoso.com"]),
        ("('SMTP:*;5')", "SMTP:*;5"),
        ('("SMTP:contoso.com;1", "SMTP:*;5")', ["SMTP:contoso.com;1", "SMTP:*;5"]),
        ("@()", []),
        ("@('a')", ["a"]),
        ("@('a','b')", ["a", "b"]),
        ("@(\n  'a' # first\n  'b'; 'c',\n 'd'\n)", ["a", "b", "c", "d"]),
        ("@(25, $true, <# none #> $null)", [25, True, None]),
        ("@('a', $Node.B)", ["a", Unresolved("$Node.B")]),
        ('@{Add="x";Remove="y","z"}', {"Add": "x", "Remove": ["y", "z"]}),
        ("@{}", {}),
        ("@{\n 'a b' = 1\n\n c = @{ d = 25MB }\n}", {"a b": 1, "c": {"d": "25MB"}}),
        (
            "@{ Name = Get-Name -For 'x;y'; Port = 2 + \n 3 }",
            {"Name": Unresolved("Get-Name -For 'x;y'"), "Port": Unresolved("2 + \n 3")},
        ),
        ("@'\nit's\n\"this\"\n'@", 'it\'s\n"this"'),
        ('@"\nplain\n"@', "plain"),
    ],
)
def test_literals(text: str, value: Value) -> None:
    result = parse_value(text)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "$name",
        "${my name}",
        "$Node.ProdAddressSpace",
        "$x[0]",
        "$env:COMPUTERNAME",
        "$_",
        "$",
        "(Get-Credential)",
        "(Get-SendConnector 'Internet').SmartHosts",
        "($servers)",
        "@($servers)",
        "@(Get-TransportService | Where-Object { $_.Name -like 'EX*' })",
        "@params",
        "$(Get-Date)",
        "()",
        '"To $name"',
        '"<I>$($cert.Issuer)<S>$($cert.Subject)"',
        '"$("a" + \'"\')"',
        "smtp:$domain",
        "'a' + 'b'",
        "'a'.ToUpper()",
        "25 MB",
        "[string]$x",
        "{ $_.Enabled }",
        "<connector name>",
        'a"b"',
        '@"\nTo $name\n"@',
    ],
)
def test_what_only_a_shell_knows(text: str) -> None:
    assert parse_value(text) == Unresolved(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        (" \n", 1),
        ("|", 1),
        ("a,", 1),
        ("'a", 1),
        ("'a''", 1),
        ('"a', 1),
        ('"a`"', 1),
        ('"$(a"', 1),
        ("a,\n  'b", 2),
        ("@(1\n2", 1),
        ("(1\n2", 1),
        ("@{a=1", 1),
        ("@{a=1;A=2}", 1),
        ("@{a=1\n  b 2}", 2),
        ("@{a=1\n  =2}", 2),
        ("@{a=}", 1),
        ("@(})", 1),
        ("{ a", 1),
        ("a <# b", 1),
        ("@'\na", 1),
        ("(" * 33 + ")" * 33, 1),
        ("@(" * 33 + ")" * 33, 1),
        ("{" * 33 + "}" * 33, 1),
        ('"$(' * 33 + ')"' * 33, 1),
        ("(" * 100_000, 1),
    ],
)
def test_unreadable(text: str, line: int) -> None:
    with pytest.raises(UnreadableExportError) as caught:
        parse_value(text)
    assert caught.value.line == line


def test_nesting_within_the_bound() -> None:
    assert parse_value("(" * 32 + "1" + ")" * 32) == 1


def in_single_quotes(text: str) -> str:
    for quote in "'\u2018\u2019\u201a\u201b":
        text = text.replace(quote, quote * 2)
    return f"'{text}'"


def in_double_quotes(text: str) -> str:
    return (
        '"'
        + "".join("`" + char if char in '`$"\u201c\u201d\u201e' else char for char in text)
        + '"'
    )


texts = st.text(st.characters(exclude_characters="\r", exclude_categories=["Cs"]), max_size=30)


@given(st.lists(texts, min_size=1, max_size=5), st.sampled_from([", ", ",", ",\n ", " , `\n"]))
def test_quoted_texts_are_read_back(values: list[str], comma: str) -> None:
    expected = values if len(values) > 1 else values[0]
    assert parse_value(comma.join(map(in_single_quotes, values))) == expected
    assert parse_value(comma.join(map(in_double_quotes, values))) == expected
    assert parse_value(f"@({comma.join(map(in_single_quotes, values))})") == values


@settings(max_examples=100)
@given(st.lists(st.sampled_from([*"abAB01'\"`$(){}@#<>=,;|&-. \n", "\u2019", "\u201d", "$true"])))
def test_random_text_is_read_or_refused(pieces: list[str]) -> None:
    try:
        parse_value("".join(pieces))
    except UnreadableExportError as error:
        assert error.line is not None


@pytest.mark.parametrize("unit", ["'", '"', '"$(', "a,", "@(", "@{a=", "`\n", "(", "#\n", "$a "])
def test_long_hostile_text_is_read_or_refused(unit: str) -> None:
    with suppress(UnreadableExportError):
        parse_value(unit * (20_000 // len(unit)))
