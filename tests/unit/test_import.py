"""Exports become connectors files; what is broken or hostile is refused with a reason."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli

from postconnector.cli.main import main
from postconnector.sources.exported.clixml import read_clixml
from postconnector.sources.exported.formats import read_export
from postconnector.sources.exported.objects import UnreadableExportError

EXPORTS = Path(__file__).parent / "exports"
NAMESPACE = "http://schemas.microsoft.com/powershell/2004/04"
TYPE = "Microsoft.Exchange.Data.Directory.SystemConfiguration.SmtpSendConnectorConfig"

Capture = pytest.CaptureFixture[str]


def clixml(*objects: str) -> bytes:
    inner = "".join(objects)
    return f'<Objs Version="1.1.0.1" xmlns="{NAMESPACE}">{inner}</Objs>'.encode()


def clixml_connector(inner: str, reference: int = 0) -> str:
    return (
        f'<Obj RefId="{reference}"><TN RefId="{reference}"><T>Deserialized.{TYPE}</T></TN>'
        f"<ToString>X</ToString><Props>{inner}</Props></Obj>"
    )


class Imported:
    """What import made of a file."""

    def __init__(self, status: int, output: str, report: str) -> None:
        self.status = status
        self.output = output
        self.report = report

    @property
    def document(self) -> dict[str, Any]:
        return tomli.loads(self.output)

    @property
    def connectors(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.document["send_connector"]
        return found


Importer = Callable[[bytes], Imported]


@pytest.fixture
def imported(tmp_path: Path, capsys: Capture) -> Importer:
    def run(data: bytes) -> Imported:
        file = tmp_path / "export"
        file.write_bytes(data)
        status = main(["import", str(file)])
        output = capsys.readouterr()
        return Imported(status, output.out, output.err)

    return run


# --- Real exports


def test_clixml_of_exchange_2019(imported: Importer) -> None:
    result = imported((EXPORTS / "clixml-e2019-mail-to-o365.xml").read_bytes())
    assert result.status == os.EX_OK
    assert result.document == {
        "organization": {"exchange_version": "2016"},
        "send_connector": [
            {
                "name": "Mail to O365",
                "address_spaces": ["SMTP:*;1"],
                "source_transport_servers": ["WIN-CTD3L0RGEN4"],
                "max_message_size": "35 MB (36,700,160 bytes)",
                "dns_routing_enabled": False,
                "smart_hosts": ["microsoft-com.mail.protection.outlook.com"],
                "tls_certificate_name": "<I>CN=localhost<S>CN=localhost",
                "cloud_services_mail_enabled": True,
            }
        ],
    }
    assert "private key" in result.report
    assert "KB 2663556" in result.report
    assert "error" not in result.report


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-16-le", "utf-16-be"])
def test_encodings_of_windows(imported: Importer, encoding: str) -> None:
    text = (EXPORTS / "clixml-e2019-mail-to-o365.xml").read_text("utf-8-sig")
    assert imported(text.encode(encoding)).connectors[0]["name"] == "Mail to O365"


SMALL_JSON = {
    "Name": "Partner",
    "Enabled": True,
    "AddressSpaces": ["SMTP:fabrikam.com;1", "SMTP:*.fabrikam.com;5"],
    "SmartHosts": ["[10.1.1.1]"],
    "DNSRoutingEnabled": False,
    "MaxMessageSize": "10 MB (10,485,760 bytes)",
    "Port": 587,
    "SmartHostAuthMechanism": "None",
    "Fqdn": "mail.contoso.com",
    "RequireTLS": True,
    "IgnoreSTARTTLS": False,
    "TlsAuthLevel": "DomainValidation",
    "TlsDomain": "mail.fabrikam.com",
    "WhenChanged": "/Date(1648051230000)/",
    "Identity": "Partner",
}
SMALL_TOML = {
    "name": "Partner",
    "address_spaces": ["SMTP:fabrikam.com;1", "SMTP:*.fabrikam.com;5"],
    "max_message_size": "10 MB (10,485,760 bytes)",
    "dns_routing_enabled": False,
    "smart_hosts": ["[10.1.1.1]"],
    "port": 587,
    "fqdn": "mail.contoso.com",
    "require_tls": True,
    "tls_auth_level": "DomainValidation",
    "tls_domain": "mail.fabrikam.com",
}


def csv_export(joined: str, delimiter: str) -> bytes:
    cells = {
        name: joined.join(value) if isinstance(value, list) else str(value)
        for name, value in SMALL_JSON.items()
    }
    quoted = [[f'"{cell}"' for cell in row] for row in (cells, cells.values())]
    lines = ["#TYPE Selected." + TYPE, *(delimiter.join(row) for row in quoted)]
    return ("\r\n".join(lines) + "\r\n").encode("utf-8-sig")


def format_list() -> bytes:
    lines = [
        f"{name:<30} : " + ("{" + ", ".join(value) + "}" if isinstance(value, list) else str(value))
        for name, value in SMALL_JSON.items()
    ]
    return ("\r\n\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode("utf-16")


@pytest.mark.parametrize(
    "data",
    [
        json.dumps(SMALL_JSON).encode(),
        json.dumps([SMALL_JSON]).encode("utf-16"),
        json.dumps({"value": [SMALL_JSON], "Count": 1}).encode("utf-8-sig"),
        json.dumps({"SendConnectors": [SMALL_JSON]}).encode(),
        json.dumps(
            {**SMALL_JSON, "AddressSpaces": {"value": SMALL_JSON["AddressSpaces"], "Count": 2}}
        ).encode(),
        json.dumps(
            {**SMALL_JSON, "AddressSpaces": "SMTP:fabrikam.com;1 SMTP:*.fabrikam.com;5"}
        ).encode(),
        csv_export("|", ","),
        csv_export(", ", ";"),
        csv_export("\n", "\t"),
        format_list(),
    ],
    ids=[
        "object",
        "list",
        "wrapped",
        "ours",
        "wrapped-list",
        "joined",
        "csv|",
        "csv;",
        "tab",
        "fl",
    ],
)
def test_every_format_says_the_same(imported: Importer, data: bytes) -> None:
    result = imported(data)
    assert result.status == os.EX_OK, result.report
    assert result.connectors == [SMALL_TOML]
    assert "needs you" not in result.report


def test_objects_of_convert_to_json_with_depth(imported: Importer) -> None:
    result = imported(
        json.dumps(
            {
                **SMALL_JSON,
                "AddressSpaces": [
                    {"Type": "SMTP", "Address": "fabrikam.com", "Cost": 1, "IsSmtpType": True},
                    {"Type": "SMTP", "Address": "*.fabrikam.com", "Cost": 5, "IsSmtpType": True},
                ],
                "SmartHosts": [
                    {
                        "Address": {"IPAddressToString": "10.1.1.1", "Address": 16843018},
                        "IsIPAddress": True,
                        "Domain": None,
                    }
                ],
                "MaxMessageSize": {"IsUnlimited": False, "Value": SMALL_JSON["MaxMessageSize"]},
                "Fqdn": {"Domain": "mail.contoso.com", "IsDefault": False},
                "ConnectionInactivityTimeOut": {"Ticks": 6000000000, "TotalMinutes": 10.0},
                "SourceIPAddress": {"IPAddressToString": "0.0.0.0", "Address": 0},
                "ErrorPolicies": 0,
            }
        ).encode()
    )
    assert result.connectors == [{**SMALL_TOML, "smart_hosts": ["10.1.1.1"]}]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("AddressSpaces", "SMTP:a.b;1;SMTP:c.d;5", ["SMTP:a.b;1", "SMTP:c.d;5"]),
        ("AddressSpaces", "X400:c=US;a= ;p=X;5", ["X400:c=US;a= ;p=X;5"]),
        ("AddressSpaces", "{SMTP:a.b;1, SMTP:c.d;5}", ["SMTP:a.b;1", "SMTP:c.d;5"]),
        ("SmartHosts", "a.b;[10.0.0.1] c.d", ["a.b", "[10.0.0.1]", "c.d"]),
        ("MaxMessageSize", "25 MB (26.214.400 bytes)", "25 MB (26,214,400 bytes)"),
        ("MaxMessageSize", "25 MB (26\u202f214\u202f400 bytes)", "25 MB (26,214,400 bytes)"),
        ("MaxMessageSize", "25 MB (26'214'400 bytes)", "25 MB (26,214,400 bytes)"),
        ("MaxMessageSize", "Unlimited", "Unlimited"),
        ("Port", "587", 587),
        ("RequireTLS", "True", True),
    ],
)
def test_values_as_other_people_print_them(
    imported: Importer, name: str, value: str, expected: object
) -> None:
    field = {"AddressSpaces": "address_spaces", "SmartHosts": "smart_hosts", "Port": "port"}
    field |= {"MaxMessageSize": "max_message_size", "RequireTLS": "require_tls"}
    result = imported(json.dumps({**SMALL_JSON, name: value}).encode())
    assert result.connectors[0][field[name]] == expected


def test_format_list_of_exchange_2010_on_a_german_server(imported: Importer) -> None:
    result = imported((EXPORTS / "format-list-exchange-2010-german.txt").read_bytes())
    assert result.document["organization"] == {"exchange_version": "2010"}
    assert result.connectors == [
        {
            "name": "Internet",
            "address_spaces": ["SMTP:*;1"],
            "source_transport_servers": ["EX01"],
            "max_message_size": "10 MB (10,485,760 bytes)",
            "dns_routing_enabled": False,
            "smart_hosts": ["smtp.isp.com", "[10.0.0.1]"],
            "fqdn": "mail.domain.com",
        },
        {
            "name": "Partner",
            "address_spaces": [
                "? smtp:fabrikam.com;1, smtp:*.fabrikam.com;1, smtp:a.com;1, smtp:b.com;1, ..."
            ],
            "require_tls": True,
            "tls_auth_level": "DomainValidation",
        },
    ]
    assert "cut off after smtp:fabrikam.com;1, smtp:*.fabrikam.com;1" in result.report
    assert "check will refuse the file" in result.report


def test_a_demand_on_tls_never_disappears(imported: Importer) -> None:
    """Even where the file would be right without it."""
    demand: dict[str, object] = {
        "TlsAuthLevel": 2,
        "TlsDomain": None,
        "DNSRoutingEnabled": True,
        "SmartHosts": [],
    }
    result = imported(json.dumps({**SMALL_JSON, **demand}).encode())
    assert result.connectors[0]["tls_auth_level"] == "? 2"
    assert "check will refuse the file" in result.report


def test_parameters_that_nobody_knows_are_missed(imported: Importer) -> None:
    result = imported(b"New-SendConnector @params -Name A -AddressSpaces '*'")
    assert "@params: what these parameters say is not in the file" in result.report


# --- What is not whole


def test_what_an_export_does_not_show_is_reported(imported: Importer) -> None:
    result = imported((EXPORTS / "format-table-default.txt").read_bytes())
    assert result.connectors == [{"name": "Dis-email", "address_spaces": ["SMTP:*;1"]}]
    assert "does not show DNSRoutingEnabled, SmartHosts" in result.report
    assert "RequireTLS" in result.report
    assert "# NEEDS YOU:" in result.output


def test_who_has_smart_hosts_does_not_route_by_dns(imported: Importer) -> None:
    partial = {"Name": "Relay", "AddressSpaces": ["SMTP:*;1"], "SmartHosts": ["relay.contoso.com"]}
    result = imported(json.dumps(partial).encode())
    assert result.connectors[0]["dns_routing_enabled"] is False
    assert "does not show Enabled, Port" in result.report
    assert "check will refuse" not in result.report


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("AddressSpaces", "Microsoft.Exchange.Data.MultiValuedProperty`1[System.String]", "type"),
        ("SmartHosts", "System.Collections.ArrayList", "the name of a type"),
        ("TlsAuthLevel", 3, "the number 3 instead of a word"),
        ("MaxMessageSize", {"Odd": 1}, "an object whose form is not known"),
    ],
)
def test_a_value_that_is_not_there_is_said_to_be_missing(
    imported: Importer, name: str, value: object, message: str
) -> None:
    result = imported(json.dumps({**SMALL_JSON, name: value}).encode())
    assert message in result.report
    assert "check will refuse the file" in result.report
    assert result.status == os.EX_OK


def test_smart_hosts_that_the_list_lost_are_taken_from_their_text(imported: Importer) -> None:
    lost = {**SMALL_JSON, "SmartHosts": "System.Object[]", "SmartHostsString": "[10.1.1.1],a.b"}
    assert imported(json.dumps(lost).encode()).connectors[0]["smart_hosts"] == ["[10.1.1.1]", "a.b"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("MaxMessageSize", "many"), ("TlsAuthLevel", "Strict"), ("RequireTLS", "maybe")],
)
def test_what_means_nothing_stays_for_check_to_refuse(
    imported: Importer, name: str, value: str
) -> None:
    result = imported(json.dumps({**SMALL_JSON, name: value}).encode())
    assert f'"{value}"' in result.output
    assert "check will refuse the file" in result.report


def test_credentials(imported: Importer) -> None:
    credential = (
        '<Obj N="AuthenticationCredential" RefId="1"><TN RefId="1">'
        "<T>System.Management.Automation.PSCredential</T></TN><ToString>PSCredential</ToString>"
        '<Props><S N="UserName">contoso\\relay</S><SS N="Password">730065006300720065007400</SS>'
        "</Props></Obj>"
    )
    connector = clixml_connector(
        '<S N="Name">Relay</S>'
        '<Obj N="AddressSpaces" RefId="2"><LST><S>SMTP:*;1</S></LST></Obj>'
        '<B N="DNSRoutingEnabled">false</B>'
        '<Obj N="SmartHosts" RefId="3"><LST><S>relay.contoso.com</S></LST></Obj>'
        f'<S N="SmartHostAuthMechanism">BasicAuthRequireTLS</S>{credential}'
    )
    result = imported(clixml(connector))
    assert result.connectors[0]["authentication_credential"] == {
        "user_name": "contoso\\relay",
        "password_file": "secrets/relay",
    }
    assert "7300" not in result.output + result.report
    assert "write the password of contoso\\relay to secrets/relay" in result.report


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("a Receive connector", {"Name": "Default", "Bindings": ["0.0.0.0:25"]}),
        ("an Inbound connector", {"Name": "In", "SenderDomains": ["smtp:*;1"]}),
        ("an Outbound connector", {"Name": "Out", "RecipientDomains": ["*"], "UseMXRecord": True}),
        ("a Foreign connector", {"Name": "Fax", "AddressSpaces": [], "DropDirectory": "x"}),
    ],
)
def test_other_connectors_are_not_taken(
    imported: Importer, kind: str, properties: dict[str, object]
) -> None:
    result = imported(json.dumps([properties, SMALL_JSON]).encode())
    assert [c["name"] for c in result.connectors] == ["Partner"]
    assert f"this is {kind}" in result.report
    assert imported(json.dumps(properties).encode()).status == os.EX_DATAERR


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("-IsCoexistenceConnector $true", "IsCoexistenceConnector: dropped in Exchange 2013"),
        ("-LinkedReceiveConnector 'EX\\Default'", "point the MX record"),
        ("-MaxMessageSize 20MB -Credential (Get-Credential)", "Credential: "),
        ("-Frobnicate 1", "Frobnicate: not a property of Send connectors"),
    ],
)
def test_what_has_no_equal_is_left_out_with_the_reason(
    imported: Importer, command: str, message: str
) -> None:
    result = imported(f"New-SendConnector -Name A -AddressSpaces '*' {command}".encode())
    assert message in result.report.split("left out:")[1]


def test_a_script_is_what_its_commands_come_to(imported: Importer) -> None:
    result = imported(
        b"New-SendConnector -Name 'To X' -Internet -AddressSpaces 'x.com','y.com;5'\r\n"
        b"Set-SendConnector 'To X' -MaxMessageSize 20MB -RequireTLS:$true\r\n"
        b"Set-SendConnector -Identity 'To X' -AddressSpaces @{Add='z.com'; Remove='x.com'}\r\n"
        b"Get-SendConnector 'To X' | Set-SendConnector -Name 'To Z'\r\n"
    )
    assert result.connectors == [
        {
            "name": "To Z",
            "usage": "Internet",
            "address_spaces": ["y.com;5", "z.com"],
            "max_message_size": "20MB",
            "require_tls": True,
        }
    ]


def test_changes_alone_are_said_to_be_just_that(imported: Importer) -> None:
    result = imported(b"Set-SendConnector -Identity X -AddressSpaces '*' -Port 26")
    assert result.connectors == [{"name": "X", "address_spaces": ["*"], "port": 26}]
    assert "only changes are known" in result.report


# --- Hostile and broken


def nested(depth: int) -> bytes:
    return clixml('<Obj RefId="0"><LST>' * depth + "</LST></Obj>" * depth)


def doubling(levels: int) -> bytes:
    objects = ['<Obj RefId="0"><LST><S>x</S></LST></Obj>']
    for level in range(1, levels):
        twice = f'<Ref RefId="{level - 1}" />' * 2
        objects.append(f'<Obj RefId="{level}"><LST>{twice}</LST></Obj>')
    return clixml(*objects)


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa">'
    + "".join(
        f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + f']><Objs xmlns="{NAMESPACE}"><S>&i;</S></Objs>'
).encode()
OUTSIDE = (
    '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    f'<Objs xmlns="{NAMESPACE}"><S>&e;</S></Objs>'
).encode()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (BOMB, "document type declaration"),
        (OUTSIDE, "document type declaration"),
        (BOMB.decode().encode("utf-16"), "document type declaration"),
        (nested(100), "nested too deeply"),
        (nested(200_000), "nested too deeply"),
        (doubling(60), "references repeat too much"),
        (clixml('<Obj RefId="0"><LST><Ref RefId="0" /></LST></Obj>'), "refers to itself"),
        (clixml('<Obj RefId="0"><Props><Ref N="A" RefId="9" /></Props></Obj>'), "no object"),
        (clixml(clixml_connector(f'<S N="Name">{"x" * (65 * 1024**2)}</S>')), "larger than 64 MB"),
        (clixml("<Nil />" * 500_001), "more than 500000 elements"),
        (clixml("<S>a</S>")[:-3], "not XML"),
        (clixml("<S>a</B>"), "mismatched tag"),
        (clixml("<S>\x01</S>"), "not XML"),
        (b"<html><body>Sign in</body></html>", "not what Export-Clixml writes"),
        (b'<Objs xmlns="urn:other"></Objs>', "not what Export-Clixml writes"),
        (b"<?xml version='1.0' encoding='utf-7'?><Objs/>\x00", "binary"),
        (b"PK\x03\x04\x00\x00\x00\x00", "binary"),
        (b"\xff\xfe\x00", "not UTF-16"),
        (b"", "no export of Send connectors"),
        (b"   \n", "no export of Send connectors"),
        (b"Dear Bob,\nhere are the connectors.\n", "no export of Send connectors"),
        (b"[[send_connector]]\nname = 'A'\n", "a connectors file already"),
        (b'{"Name": ', "not JSON"),
        (b'{"Name": ' + b"9" * 5000 + b"}", "too many digits"),
        (b"[" * 100_000, "nested too deeply"),
        (b'["a", "b"]', "no list of objects"),
        (b'"Name","Enabled"\n"A","True","x"\n', "3 cells, where the header has 2"),
        (b'"Name","Enabled"\n"A,"b\n', "not CSV"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refused(imported: Importer, data: bytes, message: str) -> None:
    result = imported(data)
    assert result.status == os.EX_DATAERR
    assert message in result.report
    assert result.output == ""


def test_the_line_of_what_is_broken_is_named() -> None:
    with pytest.raises(UnreadableExportError) as refusal:
        read_clixml(clixml("\n\n<Obj RefId='1'>\n<LST><Ref RefId='7'/></LST></Obj>"))
    assert refusal.value.line == 4


def test_binary_data_is_passed_over_and_escapes_are_read() -> None:
    inner = (
        '<S N="Comment">a_x000A_b_x005F_x000A__xD83D__xDE00_</S><BA N="SerializationData">AAEA</BA>'
        '<I32 N="Port">25</I32><I64 N="Huge">99999999999999999999999</I64><Nil N="Fqdn" />'
        '<Obj N="D" RefId="5"><DCT><En><S N="Key">k</S><I32 N="Value">1</I32></En></DCT></Obj>'
        '<Obj N="E" RefId="6"><LST /></Obj><Ref N="F" RefId="6" />'
        '<Obj N="G" RefId="7"><TNRef RefId="0" /><I32>3</I32></Obj>'
    )
    (found,) = read_clixml(clixml(clixml_connector(inner)))
    assert found.type_name == TYPE
    assert dict(found.properties) == {
        "Comment": "a\nb_x000A_\U0001f600",
        "Port": 25,
        "Huge": "99999999999999999999999",
        "Fqdn": None,
        "D": {"k": 1},
        "E": [],
        "F": [],
        "G": 3,
    }


def test_objects_in_a_list_are_several() -> None:
    one, two = (clixml_connector(f'<S N="Name">{n}</S>', n) for n in (1, 2))
    for data in (clixml(one, two), clixml(f'<Obj RefId="9"><LST>{one}{two}</LST></Obj>')):
        export = read_export(data)
        assert [dict(o.properties) for o in export.objects] == [{"Name": "1"}, {"Name": "2"}]


# --- The command


def test_output_file_is_made_and_never_written_over(tmp_path: Path, capsys: Capture) -> None:
    export, target = tmp_path / "e.json", tmp_path / "connectors.toml"
    export.write_text(json.dumps(SMALL_JSON))
    assert main(["import", str(export), "-o", str(target)]) == os.EX_OK
    assert capsys.readouterr().out == ""
    assert main(["check", "-c", str(target)]) == os.EX_OK
    before = target.read_bytes()
    assert main(["import", str(export), "-o", str(target)]) == os.EX_CANTCREAT
    assert "is there already" in capsys.readouterr().err
    assert target.read_bytes() == before
    assert main(["import", str(tmp_path / "none"), "-o", str(target)]) == os.EX_NOINPUT
    target.write_text("")
    assert main(["import", str(export), "-o", str(target)]) == os.EX_OK
    assert target.read_bytes() == before


def test_an_export_says_nothing_to_the_terminal(imported: Importer) -> None:
    hostile = {**SMALL_JSON, "Name": "A\x1b]0;x\x07", "Odd\x1b[2J": 1, "Comment": 'x"\n[host]\n'}
    result = imported(json.dumps(hostile).encode())
    assert "\x1b" not in result.report + result.output
    assert "[host]" not in result.output.splitlines()
