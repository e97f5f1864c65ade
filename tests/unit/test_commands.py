"""The commands as a user meets them: check, list, show, route; what they print and end with."""

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from postconnector.cli.main import main

FILE = """\
[[send_connector]]
name = "Internet"
AddressSpaces = ["*"]

[[send_connector]]
name = "Fabrikam, partner"
address_spaces = ["fabrikam.com", "*.fabrikam.com;2"]
max_message_size = "10 MB"
dns_routing_enabled = false
smart_hosts = ["10.1.1.1", "relay.fabrikam.com"]
smart_host_auth_mechanism = "BasicAuthRequireTLS"
authentication_credential = { user_name = "contoso", password_file = "secrets/fabrikam" }

[[send_connector]]
name = "Chain only"
address_spaces = ["woodgrove.com"]
require_tls = true
tls_auth_level = "CertificateValidation"
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "connectors.toml"
    path.write_text(FILE)
    return str(path)


Capture = pytest.CaptureFixture[str]


def as_json(capsys: Capture, *command: str) -> Any:
    assert main(command) == os.EX_OK
    return json.loads(capsys.readouterr().out)


# --- check, list, show


def test_check_of_a_good_file(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[[send_connector]]\nname = "A"\naddress_spaces = ["*"]\n')
    assert main(["check", "-c", str(path)]) == os.EX_OK
    output = capsys.readouterr()
    assert output.out == f"{path}: 0 errors, 0 warnings, 1 connector\n"
    assert output.err == ""


def test_check_shows_warnings_and_passes(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[[send_connector]]\nname = "A"\naddress_spaces = ["localdomain"]\n')
    assert main(["check", "-c", str(path)]) == os.EX_OK
    output = capsys.readouterr()
    assert output.out.endswith("0 errors, 1 warning, 1 connector\n")
    assert output.err == (
        f'{path}:3: warning: send_connector "A": address_spaces: localdomain has only one label\n'
    )


def test_list_in_a_pipe_is_aligned_plain_text(capsys: Capture, file: str) -> None:
    assert main(["-c", file, "list"]) == os.EX_OK
    assert capsys.readouterr().out.splitlines() == [
        "Identity           AddressSpaces                                "
        " Next hop                        MaxMessageSize  Enabled",
        "Internet           {SMTP:*;1}                                   "
        " DNS                             25 MB           True",
        "Fabrikam, partner  {SMTP:fabrikam.com;1, SMTP:*.fabrikam.com;2} "
        " [10.1.1.1], relay.fabrikam.com  10 MB           True",
        "Chain only         {SMTP:woodgrove.com;1}                       "
        " DNS                             25 MB           True",
    ]


def test_show_json_in_exchanges_words(capsys: Capture, file: str) -> None:
    [shown] = as_json(capsys, "show", "-c", file, "--json", "FABRIKAM, PARTNER")
    assert shown["Name"] == "Fabrikam, partner"
    assert shown["AddressSpaces"] == ["SMTP:fabrikam.com;1", "SMTP:*.fabrikam.com;2"]
    assert shown["MaxMessageSize"] == "10 MB (10,485,760 bytes)"
    assert shown["SmartHosts"] == ["[10.1.1.1]", "relay.fabrikam.com"]
    assert shown["DNSRoutingEnabled"] is False
    assert shown["TlsAuthLevel"] is None
    assert shown["SourceIPAddress"] == "0.0.0.0"
    assert len(as_json(capsys, "show", "-c", file, "--json")) == 3


def test_show_as_a_list(capsys: Capture, file: str) -> None:
    assert main(["show", "-c", file, "internet"]) == os.EX_OK
    lines = capsys.readouterr().out.splitlines()
    assert "MaxMessageSize               : 25 MB (26,214,400 bytes)" in lines
    assert "AddressSpaces                : {SMTP:*;1}" in lines


def test_show_of_a_connector_that_is_not_there(capsys: Capture, file: str) -> None:
    assert main(["show", "-c", file, "Intrenet"]) == os.EX_CONFIG
    assert 'there is no connector "Intrenet"; did you mean "Internet"?' in capsys.readouterr().err


# --- route


@pytest.mark.parametrize(
    ("recipient", "size", "expected"),
    [
        (
            "bob@fabrikam.com",
            "1MB",
            {
                "outcome": "connector",
                "connector": "Fabrikam, partner",
                "delivery_type": "SmartHostConnectorDelivery",
                "next_hop_domain": "[10.1.1.1],relay.fabrikam.com",
                "path": "native",
                "service": "pc-fabrikam-partner",
                "changes_above": 10485760,
                "lookup": "transport table: fabrikam.com -> "
                "pc-fabrikam-partner:[10.1.1.1]:25, relay.fabrikam.com:25",
            },
        ),
        (
            "bob@a.b.fabrikam.com",
            "10 MB",
            {
                "connector": "Fabrikam, partner",
                "lookup": "transport table: .fabrikam.com -> "
                "pc-fabrikam-partner:[10.1.1.1]:25, relay.fabrikam.com:25",
            },
        ),
        (
            "bob@fabrikam.com",
            "12MB",
            {
                "connector": "Internet",
                "delivery_type": "DnsConnectorDelivery",
                "next_hop_domain": "fabrikam.com",
                "lookup": "policy service: FILTER pc-internet:",
            },
        ),
        (
            "bob@fabrikam.com",
            "26MB",
            {"outcome": "ndr", "code": "5.3.4", "connector": None, "path": None},
        ),
        (
            "joe@example.com",
            "1",
            {"connector": "Internet", "lookup": "default_transport: pc-internet"},
        ),
        (
            "eve@woodgrove.com",
            "1",
            {"connector": "Chain only", "path": "agent", "service": None, "lookup": None},
        ),
        ("joe", "1", {"recipient": "postmaster@joe", "connector": "Internet"}),
    ],
)
def test_route(
    capsys: Capture, file: str, recipient: str, size: str, expected: dict[str, object]
) -> None:
    [answer] = as_json(capsys, "route", "-c", file, "--json", "--size", size, recipient)
    assert {name: answer[name] for name in expected} == expected


ORGANIZATION = """\
[[organization.accepted_domains]]
domain_name = "contoso.com"
default = true
[[organization.server]]
name = "EDGE1"
server_role = "Edge"
[[organization.server]]
name = "MBX1"
site = "HQ"
[[organization.edge_subscription]]
name = "EDGE1"
site = "HQ"
[[organization.site]]
name = "HQ"
[[send_connector]]
name = "Fax"
address_spaces = ["FAX:*"]
dns_routing_enabled = false
smart_hosts = ["fax.contoso.com"]
source_transport_servers = ["MBX1"]
[[send_connector]]
name = "Inbound"
address_spaces = ["--"]
dns_routing_enabled = false
smart_hosts = ["--"]
source_transport_servers = ["EDGE1"]
"""


def test_route_to_other_types_and_from_other_servers(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(ORGANIZATION)
    options = ["-c", str(path), "--json", "--server"]
    [fax] = as_json(capsys, "route", *options, "MBX1", "FAX:+1 425")
    assert (fax["recipient"], fax["connector"], fax["server"]) == ("FAX:+1 425", "Fax", "MBX1")
    assert fax["lookup"] == "table of patterns: FAX -> pc-fax:fax.contoso.com:25"
    [edge] = as_json(capsys, "route", *options, "EDGE1", "ann@contoso.com")
    assert (edge["connector"], edge["next_hop_domain"]) == ("Inbound", "--")
    assert "its fqdn is not declared" in edge["reason"]
    assert main(["route", *options, "MBX9", "ann@contoso.com"]) == os.EX_CONFIG
    assert "known are EDGE1, MBX1" in capsys.readouterr().err


def test_route_without_a_standpoint_says_so(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(ORGANIZATION)
    assert main(["route", "-c", str(path), "FAX:1"]) == os.EX_OK
    assert "write [host] server = one of EDGE1, MBX1" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["", "x", "[]", '{"recipient": 1}', "9" * 5000, "[" * 100_000])
def test_batch_answers_every_line(
    capsys: Capture, file: str, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    good = '{"recipient": "bob@fabrikam.com", "size": 12000000}'
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{good}\n{line}\n{good}\n"))
    assert main(["route", "-c", file, "--batch"]) == os.EX_DATAERR
    output = capsys.readouterr()
    first, wrong, last = (json.loads(answer) for answer in output.out.splitlines())
    assert (
        first
        == last
        == {
            "outcome": "connector",
            "connector": "Internet",
            "code": None,
            "delivery_type": "DnsConnectorDelivery",
            "next_hop_domain": "fabrikam.com",
            "path": "native",
        }
    )
    assert set(wrong) == {"outcome", "error"}
    assert "standard input:2: error:" in output.err


def test_route_without_a_connector(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[[send_connector]]\nname = "A"\naddress_spaces = ["contoso.com"]\n')
    [answer] = as_json(capsys, "route", "-c", str(path), "--json", "bob@fabrikam.com")
    assert (answer["outcome"], answer["connector"]) == ("unreachable", None)
    assert answer["delivery_type"] == "Unreachable"


def test_route_explains_every_connector(capsys: Capture, file: str) -> None:
    assert main(["route", "-c", file, "--size", "12MB", "--explain", "bob@fabrikam.com"]) == 0
    output = capsys.readouterr().out
    assert "* Internet           selected  by SMTP:*;1" in output
    larger = "the message is larger than MaxMessageSize 10 MB (10,485,760 bytes)"
    assert f"  Fabrikam, partner  size      {larger}" in output
    assert "  Chain only         match     no address space matches" in output
    assert "the answer changes above 25 MB" in output
    [answer] = as_json(capsys, "route", "-c", file, "--explain", "--json", "bob@fabrikam.com")
    assert [v["selected"] for v in answer["connectors"]] == [False, True, False]


# --- how commands end


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["chekc"],
        ["route", "--size", "1.5MB", "bob@contoso.com"],
        ["list", "--no-such-option"],
    ],
)
def test_wrong_usage(capsys: Capture, command: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == os.EX_USAGE
    assert capsys.readouterr().err.startswith("usage: postconnector")


@pytest.mark.parametrize("command", [["route"], ["route", "a@b.c", "--batch"]])
def test_route_wants_recipients_or_a_batch(capsys: Capture, file: str, command: list[str]) -> None:
    assert main([*command, "-c", file]) == os.EX_USAGE
    assert "name recipients, or say --batch" in capsys.readouterr().err


def test_no_file(capsys: Capture, tmp_path: Path) -> None:
    for command in (["check"], ["list"], ["show"], ["route", "a@b.c"]):
        assert main([*command, "-c", str(tmp_path / "none.toml")]) == os.EX_CONFIG
        assert "none.toml: No such file or directory" in capsys.readouterr().err


def test_no_postfix(capsys: Capture, file: str, tmp_path: Path) -> None:
    assert main(["plan", "-c", file, "--config-directory", str(tmp_path)]) == os.EX_UNAVAILABLE
    assert "no Postfix is configured there" in capsys.readouterr().err
