"""Address spaces: `[Type:]Address[;Cost]`, what they mean, what is refused and why."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postconnector.model.address_space import AddressSpace, Specificity

ALL, WILDCARD, EXACT = Specificity.ALL, Specificity.WILDCARD, Specificity.EXACT


@pytest.mark.parametrize(
    ("text", "shown", "specificity", "domain"),
    [
        ("contoso.com", "SMTP:contoso.com;1", EXACT, "contoso.com"),
        ("contoso.com;1", "SMTP:contoso.com;1", EXACT, "contoso.com"),
        ("SMTP:contoso.com", "SMTP:contoso.com;1", EXACT, "contoso.com"),
        ("SMTP:contoso.com;1", "SMTP:contoso.com;1", EXACT, "contoso.com"),
        ("smtp:contoso.com;7", "SMTP:contoso.com;7", EXACT, "contoso.com"),
        ("Contoso.COM;100", "SMTP:Contoso.COM;100", EXACT, "contoso.com"),
        ("contoso.com;01", "SMTP:contoso.com;1", EXACT, "contoso.com"),
        (" contoso.com ; 5 ", "SMTP:contoso.com;5", EXACT, "contoso.com"),
        ("*", "SMTP:*;1", ALL, ""),
        ("SMTP:*;100", "SMTP:*;100", ALL, ""),
        ("*.contoso.com", "SMTP:*.contoso.com;1", WILDCARD, "contoso.com"),
        ("*.Contoso.com;2", "SMTP:*.Contoso.com;2", WILDCARD, "contoso.com"),
        ("*.com", "SMTP:*.com;1", WILDCARD, "com"),
        ("localhost", "SMTP:localhost;1", EXACT, "localhost"),
        ("3com.com", "SMTP:3com.com;1", EXACT, "3com.com"),
        ("xn--bcher-kva.example", "SMTP:xn--bcher-kva.example;1", EXACT, "xn--bcher-kva.example"),
        ("bücher.example", "SMTP:xn--bcher-kva.example;1", EXACT, "xn--bcher-kva.example"),
        ("--", "SMTP:--;1", Specificity.ACCEPTED_DOMAINS, ""),
        ("FAX:*", "FAX:*;1", ALL, ""),
        ("fax:+1 425 555;7", "fax:+1 425 555;7", EXACT, "+1 425 555"),
        ("X400:*;3", "X400:*;3", ALL, ""),
        ("*.Bücher.example", "SMTP:*.xn--bcher-kva.example;1", WILDCARD, "xn--bcher-kva.example"),
    ],
)
def test_accepted(text: str, shown: str, specificity: Specificity, domain: str) -> None:
    space = AddressSpace.parse(text)
    assert (str(space), space.specificity, space.domain) == (shown, specificity, domain)


@pytest.mark.parametrize("text", ["contoso.com;9", "*;1", "*.contoso.com;100", "smtp:A.b;3"])
def test_what_is_shown_is_read_back(text: str) -> None:
    space = AddressSpace.parse(text)
    assert AddressSpace.parse(str(space)) == space


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the address is empty; write a domain such as contoso.com, or *"),
        ("SMTP:", "the address is empty"),
        (";5", "the address is empty"),
        ("*contoso.com", "write *.contoso.com or contoso.com"),
        ("contoso.*", "a wildcard can only be the whole first label"),
        ("mail.*.contoso.com", "a wildcard can only be the whole first label"),
        ("*.*", "a wildcard can only be the whole first label"),
        ("*.*.contoso.com", "a wildcard can only be the whole first label"),
        ("**", "a wildcard can only be the whole first label"),
        ("*.", "the domain is empty"),
        ("contoso.com;", "whole number from 1 to 100; write e.g. contoso.com;10"),
        ("*;", "whole number from 1 to 100"),
        ("contoso.com;0", "whole number from 1 to 100"),
        ("contoso.com;101", "whole number from 1 to 100"),
        ("contoso.com;-1", "whole number from 1 to 100"),
        ("contoso.com;1.5", "whole number from 1 to 100"),
        ("contoso.com;ten", "whole number from 1 to 100"),
        ("contoso.com;٣", "whole number from 1 to 100"),
        ("contoso.com;5;6", "whole number from 1 to 100"),
        ("contoso.com;" + "9" * 5000, "whole number from 1 to 100"),
        ("contoso.com.", "leave the dot away"),
        ("contoso..com", "two dots in a row"),
        (".contoso.com", "empty label"),
        ("user@contoso.com", "write only the domain behind the @"),
        ("SMTP:user@contoso.com;1", "write only the domain behind the @"),
        ("http://contoso.com", "this is a URL; write the domain alone"),
        ("contoso.com/mail", "write the domain alone"),
        ("my_host.contoso.com", "no underscore"),
        ("-a.contoso.com", "letters, digits and hyphens"),
        ("con toso.com", "letters, digits and hyphens"),
        ("contoso.com, fabrikam.com", "letters, digits and hyphens"),
        ("a" * 64 + ".com", "at most 63"),
        (".".join(["a" * 60] * 5), "more than 253 characters"),
        ("1.2.3.4", "the last label is a number"),
        ("[192.0.2.1]", "address literal"),
        ("☃\u200d.example", "no internationalised domain name"),
        ("X400:anything;1", "an X.400 address is attributes"),
        ("X400:c=US;a=Fabrikam", "must state the cost"),
        ("X400:c=US;a=Fabrikam;p=5", "must state the cost"),
        ("X400:;1", "the address is empty; write X400:*"),
        ("X400:a= ;1", "names no X.400 attribute"),
        ("FAX:", "the address is empty; write FAX:*"),
        ("FAX:+1;425", "whole number from 1 to 100"),
        ("Local:SMTP:contoso.com;1", "the prefix Local: of Exchange 2007"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError) as refusal:
        AddressSpace.parse(text)
    assert message in str(refusal.value)


def test_x400_attributes_are_compared_without_case_and_blanks() -> None:
    space = AddressSpace.parse("x400:C=US;ADMD= ;P= Contoso ;OU=Sales;5")
    assert str(space) == "X400:C=US;ADMD= ;P= Contoso ;OU=Sales;5"
    assert space.attributes == {("c", "us"), ("p", "contoso"), ("ou1", "sales")}


@pytest.mark.parametrize(
    ("text", "shown", "specificity"),
    [
        ("X400:c=US;a=Fabrikam;P=Contoso;5", "X400:c=US;a=Fabrikam;P=Contoso;5", EXACT),
        ("x400:c=US", "X400:c=US;1", EXACT),
        ("X400: c=US ; 7 ", "X400:c=US;7", EXACT),
        ("X400:*", "X400:*;1", ALL),
        ("FAX:+1;425;100", "FAX:+1;425;100", EXACT),
        ("FAX:;;1", "FAX:;;1", EXACT),
        ("FAX:*.contoso.com", "FAX:*.contoso.com;1", EXACT),
        ("FAX:--", "FAX:--;1", EXACT),
        ("Fax:a:b", "Fax:a:b;1", EXACT),
        ("my-type_2:Any Text /ü;9", "my-type_2:Any Text /ü;9", EXACT),
        ("sMtP:Contoso.com;3", "SMTP:Contoso.com;3", EXACT),
        ("SMTP: contoso.com", "SMTP:contoso.com;1", EXACT),
    ],
)
def test_types(text: str, shown: str, specificity: Specificity) -> None:
    space = AddressSpace.parse(text)
    assert (str(space), space.specificity) == (shown, specificity)
    assert AddressSpace.parse(shown) == space


@pytest.mark.parametrize("kind", ["X400", "FAX", "SMTP"])
@pytest.mark.parametrize("cost", ["0", "101", "-1", "1.0", "", "1e1", "9" * 10, "\u0663", "+5"])
def test_costs_out_of_range_for_every_type(kind: str, cost: str) -> None:
    with pytest.raises(ValueError, match="cost"):
        AddressSpace.parse(f"{kind}:{'c=US' if kind == 'X400' else 'a.com'};{cost}")


@given(
    st.sampled_from(["FAX", "Notes", "x-1", "SMTPX"]),
    st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=10),
    st.integers(1, 100),
)
def test_other_types_are_read_as_they_are_shown(kind: str, address: str, cost: int) -> None:
    if address.startswith("//"):
        return
    space = AddressSpace.parse(f"{kind}:{address};{cost}")
    assert (space.type, space.address, space.cost) == (kind, address, cost)
    assert str(space) == f"{kind}:{address};{cost}"


@pytest.mark.parametrize("text", ["mailto:bob@contoso.com", "http://contoso.com"])
def test_what_is_certainly_no_type(text: str) -> None:
    with pytest.raises(ValueError):
        AddressSpace.parse(text)


def test_an_attribute_that_stands_once_in_an_address() -> None:
    with pytest.raises(ValueError):
        AddressSpace.parse("X400:c=US;c=DE;a=Fabrikam;1")


LABELS = st.text("aZ09-.*\n\x0b\x85ü:; ", max_size=6)
NEARLY_PLAIN = st.one_of(
    st.sampled_from(["contoso.com", "*.Contoso.com", "com", "*", "--", "1", "a.1", "a..b", ""]),
    st.builds("{}contoso.com{}".format, LABELS, LABELS),
    st.builds(lambda label, count: ".".join([label] * count), st.just("abc"), st.integers(62, 66)),
)


@given(st.lists(st.one_of(NEARLY_PLAIN, st.just(7)), min_size=1, max_size=4))
def test_what_is_read_in_one_go_is_what_each_is_by_itself(texts: list[str]) -> None:
    found = AddressSpace.all_plain(texts)
    if found is not None:
        assert found == tuple(map(AddressSpace.parse, texts))


@pytest.mark.parametrize("texts", [["contoso.com"], ["*.Contoso.com", "3com.com", "a-b.localhost"]])
def test_what_nearly_all_are_is_read_in_one_go(texts: list[str]) -> None:
    assert AddressSpace.all_plain(texts) == tuple(map(AddressSpace.parse, texts))
