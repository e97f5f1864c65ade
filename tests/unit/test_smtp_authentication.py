"""SASL mechanisms."""

from dataclasses import replace

import pytest

from postconnector.delivery.smtp.authentication import (
    NoMechanismError,
    choose_mechanism,
    decoded,
    encoded,
    exchange,
)
from postconnector.delivery.smtp.settings import Login

_LOGIN = Login("tim", "tanstaaftanstaaf", only_encrypted=False)
_OAUTH = Login("tim", "token", only_encrypted=True, oauth=True)


def test_the_password_is_said_only_where_it_has_to_be() -> None:
    assert choose_mechanism(_LOGIN, ("LOGIN", "PLAIN", "CRAM-MD5", "GSSAPI")) == "CRAM-MD5"
    assert choose_mechanism(_LOGIN, ("LOGIN", "PLAIN", "XOAUTH2")) == "PLAIN"
    assert choose_mechanism(_LOGIN, ("LOGIN",)) == "LOGIN"
    assert choose_mechanism(_OAUTH, ("PLAIN", "XOAUTH2")) == "XOAUTH2"


@pytest.mark.parametrize(
    ("login", "offered"), [(_LOGIN, ("GSSAPI", "XOAUTH2")), (_OAUTH, ("PLAIN",))]
)
def test_no_mechanism(login: Login, offered: tuple[str, ...]) -> None:
    with pytest.raises(NoMechanismError):
        choose_mechanism(login, offered)


def test_plain() -> None:
    assert list(exchange("PLAIN", _LOGIN)) == [b"\0tim\0tanstaaftanstaaf"]


def test_login() -> None:
    assert list(exchange("LOGIN", _LOGIN)) == [b"", b"tim", b"tanstaaftanstaaf"]


def test_cram_md5_as_in_rfc_2195() -> None:
    turns = exchange("CRAM-MD5", _LOGIN)
    assert next(turns) == b""
    said = turns.send(b"<1896.697170952@postoffice.reston.mci.net>")
    assert said == b"tim b913a602c7eda7a495b4e6e7334d3890"


def test_xoauth2() -> None:
    turns = exchange("XOAUTH2", _OAUTH)
    assert next(turns) == b"user=tim\x01auth=Bearer token\x01\x01"
    assert turns.send(b'{"status":"401"}') == b""


def test_base64() -> None:
    assert decoded(encoded(b"\x00\xff")) == b"\x00\xff"
    assert decoded("") == b""
    for bad in ("é", "a", "YQ", "Y Q=", "YQ==YQ=="):
        with pytest.raises(ValueError, match="no base64"):
            decoded(bad)


def test_no_secret_in_what_is_printed() -> None:
    assert "tanstaaf" not in repr(_LOGIN)


@pytest.mark.parametrize("mechanism", ["PLAIN", "XOAUTH2"])
def test_what_would_be_longer_than_a_command_waits_to_be_asked(mechanism: str) -> None:
    """RFC 4954, 4: 512 bytes with the line end."""
    seen = set()
    for size in range(300, 420):
        login = replace(_LOGIN, password=size * "x")
        turns = exchange(mechanism, login)
        first = next(turns)
        whole = first or turns.send(b"")
        assert size * b"x" in whole
        assert (first == b"") == (len(f"AUTH {mechanism} {encoded(whole)}\r\n") > 512)
        seen.add(first == b"")
    assert seen == {False, True}
