"""On which line a key, a table or an array's element stands, however the document is laid out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from postconnector.model.problem import DocumentPath
from postconnector.sources.connectors_file import parse_connectors
from postconnector.sources.line_numbers import line_of
from postconnector.sources.toml_lines import locate

C = "send_connector"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = 1\nb = 2\n", {("a",): 1, ("b",): 2}),
        ("\n\n# a = 0\na = 1", {("a",): 4}),
        ("a = 1 # b = 2\n\t b\t=\t2\n", {("a",): 1, ("b",): 2}),
        ("[host]\na = 1\n", {("host",): 1, ("host", "a"): 2}),
        ("[ host ] # [other]\na = 1\n", {("host",): 1, ("host", "a"): 2}),
        (
            f"[[{C}]]\nname = 'A'\n\n[host]\nx = 1\n\n[[ {C} ]]\nname = 'B'\n",
            {
                (C, 0): 1,
                (C, 0, "name"): 2,
                ("host", "x"): 5,
                (C, 1): 7,
                (C, 1, "name"): 8,
            },
        ),
        (
            f"[[{C}]]\nname = 'A'\n[{C}.credential]\nuser = 'u'\n"
            f"[[{C}]]\n[{C}.credential]\n\nuser = 1",
            {
                (C, 0, "credential"): 3,
                (C, 0, "credential", "user"): 4,
                (C, 1): 5,
                (C, 1, "credential"): 6,
                (C, 1, "credential", "user"): 8,
            },
        ),
        (
            "a = [\n  1,\n  # 2,\n  [ 3,\n 4 ],\n\n  'x', 'y' # z\n]\nb = 1\n",
            {
                ("a",): 1,
                ("a", 0): 2,
                ("a", 1): 4,
                ("a", 1, 0): 4,
                ("a", 1, 1): 5,
                ("a", 2): 7,
                ("a", 3): 7,
                ("b",): 9,
            },
        ),
        ("a = []\nb = [ ]\nc = [\n]\nd = 1\n", {("a",): 1, ("b",): 2, ("c",): 3, ("d",): 5}),
        ('a = """\none\n\\"""two\n"""\nb = 1\n', {("a",): 1, ("b",): 5}),
        ("a = '''\none\n\\'''\nb = 1\n", {("a",): 1, ("b",): 4}),
        ('a = """x""""\nb = """""x"""""\nc = 1\n', {("b",): 2, ("c",): 3}),
        ("a = \"\"\nb = ''\nc = \"\"\"\"\"\"\nd = ''''''\ne = 1\n", {("b",): 2, ("e",): 5}),
        ('a = "# no comment"\nb = "[[x]]"\nc = "\\"\\\\"\nd = 1\n', {("b",): 2, ("d",): 4}),
        ('a = """\\\n  folded \\\n  text"""\nb = 1\n', {("a",): 1, ("b",): 4}),
        (
            "a = { b = 1, c = { d = [\n1,\n2 ] } }\ne = 1\n",
            {("a", "b"): 1, ("a", "c", "d", 1): 3, ("e",): 4},
        ),
        (
            "x = [\n { name = 'A' },\n { name = 'B', size = 1 },\n]\n",
            {("x", 0): 2, ("x", 0, "name"): 2, ("x", 1): 3, ("x", 1, "size"): 3},
        ),
        ("a.b.c = 1\na . d = 2\n", {("a", "b", "c"): 1, ("a", "d"): 2}),
        ("\n\na.b = 1\na.c = 2\n", {("a",): 3}),
        ("[x]\n\na.b.c = 1\n", {("x", "a"): 3, ("x", "a", "b"): 3}),
        ("\n[a.b.c]\nd = 1\n[a]\ne = 1\n", {("a", "b", "c"): 2, ("a",): 4, ("a", "e"): 5}),
        ("\n[a.b]\nc = 1\n", {("a",): 2}),
        ('"a b" = 1\n\'c.d\' = 2\n"e".f = 3\n', {("a b",): 1, ("c.d",): 2, ("e", "f"): 3}),
        ('\n"\\u0061" = 1\n', {("a",): 2}),
        ("[[a.b]]\nc = 1\n[[a.b]]\nc = 2\n", {("a", "b", 0, "c"): 2, ("a", "b", 1, "c"): 4}),
        ("a = 1979-05-27 07:32:00\nb = -inf\nc = 0x_\n".replace("_", "F"), {("b",): 2, ("c",): 3}),
        ("", {}),
        ("# only a comment", {}),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_lines(text: str, expected: dict[DocumentPath, int], newline: str) -> None:
    text = text.replace("\n", newline)
    tomli.loads(text)  # the document of the test is TOML
    lines = locate(text)
    assert {path: lines.get(path) for path in expected} == expected


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((C, 0, "name"), 2),
        ((C, 0, "address_spaces", 1), 4),
        ((C, 0, "address_spaces", 7), 3),
        ((C, 0, "missing"), 1),
        ((C, 0, "missing", "deeper"), 1),
        ((C, 9), 1),
        (("missing",), None),
        ((), None),
    ],
)
def test_what_has_no_line_has_that_of_the_thing_around_it(
    path: DocumentPath, line: int | None
) -> None:
    text = f'[[{C}]]\nname = "A"\naddress_spaces = ["a.b",\n"c.d"]\n'
    assert line_of(locate(text), path) == line


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_a_problem_is_found_on_its_line(newline: bytes) -> None:
    text = b'[[send_connector]]\nname = "A"\naddress_spaces = [\n  "a.b",\n  "c d",\n]\nport = -1\n'
    file = parse_connectors(text.replace(b"\n", newline), Path("connectors.toml"))
    assert [(problem.line, problem.property) for problem in file.problems] == [
        (5, "address_spaces"),
        (7, "port"),
    ]


# --- Generated documents. The writer knows on which line it puts what. ---

KEYS = ("name", "port", "a-b", "x_1", "2", "two words", "with.dot", "#", "[x]", "=", "ä")
STRINGS = (
    '"plain"',
    '"a # b = [c] \\" \\\\"',
    "'C:\\dir'",
    '""',
    '"""one\nline = 2\n# three"""',
    '"""\\\n   folded"""',
    '"""a""b"""',
    '"""""q"""""',
    "'''\n[[x]]\n''q'''",
    "''",
)
SCALARS = (
    "1",
    "-17",
    "true",
    "3.5e1",
    "inf",
    "0xfF",
    "2024-01-01",
    "2024-01-01 10:00:00",
    "10:00:01",
)
BETWEEN = ("", "\n", "  \n", "# comment\n", "\t# [x] = '''\n\n", "\n\n\n")
IN_ARRAYS = (" ", "", "\n", " # y, ]\n  ", "\n\n")


class Writer:
    """Writes a document and keeps the line of everything it writes."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self.text = ""
        self.lines: dict[DocumentPath, int] = {}

    def pick(self, *choices: str) -> str:
        return self._draw(st.sampled_from(choices))

    def number(self, most: int) -> int:
        return self._draw(st.integers(0, most))

    def put(self, text: str) -> None:
        self.text += text

    def note(self, path: DocumentPath) -> None:
        self.lines[path] = self.text.count("\n") + 1

    def key(self, key: str) -> None:
        bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
        self.put(self.pick(*([key] if bare else []), f'"{key}"', f"'{key}'"))

    def some_keys(self, most: int) -> list[str]:
        return self._draw(st.lists(st.sampled_from(KEYS), max_size=most, unique=True))

    def pairs(self, table: DocumentPath, depth: int) -> None:
        for key in self.some_keys(3):
            self.put(self.pick(*BETWEEN) + self.pick("", "  ", "\t"))
            self.note((*table, key))
            self.key(key)
            path: DocumentPath = (*table, key)
            if self.number(4) == 0:
                self.put(self.pick(".", " . "))
                path = (*path, "sub")
                self.note(path)
                self.key("sub")
            self.put(self.pick("=", " = ", "\t=  "))
            self.value(path, depth)
            self.put(self.pick("\n", "  \n", " # c = 1\n"))

    def value(self, path: DocumentPath, depth: int) -> None:
        kind = self.number(5 if depth else 3)
        if kind < 2:
            self.put(self.pick(*STRINGS))
        elif kind < 4:
            self.put(self.pick(*SCALARS))
        elif kind == 4:
            self.array(path, depth - 1)
        else:
            self.inline_table(path, depth - 1)

    def array(self, path: DocumentPath, depth: int) -> None:
        self.put("[")
        count = self.number(3)
        for index in range(count):
            self.put(self.pick(*IN_ARRAYS))
            self.note((*path, index))
            self.value((*path, index), depth)
            self.put(self.pick(*IN_ARRAYS) + ("," if index < count - 1 else self.pick("", ",")))
        self.put(self.pick(*IN_ARRAYS) + "]")

    def inline_table(self, path: DocumentPath, depth: int) -> None:
        self.put("{")
        for number, key in enumerate(self.some_keys(2)):
            self.put((", " if number else "") + self.pick("", " "))
            self.note((*path, key))
            self.key(key)
            self.put(" = ")
            self.value((*path, key), depth)
        self.put(self.pick("", " ") + "}")

    def header(self, path: DocumentPath, array: bool) -> None:
        self.put(self.pick(*BETWEEN))
        self.note(path)
        self.put("[[" if array else "[")
        for number, part in enumerate(p for p in path if isinstance(p, str)):
            self.put("." if number else self.pick("", " "))
            self.key(part)
        self.put(("]]" if array else "]") + self.pick("\n", " # [x]\n"))


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, Mapping[DocumentPath, int]]:
    writer = Writer(draw)
    writer.pairs((), 2)
    connectors = 0
    for kind in draw(st.permutations(["connector", "connector", "connector", "host", "other"])):
        if kind == "connector":
            writer.header((C, connectors), array=True)
            writer.pairs((C, connectors), 2)
            if writer.number(2) == 0:
                writer.header((C, connectors, "under"), array=False)
                writer.pairs((C, connectors, "under"), 1)
            connectors += 1
        else:
            writer.header((kind,), array=False)
            writer.pairs((kind,), 2)
    return writer.text, writer.lines


def _paths(value: Any, path: DocumentPath = ()) -> set[DocumentPath]:
    """Every path of a document that a problem could name."""
    children: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    return {path}.union(*(_paths(child, (*path, key)) for key, child in children))


@settings(max_examples=80)
@given(documents(), st.sampled_from(["\n", "\r\n"]))
def test_generated_documents(document: tuple[str, Mapping[DocumentPath, int]], end: str) -> None:
    text, expected = document
    parsed = tomli.loads(text)
    assert set(expected) <= _paths(parsed), "the writer writes what it says"
    lines = locate(text.replace("\n", end))
    assert {path: lines.get(path) for path in expected} == expected


@pytest.mark.parametrize("opening", ["{a=", "[{a="])
def test_nested_as_deeply_as_tomli_goes(opening: str) -> None:
    """Whatever tomli reads has its lines found, or is refused; nothing ends in a traceback."""
    closing = opening.translate({ord("{"): "}", ord("["): "]", ord("a"): None, ord("="): None})
    start = f'[[{C}]]\nname = "A"\naddress_spaces = ["*"]\nprt = '
    for depth in range(100, 500, 5):
        text = start + opening * depth + "1" + closing[::-1] * depth
        problems = parse_connectors(text.encode(), Path("connectors.toml")).problems
        assert len(problems) == 1
