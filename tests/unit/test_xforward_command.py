"""XFORWARD as it is said to a next hop that wants to know where messages came from."""

from collections.abc import Mapping

import pytest

from postconnector.delivery.envelope import Envelope
from postconnector.delivery.lmtp.xforward import xforward_attributes
from postconnector.delivery.smtp.extensions import Extensions
from postconnector.delivery.smtp.parameters import xforward_command

OFFERED = Extensions({"XFORWARD": ("NAME", "ADDR", "HELO")})


def said(forwarded: Mapping[str, str], extensions: Extensions = OFFERED) -> str | None:
    return xforward_command(Envelope("a@contoso.test", (), forwarded=forwarded), extensions)


def test_only_what_was_offered_is_said() -> None:
    known = {"ADDR": "192.0.2.1", "SOURCE": "REMOTE", "NAME": ""}
    assert said(known) == "XFORWARD ADDR=192.0.2.1 NAME=[UNAVAILABLE]"
    assert said(known, Extensions()) is None
    assert said({}) is None
    assert said({"SOURCE": "LOCAL"}) is None


@pytest.mark.parametrize("helo", ["a b", "x\r\nDATA", "1+1=2", "bücher", "[IPv6:2001:db8::1]"])
def test_whatever_a_client_called_itself_is_one_word(helo: str) -> None:
    command = said({"HELO": helo})
    assert command is not None
    assert command.isascii() and command.isprintable() and command.count(" ") == 1
    assert xforward_attributes(command.removeprefix("XFORWARD "))["HELO"].startswith(helo[0])


def test_it_is_understood_as_it_was_meant() -> None:
    command = said({"HELO": "1+1=2 [x]", "ADDR": "2001:db8::1"}) or ""
    found = xforward_attributes(command.removeprefix("XFORWARD "))
    assert found == {"HELO": "1+1=2 [x]", "ADDR": "2001:db8::1"}


def test_what_would_have_all_refused_is_left_out() -> None:
    """smtpd(8) takes 255 characters of each, as they are said."""
    assert said({"HELO": "+" * 100, "ADDR": "192.0.2.1"}) == (
        "XFORWARD HELO=[UNAVAILABLE] ADDR=192.0.2.1"
    )
