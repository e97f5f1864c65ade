"""What PowerShell prints for reading: lists of properties, and tables."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postconnector.sources.exported.format_list import read_format_list
from postconnector.sources.exported.format_table import read_format_table
from postconnector.sources.exported.objects import (
    ExportedObject,
    UnreadableExportError,
    Unresolved,
    Value,
)

EXPORTS = Path(__file__).parent / "exports"
TWO = """\
Windows PowerShell
Copyright (C) Microsoft Corporation. All rights reserved.

[PS] C:\\>Get-SendConnector | fl


AddressSpaces                : {SMTP:*;10, smtp:*.fabrikam.com;1}
AuthenticationCredential     :
Comment                      :
ConnectionInactivityTimeOut  : 00:10:00
DNSRoutingEnabled            : False
Enabled                      : True
Fqdn                         : mail.contoso.com
MaxMessageSize               : 35 MB (36,700,160 bytes)
Name                         : Internet: all
SmartHosts                   : {[192.0.2.1], relay.contoso.com}
SmtpMaxMessagesPerConnection : 20
SourceTransportServers       : {EX01, EX02, EX03, EX04...}

AddressSpaces : {}
Name          : Partner

[PS] C:\\>
"""


def test_two_connectors_between_prompts() -> None:
    assert read_format_list(TWO) == [
        ExportedObject(
            {
                "AddressSpaces": ["SMTP:*;10", "smtp:*.fabrikam.com;1"],
                "AuthenticationCredential": None,
                "Comment": None,
                "ConnectionInactivityTimeOut": "00:10:00",
                "DNSRoutingEnabled": False,
                "Enabled": True,
                "Fqdn": "mail.contoso.com",
                "MaxMessageSize": "35 MB (36,700,160 bytes)",
                "Name": "Internet: all",
                "SmartHosts": ["[192.0.2.1]", "relay.contoso.com"],
                "SmtpMaxMessagesPerConnection": "20",
                "SourceTransportServers": ["EX01", "EX02", "EX03", "EX04", Unresolved("...")],
            },
            line=7,
        ),
        ExportedObject({"AddressSpaces": [], "Name": "Partner"}, line=20),
    ]
    assert read_format_list(TWO.replace("\n", "\r\n")) == read_format_list(TWO)
    assert read_format_list(TWO.replace("\n", " \n")) == read_format_list(TWO)


def test_sample_of_an_inbound_connector() -> None:
    text = (EXPORTS / "exo-inboundconnector-format-list-full.txt").read_text()
    (connector,) = read_format_list(text)
    properties = connector.properties
    assert (connector.line, len(properties)) == (1, 39)
    assert properties["SenderDomains"] == ["smtp:*;1"]
    assert properties["Comment"] is None
    assert properties["RestrictDomainsToIPAddresses"] is True
    assert properties["ExchangeVersion"] == "0.1 (8.0.535.0)"
    assert properties["WhenChanged"] == "01.02.2017 19:07:42"
    assert properties["ObjectClass"] == ["top", "msExchSMTPInboundConnector"]


WRAPPED = """\
Name               : Outbound to Office 365
TlsCertificateName : <I>CN=GeoTrust TLS DV RSA Mixed
                     SHA256 2020 CA-1, O=DigiCert Inc,
                     C=US<S>CN=mail.contoso.com
DistinguishedName  : CN=Outbound,CN=Connection,CN=Exchange
                     Routing Group (DWBGZMFDQNBR),CN=Routin
                     g-Groups-Of-The-Organization,DC=contos
                     o,DC=com
SmartHosts         : {relay1.contoso.com,
                     relay2.contoso.com}
Enabled            : True
"""


def test_wrapped_values_are_joined() -> None:
    (connector,) = read_format_list(WRAPPED)
    assert connector.properties == {
        "Name": "Outbound to Office 365",
        "TlsCertificateName": "<I>CN=GeoTrust TLS DV RSA Mixed SHA256 2020 CA-1, O=DigiCert Inc, "
        "C=US<S>CN=mail.contoso.com",
        "DistinguishedName": "CN=Outbound,CN=Connection,CN=Exchange "
        "Routing Group (DWBGZMFDQNBR),CN=Routing-Groups-Of-The-Organization,"
        "DC=contoso,DC=com",
        "SmartHosts": ["relay1.contoso.com", "relay2.contoso.com"],
        "Enabled": True,
    }


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("Get-SendConnector : The term is not recognized\n", []),
        ("Name    : A\nEnabled : True\nName    : B\nEnabled : True\n", [(1, "A"), (3, "B")]),
        ("Name : A\nName : B\n", [(1, "A"), (2, "B")]),
        ("Name : A\n\n\nName : B", [(1, "A"), (4, "B")]),
        ("Name : A\nNext connector:\nName : B", [(1, "A"), (3, "B")]),
        ("PS C:\\> Get-SendConnector | fl Name\n\n  Name : A\n", [(3, "A")]),
        ("Start: 10:00\nC:\\>dir\nhttp://x\nName: no\nName : A", [(5, "A")]),
        (
            "*" * 22
            + "\nWindows PowerShell transcript start\nUsername  : CONTOSO\\admin\n"
            + "*" * 22
            + "\nName : A\n"
            + "*" * 22
            + "\nWindows PowerShell transcript end\nEnd : 10\n"
            + "*" * 22,
            [(5, "A")],
        ),
        ("****** PowerShell ******\n*******\nPowerShell\n\nName : A", [(5, "A")]),
    ],
)
def test_where_objects_begin(text: str, names: list[tuple[int, str]]) -> None:
    assert [(one.line, one.properties["Name"]) for one in read_format_list(text)] == names


@pytest.mark.parametrize(
    ("printed", "value"),
    [
        ("", None),
        ("True", True),
        ("False", False),
        ("true", "true"),
        ("25", "25"),
        ("{}", []),
        ("{a}", ["a"]),
        ("{a,b, c}", ["a,b", "c"]),
        ("{...}", [Unresolved("...")]),
        ("{a, b...}", ["a", "b", Unresolved("...")]),
        ("{a, b\u2026}", ["a", "b", Unresolved("...")]),
        ("{a, b, ...}", ["a", "b", Unresolved("...")]),
        ("{a", "{a"),
        ("a...", "a..."),
        ("a : b : c", "a : b : c"),
    ],
)
def test_values(printed: str, value: Value) -> None:
    (one,) = read_format_list(f"Enabled : True\nValue   : {printed}\n")
    assert one.properties == {"Enabled": True, "Value": value}


def test_sample_table_with_moved_columns() -> None:
    assert read_format_table((EXPORTS / "format-table-default.txt").read_text()) == [
        ExportedObject(
            {"Identity": "Dis-email", "AddressSpaces": ["SMTP:*;1"], "Enabled": True}, line=3
        )
    ]


TABLES = """\
[PS] C:\\>Get-SendConnector

Identity                                AddressSpaces                              Enabled
--------                                -------------                              -------
Outbound to Office 365 - 177cd94d-be... {smtp:contoso.mail.onmicrosoft.com;1}      True
Internet mail                           {SMTP:*;10, smtp:*.fabrikam.com;1, smtp... False
Edge                                    {...                                       True
Empty

[PS] C:\\>Get-SendConnector | ft Name,Port,"Source Servers"
Name       Port Source Servers
----       ---- --------------
Internet     25 {EX01}
Partner co 2525 {EX01, EX02}
[PS] C:\\>exit
"""


def test_tables_below_their_dashes() -> None:
    result = read_format_table(TABLES)
    assert [one.line for one in result] == [5, 6, 7, 8, 13, 14]
    assert [dict(one.properties) for one in result] == [
        {
            "Identity": Unresolved("Outbound to Office 365 - 177cd94d-be..."),
            "AddressSpaces": ["smtp:contoso.mail.onmicrosoft.com;1"],
            "Enabled": True,
        },
        {
            "Identity": "Internet mail",
            "AddressSpaces": ["SMTP:*;10", "smtp:*.fabrikam.com;1", Unresolved("...")],
            "Enabled": False,
        },
        {"Identity": "Edge", "AddressSpaces": [Unresolved("...")], "Enabled": True},
        {"Identity": "Empty", "AddressSpaces": None, "Enabled": None},
        {"Name": "Internet", "Port": "25", "Source Servers": ["EX01"]},
        {"Name": "Partner co", "Port": "2525", "Source Servers": ["EX01", "EX02"]},
    ]


@pytest.mark.parametrize(
    ("row", "cells"),
    [
        ("Dis-email {SMTP:*;1}    True", ("Dis-email", ["SMTP:*;1"], True)),
        (
            "To the Internet {SMTP:*;1, a.b;2} False",
            ("To the Internet", ["SMTP:*;1", "a.b;2"], False),
        ),
    ],
)
def test_rows_that_do_not_fit_the_header(row: str, cells: tuple[Value, ...]) -> None:
    header = "Identity       AddressSpaces Enabled\n--------       ------------- -------\n"
    (one,) = read_format_table(header + row)
    assert tuple(one.properties.values()) == cells


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("A         B C\n-         - -\n    x\n", 3),
        ("\n" + "A " * 65 + "\n" + "- " * 65, 3),
    ],
)
def test_tables_that_cannot_be_read(text: str, line: int) -> None:
    with pytest.raises(UnreadableExportError) as caught:
        read_format_table(text)
    assert caught.value.line == line


@pytest.mark.parametrize(
    "text", ["", "Title\n=====\n", "My title\n--------\ntext", "---\nx: 1\n---\n"]
)
def test_no_tables(text: str) -> None:
    assert read_format_table(text) == []


words = st.text("abTrue09;.*-", min_size=1, max_size=12)


@given(
    st.lists(st.lists(words, min_size=1, max_size=20).map(" ".join), min_size=1, max_size=3),
    st.integers(40, 80),
    st.booleans(),
)
def test_values_wrapped_at_blanks_are_read_back(
    values: list[str], width: int, loses_blanks: bool
) -> None:
    printed = "".join(f"P{n} : " + _wrapped(value, width) for n, value in enumerate(values))
    if loses_blanks:
        printed = printed.replace(" \n", "\n")
    (one,) = read_format_list(printed)
    expected = [{"True": True, "False": False}.get(value, value) for value in values]
    assert list(one.properties.values()) == expected


def _wrapped(value: str, width: int) -> str:
    lines = [""]
    for word in value.split(" "):
        if lines[-1] and len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] += word + " "
    return "\n     ".join(lines) + "\n"


@given(st.text(st.sampled_from("aN1 :-{}.,*\n\u2026")))
def test_random_text_is_read_or_refused(text: str) -> None:
    read_format_list(text)
    try:
        read_format_table(text)
    except UnreadableExportError as error:
        assert error.line is not None


@pytest.mark.parametrize("unit", [" ", "Name : v\n", "N : \n     x\n", "---- ", "{", "*****\n"])
def test_long_hostile_text_is_read_or_refused(unit: str) -> None:
    read_format_list(unit * (40_000 // len(unit)))
    with suppress(UnreadableExportError):
        read_format_table(unit * (40_000 // len(unit)))
