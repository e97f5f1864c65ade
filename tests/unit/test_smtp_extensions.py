"""The keywords of EHLO."""

import pytest

from postconnector.delivery.reply import Reply
from postconnector.delivery.smtp.extensions import Extensions


def of(*lines: str) -> Extensions:
    return Extensions.of(Reply(250, None, ("mx.test greets SIZE 1", *lines)))


def test_keywords() -> None:
    found = of(
        "pipelining", "SIZE 1000", "8bitMIME", "X-ODD  a\tb", "", "AUTH PLAIN", "AUTH=LOGIN x"
    )
    assert found.offers("PIPELINING")
    assert found.offers("8BITMIME")
    assert not found.offers("MX.TEST")
    assert not found.offers("STARTTLS")
    assert found.keywords["X-ODD"] == ("A", "B")
    assert found.mechanisms == ("PLAIN", "LOGIN", "X")
    assert found.size_limit == 1000


@pytest.mark.parametrize(
    "line", ["DSN", "SIZE", "SIZE 0", "SIZE x", "SIZE -1", "SIZE ²", "SIZE " + "9" * 21]
)
def test_no_size_limit(line: str) -> None:
    assert of(line).size_limit is None


def test_nothing_of_a_server_that_only_greets() -> None:
    assert of() == Extensions()
    assert Extensions().mechanisms == ()
    assert of("AUTH=").mechanisms == ()
