"""Connectors files in JSON, as Exchange shows connectors; and in which line of them a value is."""

import json
import os
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postconnector.cli.main import main
from postconnector.model.property_names import EXCHANGE_NAMES, READ_ONLY
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


def problems_of(connector: dict[str, Any]) -> list[tuple[str | None, str]]:
    data = json.dumps({"SendConnectors": [{"Name": "A", "AddressSpaces": ["*"], **connector}]})
    problems = parse_connectors(data.encode(), Path("connectors.json")).problems
    return [(problem.property, problem.message) for problem in problems]


@pytest.mark.parametrize("name", sorted(READ_ONLY))
def test_what_exchange_shows_besides_is_passed_over(name: str) -> None:
    values: list[object] = [None, "text", 5, True, [], {"a": [{}]}]
    assert [problems_of({name: value}) for value in values] == [[]] * len(values)
    assert problems_of({name.lower(): "text"}) == []


@pytest.mark.parametrize("name", [n for n in EXCHANGE_NAMES.values() if n != "Name"])
def test_null_says_nothing(name: str) -> None:
    required = [("AddressSpaces", "AddressSpaces is required")]
    found = [(at, message.partition(";")[0]) for at, message in problems_of({name: None})]
    assert found == (required if name == "AddressSpaces" else [])


ODD_VALUES: list[object] = [
    *("", "x", 0, -1, 1.5, True, [], ["x"], [None], [[]], {}, {"x": 1}, 10**30),
    *("\ud800", "\0", float("nan"), float("-inf")),
]


@pytest.mark.parametrize("name", EXCHANGE_NAMES.values())
def test_wrong_types_everywhere(name: str) -> None:
    """A value is taken, or refused at its property in a printable line; never a traceback."""
    for value in ODD_VALUES:
        for at, message in problems_of({name: value}):
            assert message.isprintable()
            assert at in EXCHANGE_NAMES.values()
            assert len(message) < 400


def test_the_default_of_a_later_version_in_any_case() -> None:
    assert problems_of({"ConnectorType": "default"}) == []


def test_a_number_is_not_the_default_false() -> None:
    assert problems_of({"IsCoexistenceConnector": 0}) != []


def test_both_spellings_within_a_credential() -> None:
    credential = {"UserName": "a", "user_name": "b", "PasswordFile": "c"}
    [(name, message)] = problems_of(
        {
            "AuthenticationCredential": credential,
            "SmartHostAuthMechanism": "BasicAuth",
            "SmartHosts": ["relay.contoso.com"],
            "DNSRoutingEnabled": False,
        }
    )
    assert name == "AuthenticationCredential"
    assert "leave one of them" in message


def test_a_list_of_connectors_is_told_what_is_missing() -> None:
    data = json.dumps([AS_SHOWN]).encode()
    [problem] = parse_connectors(data, Path("connectors.json")).problems
    assert "SendConnectors" in problem.message


def test_properties_of_the_organization_have_exchanges_names() -> None:
    sites = [{"Name": "HQ", "HubSiteEnabled": "yes"}]
    links = [{"Name": "L", "Sites": ["HQ"], "ADCost": 0}]
    data = json.dumps({"Organization": {"Sites": sites, "SiteLinks": links}}).encode()
    problems = parse_connectors(data, Path("connectors.json")).problems
    assert [problem.property for problem in problems] == ["HubSiteEnabled", "ADCost", "Sites"]


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("AddressSpaces", [None], "null is not a string"),
        ("Port", True, "true is not a whole number"),
        ("Comment", ["a"], '["a"] is not a string'),
    ],
)
def test_values_are_named_as_they_are_written(name: str, value: object, shown: str) -> None:
    [(_, message)] = problems_of({name: value})
    assert message.startswith(shown)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("{", 1, "this is not JSON"),
        ("\n\n{", 3, "this is not JSON"),
        ('{\r\n"SendConnectors": [\r\n{"Name": }]}', 3, "this is not JSON"),
        ('{\n"SendConnectors": []\n}\n}', 4, "this is not JSON: Extra data"),
        ("{\n'SendConnectors': []}", 2, "this is not JSON"),
        ('{"SendConnectors": [] // none\n}', 1, "this is not JSON"),
        ('{"SendConnectors": [{"Name": "a\tb"}]}', 1, "this is not JSON: Invalid control"),
        ('{\n"SendConnectors":\n{"Name": "A"}}', 2, "double brackets"),
        ('{\n"SendConnectors": [\nnull]}', 3, "one property a line"),
        ('{"SendConnectors": [\n{},\n{\n}]}', 2, "Name is required"),
        ('{\n"Organization":\n["x"]}', 2, "write [organization]"),
        ('{\n"Host":\n5}', 2, "write [host]"),
        ('{"Organization": {\n"Sites": [\n"HQ"]}}', 3, "this is not a table"),
    ],
)
def test_the_first_problem_and_its_line(text: str, line: int, message: str) -> None:
    problem = parse_connectors(text.encode(), Path("connectors.json")).problems[0]
    assert problem.line == line
    assert message in problem.message


def test_the_line_of_a_name_that_stands_twice() -> None:
    [problem] = parse_connectors(b'{"Host": {},\n"Host": {}}', Path("x")).problems
    assert problem.line == 2


@given(
    st.integers(0, 3),
    st.sampled_from(["Port", "AddressSpaces", "MaxMessageSize", "Enabled", "SmartHosts"]),
    st.sampled_from([None, 0, 1, 4]),
    st.randoms(use_true_random=False),
)
def test_a_mistake_is_found_in_its_line(
    place: int, name: str, indent: int | None, random: Random
) -> None:
    connectors: list[dict[str, Any]] = []
    for number in range(4):
        properties = {"Name": f"C{number}", "AddressSpaces": ["*"], "Comment": '{"\\', "Port": 25}
        if number == place:
            properties[name] = ["MISTAKE..HERE"] if name.endswith("s") else "MISTAKE HERE"
        entries = list(properties.items())
        random.shuffle(entries)
        connectors.append(dict(entries))
    text = json.dumps({"Host": {}, "SendConnectors": connectors}, indent=indent)
    [problem] = parse_connectors(text.encode(), Path("connectors.json")).problems
    assert (problem.connector, problem.property) == (f"C{place}", name)
    assert problem.line is not None
    assert "MISTAKE" in text.split("\n")[problem.line - 1]


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
