"""X.400 address spaces, and addresses in SMTP's clothes, against the rules as they are documented.

Both grammars' tables are in test_model_values.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postconnector.model.address_space import AddressSpace
from postconnector.model.imcea import ForeignAddress, decapsulate
from postconnector.model.x400 import parse_x400, x400_attributes

UNCHANGED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789=-"


def encoded(text: str, *, lower: bool = False) -> str:
    """[MS-OXCMAIL]: as it is, / as _, every other byte as + and two hexadecimal digits."""
    parts = []
    for byte in text.encode():
        character = chr(byte)
        if character in UNCHANGED:
            parts.append(character)
        else:
            parts.append("_" if character == "/" else f"+{byte:02x}" if lower else f"+{byte:02X}")
    return "".join(parts)


@given(
    st.sampled_from(["FAX", "fax", "X400", "Notes", "EX"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.booleans(),
    st.sampled_from(["IMCEA", "imcea", "ImCeA"]),
)
def test_decapsulation_undoes_the_documented_encoding(
    kind: str, text: str, lower: bool, prefix: str
) -> None:
    local_part = f"{prefix}{kind}-{encoded(text, lower=lower)}"
    expected = ForeignAddress(kind.upper(), text) if len(local_part) <= 315 else None
    assert decapsulate(local_part) == expected


@given(st.text(max_size=330))
def test_any_local_part_is_taken_or_left(text: str) -> None:
    decapsulate(text)
    decapsulate(f"IMCEAFAX-{text}")


@pytest.mark.parametrize(
    ("local_part", "address"),
    [
        ("IMCEAX-+", "+"),
        ("IMCEAX-+2", "+2"),
        ("IMCEAX-+zz", "+zz"),
        ("IMCEAX-+2b", "+"),
        ("IMCEAX-++2B", "++"),
        ("IMCEAX-a-b", "a-b"),
        ("IMCEAX-", ""),
        ("IMCEAX-+00", "\0"),
    ],
)
def test_odd_escapes(local_part: str, address: str) -> None:
    assert decapsulate(local_part) == ForeignAddress("X", address)


ATTRIBUTES = st.lists(
    st.tuples(
        st.sampled_from(["c", "A", "p", "O", "ou2", "S", "g", "dda:rfc-822"]),
        st.text("abcXYZ .-()'", min_size=1, max_size=5).filter(str.strip),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda attribute: attribute[0],
)


@given(ATTRIBUTES, st.integers(1, 100))
def test_order_and_case_of_attributes_do_not_count(
    attributes: list[tuple[str, str]], cost: int
) -> None:
    text = ";".join(f"{name}={value}" for name, value in attributes)
    other = ";".join(f" {name.upper()} = {value.lower()} " for name, value in attributes[::-1])
    assert parse_x400(text) == parse_x400(other) == x400_attributes(other)
    space = AddressSpace.parse(f"X400:{text};{cost}")
    assert (space.attributes, space.cost) == (parse_x400(text), cost)
    assert AddressSpace.parse(str(space)) == space


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("admd=x;c=us", "a=x;c=us"),
        ("prmd=x", "p=x"),
        ("ou=x", "ou1=x"),
        ("org=x", "o=x"),
        ("c=us;a= ", "c=us"),
        ("c=us;a=", "c=us"),
        ("c=us;;", "c=us"),
    ],
)
def test_names_that_mean_the_same(text: str, same: str) -> None:
    assert parse_x400(text) == parse_x400(same)


@given(st.text(max_size=40) | st.text("ca=;: ", max_size=20))
def test_any_recipient_has_attributes_or_none(text: str) -> None:
    for name, value in x400_attributes(text):
        assert value == value.strip().casefold() != ""
        assert name == name.strip()


def test_an_address_has_a_bound() -> None:
    many = ";".join(f"dda:a{number}=b" for number in range(33))
    with pytest.raises(ValueError, match="at most 32"):
        parse_x400(many)
    assert len(x400_attributes(many)) == 32
