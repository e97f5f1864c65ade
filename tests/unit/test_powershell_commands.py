"""New-SendConnector and Set-SendConnector wherever people have them; declarations for DSC."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postconnector.sources.exported.dsc import read_dsc
from postconnector.sources.exported.objects import ExportedObject, UnreadableExportError, Unresolved
from postconnector.sources.exported.powershell_commands import read_commands

EXPORTS = Path(__file__).parent / "exports"


def new(line: int, **properties: Any) -> ExportedObject:
    return ExportedObject(properties, line=line, command="New-SendConnector")


def changed(line: int, **properties: Any) -> ExportedObject:
    return ExportedObject(properties, line=line, command="Set-SendConnector")


def test_sample_of_the_hybrid_configuration_wizard() -> None:
    assert read_commands((EXPORTS / "hcw-new-sendconnector-e2016.ps1.txt").read_text()) == [
        new(
            1,
            Name="Outbound to Office 365 - 177cd94d-be11-44e9-b09f-db69389f3a35",
            AddressSpaces="smtp:contoso.mail.onmicrosoft.com;1",
            DNSRoutingEnabled=True,
            ErrorPolicies="Default",
            Fqdn="mail.contoso.ca",
            RequireTLS=True,
            IgnoreSTARTTLS=False,
            SourceTransportServers="E2016-01",
            SmartHosts=None,
            TLSAuthLevel="DomainValidation",
            DomainSecureEnabled=False,
            TLSDomain="mail.protection.outlook.com",
            CloudServicesMailEnabled=True,
            TLSCertificateName="<I>CN=GeoTrust TLS DV RSA Mixed SHA256 2020 CA-1, O=DigiCert Inc,"
            " C=US<S>CN=mail.contoso.ca",
        )
    ]


def test_sample_of_a_script() -> None:
    assert read_commands((EXPORTS / "new-sendconnector-vmex19a.ps1.txt").read_text()) == [
        new(
            1,
            Name="Internet email PS",
            Usage="Internet",
            SourceTransportServers="VMEX19A",
            DNSRoutingEnabled=True,
            AddressSpaces="SMTP:*;5",
            IsScopedConnector=False,
            UseExternalDNSServersEnabled=False,
        )
    ]


LOG = """\
2021.01.20 10:21:46.870         10276 [Client=UX, Session=OnPremises, Cmdlet=Get-SendConnector, \
Thread=20] START Get-SendConnector
2021.01.20 10:21:47.001         10277 [Client=UX, Session=OnPremises, Cmdlet=Get-SendConnector, \
Thread=20] FINISH Time=131.2ms Results=2
2021.01.20 10:21:47.125         10277 [Client=UX, Session=OnPremises, Cmdlet=Set-SendConnector, \
Thread=20] START Set-SendConnector -Identity 'Outbound to Office 365 - 177c' -AddressSpaces \
'smtp:contoso.mail.onmicrosoft.com;1','smtp:o''hara.com;2' -DNSRoutingEnabled: $true \
-SmartHosts $null -SourceTransportServers EX01,EX02
2021.01.20 10:21:48.125 *ERROR* 10224 [Client=UX, Session=OnPremises, Cmdlet=Set-SendConnector, \
Thread=20] FINISH Time=1000.0ms Results=PowerShell failed to invoke 'Set-SendConnector': can't
   at Microsoft.Online.CSE.Hybrid.Session.RunCommand(String cmdlet, {
[1/29/2014 17:34:55] INFO:Running command: set-sendconnector -Identity 'Out' -Fqdn mail.contoso.com
[1/29/2014 17:34:55] INFO:Cmdlet: Set-SendConnector --Start Time: 1/29/2014 5:34:55 PM.
"""


def test_logs_of_the_wizards() -> None:
    expected = [
        changed(
            3,
            Identity="Outbound to Office 365 - 177c",
            AddressSpaces=["smtp:contoso.mail.onmicrosoft.com;1", "smtp:o'hara.com;2"],
            DNSRoutingEnabled=True,
            SmartHosts=None,
            SourceTransportServers=["EX01", "EX02"],
        ),
        changed(6, Identity="Out", Fqdn="mail.contoso.com"),
    ]
    assert read_commands(LOG) == expected
    assert read_commands(LOG.replace("\n", "\r\n")) == expected


def test_a_truncated_log_line_is_told_by_its_number() -> None:
    with pytest.raises(UnreadableExportError) as caught:
        read_commands(LOG.replace("'smtp:o''hara.com;2'", "'smtp:o''hara.com;2"))
    assert caught.value.line == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (
            'NEW-sendconnector -name "Internet" -Internet -addressspaces "*" -Force',
            [new(1, name="Internet", Internet=True, addressspaces="*", Force=True)],
        ),
        (
            "New-SendConnector Internet -AddressSpaces:* -Port:25 -MaxMessageSize: 25MB",
            [new(1, Name="Internet", AddressSpaces="*", Port=25, MaxMessageSize="25MB")],
        ),
        (
            "New-SendConnector -Custom 'To Fabrikam' -AddressSpaces fabrikam.com,*.fabrikam.com",
            [
                new(
                    1,
                    Name="To Fabrikam",
                    Custom=True,
                    AddressSpaces=["fabrikam.com", "*.fabrikam.com"],
                )
            ],
        ),
        (
            '[PS] C:\\>Set-SendConnector "Contoso.com Send Connector" -MaxMessageSize 10MB\n'
            "PS C:\\Users\\admin> Set-SendConnector X -Confirm:$false -WhatIf\n"
            "[ex01.contoso.com]: PS C:\\> Set-SendConnector Y `\n>> -Port 26\n>>\n",
            [
                changed(1, Identity="Contoso.com Send Connector", MaxMessageSize="10MB"),
                changed(2, Identity="X", Confirm=False, WhatIf=True),
                changed(3, Identity="Y", Port=26),
            ],
        ),
        (
            "New-SendConnector \u2013Name \u201cInternet\u201d \u2013AddressSpaces \u2018*\u2019",
            [new(1, Name="Internet", AddressSpaces="*")],
        ),
        (
            "# New-SendConnector -Name A -Port 1\n<#\nNew-SendConnector -Name B -Port 1\n#>\n"
            "New-SendConnector -Name 'C#1' `\n    -AddressSpaces 'a;1',\n       'b;2' `  \n"
            "    -SmartHosts @(\n  '192.0.2.1' # first\n  '192.0.2.2'\n) -Port 25 # the end\n",
            [
                new(
                    5,
                    Name="C#1",
                    AddressSpaces=["a;1", "b;2"],
                    SmartHosts=["192.0.2.1", "192.0.2.2"],
                    Port=25,
                )
            ],
        ),
        (
            "Set-SendConnector A -Port 1; Set-SendConnector B -Port 2 | Out-Null\n"
            "Set-SendConnector C -Port 3 > $null",
            [
                changed(1, Identity="A", Port=1),
                changed(1, Identity="B", Port=2),
                changed(2, Identity="C", Port=3),
            ],
        ),
        (
            "Set-SendConnector X -AddressSpaces @{Add='a.com';Remove='b.com','c.com'} -Comment ''",
            [
                changed(
                    1,
                    Identity="X",
                    AddressSpaces={"Add": "a.com", "Remove": ["b.com", "c.com"]},
                    Comment="",
                )
            ],
        ),
        (
            "New-SendConnector -Name X -AddressSpaces -- -AuthenticationCredential (Get-Credential)"
            " -SourceTransportServers <your server>",
            [
                new(
                    1,
                    Name="X",
                    AddressSpaces="--",
                    AuthenticationCredential=Unresolved("(Get-Credential)"),
                    SourceTransportServers=Unresolved("<your server>"),
                )
            ],
        ),
        (
            "if (-not (Get-SendConnector X -ErrorAction SilentlyContinue)) {\n"
            "  try { $c = New-SendConnector -Name X -AddressSpaces * }\n"
            '  catch { Write-Host "Failed: $($_.Exception.Message)" }\n}',
            [new(2, Name="X", AddressSpaces="*")],
        ),
        (
            "$text = @'\nNew-SendConnector -Name A -Port 1\n'@\n"
            'Write-Host "Run: New-SendConnector -Name B -Port 1; New-SendConnector C -Port 1"',
            [],
        ),
        (
            "New-SendConnector\n\nThis cmdlet doesn't exist in Exchange Online. Use New-Connector"
            " -Name\nto create one.\nSet-SendConnector changes an existing connector.\n\n"
            "New-SendConnector [-Name] <String> -AddressSpaces <MultiValuedProperty>\n",
            [],
        ),
    ],
)
def test_commands(text: str, expected: list[ExportedObject]) -> None:
    assert read_commands(text) == expected


@pytest.mark.parametrize(
    ("upstream", "identity"),
    [
        ('Get-SendConnector "X" |', "X"),
        ("get-sendconnector -Identity X -DomainController dc1|", "X"),
        ("Get-SendConnector X |\n   ", "X"),
        ('Get-SendConnector -id "X" |', "X"),
        ("New-SendConnector -Name X |", "X"),
        ("Get-SendConnector X | Set-SendConnector |", "X"),
        ("Get-SendConnector |", Unresolved("Get-SendConnector")),
        ("'X' |", Unresolved("'X'")),
        ("$connector |", Unresolved("$connector")),
        ("$old = Get-SendConnector $name |", Unresolved("$name")),
        (
            "Get-SendConnector X | Where-Object { $_.Name -like '*|*' } |",
            Unresolved("Get-SendConnector X | Where-Object { $_.Name -like '*|*' }"),
        ),
        (
            "Get-SendConnector | ? {(Get-SendConnector Y).Port -eq 25} |",
            Unresolved("Get-SendConnector | ? {(Get-SendConnector Y).Port -eq 25}"),
        ),
    ],
)
def test_pipelines_name_the_connector(upstream: str, identity: object) -> None:
    last = read_commands(f"Write-Host x; {upstream} Set-SendConnector -Port 587")[-1]
    assert last.properties == {"Identity": identity, "Port": 587}


def test_a_pipeline_into_a_block_leaves_the_connector_open() -> None:
    text = "Get-SendConnector X | ForEach-Object { Set-SendConnector $_.Identity -Port 587 }"
    assert read_commands(text) == [changed(1, Identity=Unresolved("$_.Identity"), Port=587)]


@pytest.mark.parametrize(
    ("before", "name"),
    [
        ("$name = 'Internet'", "Internet"),
        ("$NAME='Internet';", "Internet"),
        ("$base = 'Inter'\n$name = \"${base}net\"", "Internet"),
        ("$name = 'Internet' # comment", "Internet"),
        ("$name = 'old'; if ($x) { $y = 1 }\n$name = 'Internet'", "Internet"),
        ("", None),
        ("$name = Get-Name", None),
        ("$name = 'Inter' + 'net'", None),
        ("$name = 'a'\n$name = Read-Host", None),
        ("$name = 'a'\n[string]$name = Read-Host", None),
        ("$name = 'a'\n$name += 'b'", None),
        ("if ($x) { $name = 'a' }", None),
        ("param($name = 'a')\n", None),
        ("$name = 'a'\nforeach ($name in $names) {", None),
        ("$name = 'a'\nfunction New-One([string]$name) {", None),
        ('$name = "$($x.Name)"', None),
        ("$name = $env:COMPUTERNAME", None),
        ("$name = $other = 'a'", None),
        ("$name = 'a' | Get-Name", None),
    ],
)
def test_variables(before: str, name: str | None) -> None:
    text = f'{before}\nSet-SendConnector $name -Comment "$name 2" -Fqdn $name.contoso.com'
    (one,) = read_commands(text)
    assert one.properties == {
        "Identity": name or Unresolved("$name"),
        "Comment": f"{name} 2" if name else Unresolved('"$name 2"'),
        "Fqdn": Unresolved("$name.contoso.com"),
    }


def test_the_idiom_of_the_certificate_name() -> None:
    text = """\
$TLSCert = Get-ExchangeCertificate -Thumbprint 0123456789ABCDEF
$TLSCertName = "<I>$($TLSCert.Issuer)<S>$($TLSCert.Subject)"
Set-SendConnector "Outbound" -TlsCertificateName $TLSCertName
Set-SendConnector "Outbound" -TlsCertificateName "<I>$($TLSCert.Issuer)<S>$($TLSCert.Subject)"
"""
    in_place = '"<I>$($TLSCert.Issuer)<S>$($TLSCert.Subject)"'
    assert read_commands(text) == [
        changed(3, Identity="Outbound", TlsCertificateName=Unresolved("$TLSCertName")),
        changed(4, Identity="Outbound", TlsCertificateName=Unresolved(in_place)),
    ]


SPLATTED = """\
$servers = "EX01", "EX02"
$parameters = @{
    Name                   = 'To Internet'
    AddressSpaces          = 'SMTP:*;1'   # all
    SourceTransportServers = $servers; Enabled = $True
    MaxMessageSize = 30MB
}
"""


@pytest.mark.parametrize(
    ("between", "known"),
    [
        ("", True),
        ("$parameters.Port = 26", False),
        ("$parameters['Port'] = 26", False),
        ("if ($x) { $parameters.Add('Fqdn', 'a') }", False),
        ("$parameters += @{ Fqdn = 'a' }", False),
    ],
)
def test_splatted_hash_tables(between: str, known: bool) -> None:
    (one,) = read_commands(f"{SPLATTED}{between}\nNew-SendConnector @Parameters -Port 587")
    table = {
        "Name": "To Internet",
        "AddressSpaces": "SMTP:*;1",
        "SourceTransportServers": ["EX01", "EX02"],
        "Enabled": True,
        "MaxMessageSize": "30MB",
    }
    unknown = {"@Parameters": Unresolved("@Parameters")}
    assert one.properties == {**(table if known else unknown), "Port": 587}


def test_small_scripts_do_not_become_huge_values() -> None:
    doubled = "".join(f'$a{n + 1} = "$a{n}$a{n}"\n' for n in range(64))
    nested = "".join(f"$a{n + 1} = @($a{n},$a{n})\n" for n in range(64))
    for growth in (doubled, nested):
        (one,) = read_commands(f"$a0 = 'xx'\n{growth}Set-SendConnector X -Comment $a64")
        assert one.properties["Comment"] == Unresolved("$a64")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("\n\nSet-SendConnector X -Port 25 -port 26", 3),
        ("$p = @{ Port = 25 }\nSet-SendConnector X @p -Port 26", 2),
        ("Set-SendConnector X `\n -Comment 'it", 2),
        ('Set-SendConnector X -Comment "it', 1),
        ("Set-SendConnector X -AddressSpaces @('a'", 1),
        ("Set-SendConnector X -AddressSpaces @{Add='a'", 1),
        ("Set-SendConnector X -Port:", 1),
        ("Set-SendConnector X -SmartHosts a,\n", 2),
        ("Set-SendConnector Contoso Connector -Port 25", 1),
        ("Set-SendConnector -Identity X Y -Port 25", 1),
        ("\nNew-SendConnector X -AddressSpaces SMTP:*;100 -Port 25", 2),
        ("Set-SendConnector X -Port 25\n<# and", 2),
    ],
)
def test_unreadable(text: str, line: int) -> None:
    with pytest.raises(UnreadableExportError) as caught:
        read_commands(text)
    assert caught.value.line == line


def test_sample_of_a_dsc_resource() -> None:
    (one,) = read_dsc((EXPORTS / "dsc-xExchSendConnector-production.txt").read_text())
    assert (one.line, one.type_name, one.command) == (1, "xExchSendConnector", None)
    assert len(one.properties) == 24
    assert one.properties["Name"] == Unresolved("$Node.ProdSendConnector")
    assert one.properties["SmartHosts"] == "mail.orbis.com"
    assert one.properties["Port"] == "25"
    assert one.properties["Enabled"] is True
    assert one.properties["Credential"] == Unresolved("$AdminCredentials")


DSC = """\
Configuration Mail
{
    Import-DscResource -ModuleName ExchangeDsc -Name xExchSendConnector
    # xExchSendConnector Old { Name = 'Old' }
    Node $AllNodes.NodeName
    {
        exchSendConnector 'To {Fabrikam}' {
            Name = "Fabrikam"; AddressSpaces = @(
                'SMTP:fabrikam.com;1',  # the domain
                'SMTP:*.fabrikam.com;1'
            )
            SmartHosts = "mx1.fabrikam.com",
                         "mx2.fabrikam.com"
            ExtendedRightAllowEntries = @(MSFT_KeyValuePair { key = "A}"; value = "B" })
            Port = 587
        }
        xExchSendConnector Second
        {
        }
    }
}
"""


def test_dsc_within_a_configuration() -> None:
    entries = '@(MSFT_KeyValuePair { key = "A}"; value = "B" })'
    assert read_dsc(DSC.replace("\n", "\r\n")) == [
        ExportedObject(
            {
                "Name": "Fabrikam",
                "AddressSpaces": ["SMTP:fabrikam.com;1", "SMTP:*.fabrikam.com;1"],
                "SmartHosts": ["mx1.fabrikam.com", "mx2.fabrikam.com"],
                "ExtendedRightAllowEntries": Unresolved(entries),
                "Port": 587,
            },
            line=7,
            type_name="exchSendConnector",
        ),
        ExportedObject({}, line=17, type_name="xExchSendConnector"),
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("\nxExchSendConnector A {\n Name = 'A'\n", 2),
        ("xExchSendConnector A {\n Name = 'A\n}", 2),
        ("xExchSendConnector A {\n Name = 'A'\n name = 'B' }", 3),
        ("xExchSendConnector A {\n Name 'A' }", 2),
    ],
)
def test_unreadable_dsc(text: str, line: int) -> None:
    with pytest.raises(UnreadableExportError) as caught:
        read_dsc(text)
    assert caught.value.line == line


pieces = st.sampled_from(
    [
        *"ab1'\"`$(){}@#<>=,;|&-. \n\u2019\u201d",
        *("Set-SendConnector ", "New-SendConnector ", "Get-SendConnector ", " -Name ", "$a=", "$a"),
        *(
            "xExchSendConnector a {",
            "2021.01.20 10:21:47 START ",
            "PS C:\\>",
            "foreach(",
            "@a",
            "<#",
        ),
    ]
)


@settings(max_examples=100)
@given(st.lists(pieces).map("".join))
def test_random_text_is_read_or_refused(text: str) -> None:
    for read in (read_commands, read_dsc):
        try:
            read(text)
        except UnreadableExportError as error:
            assert error.line is not None


@pytest.mark.parametrize(
    "unit",
    [
        *("$a='", '$a="', "$a=(", "$a=@{", "param(", "'", '"', "({", "}", "`\n", "# ", "$a", "$a="),
        *("$a=x|", "$a=x&", "$a=1,", "$a='x'", "$a=x;", "$a=$b.", "$a=@(1)\n", "$a=(1)."),
        *(
            "Set-SendConnector x ",
            "Set-SendConnector x -A 1|",
            "Get-SendConnector '",
            "PS ",
            "[PS] ",
        ),
        *("2021.01.20 10:21:47 ", "START ", "xExchSendConnector a {", "<# #>", "@'\n"),
    ],
)
def test_long_hostile_text_is_read_or_refused(unit: str) -> None:
    for read in (read_commands, read_dsc):
        with suppress(UnreadableExportError):
            read(unit * (5_000 // len(unit)))
