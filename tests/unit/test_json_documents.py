"""Connectors files in JSON, as Exchange shows connectors; and in which line of them a value is."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postconnector.cli.main import main
from postconnector.sources.connectors_file import parse_connectors
from postconnector.sources.json_lines import locate

AS_SHOWN = {
    "Name": "Internet",
    "Identity": "Internet",
    "Guid": "0292c782-9804-4d8b-ae0e-e1c7ab90852b",
    "WhenChanged": "2022-03-23T18:00:30+01:00",
    "SmartHostsString": "",
    "AddressSpaces": ["SMTP:*;1"],
    "MaxMessageSize": "25 MB (26,214,400 bytes)",
    "TlsAuthLevel": None,
    "TlsDomain": None,
    "Fqdn": None,
    "AuthenticationCredential": None,
    "SmartHosts": [],
    "ErrorPolicies": "Default",
    "ConnectionInactivityTimeOut": "00:10:00",
    "SourceIPAddress": "0.0.0.0",
    "SmartHostAuthMechanism": "None",
    "ConnectorType": "Default",
    "IsCoexistenceConnector": False,
    "LinkedReceiveConnector": None,
}


def test_connectors_as_exchange_shows_them() -> None:
    data = json.dumps({"SendConnectors": [AS_SHOWN]}).encode()
    file = parse_connectors(data, Path("connectors.json"))
    assert [str(problem) for problem in file.problems] == []
    assert file.organization is not None
    assert [c.name for c in file.organization.connectors] == ["Internet"]


@pytest.mark.parametrize(
    ("name", "value"), [("ConnectorType", "XPremises"), ("IsCoexistenceConnector", True)]
)
def test_what_an_older_version_can_not_mean_is_refused(name: str, value: object) -> None:
    data = json.dumps({"SendConnectors": [{**AS_SHOWN, name: value}]}).encode()
    [problem] = parse_connectors(data, Path("connectors.json")).problems
    assert (problem.property, problem.severity) == (name, "error")


def test_either_spelling_and_any_case() -> None:
    toml = '[[SendConnectors]]\nNAME = "A"\nAddressSpaces = ["*"]\nRequire_TLS = true\n'
    as_json = '{"send_connector": [{"name": "A", "addressspaces": ["*"], "requiretls": true}]}'
    read = [parse_connectors(text.encode(), Path("x")).organization for text in (toml, as_json)]
    assert read[0] == read[1]
    assert read[0] is not None
    assert read[0].connectors[0].require_tls


def test_every_command_takes_either_form(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toml, as_json = tmp_path / "a", tmp_path / "b"
    toml.write_text('[[send_connector]]\nname = "A"\naddress_spaces = ["a.com"]\n')
    assert main(["export", "-c", str(toml)]) == os.EX_OK
    as_json.write_text(capsys.readouterr().out)
    for command in (["show", "--json"], ["list"], ["route", "bob@a.com", "--json"], ["export"]):
        outputs = []
        for file in (toml, as_json):
            assert main([*command, "-c", str(file)]) == os.EX_OK
            outputs.append(capsys.readouterr().out)
        assert outputs[0] == outputs[1]


def test_json_is_not_edited(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "connectors.json"
    file.write_text(json.dumps({"SendConnectors": [AS_SHOWN]}))
    assert main(["set", "Internet", "-Port", "26", "-c", str(file)]) == os.EX_CONFIG
    assert "export --format toml makes one" in capsys.readouterr().err


TEXTS = st.text(max_size=5) | st.sampled_from(['"', "\\", "{", "]", ",", "a\nb", "\x85"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found: list[tuple[str | int, ...]] = []
    entries: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        entries = list(value.items())
    elif isinstance(value, list):
        entries = list(enumerate(value))
    for key, inner in entries:
        found += [(*path, key), *places(inner, (*path, key))]
    return found


@given(st.dictionaries(TEXTS, VALUES, max_size=4), st.sampled_from([None, 0, 2]))
def test_lines(document: dict[str, Any], indent: int | None) -> None:
    """With an indent every entry has a line of its own, in the order of the document."""
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    lines = locate(text)
    wanted = places(document)
    assert set(lines) == set(wanted)
    if indent is None:
        assert set(lines.values()) <= {1}
        return
    by_line = text.split("\n")
    for path, line in lines.items():
        if isinstance(path[-1], str):
            assert by_line[line - 1].lstrip().startswith(json.dumps(path[-1], ensure_ascii=False))
    assert [lines[path] for path in wanted] == sorted(lines[path] for path in wanted)
