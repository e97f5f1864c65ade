"""Where our block and the host's lines can't be told apart, nothing is guessed."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postconnector.postfix.compiled import Parameter
from postconnector.postfix.configuration_files import main_cf_with, master_cf_with
from postconnector.postfix.marked_block import (
    BEGIN,
    END,
    block_in,
    out_of_order,
    with_block,
    without_ours,
)

OWN = Path("/etc/postfix/postconnector")
TRANSPORT = Parameter("transport_maps", f"lmdb:{OWN}/live/transport", "address spaces")
HOST = "myhostname = mail.contoso.com\ntransport_maps = hash:/x,\n  hash:/y\nbiff = no\n"
PUBLISHED = main_cf_with(HOST, [TRANSPORT])
ENTRY = f"pc-b unix - - n - - smtp\n  -o smtp_header_checks=regexp:{OWN}/live/headers\n"
MASTER = master_cf_with("smtp unix - - y - - smtp\n", {"pc-b": ENTRY})


@pytest.mark.parametrize(
    "text", ["", HOST, PUBLISHED, f"{PUBLISHED}\n# mine\nbiff = yes\n  # a comment\n", MASTER]
)
def test_files_as_apply_leaves_them_are_in_order(text: str) -> None:
    assert out_of_order(text, OWN) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PUBLISHED.replace(f"{END}\n", ""), f'"{END}" nowhere'),
        (PUBLISHED.replace(f"{END}\n", "") + "relayhost = [192.0.2.1]\n", "leave one of each"),
        (PUBLISHED.replace(f"{BEGIN}\n", ""), f'"{BEGIN}" nowhere'),
        (PUBLISHED + with_block("", block_in(PUBLISHED)), f'"{BEGIN}" twice, and "{END}" twice'),
        (f"{END}\n{BEGIN}\n", "in this order"),
        (f"{PUBLISHED}{END}\n", f'"{END}" twice'),
        (HOST.replace("biff", "#postconnector replaces# biff"), "line 4 begins with"),
        (f"{PUBLISHED}\n# mine\n  hash:/z\n", "line 11 continues the last entry"),
        (f"{MASTER}  -o smtp_helo_name=x\n", "line 6 continues the last entry"),
        (f"{HOST}transport_maps = lmdb:{OWN}/live/transport\n", f"line 5 names {OWN}, outside"),
        (f"{MASTER}{ENTRY}", f"line 7 names {OWN}, outside our block (postconf -F and -P"),
    ],
)
def test_what_has_to_be_put_right_first(text: str, said: str) -> None:
    found = out_of_order(text, OWN)
    assert found is not None
    assert said in found
    assert "\n" not in found


@pytest.mark.parametrize(
    "quoted",
    [
        f"# we had: {BEGIN}",
        f"# we had: {END}",
        f"## {BEGIN}",
        f'# Send connector "x {END} y"',
        f"{BEGIN}, once",
        f"{END}: that was it",
        f"# lmdb:{OWN}/live/transport was here",
    ],
)
def test_a_comment_that_quotes_our_marks_is_a_comment(quoted: str) -> None:
    text = f"{quoted}\nrelayhost = [10.9.9.9]\nbiff = no\n"
    assert out_of_order(text, OWN) is None
    assert without_ours(text) == text
    assert without_ours(main_cf_with(text, [TRANSPORT])) == text
    inside = master_cf_with(text, {"pc-b": f"{quoted}\n{ENTRY}"})
    assert out_of_order(inside, OWN) is None
    assert without_ours(inside) == text


def test_an_editor_that_writes_other_line_ends_takes_nothing_away() -> None:
    text = PUBLISHED.replace("\n", "\r\n")
    assert out_of_order(text, OWN) is None
    assert without_ours(text) == HOST.replace("\n", "\r\n")


PIECES = (BEGIN, END, "biff = no", "  continued", f"x = {OWN}/live/x", "# comment", "")


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=8), st.sampled_from(["", "\n"]))
def test_whatever_is_in_order_loses_no_line_of_the_hosts(lines: list[str], last: str) -> None:
    text = "\n".join(lines) + last
    if out_of_order(text, OWN) is not None:
        return
    begin = lines.index(BEGIN) if BEGIN in lines else 0
    end = lines.index(END) + 1 if END in lines else 0
    kept = [line for line in (*lines[:begin], *lines[end:]) if line]
    assert [line for line in without_ours(text).split("\n") if line] == kept
    again = main_cf_with(without_ours(text), [TRANSPORT])
    assert out_of_order(again, OWN) is None
    assert main_cf_with(without_ours(again), [TRANSPORT]) == again
