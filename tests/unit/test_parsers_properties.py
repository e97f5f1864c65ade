"""What the fuzzers check, with inputs that hypothesis puts together and makes small."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, target


@pytest.mark.parametrize("name", TARGETS)
def test_parsers(name: str) -> None:
    found = target(name)
    pieces = st.sampled_from(found.WORDS) | st.binary(max_size=6)
    ways_to_cut = st.integers(0, 255).map(lambda number: bytes((number,)))

    @settings(max_examples=200)
    @given(ways_to_cut, st.lists(pieces, max_size=12).map(b"".join))
    def check(how: bytes, data: bytes) -> None:
        found.check(how + data)

    check()
