"""Where the agent takes mail: exchangers by DNS, smart hosts in turn, and those that are dead."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab.administrator import Administrator
from tests.lab.agent_connectors import SERVICE, by_dns, by_smart_hosts, deliver, server
from tests.lab.certificates import CertificateAuthority
from tests.lab.dns_server import NsdServer, zone
from tests.lab.loopback import free_address, free_port
from tests.lab.maillog import Delivery
from tests.lab.peers import Peer, plain_receiver, tls_partner
from tests.postfix.conftest import HostMaker

PORT = free_port()
DOMAINS = [f"{name}.test" for name in ("order", "backup", "alldead", "loop", "lower", "smart")]


def receiver(root: Path, enter: ExitStack, name: str, port: int = PORT) -> Peer:
    address = free_address(port)
    return enter.enter_context(plain_receiver(root, name, DOMAINS, address=address, port=port))


def dns(root: Path, enter: ExitStack, **records: list[str]) -> NsdServer:
    """Exchangers of domains: `preference name address`, or no address for a name elsewhere."""
    zones = {}
    for domain, exchangers in records.items():
        lines = []
        for text in exchangers:
            preference, name, *address = text.split()
            lines.append(f"@ MX {preference} {name}")
            lines += [f"{name} A {where}" for where in address]
        zones[f"{domain}.test"] = zone(f"{domain}.test", lines)
    return enter.enter_context(NsdServer(root, zones))


@pytest.fixture
def host(new_host: HostMaker) -> Administrator:
    return new_host()


@pytest.fixture
def _agent(host: Administrator, enter: ExitStack) -> None:
    enter.enter_context(host.delivery_agent())


def one(host: Administrator, message_id: str, recipient: str) -> Delivery:
    """The first attempt to deliver a message that is for nobody else."""
    [found] = deliver(host, f"{message_id}@contoso.test", recipient)
    assert found.service == SERVICE
    return found


@pytest.mark.usefixtures("_agent")
def test_exchangers_by_preference_and_past_a_dead_one(
    host: Administrator, root: Path, enter: ExitStack
) -> None:
    first, second = (receiver(root, enter, name) for name in ("first", "second"))
    dead = free_address(PORT)
    answers = dns(
        root,
        enter,
        order=[f"20 b {second.address}", f"10 a {first.address}"],
        backup=[f"10 a {dead}", f"20 b {second.address}"],
    )
    host.publish(server(answers.address) + by_dns("All", PORT, "order.test", "backup.test"))
    assert f"a.order.test[{first.address}]:{PORT} said: 250" in one(host, "1", "x@order.test").text
    for number in ("2", "3"):
        found = one(host, number, "x@backup.test")
        assert f"b.backup.test[{second.address}]:{PORT} said: 250" in found.text
    assert len(first.received()) == 1


@pytest.mark.usefixtures("_agent")
def test_where_all_are_dead_the_next_message_is_answered_at_once(
    host: Administrator, root: Path, enter: ExitStack
) -> None:
    dead = [free_address(PORT) for _ in range(2)]
    answers = dns(root, enter, alldead=[f"10 a {dead[0]}", f"20 b {dead[1]}"])
    host.publish(server(answers.address) + by_dns("All", PORT, "alldead.test"))
    first = one(host, "1", "x@alldead.test")
    assert (first.status, first.dsn) == ("deferred", "4.4.1")
    assert "can't connect: Connection refused" in first.text
    second = one(host, "2", "x@alldead.test")
    assert (second.status, second.dsn) == ("deferred", "4.4.1")
    for name, address in zip("ab", dead, strict=True):
        assert f"{name}.alldead.test[{address}]:{PORT}: " in second.text
    assert "Connection refused (next try in " in second.text


@pytest.mark.usefixtures("_agent")
def test_mail_does_not_come_back_to_this_host(
    host: Administrator, root: Path, enter: ExitStack
) -> None:
    better = receiver(root, enter, "better", 25)
    own = "host.contoso.test."
    answers = dns(
        root,
        enter,
        loop=[f"10 {own}"],
        lower=[f"10 a {better.address}", f"20 {own}", f"30 b {free_address(25)}"],
    )
    host.publish(server(answers.address) + by_dns("All", 25, "loop.test", "lower.test"))
    found = one(host, "1", "x@loop.test")
    assert (found.status, found.dsn) == ("bounced", "5.4.6")
    assert "loops back to this host" in found.text
    assert f"a.lower.test[{better.address}]:25 said: 250" in one(host, "2", "x@lower.test").text


@pytest.mark.usefixtures("_agent")
def test_smart_hosts_take_turns_and_stand_in_for_each_other(
    host: Administrator, root: Path, enter: ExitStack, authority: CertificateAuthority
) -> None:
    certificate = authority.issue("smart", common_name=None, dns_names=["any.test"])
    east, west = (
        enter.enter_context(
            tls_partner(
                root,
                name,
                DOMAINS,
                certificate,
                authority.ca_file,
                address=free_address(PORT),
                port=PORT,
            )
        )
        for name in ("east", "west")
    )
    host.publish(by_smart_hosts("Smart", PORT, [east.address, west.address]))
    for number in range(4):
        assert one(host, f"{number}", f"x{number}@smart.test").status == "sent"
    turns = [{m.recipient[1] for m in peer.received()} for peer in (east, west)]
    assert sorted(map(sorted, turns)) == [["0", "2"], ["1", "3"]]
    east.stop()
    for number in range(4, 8):
        assert west.address in one(host, f"{number}", f"x{number}@smart.test").text
    west.stop()
    both = [one(host, f"{number}", f"x{number}@smart.test") for number in (8, 9)]
    assert {(d.status, d.dsn) for d in both} == {("deferred", "4.4.1")}
