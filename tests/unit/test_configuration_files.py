"""Our block in main.cf and master.cf: what Postfix reads then, and out again to the byte."""

from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from postconnector.postfix.compiled import Parameter, Service
from postconnector.postfix.configuration_files import (
    entries_in,
    folder_in_force,
    main_cf_with,
    master_cf_with,
    service_entries,
)
from postconnector.postfix.marked_block import without_ours
from postconnector.postfix.settings import Setting
from tests.unit.connectors import connector

OURS = (
    Parameter("transport_maps", "lmdb:/live/transport, hash:/etc/postfix/transport", "spaces"),
    Parameter("default_transport", "pc-internet", 'Send connector "Internet"'),
    Parameter("relayhost", "", "DNS"),
)
SERVICES = (
    Service(
        "pc-internet",
        (connector("Internet"),),
        (
            Setting("smtp_fallback_relay", "", "SmartHosts"),
            Setting("smtp_helo_name", "mail.contoso.com", "Fqdn"),
        ),
    ),
    Service("pc-partner", (connector("Partner, 2nd"),), (Setting("x", "two words", ""),)),
)

MAIN_CF = """\
# See /usr/share/postfix/main.cf.dist
myhostname = mail.contoso.com
transport_maps = hash:/etc/postfix/transport,
    # a comment inside
\thash:/etc/postfix/more

  hash:/etc/postfix/most
relayhost=
#relayhost = old
inet_interfaces = loopback-only
"""
ODD_FILES = (
    "",
    "\n",
    "\n\n\n",
    "#",
    "# only a comment",
    "myhostname = a",
    "myhostname = a\n\n",
    MAIN_CF,
    MAIN_CF.removesuffix("\n"),
    MAIN_CF.replace("\n", "\r\n"),
    MAIN_CF + "relayhost = again\nrelayhost = and again",
    "relayhost = a\n  b",
    "relayhost = a\n# c\n\n  b\n#d\n",
    "relayhost\t=a\n",
    "relayhost=\n",
    "relayhost_x = a\nxrelayhost = b\n",
    "relayhost = $transport_maps\n",
    "# caf\udce9 is no UTF-8\nrelayhost = \udcff\n",
    "  relayhost = a line that continues nothing\n",
    "relayhost = a\x0bb\x0c\x85\u2028c\n",
    "=\n==\nx\n",
    "#postconnector replaces nothing\n",
)


@pytest.mark.parametrize("text", ODD_FILES)
def test_main_cf_comes_out_as_it_was(text: str) -> None:
    assert without_ours(main_cf_with(text, OURS)) == text


@pytest.mark.parametrize("text", ODD_FILES)
@pytest.mark.parametrize("chroot", ["y", "n", "-"])
def test_master_cf_comes_out_as_it_was(text: str, chroot: str) -> None:
    assert without_ours(master_cf_with(text, service_entries(SERVICES, chroot))) == text


@pytest.mark.parametrize("text", ODD_FILES)
def test_a_file_without_our_block_stays(text: str) -> None:
    assert without_ours(text) == text


LINES = (
    "relayhost = a",
    "relayhost=",
    "transport_maps = hash:/x,",
    "default_transport : smtp",
    "myhostname = b # c",
    "  continued",
    "\tdefault_transport = no parameter",
    "# comment",
    " # indented comment",
    "",
    "   ",
    "caf\udce9 = \udcff",
)
files = st.builds(
    lambda lines, newline, last: newline.join(lines) + last,
    st.lists(st.sampled_from(LINES), max_size=12),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["", "\n", "\n\n"]),
)
any_text = st.text(st.characters(blacklist_categories=())).filter(lambda text: "#" not in text)


@settings(max_examples=300)
@given(st.one_of(files, any_text))
def test_any_file_comes_out_as_it_was(text: str) -> None:
    assert without_ours(main_cf_with(text, OURS)) == text
    assert without_ours(master_cf_with(text, service_entries(SERVICES, "y"))) == text


@settings(max_examples=100)
@given(files)
def test_doing_it_twice_is_doing_it_once(text: str) -> None:
    once = main_cf_with(text, OURS)
    assert main_cf_with(without_ours(once), OURS) == once
    other = main_cf_with(without_ours(once), OURS[:1])
    assert main_cf_with(without_ours(other), OURS) == once


def read_main_cf(text: str) -> list[tuple[str, str]]:
    """Names and values as postconf(5) says: comments and empty lines nowhere, then continuation."""
    logical: list[str] = []
    for line in text.split("\n"):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0].isspace() and logical:
            logical[-1] += line
        else:
            logical.append(line)
    pairs = (line.partition("=") for line in logical)
    return [(name.strip(), value.strip()) for name, equals, value in pairs if equals]


def continues_nothing(text: str) -> bool:
    """Whether the file begins with a continuation line, of which Postfix complains."""
    lines = (line for line in text.split("\n") if line.strip())
    first = next((line for line in lines if not line.lstrip().startswith("#")), "")
    return first.startswith((" ", "\t"))


@pytest.mark.parametrize("text", [text for text in ODD_FILES if not continues_nothing(text)])
def test_postfix_reads_our_values_once_and_the_hosts_others(text: str) -> None:
    assert_read_as_both(text)


@settings(max_examples=300)
@given(files)
def test_postfix_reads_our_values_once_and_the_hosts_others_in_any_file(text: str) -> None:
    assume(not continues_nothing(text))
    assert_read_as_both(text)


def assert_read_as_both(text: str) -> None:
    ours = [(parameter.name, parameter.value) for parameter in OURS]
    names = {name for name, _ in ours}
    theirs = [(name, value) for name, value in read_main_cf(text) if name not in names]
    assert read_main_cf(main_cf_with(text, OURS)) == theirs + ours


def test_what_we_replace_is_commented_out_where_it_stands() -> None:
    assert main_cf_with(MAIN_CF, OURS[:1]).startswith(
        """\
# See /usr/share/postfix/main.cf.dist
myhostname = mail.contoso.com
#postconnector replaces# transport_maps = hash:/etc/postfix/transport,
    # a comment inside
#postconnector replaces# \thash:/etc/postfix/more

#postconnector replaces#   hash:/etc/postfix/most
relayhost=
"""
    )


def test_a_service_in_master_cf() -> None:
    text = master_cf_with("smtp unix - - y - - smtp\n", service_entries(SERVICES, "n"))
    assert text.splitlines()[2:] == [
        '# Send connector "Internet"',
        "pc-internet unix - - n - - smtp",
        "  -o smtp_fallback_relay=",
        "  -o smtp_helo_name=mail.contoso.com",
        '# Send connector "Partner, 2nd"',
        "pc-partner unix - - n - - smtp",
        "  -o { x = two words }",
        "# END postconnector",
    ]


def test_what_an_administrator_adds_below_our_block_stays() -> None:
    text = main_cf_with("a = 1\n", OURS) + "b = 2\n"
    assert without_ours(text) == "a = 1\nb = 2\n"
    again = main_cf_with(without_ours(text), OURS)
    assert without_ours(again) == "a = 1\nb = 2\n"


def test_what_an_administrator_adds_below_our_block_is_a_line_of_its_own() -> None:
    text = main_cf_with("a = 1", OURS) + "b = 2\n"
    assert read_main_cf(without_ours(text)) == [("a", "1"), ("b", "2")]


@settings(max_examples=100)
@given(files, st.sets(st.sampled_from(SERVICES)))
def test_the_entries_of_our_block_are_read_back(text: str, services: set[Service]) -> None:
    entries = service_entries(services, "y")
    assert entries_in(master_cf_with(text, entries)) == entries
    assert entries_in(text) == {}


@pytest.mark.parametrize("folder", ["live", "standing-in"])
def test_which_folder_of_tables_is_in_force(folder: str) -> None:
    own = Path("/etc/postfix/postconnector")
    ours = Parameter("transport_maps", f"regexp:/x, lmdb:{own}/{folder}/transport, hash:/y", "")
    assert folder_in_force(main_cf_with(MAIN_CF, [ours]), own) == folder
    assert folder_in_force(MAIN_CF + f"transport_maps = lmdb:{own}/live/transport\n", own) is None
    assert folder_in_force(main_cf_with(MAIN_CF, [ours]), Path("/etc/postfix-out")) is None
