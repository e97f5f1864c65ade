"""What error policies make of failures: Postfix' patterns and the delivery agent say the same."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postconnector.delivery.answer import Answer
from postconnector.delivery.failures import judged
from postconnector.delivery.hosts.target import Target
from postconnector.delivery.reply import Reply
from postconnector.enforcement.failure_policy import FailurePolicy, failure_policy
from postconnector.model.enhanced_status_code import EnhancedStatusCode
from postconnector.model.organization import Organization, OrganizationSettings
from postconnector.postfix.compile import compile_organization
from postconnector.postfix.compiled import Compiled
from postconnector.postfix.failures import failure_patterns, failure_table
from postconnector.postfix.host_entries import HostEntries
from postconnector.postfix.local_routing import LocalRouting
from postconnector.postfix.quoting import table_entry
from tests.unit.connectors import connector
from tests.unit.test_compile import FACTS, LIVE, NO_NAMES, facts

LISTS = OrganizationSettings.model_validate(
    {
        "exchange_version": "2010",
        "downgraded_failures": ["5.7.1", "5.2.*"],
        "upgraded_failures": ["4.4.1", "4.7.*"],
    }
)
DNS, DOWN, UP = "DowngradeDnsFailures", "DowngradeCustomFailures", "UpgradeCustomFailures"
SAID = "host mx.contoso.com[192.0.2.1] said: 550 5.7.1 no 5.7.1 4.4.1 (in reply to RCPT TO command)"
UNKNOWN = "Host or domain name not found. Name service error for name=a.com type=MX: not found"


def policy(*names: str, settings: OrganizationSettings = LISTS) -> FailurePolicy:
    return failure_policy(connector(error_policies=list(names)), settings)


def becomes(found: FailurePolicy, code: str, text: str = SAID) -> str:
    """The code of a failure by Postfix' patterns, and by the rule itself."""
    after = filtered(found, code, text)
    assert found.counts_as(code, from_dns=text is UNKNOWN) == after
    return after


def filtered(found: FailurePolicy, code: str, text: str) -> str:
    """What regexp_table(5) makes of a failure; the status filter keeps what no pattern matches."""
    said = f"{code} {text}"
    for pattern, result in failure_patterns(found):
        match = re.match(pattern.removeprefix("/").removesuffix("/"), said, re.I | re.S)
        if match is not None:
            said = match.expand(result.replace("$1", "\\1"))
            break
    after, _, kept = said.partition(" ")
    assert kept == text
    return after


@pytest.mark.parametrize(
    ("names", "code", "after"),
    [
        ((DOWN,), "5.7.1", "4.7.1"),
        ((DOWN,), "5.7.10", "5.7.10"),
        ((DOWN,), "5.7.11", "5.7.11"),
        ((DOWN,), "5.17.1", "5.17.1"),
        ((DOWN,), "5.2.0", "4.2.0"),
        ((DOWN,), "5.2.123", "4.2.123"),
        ((DOWN,), "5.20.1", "5.20.1"),
        ((DOWN,), "4.4.1", "4.4.1"),
        ((DOWN,), "4.7.1", "4.7.1"),
        ((DOWN,), "2.7.1", "2.7.1"),
        ((UP,), "4.4.1", "5.4.1"),
        ((UP,), "4.7.5", "5.7.5"),
        ((UP,), "4.4.10", "4.4.10"),
        ((UP,), "5.7.1", "5.7.1"),
        ((UP,), "2.0.0", "2.0.0"),
        ((UP, DOWN), "5.7.1", "4.7.1"),
        ((UP, DOWN), "4.7.1", "5.7.1"),
        ((DNS,), "5.7.1", "5.7.1"),
        ((), "5.7.1", "5.7.1"),
    ],
)
def test_what_becomes_of_a_code(names: tuple[str, ...], code: str, after: str) -> None:
    assert becomes(policy(*names), code) == after


@pytest.mark.parametrize("names", [(DNS,), (DNS, UP), (UP, DOWN, DNS)])
@pytest.mark.parametrize("code", ["5.4.4", "4.4.3", "4.4.1"])
def test_dns_failures_are_temporary_whatever_the_lists_say(
    names: tuple[str, ...], code: str
) -> None:
    assert becomes(policy(*names), code, UNKNOWN) == f"4{code[1:]}"


NUMBERS = st.integers(0, 999)


@given(NUMBERS, NUMBERS, st.none() | NUMBERS, NUMBERS, NUMBERS)
def test_a_code_is_downgraded_exactly_where_it_is_named(
    subject: int, detail: int, any_detail: int | None, seen_subject: int, seen_detail: int
) -> None:
    code = EnhancedStatusCode(5, subject, any_detail)
    found = FailurePolicy(dns=False, downgraded=(code,), upgraded=())
    for s, d in ((seen_subject, seen_detail), (subject, detail), (subject, any_detail or 0)):
        named = s == subject and any_detail in (None, d)
        assert becomes(found, f"5.{s}.{d}") == f"{4 if named else 5}.{s}.{d}"


@pytest.mark.parametrize(
    ("names", "table"),
    [
        ((), None),
        (("Default", "DowngradeAuthFailures"), None),
        ((DNS,), "failures/dns"),
        ((UP,), "failures/upgraded"),
        ((DOWN, DNS), "failures/dns-downgraded"),
        ((UP, DOWN, DNS), "failures/dns-downgraded-upgraded"),
    ],
)
def test_a_table_for_each_combination(names: tuple[str, ...], table: str | None) -> None:
    assert failure_table(policy(*names)) == table
    assert failure_table(policy(*reversed(names))) == table


def test_without_lists_there_is_nothing_to_do() -> None:
    nothing = OrganizationSettings()
    assert failure_table(policy(UP, DOWN, settings=nothing)) is None
    assert policy(UP, DOWN, DNS, settings=nothing) == policy(DNS)


def test_patterns_can_be_written_as_entries_of_a_table() -> None:
    for key, value in failure_patterns(policy(UP, DOWN, DNS)):
        assert table_entry(key, value) == f"{key}\t{value}\n"


# --- compiled


def compiled(*policies: tuple[str, ...], **parameters: str) -> Compiled:
    connectors = [
        connector(f"C{number}", address_spaces=[f"c{number}.com"], error_policies=list(names))
        for number, names in enumerate(policies)
    ]
    local = LocalRouting(Organization(tuple(connectors), settings=LISTS), None)
    host = facts(**parameters) if parameters else FACTS
    return compile_organization(local, host, NO_NAMES, {}, {}, HostEntries())


def test_connectors_with_the_same_policies_have_one_table() -> None:
    combinations = [
        names for count in range(4) for names in itertools.combinations((DNS, DOWN, UP), count)
    ]
    result = compiled(*combinations, *combinations)
    tables = [table for table in result.tables if table.name.startswith("failures/")]
    assert len({table.name for table in tables}) == len(tables) == 7
    assert all(table.patterns and table.entries for table in tables)
    used = [
        setting.value
        for service in result.services
        for setting in service.settings
        if setting.name == "smtp_delivery_status_filter"
    ]
    assert sorted(used) == sorted(2 * [f"regexp:{LIVE}/{table.name}" for table in tables])


@pytest.mark.parametrize(
    ("own", "then", "kept"),
    [
        ("", None, None),
        ("$default_delivery_status_filter", "default_delivery_status_filter", None),
        ("pcre:/x", "postconnector_smtp_delivery_status_filter", "pcre:/x"),
        ("$a, $b", "postconnector_smtp_delivery_status_filter", "$a, $b"),
    ],
)
def test_the_hosts_own_filter_is_asked_after_ours(
    own: str, then: str | None, kept: str | None
) -> None:
    result = compiled((DOWN,), smtp_delivery_status_filter=own)
    (setting,) = (
        setting
        for setting in result.services[0].settings
        if setting.name == "smtp_delivery_status_filter"
    )
    assert setting.then == then
    parameters = {parameter.name: parameter.value for parameter in result.parameters}
    assert parameters.get("postconnector_smtp_delivery_status_filter") == kept


@pytest.mark.parametrize("names", [(), (DOWN,), ("DowngradeAuthFailures",)])
def test_failed_logins_are_temporary_where_it_is_said(names: tuple[str, ...]) -> None:
    settings = {s.name: s.value for s in compiled(names).services[0].settings}
    said = "DowngradeAuthFailures" in names
    assert settings.get("smtp_sasl_auth_soft_bounce") == ("yes" if said else None)


# --- answers of the delivery agent

MX = Target("mx.contoso.com", "192.0.2.1", 25)
AT_RCPT = "RCPT TO command"


def said(code: int, enhanced: str | None, in_reply_to: str = AT_RCPT) -> Answer:
    return Answer(Reply(code, enhanced, ("no",)), MX, in_reply_to)


def ours(code: int, enhanced: str, *, not_found: bool = False) -> Answer:
    return Answer(Reply(code, enhanced, ("no",)), not_found=not_found)


@pytest.mark.parametrize(
    ("names", "answer", "code", "status"),
    [
        ((DOWN,), said(550, "5.7.1"), 450, "4.7.1"),
        ((DOWN,), said(551, "5.7.1"), 451, "4.7.1"),
        ((DOWN,), said(552, "5.2.2"), 452, "4.2.2"),
        ((DOWN,), said(555, "5.2.2"), 455, "4.2.2"),
        ((DOWN,), said(553, "5.7.1"), 451, "4.7.1"),
        ((DOWN,), said(554, "5.7.1"), 451, "4.7.1"),
        ((DOWN,), said(521, "5.7.1"), 451, "4.7.1"),
        ((DOWN,), said(550, "5.1.1"), 550, "5.1.1"),
        ((DOWN,), said(550, None), 550, "5.0.0"),
        ((UP,), said(450, "4.7.1"), 550, "5.7.1"),
        ((UP,), said(451, "4.7.1"), 554, "5.7.1"),
        ((UP,), said(452, "4.7.1"), 552, "5.7.1"),
        ((UP,), said(421, "4.7.0"), 554, "5.7.0"),
        ((UP,), said(450, None), 450, "4.0.0"),
        ((UP,), ours(451, "4.4.1"), 554, "5.4.1"),
        ((UP, DOWN), said(250, "2.0.0"), 250, "2.0.0"),
        ((DNS,), ours(550, "5.4.4", not_found=True), 450, "4.4.4"),
        ((DNS,), ours(556, "5.1.10"), 556, "5.1.10"),
        ((DNS,), said(550, "5.4.4"), 550, "5.4.4"),
        ((), ours(550, "5.4.4", not_found=True), 550, "5.4.4"),
    ],
)
def test_the_answer_of_the_delivery_agent(
    names: tuple[str, ...], answer: Answer, code: int, status: str
) -> None:
    told = judged(answer, policy(*names)).told()
    assert (told.code, told.status) == (code, status)


def test_a_list_never_makes_permanent_what_dns_could_not_tell() -> None:
    listed = OrganizationSettings.model_validate({"upgraded_failures": ["4.4.3", "4.4.4"]})
    both = policy(UP, DNS, settings=listed)
    unheard, unknown = ours(451, "4.4.3"), ours(550, "5.4.4", not_found=True)
    assert judged(unheard, both) is unheard
    assert judged(unknown, both).told().code == 450
    assert judged(said(451, "4.4.3"), both).told().status == "5.4.3", "the next hop's own trouble"
    assert judged(unheard, policy(UP, settings=listed)).told().status == "5.4.3"


def test_what_the_next_hop_said_stays_in_the_text() -> None:
    told = judged(said(550, "5.7.1"), policy(DOWN)).told()
    assert (told.code, told.status) == (450, "4.7.1")
    assert told.text.endswith(" said: 550 5.7.1 no (in reply to RCPT TO command)")
    assert judged(said(550, "5.7.1"), policy(DOWN)).relay == MX


def test_an_answer_that_no_policy_is_about_stays_the_same() -> None:
    answer = said(550, "5.1.1")
    assert judged(answer, policy(UP, DOWN, DNS)) is answer


@pytest.mark.parametrize("names", [(), (DOWN,), ("DowngradeAuthFailures",)])
def test_a_refused_login_is_temporary(names: tuple[str, ...]) -> None:
    """To Postfix too: smtp_sasl_auth_soft_bounce. Its filter comes after that."""
    reply = Reply(535, "5.7.8", ("bad credentials",))
    answer = Answer(reply, MX, "AUTH command", refused_login=True)
    told = judged(answer, policy(*names)).told()
    assert (told.code, told.status) == (451, "4.7.8")
    assert "said: 535 5.7.8 bad credentials (in reply to AUTH command)" in told.text
    assert judged(answer, policy(UP)).told().status == "5.7.8"
