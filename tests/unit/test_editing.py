"""new, set and remove-connector: only what is meant changes, and nothing wrong is written."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from postconnector.cli.main import main
from postconnector.sources.writing.edit import add_connector, change_connector, remove_connector

FILE = """\
# Send connectors of contoso.com

[host]
policy_service = "inet:127.0.0.1:10040" # as in main.cf

# The way out
[[send_connector]]
Name = "Internet"   # never rename
address_spaces = [
  "*",  # all
]

# Fabrikam: ask Bob
# before changing anything
[[send_connector]]
name = "Fabrikam"
address_spaces = ["fabrikam.com", "*.fabrikam.com;2"]
max_message_size = "10 MB" # contract

[[send_connector]]
name = "Relay"
AddressSpaces = "contoso.net"
dns_routing_enabled = false
smart_hosts = ["relay.contoso.net"]
smart_host_auth_mechanism = "BasicAuth"
[send_connector.authentication_credential]
user_name = "contoso"
password_file = "passwords/relay"
# end
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "connectors.toml"
    path.write_text(FILE)
    return path


def run(file: Path, *command_line: str) -> int:
    try:
        return main([*command_line, "-c", str(file)])
    except SystemExit as exit_:
        return int(str(exit_.code))


def lines_changed(before: str, after: str) -> tuple[list[str], list[str]]:
    """Lines that went and lines that came; all others are there in their order."""
    old, new = before.splitlines(), after.splitlines()
    gone = [line for line in old if line not in new]
    come = [line for line in new if line not in old]
    assert [x for x in old if x not in gone] == [x for x in new if x not in come]
    return gone, come


@pytest.mark.parametrize(
    ("command_line", "gone", "come"),
    [
        (
            ["set", "fabrikam", "--max-message-size", "20 MB"],
            ['max_message_size = "10 MB" # contract'],
            ['max_message_size = "20 MB" # contract'],
        ),
        (
            ["set", "-Identity", "Fabrikam", "-MaxMessageSize:$null"],
            ['max_message_size = "10 MB" # contract'],
            [],
        ),
        (
            ["Set-SendConnector", "Internet", "-Comment", "The way out", "-FORCEHELO", "$true"],
            [],
            ['comment = "The way out"', "force_helo = true"],
        ),
        (
            ["set", "Internet", "-Name", "Way out"],
            ['Name = "Internet"   # never rename'],
            ['Name = "Way out"   # never rename'],
        ),
        (
            ["set", "Relay", "--port=587"],
            [],
            ["port = 587"],
        ),
        (
            ["set", "Fabrikam", "-AddressSpaces", '@{Add="fabrikam.net"; Remove="fabrikam.com"}'],
            ['address_spaces = ["fabrikam.com", "*.fabrikam.com;2"]'],
            ['address_spaces = ["SMTP:*.fabrikam.com;2", "fabrikam.net"]'],
        ),
        (
            ["set", "Fabrikam", "-AddressSpaces", '@{Add="SMTP:Fabrikam.com;1","fabrikam.net"}'],
            ['address_spaces = ["fabrikam.com", "*.fabrikam.com;2"]'],
            ['address_spaces = ["SMTP:fabrikam.com;1", "SMTP:*.fabrikam.com;2", "fabrikam.net"]'],
        ),
        (
            ["set", "Relay", "-SmartHosts", "10.0.0.1,'10.0.0.2'"],
            ['smart_hosts = ["relay.contoso.net"]'],
            ['smart_hosts = ["10.0.0.1", "10.0.0.2"]'],
        ),
    ],
)
def test_set_changes_that_line_alone(
    file: Path, command_line: Sequence[str], gone: list[str], come: list[str]
) -> None:
    assert run(file, *command_line) == 0
    assert lines_changed(FILE, file.read_text()) == (gone, come)
    assert main(["check", "-c", str(file)]) == 0


def test_a_new_property_stands_with_its_connector_above_its_tables(file: Path) -> None:
    assert run(file, "set", "Internet", "--port", "26") == 0
    assert run(file, "set", "Relay", "--port", "27") == 0
    text = file.read_text()
    assert "]\nport = 26\n\n# Fabrikam: ask Bob\n" in text
    assert '"BasicAuth"\nport = 27\n[send_connector.authentication_credential]\n' in text


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("internet", ["# Fabrikam: ask Bob", "# before changing anything"]),
        ("Fabrikam", ["# The way out", "# all"]),
        ("RELAY", ["# The way out", "# Fabrikam: ask Bob"]),
    ],
)
def test_remove_connector_takes_its_own_comment_along(
    file: Path, name: str, left: list[str]
) -> None:
    assert run(file, "remove-connector", name) == 0
    text = file.read_text()
    assert all(comment in text for comment in left)
    assert name.casefold() not in text.casefold().replace("relay.contoso", "")
    names = [
        next(value for key, value in entry.items() if key.casefold() == "name")
        for entry in tomli.loads(text)["send_connector"]
    ]
    assert names == [
        n for n in ("Internet", "Fabrikam", "Relay") if n.casefold() != name.casefold()
    ]


def test_new_makes_a_file_that_is_not_there(tmp_path: Path) -> None:
    file = tmp_path / "connectors.toml"
    assert run(file, "new", "Internet", "--internet", "--address-spaces", "*") == 0
    assert file.read_text() == (
        '[[send_connector]]\nname = "Internet"\nusage = "Internet"\naddress_spaces = ["*"]\n'
    )


@pytest.mark.parametrize(
    ("command_line", "expected"),
    [
        (["new", "A", "--address-spaces", "a.b"], {"name": "A", "address_spaces": ["a.b"]}),
        (
            ["New-SendConnector", "-Name", "A", "-AddressSpaces", "a.b,c.d;5", "-Custom"],
            {"name": "A", "usage": "Custom", "address_spaces": ["a.b", "c.d;5"]},
        ),
        (
            [
                "new",
                "-name:A",
                "-addressspaces:a.b",
                "-DNSRoutingEnabled:$false",
                "-SmartHosts",
                "10.0.0.1",
                "-Port",
                "587",
                "-SmartHostAuthMechanism",
                "BasicAuth",
                "-AuthenticationCredential",
                "contoso:passwords/a",
            ],
            {
                "name": "A",
                "address_spaces": ["a.b"],
                "dns_routing_enabled": False,
                "smart_hosts": ["10.0.0.1"],
                "port": 587,
                "smart_host_auth_mechanism": "BasicAuth",
                "authentication_credential": {
                    "user_name": "contoso",
                    "password_file": "passwords/a",
                },
            },
        ),
        (
            ["new", "-Name", "A", "-AddressSpaces", "a.b", "-Comment", "-Force is not an option"],
            {"name": "A", "comment": "-Force is not an option", "address_spaces": ["a.b"]},
        ),
        (
            ["new", "-Force", "-Confirm:$false", "-Name", "A", "-AddressSpaces", "a.b"],
            {"name": "A", "address_spaces": ["a.b"]},
        ),
    ],
)
def test_new_writes_what_was_said(
    file: Path, command_line: Sequence[str], expected: dict[str, object]
) -> None:
    assert run(file, *command_line) == 0
    text = file.read_text()
    assert text.startswith(FILE)
    assert tomli.loads(text)["send_connector"][-1] == expected


@pytest.mark.parametrize(
    ("command_line", "status", "message"),
    [
        (["new", "Internet", "--address-spaces", "a.b"], 78, "names are unique"),
        (["new", "A"], 78, "AddressSpaces is required"),
        (["new", "A", "-AddressSpaces", "a.b", "-SmartHosts", "c.d"], 78, "DNSRoutingEnabled"),
        (["new", "A", "-AddressSpaces", "--"], 78, "only be used on an Edge server"),
        (["new", "--address-spaces", "a.b"], 64, "name is missing"),
        (["new", "A", "-Name", "B", "--address-spaces", "a.b"], 64, "name is said twice"),
        (["new", "A", "-Internet", "-Partner", "-AddressSpaces", "a.b"], 64, "usage is said twice"),
        (["new", "A", "-AddressSpaces", "a.b", "-Enabled"], 64, "--enabled has no value"),
        (["new", "A", "-Enabled", "-AddressSpaces", "a.b"], 64, "--enabled has no value"),
        (["new", "A", "-AdressSpaces", "a.b"], 64, "unrecognized arguments"),
        (["set", "Nobody", "-Port", "1"], 78, 'no connector "Nobody"'),
        (["set", "Fabrikam", "-Port", "many"], 78, '"many" is not a whole number'),
        (["set", "Fabrikam", "-Port", "70000"], 78, "outside 0 to 65535"),
        (["set", "Fabrikam", "-Usage", "Partner"], 64, "when a connector is created"),
        (["set", "Fabrikam"], 64, "name a property"),
        (["set", "Fabrikam", "-TlsDomain", "a.b"], 78, "TlsDomain can only be set if"),
        (["set", "Relay", "-SmartHosts", "$null"], 78, "DNSRoutingEnabled false needs SmartHosts"),
        (["set", "Fabrikam", "-Name", "Relay"], 78, "names are unique"),
        (["set", "Fabrikam", "-AddressSpaces", '@{Put="a.b"}'], 64, "@{Add="),
        (["remove-connector", "Nobody"], 78, 'no connector "Nobody"'),
    ],
)
def test_what_is_wrong_is_not_written(
    file: Path,
    capsys: pytest.CaptureFixture[str],
    command_line: Sequence[str],
    status: int,
    message: str,
) -> None:
    assert run(file, *command_line) == status
    assert message in capsys.readouterr().err
    assert file.read_text() == FILE
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_what_if_shows_the_change_and_writes_nothing(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(file, "set", "Fabrikam", "-MaxMessageSize", "1 MB", "-WhatIf") == 0
    shown = capsys.readouterr().out
    assert '-max_message_size = "10 MB" # contract' in shown
    assert '+max_message_size = "1 MB" # contract' in shown
    assert file.read_text() == FILE


def test_a_file_with_errors_is_not_edited(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = FILE + "port = 99999\n"
    file.write_text(broken)
    assert run(file, "set", "Fabrikam", "-Port", "26") == 78
    assert f"{file}:" in capsys.readouterr().err
    assert file.read_text() == broken


def test_links_owner_and_rights_stay(tmp_path: Path, file: Path) -> None:
    file.chmod(0o640)
    link = tmp_path / "link.toml"
    link.symlink_to(file)
    assert run(link, "set", "Fabrikam", "-Port", "26") == 0
    assert link.is_symlink()
    assert file.stat().st_mode & 0o7777 == 0o640
    assert "port = 26" in file.read_text()


NAMES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8).filter(
    lambda name: name.strip()
)
VALUES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
    st.integers(-(2**40), 2**40),
    st.booleans(),
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=3),
)
PROPERTIES = st.dictionaries(st.sampled_from(["port", "comment", "enabled", "fqdn"]), VALUES)
FILLERS = st.sampled_from(["", "\n", "# about the next\n", "\n# far\n\n# near\n", "[host]\n\n"])


@settings(max_examples=50)
@given(
    st.lists(st.tuples(NAMES, PROPERTIES), max_size=4, unique_by=lambda c: c[0].casefold()),
    st.lists(FILLERS, min_size=4, max_size=4),
    st.data(),
)
def test_edits_do_just_what_they_say(
    connectors: list[tuple[str, dict[str, object]]], fillers: list[str], data: st.DataObject
) -> None:
    text, host_written = "", False
    for (name, properties), filler in zip(connectors, fillers, strict=False):
        if "[host]" not in filler or not host_written:
            text += filler
            host_written = host_written or "[host]" in filler
        text = add_connector(text, {"name": name, **properties})
    assert [c["name"] for c in tomli.loads(text).get("send_connector", [])] == [
        name for name, _ in connectors
    ]
    for name, properties in connectors:
        changes = data.draw(PROPERTIES)
        changed = change_connector(text, name, changes)
        entry = next(c for c in tomli.loads(changed)["send_connector"] if c["name"] == name)
        assert entry == {"name": name, **properties, **changes}
        assert comments(changed) == comments(text)
        rest = remove_connector(text, name)
        assert [c["name"] for c in tomli.loads(rest).get("send_connector", [])] == [
            other for other, _ in connectors if other != name
        ]


def comments(text: str) -> list[str]:
    return [line for line in text.splitlines() if line in ("# about the next", "# far", "# near")]
