"""The policy service's log lines, as smtpd(8) would write them."""

import re

from hypothesis import given
from hypothesis import strategies as st

from postconnector.policyd.decision_log import decision_line

REQUEST = {
    "request": "smtpd_access_policy",
    "protocol_state": "RCPT",
    "protocol_name": "ESMTP",
    "client_address": "192.0.2.1",
    "client_name": "mx.fabrikam.test",
    "helo_name": "helo.fabrikam.test",
    "sender": "alice@contoso.test",
    "recipient": "bob@fabrikam.test",
    "queue_id": "",
    "size": "300000",
}
# As Postfix' own are found, by pflogsumm and fail2ban for one.
SMTPD = re.compile(
    r"(?P<id>\w+): (?P<action>reject|filter): (?P<state>\S+) from (?P<name>\S*)"
    r"\[(?P<address>\S*)\]: (?P<text>.*); from=<(?P<sender>.*)>( to=<(?P<recipient>.*)>)?"
    r" proto=\S* helo=<.*>"
)


def test_a_refusal_at_rcpt() -> None:
    assert decision_line("reject", REQUEST, "552 5.3.4 too big") == (
        "NOQUEUE: reject: RCPT from mx.fabrikam.test[192.0.2.1]: 552 5.3.4 too big;"
        " from=<alice@contoso.test> to=<bob@fabrikam.test> proto=ESMTP helo=<helo.fabrikam.test>"
    )


def test_at_the_end_of_a_message_for_several() -> None:
    request = {**REQUEST, "protocol_state": "END-OF-MESSAGE", "recipient": "", "queue_id": "4Xy9"}
    line = decision_line("filter", request, "by pc-large:[192.0.2.7]")
    assert line.startswith("4Xy9: filter: END-OF-MESSAGE from ")
    assert " to=<" not in line


def test_a_client_that_postfix_does_not_know() -> None:
    line = decision_line("reject", {"protocol_state": "RCPT"}, "no")
    assert line == "NOQUEUE: reject: RCPT from unknown[unknown]: no; from=<> proto= helo=<>"


@given(st.dictionaries(st.sampled_from(sorted(REQUEST)), st.text(max_size=2000)), st.text())
def test_nothing_that_a_client_says_breaks_the_line(said: dict[str, str], text: str) -> None:
    line = decision_line("reject", {**REQUEST, **said}, text)
    assert line.isascii()
    assert line.isprintable()
    assert len(line) < 3000


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=3000))
def test_it_is_found_as_one_of_postfix(recipient: str) -> None:
    assert SMTPD.fullmatch(decision_line("reject", {**REQUEST, "recipient": recipient}, "no"))


def test_long_values_are_cut() -> None:
    line = decision_line("reject", {**REQUEST, "sender": "a" * 5000}, "x" * 5000)
    assert len(line) < 1200
    assert f"from=<{'a' * 253}...>" in line
