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
    front: int

    def submit(self, *recipients: str, size: int) -> tuple[int, str]:
        """The reply to the message; no recipient is refused before."""
        message = compose(recipients[0], size, "<filtered@contoso.test>")
        with smtplib.SMTP("127.0.0.1", self.front, "client.contoso.test", timeout=30) as session:
            session.ehlo()
            session.mail(SENDER)
            for recipient in recipients:
                assert session.rcpt(recipient)[0] == 250
            code, text = session.data(message)
        return code, text.decode()

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
        print(
            (self.administrator.host.directory / "log/maillog").read_text(),
            self.administrator.policy_log.read_text(),
        )
        return [each.recipient for each in log.deliveries() if each.status == "bounced"]


FilteredHost = Callable[..., Host]


@pytest.fixture
def filtered_host(peer: Peer, enter: ExitStack, new_host: HostMaker) -> FilteredHost:
    """Start one. `in_main_cf`: whether the filter and who maps addresses stand there, or with one
    of several listeners; `late`: whether addresses are mapped behind the filter; `asked`: whether
    the policy service is asked there.
    """
    front, back = free_port(), free_port()
    scanner = f"smtp:[127.0.0.1]:{enter.enter_context(ContentFilter(back)).port}"

    def make(*, in_main_cf: bool, late: bool, asked: bool) -> Host:
        settings = {"content_filter": scanner}
        if late:
            settings["receive_override_options"] = "no_address_mappings"
        own = "".join(f"  -o {name}={value}\n" for name, value in settings.items())
        host = new_host(
            {
                "virtual_alias_maps": "inline:{ sales@contoso.test=bob@contoso.test,"
                " two@other.test=two@small.test }",
                "virtual_mailbox_maps": f"inline:{{ bob@contoso.test=all/, {SENDER}=all/ }}",
                **(settings if in_main_cf else {}),
            },
            master_cf=f"127.0.0.1:{front} inet n - y - - smtpd\n{'' if in_main_cf else own}"
            f"127.0.0.1:{back} inet n - y - - smtpd\n{'' if asked else NOT_ASKING}"
            "  -o content_filter=\n"
            "  -o receive_override_options=no_unknown_recipient_checks,no_header_body_checks\n",
            delivery_agent=True,
        )
        host.publish(connectors(peer))
        return Host(host, peer, front)

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


@pytest.mark.parametrize("late", [False, True], ids=["mapped before", "mapped behind"])
def test_by_sendmail_the_milter_leads_it_the_same_way(
    filtered_host: FilteredHost, enter: ExitStack, late: bool
) -> None:
    milter = '[host]\nmilter = "sendmail"\n'
    host = filtered_host(in_main_cf=True, late=late, asked=False)
    enter.enter_context(host.administrator.milter())
    host.administrator.publish(milter + connectors(host.peer))
    recipients = ("sales@contoso.test", "a@small.test", "c@other.test")
    message = compose(recipients[0], 50 * KB, "<filtered@contoso.test>").replace(b"\r\n", b"\n")
    host.administrator.host.sendmail(SENDER, recipients, message)
    arrived = host.arrived(2)
    assert len(arrived) == 2
    assert all(arrived.values())
    assert host.reported() == ["c@other.test"]
