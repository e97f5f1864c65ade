"""Domains as connectors name them, and the domain of an envelope recipient."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postconnector.model.domain import is_ip_address, is_plain, parse_domain, recipient_domain


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("contoso.com", "contoso.com"),
        ("Contoso.Com", "Contoso.Com"),
        ("a-b.contoso.com", "a-b.contoso.com"),
        ("localhost", "localhost"),
        ("3com.com", "3com.com"),
        ("4.3.2.1.in-addr.arpa", "4.3.2.1.in-addr.arpa"),
        ("a" * 63 + ".com", "a" * 63 + ".com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
    ],
)
def test_accepted(text: str, domain: str) -> None:
    assert parse_domain(text) == domain


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the domain is empty"),
        ("contoso.com/", "write the domain alone"),
        ("bob@contoso.com", "write only the domain behind the @"),
        ("[192.0.2.1]", "address literal"),
        ("contoso.com.", "ends with a dot"),
        (".", "ends with a dot"),
        ("a..b", "two dots in a row"),
        ("*.contoso.com", "wildcard"),
        ("a_b.com", "underscore"),
        ("a-.com", "letters, digits and hyphens"),
        ("-a.com", "letters, digits and hyphens"),
        (" contoso.com", "letters, digits and hyphens"),
        ("contoso.com\n", "letters, digits and hyphens"),
        ("con\x00toso.com", "letters, digits and hyphens"),
        ("contoso.com:25", "letters, digits and hyphens"),
        ("$myhostname", "letters, digits and hyphens"),
        ("a" * 64 + ".com", "at most 63"),
        ("a." * 127 + "com", "more than 253 characters"),
        ("192.0.2.1", "the last label is a number"),
        ("bücher..example", "internationalised"),
        ("a\u202e.example", "internationalised"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError) as refusal:
        parse_domain(text)
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("recipient", "domain"),
    [
        ("bob@contoso.com", "contoso.com"),
        ("Bob@Contoso.COM", "contoso.com"),
        ("bob@contoso.com.", "contoso.com"),
        ('"a@b"@contoso.com', "contoso.com"),
        ("@contoso.com", "contoso.com"),
        ("bob@[192.0.2.1]", "[192.0.2.1]"),
        ("bob@[IPv6:2001:DB8::1]", "[ipv6:2001:db8::1]"),
        ("bob@bücher.example", "xn--bcher-kva.example"),
        ("bob@BÜCHER.example", "xn--bcher-kva.example"),
        ("bob@bücher.example.", "xn--bcher-kva.example"),
        ("bob@xn--BCHER-kva.example", "xn--bcher-kva.example"),
        ("bob@contoso。com", "contoso.com"),
        ("bob@contoso.com。", "contoso.com"),
        ("bob@my_host.contoso.com", "my_host.contoso.com"),
        ("bob", None),
        ("", None),
        ("bob@", None),
        ("bob@.", None),
    ],
)
def test_recipient_domain(recipient: str, domain: str | None) -> None:
    assert recipient_domain(recipient) == domain


@given(st.text())
def test_no_recipient_is_too_strange(text: str) -> None:
    domain = recipient_domain(f"bob@{text}")
    assert domain is None or domain == domain.lower()


@given(st.from_regex(r"([a-zA-Z0-9]{1,5}\.){1,3}[a-z]{2,3}", fullmatch=True))
def test_a_recipient_at_a_domain_that_a_connector_may_name_has_that_domain(domain: str) -> None:
    assert recipient_domain(f"bob@{parse_domain(domain)}") == domain.lower()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", True),
        ("2001:db8::1", True),
        ("192.0.2", False),
        ("192.0.2.256", False),
        ("[192.0.2.1]", False),
        ("contoso.com", False),
        ("", False),
    ],
)
def test_is_ip_address(text: str, expected: bool) -> None:
    assert is_ip_address(text) is expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("bob@contoso.test", True),
        ("Bob+list@sub.contoso.test", True),
        ("bücher@bücher.test", True),
        ("bob", False),
        ("b@tight", False),
        ("tight.test!b", False),
        ("b%tight.test", False),
        ("@relay.test:b@tight.test", False),
        ('"a b"@contoso.test', False),
        ("a b@contoso.test", False),
        ("a\nbob@contoso.test", False),
    ],
)
def test_a_plain_address_means_the_same_to_everybody(address: str, expected: bool) -> None:
    assert is_plain(address) is expected
