"""What the policy service answers, request by request, as Postfix sends them."""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Sequence

import pytest

from postconnector.daemon.installed_rules import load_rules
from postconnector.enforcement.message import Message
from postconnector.enforcement.postfix_view import NotKnownYetError
from postconnector.enforcement.rule import Defer, NamedRule, Refuse, TakeAgentPath, Verdict
from postconnector.model.organization import Organization
from postconnector.model.send_connector import SendConnector
from postconnector.policyd.judge import Judge
from postconnector.policyd.open_messages import OpenMessages
from tests.unit.connectors import connector

MB = 1024**2

INTERNET = connector("Internet", max_message_size="2 MB")
PARTNER = connector("Partner", address_spaces=["fabrikam.com"], max_message_size="1 MB")
RELAY = connector(
    "Relay",
    address_spaces=["*.woodgrove.com"],
    max_message_size="1 MB",
    dns_routing_enabled=False,
    smart_hosts=["192.0.2.1"],
)
LARGE = connector(
    "Large",
    address_spaces=["fabrikam.com;2"],
    max_message_size="5 MB",
    dns_routing_enabled=False,
    smart_hosts=["192.0.2.2", "large.contoso.com"],
    port=587,
)
BULK = connector(
    "Bulk",
    address_spaces=["bulk.com"],
    max_message_size="100 MB",
    dns_routing_enabled=False,
    smart_hosts=["192.0.2.3"],
)
UNLIMITED = connector("Unlimited", max_message_size="unlimited")
VALIDATING = connector(
    "Validating",
    max_message_size="unlimited",
    require_tls=True,
    tls_auth_level="CertificateValidation",
)

INSTANCE = "1.7fffffff.0.1"
"""Of a message that began in 2038."""

AGENT_PATH = "FILTER pc-agent-path:unix:postconnector/deliver"

LOCAL = {"contoso.com"}
RELAYED = {"relayed.com"}
ALIAS = "all@example.com"


class Postfix:
    """It delivers for contoso.com, relays for relayed.com, and has the alias all@example.com; what
    it was not asked about before is not known yet.
    """

    def __init__(self, *, adds_recipients: bool = False) -> None:
        self._known: set[str] = set()
        self._adds_recipients = adds_recipients

    def keeps(self, domain: str, *, relayed_too: bool) -> bool:
        self._ask_first(domain)
        return domain in LOCAL or (relayed_too and domain in RELAYED)

    def ask_ahead(self, domains: Collection[str]) -> None:
        unknown = set(domains) - self._known
        if unknown:
            raise NotKnownYetError(lambda: self._known.update(unknown))

    def rewritten(self, addresses: Collection[str], *, in_doubt: bool) -> frozenset[str]:
        self._ask_first(f"{in_doubt} {' '.join(sorted(addresses))}")
        return frozenset(addresses) & {ALIAS}

    def adds_recipients(self) -> bool:
        self._ask_first("always_bcc")
        return self._adds_recipients

    async def find_out(self, unknown: NotKnownYetError) -> None:
        unknown.ask()

    def _ask_first(self, question: str) -> None:
        if question not in self._known:
            raise NotKnownYetError(lambda: self._known.add(question))


class Conversation:
    """Asks a judge as one smtpd(8) process would."""

    def __init__(
        self,
        *connectors: SendConnector,
        messages: OpenMessages | None = None,
        rules: Sequence[NamedRule] = (),
        postfix: Postfix | None = None,
    ) -> None:
        organization = Organization(tuple(connectors))
        self._judge = Judge(
            organization,
            OpenMessages() if messages is None else messages,
            postfix or Postfix(),
            (*load_rules(), *rules),
        )

    def ask(self, **attributes: str | int) -> str:
        request = {name: str(value) for name, value in attributes.items()}
        return asyncio.run(self._judge.action({"request": "smtpd_access_policy", **request}))

    def rcpt(self, recipient: str, size: int = 0, instance: str = INSTANCE) -> str:
        return self.ask(
            protocol_state="RCPT",
            recipient=recipient,
            size=size,
            instance=instance,
            recipient_count=0,
        )

    def end(
        self,
        size: int,
        recipients: int,
        only: str = "",
        instance: str = INSTANCE,
        listener: str = "",
    ) -> str:
        """END-OF-MESSAGE: Postfix names the recipient only if there is one."""
        return self.ask(
            protocol_state="END-OF-MESSAGE",
            recipient=only,
            size=size,
            instance=instance,
            recipient_count=recipients,
            queue_id="4XyZ",
            policy_context=listener,
        )

    def message(self, recipients: Iterable[str], size: int, listener: str = "") -> str:
        """A message whose size the client does not declare."""
        recipients = list(recipients)
        for recipient in recipients:
            assert self.rcpt(recipient) == "DUNNO"
        only = recipients[0] if len(recipients) == 1 else ""
        return self.end(size, len(recipients), only, listener=listener)


# --- RCPT TO ---


@pytest.mark.parametrize(
    ("recipient", "size"),
    [
        ("bob@fabrikam.com", 0),
        ("bob@fabrikam.com", 1 * MB),
        ("bob@fabrikam.com", 2 * MB),  # Internet takes it
        ("bob@example.org", 2 * MB),
        ("bob@contoso.com", 100 * MB),  # local
        ("bob@relayed.com", 100 * MB),
        (ALIAS, 100 * MB),
        ("bob", 100 * MB),
        ("", 100 * MB),
    ],
)
def test_rcpt_passes(recipient: str, size: int) -> None:
    assert Conversation(INTERNET, PARTNER).rcpt(recipient, size) == "DUNNO"


def test_rcpt_refusal_names_recipient_size_connector_and_limit() -> None:
    assert Conversation(INTERNET, PARTNER).rcpt("bob@fabrikam.com", 2 * MB + 1) == (
        "552 5.3.4 message of 2,097,153 bytes to bob@fabrikam.com is larger than MaxMessageSize"
        ' 2 MB (2,097,152 bytes) of Send connector "Internet"'
    )


@pytest.mark.parametrize(
    ("recipient", "named"),
    [
        ("bücher@fabrikam.com", "b\\xfccher@fabrikam.com"),
        ("a\u200b\u202eb@fabrikam.com", "a\\u200b\\u202eb@fabrikam.com"),
        ("a" * 500 + "@fabrikam.com", "a" * 117 + "..."),
    ],
)
def test_a_refusal_is_one_line_of_ascii(recipient: str, named: str) -> None:
    reply = Conversation(PARTNER).rcpt(recipient, 2 * MB)
    assert f" to {named} is larger " in reply
    assert reply.isascii()
    assert reply.isprintable()


def test_a_connector_with_an_odd_name_is_named_in_ascii() -> None:
    reply = Conversation(connector("Ärger", max_message_size="1 KB")).rcpt("a@b.c", 2000)
    assert reply.endswith('of Send connector "\\xc4rger"')


def test_a_named_relay_domain_is_the_connectors() -> None:
    """Only * leaves Postfix' relay domains alone."""
    named = connector("Named", address_spaces=["relayed.com"], max_message_size="1 MB")
    assert Conversation(named).rcpt("bob@relayed.com", 2 * MB).startswith("552 5.3.4 ")


@pytest.mark.parametrize("size", ["", "0", "-1", "many", "٣" * 8, "9" * 30, "1e9"])
def test_an_undeclared_size_is_a_small_one(size: str) -> None:
    asked = Conversation(PARTNER).ask(protocol_state="RCPT", recipient="a@fabrikam.com", size=size)
    assert asked == "DUNNO"


@pytest.mark.parametrize("state", ["CONNECT", "EHLO", "MAIL", "DATA", "VRFY", "ETRN", ""])
def test_other_states_pass(state: str) -> None:
    asked = Conversation(PARTNER).ask(
        protocol_state=state, recipient="bob@fabrikam.com", size=10 * MB
    )
    assert asked == "DUNNO"


def test_other_requests_pass() -> None:
    judge = Conversation(PARTNER)
    assert judge.ask(request="junk", protocol_state="RCPT", recipient="a@fabrikam.com") == "DUNNO"


# --- END-OF-MESSAGE ---


@pytest.mark.parametrize(
    ("connectors", "recipients", "size", "action"),
    [
        ([INTERNET, PARTNER], ["bob@fabrikam.com"], 1 * MB, "DUNNO"),
        ([INTERNET, PARTNER], ["bob@example.org"], 2 * MB, "DUNNO"),
        ([INTERNET, PARTNER], ["bob@example.org", "eve@fabrikam.com"], 1 * MB, "DUNNO"),
        # Another connector takes it.
        ([INTERNET, PARTNER], ["bob@fabrikam.com"], 1 * MB + 1, "FILTER pc-internet:"),
        (
            [INTERNET, PARTNER],
            ["bob@fabrikam.com", "eve@fabrikam.com"],
            2 * MB,
            "FILTER pc-internet:",
        ),
        (
            [INTERNET, PARTNER, LARGE],
            ["bob@fabrikam.com"],
            2 * MB,
            "FILTER pc-large:[192.0.2.2]:587, large.contoso.com:587",
        ),
        # All take the same connector, some because of the size.
        (
            [INTERNET, PARTNER],
            ["bob@fabrikam.com", "eve@example.org"],
            2 * MB,
            "FILTER pc-internet:",
        ),
        (
            [UNLIMITED, PARTNER, RELAY],
            ["bob@fabrikam.com", "eve@mail.woodgrove.com"],
            2 * MB,
            "FILTER pc-unlimited:",
        ),
        # Recipients that need different routes: each gets his own by the agent.
        ([INTERNET, PARTNER, LARGE], ["b@fabrikam.com", "e@example.org"], 2 * MB, AGENT_PATH),
        ([UNLIMITED, PARTNER, LARGE], ["b@fabrikam.com", "e@example.org"], 6 * MB, None),
        ([PARTNER, RELAY, INTERNET], ["b@fabrikam.com", "bob@contoso.com"], 2 * MB, AGENT_PATH),
        ([PARTNER], ["bob@fabrikam.com", "eve@example.org"], 2 * MB, AGENT_PATH),
        ([INTERNET, PARTNER], ["bob@fabrikam.com", "eve@contoso.com"], 3 * MB, AGENT_PATH),
        # Postfix' own domains.
        ([INTERNET, PARTNER], ["bob@contoso.com"], 100 * MB, "DUNNO"),
        ([INTERNET, PARTNER], ["bob@relayed.com"], 100 * MB, "DUNNO"),
        ([INTERNET, PARTNER], ["bob@contoso.com", "eve@relayed.com"], 100 * MB, "DUNNO"),
        # One that Postfix can't carry out is the agent's by itself.
        (
            [VALIDATING, PARTNER],
            ["bob@fabrikam.com"],
            2 * MB,
            "FILTER pc-delivery-agent:unix:postconnector/deliver",
        ),
        # An alias, which takes the connectors of those it stands for.
        ([INTERNET, PARTNER], [ALIAS], 1 * MB, "DUNNO"),
        ([INTERNET, PARTNER], [ALIAS], 2 * MB, AGENT_PATH),
        ([INTERNET, PARTNER], [ALIAS, "bob@contoso.com"], 2 * MB, AGENT_PATH),
        ([INTERNET, PARTNER], [ALIAS, "bob@fabrikam.com"], 3 * MB, AGENT_PATH),
        ([UNLIMITED], [ALIAS], 100 * MB, "DUNNO"),
        # No connector at all.
        ([], ["bob@fabrikam.com"], 100 * MB, "DUNNO"),
        ([PARTNER], ["bob@example.org"], 100 * MB, "DUNNO"),
    ],
)
def test_end_of_message(
    connectors: list[SendConnector], recipients: list[str], size: int, action: str | None
) -> None:
    expected = action or "FILTER pc-unlimited:"
    assert Conversation(*connectors).message(recipients, size) == expected


def test_end_of_message_refusal_of_one_recipient() -> None:
    assert Conversation(INTERNET, PARTNER).message(["bob@fabrikam.com"], 3 * MB) == (
        "552 5.3.4 message of 3,145,728 bytes to bob@fabrikam.com is larger than MaxMessageSize"
        ' 2 MB (2,097,152 bytes) of Send connector "Internet"'
    )


@pytest.mark.parametrize(
    ("count", "more"),
    [(2, "(and 1 more recipient likewise)"), (3, "(and 2 more recipients likewise)")],
)
def test_end_of_message_refusal_of_several_recipients(count: int, more: str) -> None:
    recipients = [f"user{n}@fabrikam.com" for n in range(count)]
    reply = Conversation(INTERNET, PARTNER).message(recipients, 3 * MB)
    assert reply.startswith("552 5.3.4 message of 3,145,728 bytes to user0@fabrikam.com is larger")
    assert reply.endswith(f'"Internet" {more}')


def test_a_recipient_that_was_refused_does_not_count_at_the_end() -> None:
    judge = Conversation(INTERNET, PARTNER)
    assert judge.rcpt("bob@fabrikam.com", 3 * MB).startswith("552 ")
    assert judge.rcpt("eve@contoso.com", 3 * MB) == "DUNNO"
    assert judge.end(3 * MB, 1, only="eve@contoso.com") == "DUNNO"


def test_each_message_has_its_own_recipients() -> None:
    judge = Conversation(INTERNET, PARTNER)
    judge.rcpt("bob@fabrikam.com", instance="1")
    judge.rcpt("eve@fabrikam.com", instance="1")
    judge.rcpt("bob@example.org", instance="2")
    judge.rcpt("eve@example.org", instance="2")
    assert judge.end(2 * MB, 2, instance="2") == "DUNNO"
    assert judge.end(2 * MB, 2, instance="1") == "FILTER pc-internet:"


# --- What the agent hands back ---


@pytest.mark.parametrize(
    ("recipient", "size", "action"),
    [
        ("bob@fabrikam.com", 1 * MB, "DUNNO"),
        ("bob@fabrikam.com", 2 * MB, "FILTER pc-internet:"),
        ("bob@fabrikam.com", 3 * MB, "DUNNO"),
        ("bob@example.org", 3 * MB, "DUNNO"),
        ("bob@contoso.com", 3 * MB, "DUNNO"),
        ("bob", 3 * MB, "DUNNO"),
    ],
)
def test_what_comes_back_is_routed_by_the_size_that_was_judged_and_not_judged_again(
    recipient: str, size: int, action: str
) -> None:
    asked = Conversation(INTERNET, PARTNER).ask(
        protocol_state="RCPT",
        policy_context="postconnector-return",
        recipient=recipient,
        size=size,
    )
    assert asked == action


# --- Content filters ---

SCAN = "scan:[127.0.0.1]:10025"
AGENT, BOB = "FILTER pc-agent-path", "bob@fabrikam.com"
SCAN_WAY, LATE_WAY = "filtered", "late-filtered"
HERE = f"asked-here {LATE_WAY} {SCAN_WAY}"


@pytest.mark.parametrize(
    ("listener", "way"),
    [
        (f"{HERE}; {SCAN}; no_address_mappings", f"-{LATE_WAY}"),
        (f"{HERE}; {SCAN}; no_milters", f"-{SCAN_WAY}"),
        (f"{HERE}; ;", ""),
        (f"{HERE}; scan:[another.port]:10026; ", f"-{SCAN_WAY}"),
        ("somebody's own", ""),
    ],
)
def test_the_agent_path_comes_back_by_the_way_of_the_listener(listener: str, way: str) -> None:
    conversation = Conversation(INTERNET, PARTNER)
    action = conversation.message([BOB, "eve@contoso.com"], 2 * MB, listener)
    assert action == f"{AGENT}{way}:unix:postconnector/deliver"


@pytest.mark.parametrize("listener", ["asked-here; new:;", "asked-here; ; no_address_mappings"])
def test_what_would_take_the_agent_path_waits_if_there_is_no_way_back(
    listener: str, caplog: pytest.LogCaptureFixture
) -> None:
    action = Conversation(INTERNET, PARTNER).message([BOB, "eve@contoso.com"], 2 * MB, listener)
    assert action.startswith("451 4.3.0 ")
    assert "4XyZ: content_filter or receive_override_options" in caplog.text


@pytest.mark.parametrize(
    ("recipients", "size", "listener", "action"),
    [
        ([ALIAS], 4 * MB, f"{HERE}; {SCAN};", f"{AGENT}-{SCAN_WAY}:"),
        ([ALIAS], 4 * MB, f"{HERE}; {SCAN}; no_address_mappings", "DUNNO"),
        ([ALIAS, BOB], 4 * MB, f"{HERE}; {SCAN}; no_address_mappings", f"{AGENT}-{LATE_WAY}:"),
        (['"bob"@fabrikam.com'], 4 * MB, f"{HERE}; {SCAN}; no_address_mappings", AGENT),
        ([BOB], 2 * MB, f"{HERE}; {SCAN};", "FILTER pc-internet:"),
        ([BOB], 2 * MB, f"asked-behind; {SCAN};", "DUNNO"),
        ([BOB, "eve@contoso.com"], 2 * MB, f"asked-behind; {SCAN};", "DUNNO"),
        ([BOB, "eve@contoso.com"], 4 * MB, f"asked-behind {SCAN_WAY}; {SCAN};", AGENT),
        ([ALIAS], 4 * MB, f"asked-behind {SCAN_WAY}; {SCAN};", AGENT),
        ([BOB], 4 * MB, f"asked-behind; {SCAN};", "552"),
        ([BOB], 2 * MB, "asked-behind; ;", "FILTER pc-internet:"),
    ],
)
def test_in_front_of_a_content_filter(
    recipients: Sequence[str], size: int, listener: str, action: str
) -> None:
    found = Conversation(INTERNET, PARTNER).message(recipients, size, listener)
    assert found.startswith(action)


# --- Rules of strangers ---


def no_wills(message: Message) -> Iterator[Refuse]:
    for route in message.recipients:
        if route.recipient.startswith("will@"):
            yield Refuse(550, "5.7.1", "no mail\nto Will", (route.recipient,))


def breaks(message: Message) -> Iterator[Refuse]:
    raise RuntimeError(message.sender)


STRANGER = NamedRule("no-wills", no_wills, is_ours=False)


def test_a_strangers_rule_is_asked_at_both_stages() -> None:
    judge = Conversation(rules=[STRANGER])
    assert judge.rcpt("will@example.org") == "550 5.7.1 no mail\\nto Will"
    assert judge.message(["bob@example.org"], 1000) == "DUNNO"
    assert judge.end(1000, 1, only="will@example.org") == "550 5.7.1 no mail\\nto Will"


def test_recipients_of_whom_a_stranger_refuses_some_take_the_agent_path() -> None:
    messages = OpenMessages()
    judge = Conversation(messages=messages, rules=[STRANGER])
    messages.add("1.1", "bob@example.org")
    messages.add("1.1", "will@example.org")
    assert judge.end(1000, 2) == AGENT_PATH


def test_a_rule_that_fails_defers() -> None:
    judge = Conversation(rules=[NamedRule("broken", breaks, is_ours=False)])
    text = "451 4.3.0 rule broken failed; the log says why"
    assert judge.rcpt("bob@example.org") == text


@pytest.mark.parametrize("verdict", [Refuse(450, "4.7.1", "x"), Defer(550, "5.7.1", "x"), "no"])
def test_a_verdict_that_is_none_defers(verdict: Verdict) -> None:
    judge = Conversation(rules=[NamedRule("odd", lambda _: [verdict], is_ours=False)])
    assert judge.rcpt("bob@example.org").startswith("451 4.3.0 rule odd failed")


def test_of_a_refusal_and_a_deferral_the_refusal_counts() -> None:
    defers = NamedRule("a", lambda _: [Defer(450, "4.7.1", "later")], is_ours=False)
    judge = Conversation(PARTNER, rules=[defers])
    assert judge.rcpt("bob@example.org") == "450 4.7.1 later"
    assert judge.rcpt("bob@fabrikam.com", 2 * MB).startswith("552 5.3.4 ")


def test_a_rule_may_want_the_agent_path() -> None:
    judge = Conversation(rules=[NamedRule("a", lambda _: [TakeAgentPath("so")], is_ours=False)])
    assert judge.end(1000, 1, only="bob@example.org") == AGENT_PATH


# --- After a restart ---


def restarted() -> OpenMessages:
    """Those of a service that began after all messages of here."""
    return OpenMessages(now=lambda: 2.0**32)


def test_with_rules_of_strangers_unknown_recipients_are_always_asked_for_again() -> None:
    judge = Conversation(rules=[STRANGER], messages=restarted())
    assert judge.end(1000, 2).startswith("451 ")


@pytest.mark.parametrize(
    ("connectors", "size", "action"),
    [
        ([INTERNET, PARTNER], 1 * MB, "DUNNO"),
        ([INTERNET, PARTNER], 1 * MB + 1, "451"),
        ([INTERNET], 2 * MB, "DUNNO"),
        ([INTERNET], 2 * MB + 1, "451"),
        ([UNLIMITED], 100 * MB, "DUNNO"),
        ([], 100 * MB, "DUNNO"),
    ],
)
def test_unknown_recipients_are_asked_for_again_only_when_a_limit_is_in_reach(
    connectors: list[SendConnector], size: int, action: str
) -> None:
    judge = Conversation(*connectors, messages=restarted())
    assert judge.end(size, 2).split(" ")[0] == action


def test_a_single_recipient_is_named_even_after_a_restart() -> None:
    judge = Conversation(INTERNET, PARTNER)
    assert judge.end(2 * MB, 1, only="bob@fabrikam.com") == "FILTER pc-internet:"


@pytest.mark.parametrize("size", [2 * MB, 3 * MB])
def test_a_restart_between_two_recipients_judges_nobody_by_the_other(size: int) -> None:
    """Postfix says how many recipients there are (recipient_count): more than we know."""
    before = Conversation(INTERNET, PARTNER, BULK)
    before.rcpt("bob@bulk.com")
    after = Conversation(INTERNET, PARTNER, BULK, messages=restarted())
    after.rcpt("eve@fabrikam.com")
    after.rcpt("joe@fabrikam.com")
    assert after.end(size, 3).startswith("451 ")


def test_what_postfix_adds_is_not_moved_with_the_others() -> None:
    """always_bcc: FILTER would lead it along."""
    judge = Conversation(INTERNET, PARTNER, postfix=Postfix(adds_recipients=True))
    assert judge.message(["bob@fabrikam.com"], 2 * MB) == AGENT_PATH
    assert judge.message(["bob@fabrikam.com"], 1 * MB) == "DUNNO"
    assert judge.message(["bob@example.org"], 2 * MB) == "DUNNO"


def test_a_recipient_named_twice_is_no_unknown_one() -> None:
    judge = Conversation(INTERNET, PARTNER)
    assert judge.message(["bob@fabrikam.com", "bob@fabrikam.com"], 2 * MB) == "FILTER pc-internet:"


def test_messages_outlive_new_connectors() -> None:
    """A publication between RCPT TO and the end of the message."""
    messages = OpenMessages()
    old = Conversation(INTERNET, PARTNER, messages=messages)
    old.rcpt("bob@fabrikam.com")
    old.rcpt("eve@fabrikam.com")
    new = Conversation(INTERNET, PARTNER, LARGE, messages=messages)
    assert new.end(2 * MB, 2).startswith("FILTER pc-large:")


# --- Listeners that do not ask at RCPT TO ---


@pytest.mark.parametrize(
    ("connectors", "size", "action"),
    [
        ([INTERNET, PARTNER], 1 * MB, "DUNNO"),
        ([INTERNET, PARTNER], 1 * MB + 1, AGENT_PATH),
        ([UNLIMITED], 100 * MB, "DUNNO"),
        ([], 100 * MB, "DUNNO"),
    ],
)
def test_recipients_that_were_never_named_are_judged_by_the_agent(
    connectors: list[SendConnector], size: int, action: str
) -> None:
    assert Conversation(*connectors).end(size, 2) == action


def test_with_rules_of_strangers_the_agent_judges_them_always() -> None:
    assert Conversation(rules=[STRANGER]).end(1000, 2) == AGENT_PATH


# --- Memory ---


def test_the_oldest_messages_are_forgotten_first() -> None:
    messages = OpenMessages(most_recipients=4)
    for instance in ("1", "2", "3"):
        messages.add(instance, "bob@contoso.com")
        messages.add(instance, "eve@contoso.com")
    assert messages.recipients("1") == ()
    assert messages.recipients("2") == ["bob@contoso.com", "eve@contoso.com"]
    assert messages.recipients("3") == ["bob@contoso.com", "eve@contoso.com"]
    messages.forget("3")
    assert messages.recipients("3") == ()


def test_memory_is_bounded_and_used_to_the_full() -> None:
    messages = OpenMessages(most_recipients=10)
    for number in range(1000):
        messages.add(str(number // 2), f"user{number % 2}@contoso.com")
    kept = [len(messages.recipients(str(instance))) for instance in range(500)]
    assert sum(kept) == 10
    assert kept[-5:] == [2] * 5


def test_taken_messages_make_room() -> None:
    messages = OpenMessages(most_recipients=2)
    messages.add("1", "bob@contoso.com")
    for number in range(100):
        instance = f"other {number}"
        messages.add(instance, "eve@contoso.com")
        assert messages.recipients(instance) == ["eve@contoso.com"]
        messages.forget(instance)
    assert messages.recipients("1") == ["bob@contoso.com"]


def test_a_message_with_more_recipients_than_are_remembered_is_not_judged_by_some() -> None:
    judge = Conversation(INTERNET, PARTNER, BULK, messages=OpenMessages(most_recipients=2))
    judge.rcpt("bob@bulk.com")
    for number in range(3):
        judge.rcpt(f"user{number}@fabrikam.com")
    assert judge.end(2 * MB, 4) == AGENT_PATH
