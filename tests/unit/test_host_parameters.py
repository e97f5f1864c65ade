"""What main.cf defines, and what follows what we set."""

import pytest

from postconnector.postfix.compiled import Parameter
from postconnector.postfix.host_parameters import HostParameter, read_parameters, with_followers

OURS = (
    Parameter("transport_maps", "lmdb:/live/transport, $mine", "spaces"),
    Parameter("default_transport", "pc-internet", "*"),
    Parameter("relayhost", "", "DNS"),
)
OWN = {"transport_maps": "$mine", "default_transport": "smtp:$relayhost", "relayhost": "[isp]"}


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("a=1\n", [HostParameter("a", "1", (0,))]),
        ("a\t = \t1  \n\n", [HostParameter("a", "1", (0,))]),
        ("a\n# c\n = 1", [HostParameter("a", "1", (0, 2))]),
        ("a =\n\n \t\n  # c\n\t1,\n# c\n 2\n", [HostParameter("a", "1, 2", (0, 4, 6))]),
        ("a = 1\na = 2\n", [HostParameter("a", "1", (0,)), HostParameter("a", "2", (1,))]),
        ("  a = 1\nb = 2\n", [HostParameter("b", "2", (1,))]),
        ("a\nb = 2\n", [HostParameter("b", "2", (1,))]),
        ("#a = 1\n", []),
        # What is no white space to Postfix begins a line.
        ("a = 1\n\u00a0b = 2\n", [HostParameter("a", "1", (0,))]),
    ],
)
def test_definitions_are_read_as_postfix_reads_them(text: str, read: list[HostParameter]) -> None:
    assert list(read_parameters(text.splitlines(keepends=True))) == read


def followers(**theirs: str) -> dict[str, str]:
    """What stands in our block beside what we set."""
    block = {parameter.name: parameter.value for parameter in with_followers(OURS, theirs, OWN)}
    return {name: value for name, value in block.items() if name not in OWN}


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("$relayhost", "$postconnector_relayhost"),
        ("smtp:${relayhost}", "smtp:${postconnector_relayhost}"),
        ("$(relayhost)", "$(postconnector_relayhost)"),
        (
            "${relayhost?smtp:$relayhost}",
            "${postconnector_relayhost?smtp:$postconnector_relayhost}",
        ),
        ("${{$relayhost} == {} ? a : b}", "${{$postconnector_relayhost} == {} ? a : b}"),
    ],
)
def test_what_follows_ours_keeps_to_the_host_s_own_value(value: str, kept: str) -> None:
    assert followers(x=value) == {"x": kept, "postconnector_relayhost": "[isp]"}


@pytest.mark.parametrize(
    "value", ["$relayhosts", "$relay_host", "$$relayhost", "relayhost", "$mine", "$", ""]
)
def test_what_follows_nothing_of_ours_stays_where_it_is(value: str) -> None:
    assert followers(x=value) == {}


def test_own_values_that_follow_each_other_are_kept_together() -> None:
    assert followers(relay_transport="$default_transport") == {
        "relay_transport": "$postconnector_default_transport",
        "postconnector_default_transport": "smtp:$postconnector_relayhost",
        "postconnector_relayhost": "[isp]",
    }


def test_address_verification_and_proxymap_follow_what_is_in_use() -> None:
    theirs = {"address_verify_relayhost": "$relayhost", "proxy_read_maps": "$transport_maps"}
    assert followers(**theirs) == {}


def test_our_own_values_name_what_the_host_has() -> None:
    ours = [OURS[2], Parameter("smtpd_x", "check, $relayhost", "")]
    block = list(with_followers(ours, {}, OWN))
    assert [parameter.value for parameter in block] == [
        "",
        "check, $postconnector_relayhost",
        "[isp]",
    ]
