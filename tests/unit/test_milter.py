"""What the milter makes of a message, and what of its settings Postfix gets."""

from collections.abc import Collection, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postconnector.daemon.metrics import Metrics
from postconnector.enforcement.message import Client, Message
from postconnector.enforcement.rule import Defer, NamedRule, Refuse, Rule, TakeAgentPath, Verdict
from postconnector.enforcement.size import size_rule
from postconnector.model.organization import AskMilter, HostSettings, Organization
from postconnector.postfix.compile import compile_organization
from postconnector.postfix.compiled import Compiled
from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.host_entries import HostEntries
from postconnector.postfix.listener import Listener
from postconnector.postfix.local_routing import LocalRouting
from postconnector.postfix.own_domains import OwnNames
from postconnector.postfix.table_names import MILTER_TABLE
from postconnector_milter.judge import Judge
from postconnector_milter.message import MOST_HEADER_BYTES, MOST_HEADERS, OpenMessage
from postconnector_milter.underway import Underway
from tests.unit.connectors import connector
from tests.unit.test_compile import FACTS, parameters

MB = 1024**2
SMALL = connector("Small", address_spaces=["fabrikam.com"], max_message_size="1 MB")
LARGE = connector("Large", address_spaces=["*.com"], max_message_size="5 MB")
ALL = connector("All", max_message_size="2 MB")


BY_SENDMAIL = Client()
LISTENER = Listener()


class Postfix:
    """It delivers for contoso.com, relays for relayed.org, and has the alias all@fabrikam.com."""

    def keeps(self, domain: str, *, relayed_too: bool) -> bool:
        return domain == "contoso.com" or (relayed_too and domain == "relayed.org")

    def ask_ahead(self, domains: Collection[str]) -> None:
        pass

    def rewritten(self, addresses: Collection[str], *, in_doubt: bool) -> frozenset[str]:  # noqa: ARG002
        return frozenset(addresses) & {"all@fabrikam.com"}


def message(*recipients: str, size: int = 1000, header: bytes = b" x") -> OpenMessage:
    opened = OpenMessage(b"<alice@contoso.com>")
    for recipient in recipients:
        opened.add_recipient(f"<{recipient}>".encode())
    opened.add_header("Subject", header)
    opened.add_body(b"x" * (size - opened.size))
    return opened


def verdict(
    opened: OpenMessage,
    *more_rules: Rule,
    client: Client = BY_SENDMAIL,
    listener: Listener = LISTENER,
) -> Verdict | None:
    rules = [NamedRule("size", size_rule, is_ours=True)]
    rules += [NamedRule(f"more-{number}", rule, False) for number, rule in enumerate(more_rules)]
    organization = Organization.of([SMALL, LARGE, ALL])
    judge = Judge(organization, Postfix(), rules, Metrics())
    return judge.verdict(opened, lambda: client, "4Xyz", lambda: listener)


# --- counting


@given(
    st.lists(st.tuples(st.sampled_from(["A", "Subject"]), st.binary(max_size=50))),
    st.lists(st.binary(min_size=1, max_size=50)),
)
def test_the_size_is_that_of_the_message_on_the_wire(
    headers: list[tuple[str, bytes]], chunks: list[bytes]
) -> None:
    opened = OpenMessage(b"<>")
    wire = b""
    for name, value in headers:
        opened.add_header(name, value)
        wire += name.encode() + b":" + value.replace(b"\n", b"\r\n") + b"\r\n"
    wire += b"\r\n"
    for chunk in chunks:
        opened.add_body(chunk)
        wire += chunk
    assert opened.size == len(wire)


def test_recipients_are_named_once_and_the_null_sender_is_empty() -> None:
    opened = OpenMessage(b"<>")
    for recipient in (b"<a@b.com>", b"<c@b.com>", b"<a@b.com>", b"<\xff@b.com>"):
        opened.add_recipient(recipient)
    assert (opened.sender, opened.recipients) == ("", ("a@b.com", "c@b.com", "\udcff@b.com"))


def test_headers_keep_their_order_and_lines() -> None:
    opened = message(header=b" one\n\ttwo")
    opened.add_header("x-a", b"none")
    opened.add_header("X-Bad", b" \xff")
    assert opened.headers == (("Subject", "one\n\ttwo"), ("x-a", "none"), ("X-Bad", "\ufffd"))


@pytest.mark.parametrize(
    ("name", "counted"),
    [
        ("X-Postconnector-Path", True),
        ("x-POSTCONNECTOR-path", True),
        ("X-Postconnector-Path ", True),
        ("X-Postconnector-Path2", False),
        ("X-Postconnector", False),
    ],
)
def test_copies_of_the_marker_are_counted(name: str, counted: bool) -> None:
    opened = message()
    opened.add_header(name, b" agent")
    assert opened.markers == counted


@pytest.mark.parametrize(
    ("count", "value"), [(MOST_HEADERS, b"x"), (MOST_HEADER_BYTES // 50_000 + 1, b"x" * 50_000)]
)
def test_headers_have_a_bound(count: int, value: bytes) -> None:
    opened = message("a@fabrikam.com")
    for _ in range(count):
        opened.add_header("X-Much", value)
    assert len(opened.headers) <= MOST_HEADERS
    found = verdict(opened)
    assert isinstance(found, Refuse)
    assert (found.code, found.enhanced) == (552, "5.3.4")


# --- judging


@pytest.mark.parametrize(
    ("recipients", "size"),
    [
        (["a@fabrikam.com"], MB),
        (["a@fabrikam.com", "b@other.org"], MB),
        (["a@contoso.com"], 9 * MB),
        (["a@relayed.org"], 9 * MB),
        (["nobody"], 1000),
    ],
)
def test_nothing_is_said_of_what_may_go_its_way(recipients: Sequence[str], size: int) -> None:
    assert verdict(message(*recipients, size=size)) is None


def test_what_no_connector_takes_is_refused() -> None:
    by_smtp = Client("192.0.2.1")
    found = verdict(message("a@fabrikam.com", "b@other.org", size=6 * MB), client=by_smtp)
    assert isinstance(found, Refuse)
    assert (found.code, found.enhanced) == (552, "5.3.4")
    assert "1 more recipient" in found.text


def test_who_sends_by_sendmail_is_told_of_each_recipient() -> None:
    """By the report that the agent has Postfix make; one of a refusal has one text for all."""
    assert isinstance(verdict(message("a@fabrikam.com", size=6 * MB)), Refuse)
    found = verdict(message("a@fabrikam.com", "b@other.org", size=6 * MB))
    assert isinstance(found, TakeAgentPath)


@pytest.mark.parametrize(
    "recipients",
    [
        ["a@other.org", "b@contoso.com"],
        ["a@fabrikam.com", "b@other.org"],
        ["a@woodgrove.com", "b@other.org"],
        ["all@fabrikam.com"],  # an alias
    ],
)
def test_what_only_some_may_have_takes_the_agent_path(recipients: Sequence[str]) -> None:
    assert isinstance(verdict(message(*recipients, size=3 * MB)), TakeAgentPath)


def test_what_moves_takes_the_agent_path() -> None:
    assert isinstance(verdict(message("a@fabrikam.com", size=3 * MB)), TakeAgentPath)


def test_what_is_judged_behind_a_content_filter_is_not_led_past_it() -> None:
    behind = replace(LISTENER, content_filter="scan:", asked_behind=True)
    assert verdict(message("a@fabrikam.com", size=3 * MB), listener=behind) is None
    assert isinstance(verdict(message("b@other.org", size=9 * MB), listener=behind), Refuse)


def test_of_aliases_that_are_followed_later_nothing_is_said() -> None:
    late = replace(LISTENER, maps_late=True)
    assert verdict(message("all@fabrikam.com", size=9 * MB), listener=late) is None


def test_without_a_way_back_it_waits() -> None:
    changed = replace(LISTENER, content_filter="new:")
    assert isinstance(verdict(message("a@fabrikam.com", size=3 * MB), listener=changed), Defer)


def test_other_rules_see_everything() -> None:
    seen: list[Message] = []

    def rule(shown: Message) -> list[Verdict]:
        seen.append(shown)
        return [Defer(450, "4.7.0", "later")]

    found = verdict(message("a@fabrikam.com"), rule)
    assert found == Defer(450, "4.7.0", "later")
    [shown] = seen
    assert (shown.sender, shown.size, shown.queue_id) == ("alice@contoso.com", 1000, "4Xyz")
    assert shown.headers == (("Subject", "x"),)
    assert [route.recipient for route in shown.recipients] == ["a@fabrikam.com"]


# --- what it is waited for


def test_messages_that_begin_later_are_not_waited_for() -> None:
    underway = Underway()
    assert underway.begin()
    assert underway.stop() == 1
    assert not underway.begin()
    assert not underway.wait_for_none(0)
    underway.end()
    assert underway.wait_for_none(0)


# --- compiled


def compiled(facts: PostfixFacts = FACTS, **settings: object) -> Compiled:
    host = HostSettings.model_validate(settings)
    local = LocalRouting(Organization((SMALL, ALL), host), None)
    return compile_organization(local, facts, OwnNames(), {}, {}, HostEntries())


OURS = (
    "{ unix:postconnector/milter, default_action=tempfail, protocol=6, connect_timeout=20s,"
    " command_timeout=20s, content_timeout=20s }"
)
OF_THE_MILTER = (
    *("smtpd_milters", "non_smtpd_milters"),
    *("milter_header_checks", "milter_macro_defaults"),
)


def test_no_milter_is_asked_by_default() -> None:
    found = parameters(compiled())
    assert not found.keys() & set(OF_THE_MILTER)
    assert "smtpd_end_of_data_restrictions" in found


def test_for_sendmail_the_policy_service_goes_on() -> None:
    found = parameters(compiled(milter="sendmail"))
    assert found["non_smtpd_milters"] == OURS
    assert found["milter_header_checks"] == (
        "regexp:/etc/postfix/postconnector/live/milter-headers"
    )
    assert "smtpd_milters" not in found
    assert "smtpd_end_of_data_restrictions" in found


def test_for_smtp_nothing_is_judged_twice() -> None:
    found = parameters(compiled(milter="smtp", milter_service="inet:127.0.0.1:8891"))
    assert found["smtpd_milters"] == found["non_smtpd_milters"]
    assert found["smtpd_milters"].startswith("{ inet:127.0.0.1:8891, ")
    assert "smtpd_end_of_data_restrictions" not in found
    assert "smtpd_recipient_restrictions" in found


def test_the_milters_of_the_host_come_first_and_its_header_checks_last() -> None:
    theirs = {
        "smtpd_milters": "unix:dkim",
        "milter_header_checks": "pcre:/etc/postfix/own",
        "milter_macro_defaults": "{own} = value",
    }
    found = parameters(compiled(replace(FACTS, parameters=theirs), milter="smtp"))
    assert found["smtpd_milters"] == f"unix:dkim, {OURS}"
    assert found["non_smtpd_milters"] == OURS
    assert found["milter_header_checks"].endswith("/milter-headers, pcre:/etc/postfix/own")
    assert found["milter_macro_defaults"] == (
        "{own} = value, { {postconnector_listener} ="
        " asked-here; $content_filter; $receive_override_options },"
        " { {postconnector_pickup} = asked-here; ;  }"
    )


def test_the_marker_is_one_exact_line() -> None:
    [table] = (t for t in compiled(milter="sendmail").tables if t.name == MILTER_TABLE)
    [(pattern, action)] = table.entries
    assert table.patterns
    assert pattern == "/^X-Postconnector-Path:[[:blank:]]agent$/"
    assert action.startswith("FILTER pc-")
    assert action.endswith(":unix:postconnector/deliver")


def test_each_way_back_has_a_marker() -> None:
    host = replace(FACTS, parameters={"content_filter": "scan:"})
    [table] = (t for t in compiled(host, milter="sendmail").tables if t.name == MILTER_TABLE)
    pattern = "/^X-Postconnector-Path:[[:blank:]]agent-filtered$/"
    assert (pattern, "FILTER pc-agent-path-filtered:unix:postconnector/deliver") in table.entries
    assert len(table.entries) == 2


@pytest.mark.parametrize(
    ("milter", "setting", "value"),
    [
        (AskMilter.SMTP, "submission/inet/smtpd_milters", ""),
        (AskMilter.SENDMAIL, "cleanup/unix/non_smtpd_milters", ""),
        (AskMilter.SMTP, "10025/inet/receive_override_options", "no_milters"),
    ],
)
def test_what_keeps_mail_from_the_milter_is_said(
    milter: AskMilter, setting: str, value: str
) -> None:
    facts = replace(FACTS, service_settings={setting: value})
    assert any(f"master.cf sets {setting}" in w for w in compiled(facts, milter=milter).warnings)
    assert not any(setting in warning for warning in compiled(facts).warnings)


def test_milters_by_client_are_said() -> None:
    facts = replace(FACTS, parameters={"smtpd_milter_maps": "cidr:/etc/postfix/own"})
    assert any("smtpd_milter_maps" in w for w in compiled(facts, milter="smtp").warnings)
    assert not any("smtpd_milter_maps" in w for w in compiled(facts, milter="sendmail").warnings)
