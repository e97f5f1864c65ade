"""Smart hosts: host names and IP addresses, and Exchange's form of showing them."""

import pytest

from postconnector.model.smart_host import SmartHost


@pytest.mark.parametrize(
    ("text", "shown", "is_address"),
    [
        ("relay.tailspintoys.com", "relay.tailspintoys.com", False),
        ("Relay.Tailspintoys.com", "Relay.Tailspintoys.com", False),
        (" relay.contoso.com ", "relay.contoso.com", False),
        ("relay", "relay", False),
        ("bücher.example", "xn--bcher-kva.example", False),
        ("172.17.17.7", "[172.17.17.7]", True),
        ("[172.17.17.7]", "[172.17.17.7]", True),
        ("2001:db8::1", "[2001:db8::1]", True),
        ("[2001:DB8:0:0::1]", "[2001:db8::1]", True),
    ],
)
def test_accepted(text: str, shown: str, is_address: bool) -> None:
    host = SmartHost.parse(text)
    assert (str(host), host.is_address) == (shown, is_address)
    assert SmartHost.parse(shown) == host


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the domain is empty"),
        ("relay.contoso.com:587", "write relay.contoso.com here and port = 587"),
        ("192.0.2.1:587", "write 192.0.2.1 here and port = 587"),
        ("[192.0.2.1]:587", "write [192.0.2.1] here and port = 587"),
        ("[2001:db8::1]:25", "write [2001:db8::1] here and port = 25"),
        ("[relay.contoso.com]", "brackets are for IP addresses"),
        ("[relay.contoso.com]:587", "port = 587"),
        ("*.contoso.com", "wildcard"),
        ("relay.contoso.com.", "leave the dot away"),
        ("relay.contoso.com, relay2.contoso.com", "letters, digits and hyphens"),
        ("smtp://relay.contoso.com", "write the domain alone"),
        ("user@relay.contoso.com", "write only the domain behind the @"),
        ("192.0.2.256", "the last label is a number"),
        ("192.0.2", "the last label is a number"),
        ("10.0.0.0/8", "write the domain alone"),
        ("[192.0.2.1", "address literal"),
        ("my_relay", "no underscore"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError) as refusal:
        SmartHost.parse(text)
    assert message in str(refusal.value)


@pytest.mark.parametrize("text", ["fe80::1%eth0", "[fe80::1%a b]", "fe80::1%{x}", "fe80::1%$x"])
def test_an_address_has_no_scope(text: str) -> None:
    """What is behind the % can hold anything, and would end up in Postfix' configuration."""
    with pytest.raises(ValueError):
        SmartHost.parse(text)


@pytest.mark.parametrize("text", ["*", "*.contoso.com", "a.*.contoso.com"])
def test_wildcards_are_not_advised_where_none_is_taken(text: str) -> None:
    with pytest.raises(ValueError) as refusal:
        SmartHost.parse(text)
    assert "write *." not in str(refusal.value)


def test_the_form_of_address_literals_in_mail() -> None:
    with pytest.raises(ValueError, match="leave IPv6: away"):
        SmartHost.parse("[IPv6:2001:db8::1]")
