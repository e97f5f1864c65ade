"""MaxMessageSize: Exchange's grammar, rounding to KB, and its output form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postconnector.model.size import MaxMessageSize, format_byte_quantity, parse_byte_quantity

KB, MB, GB = 1024, 1024**2, 1024**3
LARGEST = 2_147_483_647


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("unlimited", None),
        ("Unlimited", None),
        (" UNLIMITED ", None),
        ("0", 0),
        ("0 KB", 0),
        ("1", KB),
        ("1023", KB),
        ("1024", KB),
        ("1025", 2 * KB),
        ("1500", 2 * KB),
        ("1500B", 2 * KB),
        ("1500 b", 2 * KB),
        ("64KB", 64 * KB),
        ("64 kb", 64 * KB),
        ("25 MB", 25 * MB),
        ("25Mb", 25 * MB),
        (" 10MB ", 10 * MB),
        ("010MB", 10 * MB),
        ("1GB", GB),
        ("2047 MB", 2047 * MB),
        ("0TB", 0),
        ("2147482624", 2_147_482_624),
        ("2147483647", LARGEST),
        ("10,485,760 bytes", 10 * MB),
        ("10485760 bytes", 10 * MB),
        ("1,500 bytes", 2 * KB),
        ("25 MB (26,214,400 bytes)", 25 * MB),
        ("35 MB (36,700,160 bytes)", 35 * MB),
        ("25 MB (26214400 bytes)", 25 * MB),
        ("0 B (0 bytes)", 0),
    ],
)
def test_accepted(text: str, limit: int | None) -> None:
    assert MaxMessageSize.parse(text).limit == limit


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a size is missing"),
        ("   ", "a size is missing"),
        ("ten MB", 'write a whole number and a unit, such as "10 MB"'),
        ("1.5MB", "not a size"),
        ("0.5KB", "not a size"),
        ("1,5 MB", "not a size"),
        ("10,485,760", "not a size"),
        ("10,48,5760 bytes", "not a size"),
        ("+10MB", "not a size"),
        ("-1", "not a size"),
        ("10  MB", "not a size"),
        ("10 MiB", "not a size"),
        ("10M", "not a size"),
        ("MB", "not a size"),
        ("0x10", "not a size"),
        ("\u0661\u0660 MB", "not a size"),
        ("10 MB 5 KB", "not a size"),
        ("25 MB (", "not a size"),
        ("25 MB ()", "not a size"),
        ("25 MB (26,214,400 bytes", "not a size"),
        ("25 MB (26,214,400)", "not a size"),
        ("25 MB (1 bytes)", "the two sizes differ (26,214,400 and 1 bytes)"),
        ("2147483648", "above the largest limit, 2,147,483,647 bytes"),
        ("2GB", 'write "unlimited" for none'),
        ("1TB", "above the largest limit"),
        ("9" * 18 + "TB", "above the largest limit"),
        ("9" * 5000, "not a size"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError) as refusal:
        MaxMessageSize.parse(text)
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("unlimited", "Unlimited"),
        ("0", "0 B (0 bytes)"),
        ("1", "1 KB (1,024 bytes)"),
        ("1023KB", "1023 KB (1,047,552 bytes)"),
        ("1024 KB", "1 MB (1,048,576 bytes)"),
        ("1536 KB", "1.5 MB (1,572,864 bytes)"),
        ("25MB", "25 MB (26,214,400 bytes)"),
        ("1GB", "1 GB (1,073,741,824 bytes)"),
    ],
)
def test_shown_as_exchange_does(text: str, shown: str) -> None:
    assert str(MaxMessageSize.parse(text)) == shown


@given(st.one_of(st.integers(0, LARGEST // KB).map(lambda n: n * KB), st.just(LARGEST)))
def test_what_is_shown_is_read_back(limit: int) -> None:
    assert MaxMessageSize.parse(str(MaxMessageSize(limit))) == MaxMessageSize(limit)


def test_unlimited_is_read_back() -> None:
    assert MaxMessageSize.parse(str(MaxMessageSize(None))) == MaxMessageSize(None)


@given(st.integers(0, LARGEST))
def test_a_limit_is_rounded_up_to_whole_kilobytes_within_the_range(count: int) -> None:
    limit = MaxMessageSize.parse(str(count)).limit
    assert limit is not None
    assert count <= limit < count + KB
    assert limit % KB == 0 or limit == LARGEST


@pytest.mark.parametrize(
    ("text", "count"),
    [("1500", 1500), ("12MB", 12 * MB), ("10,485,761 bytes", 10 * MB + 1), ("5 GB", 5 * GB)],
)
def test_the_size_of_a_message_is_neither_rounded_nor_bounded(text: str, count: int) -> None:
    assert parse_byte_quantity(text) == count


@pytest.mark.parametrize(
    ("limit", "size", "admitted"),
    [(KB, KB, True), (KB, KB + 1, False), (None, 2**60, True), (0, 1, False)],
)
def test_an_equal_size_passes(limit: int | None, size: int, admitted: bool) -> None:
    assert MaxMessageSize(limit).admits(size) is admitted


@pytest.mark.parametrize(
    ("count", "shown"),
    [(1, "1 B (1 bytes)"), (1000, "1000 B (1,000 bytes)"), (1536, "1.5 KB (1,536 bytes)")],
)
def test_a_quantity_of_bytes_is_shown_exactly(count: int, shown: str) -> None:
    assert format_byte_quantity(count) == shown
