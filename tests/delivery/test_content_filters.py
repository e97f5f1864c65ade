"""Hosts with an after-queue content filter: what the agent path and limits do to mail there."""

import email
import smtplib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.delivery.test_agent_path import KB, SENDER, connectors, peer
from tests.demo.journey import compose
from tests.lab.administrator import Administrator
from tests.lab.host_configurations import FILTER_MARK, ContentFilter
from tests.lab.loopback import free_port, wait_until
from tests.lab.peers import Peer
from tests.postfix.conftest import HostMaker

__all__ = ["peer"]

NOT_ASKING = (
    "  -o smtpd_recipient_restrictions=permit_mynetworks,reject\n"
    "  -o smtpd_end_of_data_restrictions=\n"
)


@dataclass(frozen=True)
class Host:
    """`front`: the port where mail comes in that is to be filtered."""

    administrator: Administrator
    peer: Peer
    content_filter: ContentFilter
    front: int

    def submit(self, *recipients: str, size: int, client: str | None = None) -> tuple[int, str]:
        """The reply to the message; no recipient is refused before. `client`: from which address
        it is said to have come.
        """
        message = compose(recipients[0], size, "<filtered@contoso.test>")
        with smtplib.SMTP("127.0.0.1", self.front, "client.contoso.test", timeout=30) as session:
            session.ehlo()
            if client is not None:
                assert session.docmd("XFORWARD", f"ADDR={client}")[0] == 250
            session.mail(SENDER)
            for recipient in recipients:
                assert session.rcpt(recipient)[0] == 250
            code, text = session.data(message)
        return code, text.decode()

    def submit_by_sendmail(self, *recipients: str, size: int) -> None:
        """The same by sendmail(1)."""
        message = compose(recipients[0], size, "<filtered@contoso.test>").replace(b"\r\n", b"\n")
        self.administrator.host.sendmail(SENDER, recipients, message)

    def arrived(self, count: int) -> dict[str, bool]:
        """To whom it has gone, at the peer and on the host, and whether the filter had seen it."""
        wait_until(lambda: len(self._arrived()) >= count or None, f"{count} recipients")
        self.administrator.host.wait_idle()
        found = self._arrived()
        assert len(found) == count, found
        return dict(found)

    def _arrived(self) -> list[tuple[str, bool]]:
        found = map(email.message_from_bytes, (*self.peer.mail(), *self.administrator.host.mail()))
        return [
            (str(mail["X-Original-To"]), FILTER_MARK in mail)
            for mail in found
            if mail["Message-ID"] == "<filtered@contoso.test>"
        ]

    def reported(self) -> list[str]:
        """Of whom the sender was told that he did not get it."""
        log = self.administrator.host.log
        return [each.recipient for each in log.deliveries() if each.status == "bounced"]


FilteredHost = Callable[..., Host]


@pytest.fixture
def filtered_host(peer: Peer, enter: ExitStack, new_host: HostMaker) -> FilteredHost:
    """Start one. `in_main_cf`: whether the filter and who maps addresses stand there, or with one
    of several listeners; `late`: whether addresses are mapped behind the filter; `asked`: whether
    the policy service is asked there.
    """
    front, back = free_port(), free_port()
    content_filter = enter.enter_context(ContentFilter(back))
    scanner = f"smtp:[127.0.0.1]:{content_filter.port}"

    def make(
        *,
        in_main_cf: bool,
        late: bool,
        asked: bool,
        more: str = "",
        behind: str = "",
        agent: bool = True,
    ) -> Host:
        settings = {"content_filter": scanner}
        if late:
            settings["receive_override_options"] = "no_address_mappings"
        own = "".join(f"  -o {name}={value}\n" for name, value in settings.items())
        host = new_host(
            {
                "virtual_alias_maps": "inline:{ sales@contoso.test=bob@contoso.test,"
                " two@other.test=two@small.test, three@tiny.test=bob@contoso.test,"
                " { beside@tiny.test = beside@tiny.test bob@contoso.test } }",
                "smtp_send_xforward_command": "yes",
                "smtpd_authorized_xforward_hosts": "127.0.0.0/8",
                "virtual_mailbox_maps": f"inline:{{ bob@contoso.test=all/, {SENDER}=all/ }}",
                **(settings if in_main_cf else {}),
            },
            master_cf=f"127.0.0.1:{front} inet n - y - - smtpd\n{'' if in_main_cf else own}"
            f"127.0.0.1:{back} inet n - y - - smtpd\n{'' if asked else NOT_ASKING}"
            "  -o content_filter=\n"
            f"  -o receive_override_options=no_unknown_recipient_checks,{behind}\n"
            f"{more}",
            delivery_agent=agent,
        )
        host.publish(connectors(peer))
        return Host(host, peer, content_filter, front)

    return make


@pytest.mark.parametrize("asked", [False, True], ids=["not asked behind", "asked behind"])
@pytest.mark.parametrize("late", [False, True], ids=["mapped before", "mapped behind"])
@pytest.mark.parametrize("in_main_cf", [False, True], ids=["one listener", "main.cf"])
def test_what_the_agent_hands_back_is_filtered(
    filtered_host: FilteredHost, in_main_cf: bool, late: bool, asked: bool
) -> None:
    """But for who takes another connector because of the size, if nobody is asked behind it."""
    host = filtered_host(in_main_cf=in_main_cf, late=late, asked=asked)
    recipients = ("sales@contoso.test", "a@small.test", "b@tiny.test", "c@other.test")
    assert host.submit(*recipients, size=50 * KB)[0] == 250
    arrived = host.arrived(3)
    assert arrived.pop("b@tiny.test") is asked
    assert set(arrived) - {"a@small.test"} <= {"bob@contoso.test", "sales@contoso.test"}
    assert all(arrived.values())
    assert host.reported() == ["c@other.test"]


@pytest.mark.parametrize("asked", [False, True], ids=["not asked behind", "asked behind"])
@pytest.mark.parametrize("late", [False, True], ids=["mapped before", "mapped behind"])
def test_nobody_is_refused_for_what_his_alias_would_not_take(
    filtered_host: FilteredHost, late: bool, asked: bool
) -> None:
    """two@other.test would be too small for it, but is two@small.test."""
    host = filtered_host(in_main_cf=True, late=late, asked=asked)
    assert host.submit("two@other.test", size=50 * KB)[0] == 250
    assert host.arrived(1) == {"two@small.test": True}
    assert host.reported() == []


@pytest.mark.parametrize("asked", [False, True], ids=["not asked behind", "asked behind"])
def test_what_nobody_takes_is_refused_in_front_of_the_filter(
    filtered_host: FilteredHost, asked: bool
) -> None:
    host = filtered_host(in_main_cf=False, late=True, asked=asked)
    code, text = host.submit("c@other.test", size=50 * KB)
    assert (code, text[:5]) == (552, "5.3.4")


@pytest.mark.parametrize("in_main_cf", [False, True], ids=["one listener", "main.cf"])
def test_who_was_not_moved_is_not_moved_on_his_way_back(
    filtered_host: FilteredHost, in_main_cf: bool
) -> None:
    """three@tiny.test is bob, though nobody knows when the message comes back."""
    host = filtered_host(in_main_cf=in_main_cf, late=True, asked=False)
    recipients = ("three@tiny.test", "sales@contoso.test", "a@small.test", "c@other.test")
    assert host.submit(*recipients, size=50 * KB)[0] == 250
    assert host.arrived(3) == dict.fromkeys(recipients[:3], True)
    assert {each.message["X-Original-To"] for each in host.peer.received()} == {"a@small.test"}


@pytest.mark.parametrize("others", [(), ("b@tiny.test",), ("c@other.test",)], ids=len)
def test_who_stays_beside_those_he_stands_for_is_not_moved_past_them(
    filtered_host: FilteredHost, others: tuple[str, ...]
) -> None:
    host = filtered_host(in_main_cf=True, late=True, asked=False)
    assert host.submit("beside@tiny.test", *others, size=50 * KB)[0] == 250
    host.arrived(3 if "b@tiny.test" in others else 2)
    assert len(host.administrator.host.mail()) == 1 + len(host.reported())
    assert FILTER_MARK.encode() in b"".join(host.administrator.host.mail())


def test_mail_that_came_back_from_the_filter_is_not_mapped_twice(
    filtered_host: FilteredHost,
) -> None:
    """always_bcc adds one whenever addresses are mapped; here, in front of the filter."""
    host = filtered_host(in_main_cf=True, late=False, asked=True, behind="no_address_mappings")
    postfix = host.administrator.host
    postfix.postconf("-e", "always_bcc = bob@contoso.test")
    postfix.settle()
    assert host.administrator.run("apply").returncode == 0
    assert postfix.postfix("reload").returncode == 0
    assert host.submit("a@small.test", "b@tiny.test", "c@other.test", size=50 * KB)[0] == 250
    assert sorted(host.arrived(3)) == ["a@small.test", "b@tiny.test", "bob@contoso.test"]


def test_a_dead_agent_is_waited_for_and_nothing_passes_the_filter_by(
    filtered_host: FilteredHost,
) -> None:
    host = filtered_host(in_main_cf=True, late=True, asked=False, agent=False)
    postfix = host.administrator.host
    with host.administrator.delivery_agent() as agent:
        agent.kill()
        agent.wait()
        recipients = ("sales@contoso.test", "a@small.test", "c@other.test")
        assert host.submit(*recipients, size=50 * KB)[0] == 250
        wait_until(
            lambda: [m["queue_name"] for m in postfix.queue()] == ["deferred"] or None, "to wait"
        )
    with host.administrator.delivery_agent():
        postfix.flush()
        assert host.arrived(2) == dict.fromkeys(recipients[:2], True)
    assert host.reported() == ["c@other.test"]


def test_the_filter_hears_from_where_the_message_came(filtered_host: FilteredHost) -> None:
    host = filtered_host(in_main_cf=True, late=False, asked=False)
    code, _ = host.submit("a@small.test", "c@other.test", size=50 * KB, client="203.0.113.7")
    assert code == 250
    assert host.arrived(1) == {"a@small.test": True}
    assert host.content_filter.clients == ["203.0.113.7"]


def test_until_a_changed_listener_is_published_the_agent_path_waits(
    filtered_host: FilteredHost,
) -> None:
    host = filtered_host(in_main_cf=True, late=False, asked=False)
    postfix = host.administrator.host
    postfix.postconf("-e", "receive_override_options = no_address_mappings")
    postfix.settle()
    assert postfix.postfix("reload").returncode == 0
    recipients = ("sales@contoso.test", "a@small.test", "c@other.test")
    assert host.submit(*recipients, size=50 * KB)[0] == 451
    assert "run postconnector apply" in host.administrator.policy_log.read_text()
    assert host.administrator.run("apply").returncode == 0
    assert host.submit(*recipients, size=50 * KB)[0] == 250
    assert all(host.arrived(2).values())


def with_milter(host: Host, enter: ExitStack) -> Host:
    """Have it asked about mail by sendmail(1)."""
    enter.enter_context(host.administrator.milter())
    host.administrator.publish('[host]\nmilter = "sendmail"\n' + connectors(host.peer))
    return host


def test_by_sendmail_it_counts_what_pickup_has_in_master_cf(
    filtered_host: FilteredHost, enter: ExitStack
) -> None:
    """No filter gets it, so that nobody is asked behind one."""
    pickup = "pickup unix n - y 1 1 pickup\n  -o content_filter=\n"
    host = with_milter(filtered_host(in_main_cf=True, late=False, asked=True, more=pickup), enter)
    host.submit_by_sendmail("b@tiny.test", size=50 * KB)
    assert host.arrived(1) == {"b@tiny.test": False}
    last = [d.service for d in host.administrator.host.log.deliveries() if d.status == "sent"][-1]
    assert last == "pc-small/smtp"


@pytest.mark.parametrize("late", [False, True], ids=["mapped before", "mapped behind"])
def test_by_sendmail_the_milter_leads_it_the_same_way(
    filtered_host: FilteredHost, enter: ExitStack, late: bool
) -> None:
    host = with_milter(filtered_host(in_main_cf=True, late=late, asked=False), enter)
    host.submit_by_sendmail("sales@contoso.test", "a@small.test", "c@other.test", size=50 * KB)
    arrived = host.arrived(2)
    assert len(arrived) == 2
    assert all(arrived.values())
    assert host.reported() == ["c@other.test"]
