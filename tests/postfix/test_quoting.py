"""Nothing an administrator types becomes configuration syntax: Postfix reads back what was meant.

Uses the installed postconf(1) and postmap(1) on files in a temporary folder; no daemon runs.
"""

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postconnector.model.address_space import AddressSpace
from postconnector.model.domain import in_unicode
from postconnector.model.imcea import comparable, encapsulated
from postconnector.model.organization import Organization
from postconnector.postfix.compile import compile_organization
from postconnector.postfix.compiled import Compiled
from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.host import ConfigurationFiles
from postconnector.postfix.host_entries import HostEntries
from postconnector.postfix.local_routing import LocalRouting
from postconnector.postfix.own_domains import OwnNames
from postconnector.postfix.quoting import (
    UnquotableError,
    comment,
    main_cf_value,
    master_cf_option,
    table_entry,
)
from postconnector.postfix.rendered import render
from postconnector.postfix.table_names import FOREIGN_TABLE
from postconnector.sources.document import read_document

POSTFIX_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
MASTER_CF = Path("/etc/postfix/master.cf.proto")
MAIN_CF = "compatibility_level = 3.6\nmyhostname = mail.contoso.com\n"

pytestmark = pytest.mark.skipif(
    shutil.which("postconf", path=POSTFIX_PATH) is None, reason="Postfix is not installed"
)

HOSTILE = (
    "",
    " ",
    "plain",
    "two words",
    "two  blanks",
    " leading",
    "trailing ",
    "tab\tinside",
    "a\nb",
    "a\n b = c",
    "a\nsmtpd_relay_restrictions = permit",
    "a\rb",
    "a\x00b",
    "a\x0bb",
    "a\x7fb",
    "a\x85b",
    "a\u2028b",
    "a\u00a0b",
    "\ufeffa",
    "$",
    "$$",
    "$myhostname",
    "${myhostname}",
    "$(myhostname)",
    "${x?{a}:{b}}",
    "$$myhostname",
    "{",
    "}",
    "{}",
    "{ a = b }",
    "{a",
    "a{b",
    "a}b",
    "a{b}c",
    "a{b c",
    "a}b c",
    "a{b}c d",
    "%",
    "%s %n",
    "-",
    "-o",
    "-o x=y",
    "--",
    "#",
    "# comment",
    "a # b",
    "a#b",
    '"',
    '"quoted"',
    'a"b',
    'a "b" c',
    "'",
    "`id`",
    "\\",
    "a\\",
    "a\\nb",
    "a\\ b",
    "a,b",
    "a, b",
    "=",
    "a=b",
    "= b",
    "!a",
    "<a",
    "|a",
    "a;b",
    "hash:/etc/passwd",
    "caf\u00e9",
    "例え",
    "x" * 5000,
)
ALPHABET = "ab $${}()[]%-#\"'\\,=:;!<>|@/\t\n\r\u00e9\u00a0"
hostile_text = st.one_of(st.sampled_from(HOSTILE), st.text(ALPHABET, max_size=12))

generated = settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])


def postfix(*command: str, standard_input: str = "") -> str:
    """Standard output of a command of Postfix that succeeds.

    postmap(1) must not complain; postconf(1) may: of parameters that nobody uses, of odd braces.
    """
    result = subprocess.run(
        command,
        env={"PATH": POSTFIX_PATH},
        input=standard_input,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert command[0] == "postconf" or result.stderr == ""
    return result.stdout


def write_settled(path: Path, text: str) -> None:
    """Write a file with an old date: Postfix reads a new one until it is two seconds old."""
    path.write_text(text, encoding="utf-8")
    os.utime(path, (1, 1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A configuration directory of Postfix."""
    folder = tmp_path_factory.mktemp("postfix")
    write_settled(folder / "main.cf", MAIN_CF)
    shutil.copy(MASTER_CF, folder / "master.cf")
    yield folder


def quoted_or_none(quote: Callable[[str], str], value: str) -> str | None:
    try:
        return quote(value)
    except UnquotableError:
        return None


# --- One value ---


def check_main_cf(folder: Path, value: str) -> None:
    text = quoted_or_none(main_cf_value, value)
    if text is None:
        return
    write_settled(folder / "master.cf", MASTER_CF.read_text())
    write_settled(folder / "main.cf", f"{MAIN_CF}smtp_helo_name = {text}\nsmtp_bind_address = x\n")
    arguments = ("postconf", "-c", str(folder), "-x", "-h", "smtp_helo_name", "smtp_bind_address")
    assert postfix(*arguments) == f"{value}\nx\n"


def check_master_cf(folder: Path, value: str) -> None:
    text = quoted_or_none(functools.partial(master_cf_option, "smtp_helo_name"), value)
    if text is None:
        return
    write_settled(folder / "main.cf", MAIN_CF)
    write_settled(
        folder / "master.cf",
        "pc-a unix - - n - - smtp\n"
        f"  -o smtp_fallback_relay=\n  {text}\n  -o smtp_bind_address=x\n"
        "pc-b unix - - n - - smtp\n",
    )
    found = postfix("postconf", "-c", str(folder), "-x", "-P")
    lines = found.split("\n")
    assert lines.pop() == ""
    assert {line.partition(" =")[0]: line.partition(" =")[2].lstrip() for line in lines} == {
        "pc-a/unix/smtp_fallback_relay": "",
        "pc-a/unix/smtp_helo_name": value,
        "pc-a/unix/smtp_bind_address": "x",
    }


def check_table_value(folder: Path, value: str) -> None:
    check_table(folder, "key", value)


def check_table_key(folder: Path, key: str) -> None:
    check_table(folder, key, "value")


def check_table(folder: Path, key: str, value: str) -> None:
    try:
        line = table_entry(key, value)
    except UnquotableError:
        return
    write_settled(folder / "main.cf", MAIN_CF)
    source = build_table(folder, f"before\t1\n{line}after\t2\n".encode())
    # -q - asks with the key as it is: an argument that begins with - would be an option.
    asked = f"before\n{key}\nafter\n"
    found = postfix("postmap", "-c", str(folder), "-q", "-", f"hash:{source}", standard_input=asked)
    assert found == f"before\t1\n{key}\t{value}\nafter\t2\n"
    listed = postfix("postmap", "-c", str(folder), "-s", f"hash:{source}")
    assert len(listed.splitlines()) == 3


def build_table(folder: Path, data: bytes) -> Path:
    source = folder / "table"
    write_settled(source, data.decode())
    postfix("postmap", "-c", str(folder), f"hash:{source}")
    return source


def check_comment(folder: Path, text: str) -> None:
    line = quoted_or_none(comment, text)
    if line is None:
        return
    write_settled(folder / "main.cf", f"{line}{MAIN_CF}{line}smtp_helo_name = a\n{line}")
    names = [entry.partition(" =")[0] for entry in postfix_lines(folder, "-n")]
    assert sorted(names) == [
        "compatibility_level",
        "config_directory",
        "myhostname",
        "smtp_helo_name",
    ]
    write_settled(folder / "main.cf", MAIN_CF)
    write_settled(folder / "master.cf", f"{line}pc-a unix - - n - - smtp\n{line}  -o x=y\n{line}")
    assert [entry.split()[0] for entry in postfix_lines(folder, "-M")] == ["pc-a"]
    assert postfix_lines(folder, "-P") == ["pc-a/unix/x = y"]


def postfix_lines(folder: Path, option: str) -> list[str]:
    """What postconf prints of a folder."""
    return postfix("postconf", "-c", str(folder), option).splitlines()


CHECKS = [check_main_cf, check_master_cf, check_table_value, check_table_key, check_comment]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text(folder: Path, check: Callable[[Path, str], None], text: str) -> None:
    check(folder, text)


@pytest.mark.parametrize("check", CHECKS)
@generated
@given(hostile_text)
def test_generated_text(folder: Path, check: Callable[[Path, str], None], text: str) -> None:
    check(folder, text)


@pytest.mark.parametrize(
    ("quote", "values"),
    [
        (main_cf_value, ["", "plain", "two words", "$myhostname", "café", "a # b", '"a"']),
        (
            functools.partial(master_cf_option, "smtp_helo_name"),
            ["", "plain", "two words", "$myhostname", "[192.0.2.1]:25", "a, b", "café", "-o"],
        ),
        (
            functools.partial(table_entry, "key"),
            ["plain", "two words", "$x", "{ a }", "#", "user:p"],
        ),
        (comment, ["", 'Send connector "A"', "# $x { }", "例え"]),
    ],
    ids=["main.cf", "master.cf", "table", "comment"],
)
def test_ordinary_values_are_not_refused(quote: Callable[[str], str], values: list[str]) -> None:
    assert [value for value in values if quoted_or_none(quote, value) is None] == []


@pytest.mark.parametrize("name", ["", "a b", "a=b", "{x", "a\n", "a$b", "ä"])
def test_only_a_parameters_name_is_one(name: str) -> None:
    with pytest.raises(UnquotableError):
        master_cf_option(name, "value")


# --- A whole connector ---

FACTS = PostfixFacts(
    config_directory=Path("/etc/postfix"),
    queue_directory=Path("/var/spool/postfix"),
    version=(3, 7),
    map_type="hash",
)
FULL: dict[str, object] = {
    "name": "Partner",
    "comment": "Contract",
    "address_spaces": ["contoso.com", "*.fabrikam.com", "*"],
    "dns_routing_enabled": False,
    "smart_hosts": ["relay.contoso.com", "192.0.2.1"],
    "port": 587,
    "fqdn": "mail.contoso.com",
    "source_ip_address": "192.0.2.10",
    "require_tls": True,
    "tls_auth_level": "DomainValidation",
    "tls_domain": "mail.contoso.com",
    "tls_certificate_name": "<I>CN=a<S>CN=b",
    "smart_host_auth_mechanism": "BasicAuth",
    "authentication_credential": {"user_name": "contoso", "password_file": "secret"},
}
STRINGS = [
    ("name",),
    ("comment",),
    ("address_spaces", 0),
    ("smart_hosts", 0),
    ("fqdn",),
    ("source_ip_address",),
    ("tls_domain",),
    ("tls_certificate_name",),
    ("authentication_credential", "user_name"),
    ("authentication_credential", "password_file"),
]


def replaced(path: tuple[str | int, ...], text: str) -> dict[str, object]:
    """The full connector with another text in one place."""
    name, *inner = path
    value: object = text
    if inner:
        holder = FULL[str(name)]
        if isinstance(holder, list):
            value = [text, *holder[1:]]
        elif isinstance(holder, dict):
            value = {**holder, inner[0]: text}
    return {**FULL, str(name): value}


def compiled(connector: dict[str, object], password: str = "secret") -> Compiled | None:
    """What the connector compiles to, or None if the file is refused."""
    organization: Organization | None = read_document({"send_connector": [connector]}).organization
    if organization is None:
        return None
    name = organization.connectors[0].name
    local = LocalRouting(organization, None)
    return compile_organization(
        local, FACTS, OwnNames(), {name: password}, {name: b"PEM"}, HostEntries()
    )


def as_postfix_reads_it(folder: Path, result: Compiled) -> dict[str, list[str]]:
    """Parameters, services and keys of tables by name, the connector's own name left out."""
    rendered = render(result, FACTS, ConfigurationFiles(MAIN_CF, MASTER_CF.read_text()), b"")
    write_settled(folder / "main.cf", rendered.configuration.main_cf)
    write_settled(folder / "master.cf", rendered.configuration.master_cf)
    service = result.services[0].name
    found = {
        "main.cf": [line.partition(" =")[0] for line in postfix_lines(folder, "-n")],
        "services": [line.split()[0] for line in postfix_lines(folder, "-Mf") if line[0] != " "],
        "options": [line.partition(" =")[0] for line in postfix_lines(folder, "-P")],
    }
    ours = re.compile(rf"{re.escape(service)}(?![a-z-])")
    for name, file in rendered.files.items():
        if file.is_table:
            source = build_table(folder, file.data)
            entries = postfix("postmap", "-c", str(folder), "-s", f"hash:{source}")
            found[name] = [str(len(entries.splitlines()))]
    return {
        ours.sub("SERVICE", name): [ours.sub("SERVICE", value) for value in values]
        for name, values in found.items()
    }


@pytest.mark.parametrize("text", ["x/y", "a.b*c+d", "$1 /i", "+1 (425) 555", "][^", *HOSTILE])
def test_an_address_of_another_type_is_never_a_pattern(folder: Path, text: str) -> None:
    domain = {"domain_name": "contoso.test", "default": True}
    reading = read_document(
        {
            "organization": {"accepted_domains": [domain]},
            "send_connector": [{**FULL, "address_spaces": [f"FAX:{text};1"]}],
        }
    )
    if reading.organization is None:
        return
    local = LocalRouting(reading.organization, None)
    result = compile_organization(
        local, FACTS, OwnNames(), {"Partner": "x"}, {"Partner": b"PEM"}, HostEntries()
    )
    [table] = [table for table in result.tables if table.name == FOREIGN_TABLE]
    source = folder / "foreign"
    write_settled(source, "".join(table_entry(key, value) for key, value in table.entries))
    meant = f"imceaFAX-{encapsulated(comparable(text.strip()))}@Contoso.test"
    for key, wanted in ((meant, table.entries[0][1]), ("IMCEAFAX-other@contoso.test", None)):
        command = ["postmap", "-c", str(folder), "-q", key, f"regexp:{source}"]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        assert found.stderr == ""
        assert found.stdout.rstrip("\n") == (wanted or "")


@functools.cache
def harmless(folder: Path) -> dict[str, list[str]]:
    result = compiled(FULL)
    assert result is not None
    return as_postfix_reads_it(folder, result)


def check_connector(folder: Path, path: tuple[str | int, ...], text: str) -> None:
    expected = harmless(folder)
    result = compiled(replaced(path, text))
    if result is None:
        return
    try:
        found = as_postfix_reads_it(folder, result)
    except UnquotableError:
        pytest.fail("a file that passes check can be published")
    if path[0] == "address_spaces":
        space = AddressSpace.parse(text)
        # Another type stands in no transport table, and what is not ASCII in two forms.
        more = -1 if not space.is_smtp else int(in_unicode(space.domain) is not None)
        expected = {**expected, "transport": [str(int(expected["transport"][0]) + more)]}
    assert found == expected


@pytest.mark.parametrize("path", STRINGS, ids=lambda path: ".".join(str(part) for part in path))
@pytest.mark.parametrize(
    "text",
    [
        *(text for text in HOSTILE if text),  # an empty one takes some properties out
        "fe80::1%a b",
        "fe80::1%$myhostname",
        "fe80::1%{",
        "fe80::1%], [192.0.2.66",
        "<I>CN=a<S>CN=$x {b} -o c=d",
    ],
)
def test_a_property_is_never_syntax(folder: Path, path: tuple[str | int, ...], text: str) -> None:
    check_connector(folder, path, text)


@pytest.mark.parametrize("path", [("name",), ("authentication_credential", "user_name")])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hostile_text)
def test_a_generated_text_is_never_syntax(
    folder: Path, path: tuple[str | int, ...], text: str
) -> None:
    check_connector(folder, path, text)
