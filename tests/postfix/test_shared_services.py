"""A host with more connectors than services: they share, told apart by next hop.

The connectors are those of a provider's customers. Each customer has a login of its own at one of
two real smart hosts, and knows it by a name of its own.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from threading import Event

import pytest

from postconnector.postfix.configuration_files import entries_in
from postconnector.postfix.sharing import MOST_OWN_SERVICES
from tests.demo.journey import compose
from tests.lab.certificates import CertificateAuthority
from tests.lab.dns_server import NsdServer, zone
from tests.lab.loopback import free_address, free_port, wait_until
from tests.lab.maillog import Delivery
from tests.lab.peers import Peer, add_login, auth_smart_host
from tests.postfix.conftest import HostMaker

SIDES = ("east", "west")
CUSTOMERS = range(MOST_OWN_SERVICES + 10)
NEW = len(CUSTOMERS)


def customer(number: int, **other: str) -> dict[str, str]:
    """Customer 7 has the domain c7.test, and is u7 at c7.west.test, whose certificate says so."""
    smart_host = other.get("smart_host", f"c{number}.{SIDES[number % 2]}.test")
    defaults = {"user": f"u{number}", "smart_host": smart_host, "tls": verified(smart_host)}
    return {"name": f"c{number}", "more": "", **defaults, **other}


def verified(name: str) -> str:
    return f'require_tls = true\ntls_auth_level = "DomainValidation"\ntls_domain = "{name}"'


class Provider:
    """A host and the smart hosts of its customers."""

    def __init__(
        self, root: Path, enter: ExitStack, authority: CertificateAuthority, new_host: HostMaker
    ) -> None:
        self._root = root
        self.smart_hosts = {name: self._smart_host(name, enter, authority) for name in SIDES}
        zones = {
            f"{name}.test": zone(f"{name}.test", [f"* A {peer.address}"])
            for name, peer in self.smart_hosts.items()
        }
        dns = enter.enter_context(NsdServer(root, zones))
        # One delivery to a smart host at a time, so that connections are kept for the next.
        one = {"default_destination_concurrency_limit": "1"}
        self.administrator = new_host(one, resolver=dns.address)
        self.host = self.administrator.host
        for number in (*CUSTOMERS, NEW):
            self.give_login(SIDES[number % 2], f"u{number}")

    def _smart_host(self, name: str, enter: ExitStack, authority: CertificateAuthority) -> Peer:
        port = free_port()
        certificate = authority.issue(name, common_name=name, dns_names=[f"*.{name}.test"])
        return enter.enter_context(
            auth_smart_host(
                self._root,
                name,
                [f"c{number}.test" for number in (*CUSTOMERS, NEW)],
                user="somebody",
                password="else",
                certificate=certificate,
                auth_only_with_tls=False,
                address=free_address(port),
                port=port,
            )
        )

    def give_login(self, side: str, user: str, password: str = "secret") -> None:
        add_login(self._root, side, user, password)
        self.administrator.store_password(user, password)

    def publish(self, *customers: dict[str, str]) -> None:
        self.administrator.publish("".join(map(self.connector, customers)))

    def connector(self, of: dict[str, str]) -> str:
        port = self.smart_hosts[of["smart_host"].split(".")[1]].port
        return (
            f'[[send_connector]]\nname = "{of["name"]}"\naddress_spaces = ["{of["name"]}.test"]\n'
            f'dns_routing_enabled = false\nsmart_hosts = ["{of["smart_host"]}"]\nport = {port}\n'
            'smart_host_auth_mechanism = "BasicAuth"\nauthentication_credential = '
            f'{{ user_name = "{of["user"]}", password_file = "secrets/{of["user"]}" }}\n'
            f"max_message_size = 'unlimited'\n{of['tls']}\n{of['more']}\n"
        )

    def send(self, *recipients: str) -> None:
        with self.administrator.smtp() as session:
            message = compose(recipients[0], 1000, "<shared@contoso.test>")
            session.sendmail("alice@contoso.test", recipients, message)

    def became(self, recipient: str) -> Delivery:
        """Send, and return the first attempt to deliver."""
        self.send(recipient)
        return self.host.log.wait_for_delivery(recipient)

    def logins(self) -> dict[str, str | None]:
        """Who logged in at the smart hosts to send to each recipient."""
        return {
            message.recipient: message.authenticated_sender
            for peer in self.smart_hosts.values()
            for message in peer.received()
        }

    def login_for(self, recipient: str) -> str | None:
        self.send(recipient)
        return wait_until(lambda: self.logins().get(recipient), f"the message to {recipient}")

    def planned(self) -> dict[str, tuple[str, str | None]]:
        """The service of each connector, and why it is its own."""
        plan = json.loads(self.administrator.run("plan", "--json").stdout)
        return {c["name"]: (c["service"], c["why_own_service"]) for c in plan["connectors"]}

    def waiting(self) -> dict[str, tuple[int, str]]:
        """What status says of the queue: by connector, how many recipients and why."""
        found = json.loads(self.administrator.run("status", "--json").stdout)
        assert found["problems"] == []
        return {w["connector"]: (w["recipients"], w["reason"]) for w in found["waiting"]}

    @property
    def master_cf(self) -> str:
        return (self.host.config_directory / "master.cf").read_text()

    def reloads(self) -> int:
        return sum(line.text.startswith("reload --") for line in self.host.log.lines())


@pytest.fixture
def provider(
    root: Path, enter: ExitStack, authority: CertificateAuthority, new_host: HostMaker
) -> Provider:
    return Provider(root, enter, authority, new_host)


def test_each_message_has_its_own_connectors_login(provider: Provider) -> None:
    """Customer 38 has the smart host of customer 36, but another login; 37 has a wrong TLS name."""
    others = {38: {"smart_host": "c36.east.test"}, 37: {"tls": verified("wrong.test")}}
    provider.publish(*(customer(n, **others.get(n, {})) for n in CUSTOMERS))
    services = provider.planned()
    shared, _ = services["c0"]
    own, why = services.pop("c38")
    assert set(services.values()) == {(shared, None)}
    assert own == "pc-c38"
    assert why == '"c36" has the same next hop with another credential or TLS name'
    recipients = {f"bob@c{n}.test": f"u{n}@{SIDES[n % 2]}" for n in CUSTOMERS}
    provider.send(*recipients)
    wrong = provider.host.log.wait_for_delivery("bob@c37.test")
    assert (wrong.status, wrong.dsn) == ("deferred", "4.7.5")
    assert "certificate not verified" in wrong.text
    del recipients["bob@c37.test"]
    wait_until(lambda: provider.logins() == recipients or None, "the other messages")
    provider.host.wait_idle()
    assert {d.service for d in provider.host.log.deliveries()} == {f"{shared}/smtp", "pc-c38/smtp"}
    assert list(provider.waiting()) == ["c37"]


def test_waiting_recipients_are_counted_by_connector(provider: Provider) -> None:
    provider.publish(*map(customer, CUSTOMERS))
    provider.smart_hosts["west"].stop()
    provider.send("a@c1.test", "b@c1.test", "a@c3.test", "a@c2.test")
    provider.host.wait_idle()
    waiting = provider.waiting()
    assert {name: number for name, (number, _) in waiting.items()} == {"c1": 2, "c3": 1}
    assert all("Connection refused" in reason for _, reason in waiting.values())


def test_a_connection_that_is_kept_is_not_lent_to_another_login(provider: Provider) -> None:
    """Three customers at one address, two by one name; Postfix keeps connections without TLS."""
    others = {38: {"smart_host": "c36.east.test"}}
    plain = "ignore_starttls = true"
    provider.publish(*(customer(n, tls=plain, **others.get(n, {})) for n in CUSTOMERS))
    provider.smart_hosts["east"].stop()
    wanted = {f"m{k}@c{n}.test": f"u{n}@east" for k in range(6) for n in (0, 36, 38)}
    for recipient in wanted:
        provider.send(recipient)
    provider.host.wait_idle()
    provider.smart_hosts["east"].start()
    provider.host.flush()
    wait_until(lambda: provider.logins() == wanted or None, "all messages")
    lines = [line.text for line in provider.host.log.lines() if " conn_use=" in line.text]
    assert all(any(f"@c{n}.test>" in line for line in lines) for n in (0, 36, 38))


def test_where_only_tables_change_nothing_is_reloaded(provider: Provider) -> None:
    customers = {n: customer(n) for n in CUSTOMERS}
    provider.publish(*customers.values())
    master_cf, reloads = provider.master_cf, provider.reloads()
    assert provider.login_for("bob@c5.test") == "u5@west"

    provider.give_login("west", "other")
    provider.give_login("west", "u7", "a new password")
    customers[NEW] = customer(NEW)
    customers[5] = customer(5, user="other")
    customers[8] = customer(8, tls=verified("wrong.test"))
    provider.publish(*customers.values())
    assert provider.login_for(f"bob@c{NEW}.test") == f"u{NEW}@east"
    assert provider.login_for("carol@c5.test") == "other@west"
    assert provider.login_for("bob@c7.test") == "u7@west"
    assert provider.became("bob@c8.test").dsn == "4.7.5"

    customers[8] = customer(8)
    del customers[9]
    provider.publish(*customers.values())
    provider.host.flush()  # qmgr(8) lets a next hop that failed rest for a while
    assert provider.login_for("carol@c8.test") == "u8@east"
    assert provider.became("bob@c9.test").service == "smtp"
    assert provider.login_for("bob@c11.test") == "u11@west"
    assert provider.master_cf == master_cf
    assert provider.reloads() == reloads


def test_a_service_of_its_own_comes_and_goes(provider: Provider) -> None:
    customers = list(map(customer, CUSTOMERS))
    provider.publish(*customers)
    before = provider.master_cf
    provider.publish(customer(NEW, more='fqdn = "new.contoso.test"'), *customers)
    why = "no other connector has the same Fqdn"
    assert provider.planned()[f"c{NEW}"] == (f"pc-c{NEW}", why)
    entries = entries_in(provider.master_cf)
    assert "-o smtp_helo_name=new.contoso.test\n" in entries.pop(f"pc-c{NEW}")
    assert entries == entries_in(before)
    assert provider.login_for(f"bob@c{NEW}.test") == f"u{NEW}@east"
    assert [m.helo for m in provider.smart_hosts["east"].received()] == ["new.contoso.test"]
    provider.publish(*customers)
    assert provider.master_cf == before
    assert provider.login_for("bob@c0.test") == "u0@east"


@contextmanager
def sending(provider: Provider) -> Iterator[dict[str, str]]:
    """One message after the other, to each customer in turn; the login that each should have."""
    accepted: dict[str, str] = {}
    done = Event()

    def send() -> None:
        for number in count():
            if done.is_set():
                return
            of = number % MOST_OWN_SERVICES
            recipient = f"m{number}@c{of}.test"
            provider.send(recipient)
            accepted[recipient] = f"u{of}@{SIDES[of % 2]}"

    with ThreadPoolExecutor(1) as pool:
        sender = pool.submit(send)
        try:
            yield accepted
        finally:
            done.set()
    sender.result()


def native_services(provider: "Provider") -> list[str]:
    """The names of those that carry out connectors."""
    return [name for name in entries_in(provider.master_cf) if not name.startswith("pc-agent-")]


def test_from_own_to_shared_services_and_back_no_mail_is_lost(provider: Provider) -> None:
    """What a reload interrupts is in the queue, and leaves when that is run."""

    def used(service: str) -> bool | None:
        return any(d.service == f"{service}/smtp" for d in provider.host.log.deliveries()) or None

    def all_arrived() -> bool | None:
        if not any(message["queue_name"] == "active" for message in provider.host.queue()):
            provider.host.flush()  # not while it delivers: each flush begins anew
        return provider.logins() == accepted or None

    few = [customer(n) for n in range(MOST_OWN_SERVICES)]
    provider.publish(*few)
    with sending(provider) as accepted:
        wait_until(lambda: used("pc-c0"), "mail by a service of its own")
        provider.publish(*few, customer(MOST_OWN_SERVICES))
        (shared,) = native_services(provider)
        wait_until(lambda: used(shared), "mail by the shared service")
        provider.publish(*few)
    assert len(native_services(provider)) == MOST_OWN_SERVICES
    wait_until(all_arrived, "all messages", timeout=90)
