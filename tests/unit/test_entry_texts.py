"""Where connectors stand in a file, and which of them change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postconnector.sources.entry_texts import (
    ChangedEntries,
    Entries,
    changed_entries,
    entry_starts,
)

HEAD = b"[host]\nserver = 'a'\n\n"
A, B, C = (
    b"[[send_connector]]\nname = '%b'\n[send_connector.authentication_credential]\n\n" % name
    for name in (b"A", b"B", b"C")
)


def read(data: bytes) -> Entries:
    starts = entry_starts(data)
    assert starts is not None
    return Entries(data, starts)


@pytest.mark.parametrize(
    ("new", "change"),
    [
        (HEAD + A + B.replace(b"'B'", b"'D'") + C, (1, 1, 1)),
        (HEAD + A + C, (1, 1, 0)),
        (HEAD + B + C, (0, 1, 0)),
        (HEAD + A + B, (2, 1, 0)),
        (HEAD + A + A + B + C, (1, 0, 1)),
        (HEAD + A + B + C + A, (3, 0, 1)),
        (HEAD + C + A + B + C, (0, 0, 1)),
        (HEAD + C + B + A, (0, 3, 3)),
        (HEAD + A + B + b"# about B\n" + C, (1, 1, 1)),
        (HEAD + A + B + b"[send_connector.other]\n" + C, (1, 1, 1)),
        (HEAD + A + B + b" " + C, (2, 1, 1)),
        (HEAD + A + B.rstrip() + C, (1, 2, 1)),
        (HEAD + A + B + C.rstrip(), (2, 1, 1)),
        (HEAD + A + B + b"[[send_connector", None),
        (HEAD + A + B + b"[other]\n" + C, None),
        (HEAD + A + B + b"x = '''\n'''\n" + C, None),
        (HEAD + b"x = 1\n" + A + B + C, None),
        (A + B + C, None),
        (b"", None),
    ],
)
def test_the_shortest_stretch_that_changes(new: bytes, change: tuple[int, int, int] | None) -> None:
    found = changed_entries(read(HEAD + A + B + C), new)
    assert (found and found[0]) == (change and ChangedEntries(*change))
    assert found is None or found[1] == read(new)


def test_lines_may_end_as_in_windows() -> None:
    old, new = (text.replace(b"\n", b"\r\n") for text in (HEAD + A + B + C, HEAD + A + C))
    found = changed_entries(read(old), new)
    assert found == (ChangedEntries(1, 1, 0), read(new))


@given(
    old=st.lists(st.sampled_from((A, B, C)), min_size=1, max_size=6),
    new=st.lists(st.sampled_from((A, B, C, b"\n", b"# x\n", b" ", b"[send_connector.x]\n"))),
    head=st.sampled_from((b"", HEAD)),
)
def test_outside_of_the_stretch_nothing_differs(
    old: list[bytes], new: list[bytes], head: bytes
) -> None:
    before, data = read(head + b"".join(old)), head + b"".join(new)
    found = changed_entries(before, data)
    if found is None:
        assert not data.startswith(head + b"[[")
        return
    change, after = found
    assert after == read(data)
    same = len(before.starts) - change.start - change.gone
    assert same == len(after.starts) - change.start - change.new
    texts = [[each.text(n) for n in range(len(each.starts))] for each in (before, after)]
    assert texts[0][: change.start] == texts[1][: change.start]
    assert texts[0][len(texts[0]) - same :] == texts[1][len(texts[1]) - same :]
