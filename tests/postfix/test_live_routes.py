"""Live lookups on a real Postfix: smart hosts take turns, certificates hold mail up, and nobody
else's mail asks.

Where a test has to know what the service says, it runs the same server in a thread of its own.
"""

import asyncio
import datetime
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from postconnector.daemon.endpoint import Endpoint
from postconnector.policyd.lookup_server import LookupServer
from postconnector.policyd.lookups import Lookups
from postconnector.policyd.socketmap import Question
from tests.lab.administrator import Administrator
from tests.lab.certificates import CertificateAuthority
from tests.lab.child import Server
from tests.lab.loopback import free_address, free_port, wait_until
from tests.lab.maillog import Delivery
from tests.lab.peers import Peer, auth_smart_host, plain_receiver, tls_partner
from tests.postfix.conftest import HostMaker

ELSEWHERE = "unix:postconnector/elsewhere"
"""An endpoint that the policy service, which is running already, does not listen on."""

CERTIFICATE = (
    'tls_certificate_name = "<I>CN=Contoso Test CA, O=Contoso<S>CN=smtp.contoso.test, O=Contoso"'
)
UPGRADED = 'error_policies = ["UpgradeCustomFailures"]'
REASON = "The certificate specified in TlsCertificateName of the SendConnector could not be found."
DOMAINS = ["fabrikam.test", "sub.fabrikam.test", "other.test", "single.test"]

_numbers = count()


class LookupService(Server):
    """The lookup service of a host, at ELSEWHERE; `unusable` may be changed at any time."""

    def __init__(self, administrator: Administrator) -> None:
        self.unusable: dict[str, str] = {}
        self.asked: list[Question] = []
        self._folder = administrator.host.queue_directory / "postconnector"
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Listen, and answer in a thread."""
        listener = Endpoint(path=self._folder / "elsewhere").listen()
        loop = self._loop = asyncio.new_event_loop()
        server = LookupServer(_Recorded(self))
        loop.run_until_complete(server.start(listener))

        def serve() -> None:
            loop.run_forever()
            server.stop()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()

        self._thread = threading.Thread(target=serve)
        self._thread.start()

    def stop(self) -> None:
        """Hang up on all clients and go."""
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            (self._folder / "elsewhere").unlink()
        self._thread = self._loop = None


class _Recorded(Lookups):
    def __init__(self, service: LookupService) -> None:
        super().__init__(lambda: service.unusable)
        self._asked = service.asked

    def answer(self, question: Question) -> str:
        self._asked.append(question)
        return super().answer(question)


@pytest.fixture
def three(root: Path, enter: ExitStack) -> list[Peer]:
    """Three smart hosts at one port."""
    port = free_port()
    return [
        enter.enter_context(
            plain_receiver(root, f"relay{n}", DOMAINS, address=free_address(port), port=port)
        )
        for n in range(3)
    ]


def connector(name: str, spaces: Sequence[str], peers: Sequence[Peer], properties: str = "") -> str:
    hosts = ", ".join(f'"{peer.address}"' for peer in peers)
    named = ", ".join(f'"{space}"' for space in spaces)
    return (
        f'[[send_connector]]\nname = "{name}"\naddress_spaces = [{named}]\n'
        f"dns_routing_enabled = false\nsmart_hosts = [{hosts}]\nport = {peers[0].port}\n"
        f"{properties}\n"
    )


def elsewhere(*connectors: str) -> str:
    return "".join([f'[host]\nlookup_service = "{ELSEWHERE}"\n', *connectors])


def send(administrator: Administrator, *recipients: str) -> str:
    """Submit by sendmail(1), which asks no policy service; return the Message-ID."""
    message_id = f"<{next(_numbers)}.live@contoso.test>"
    text = f"Subject: live\nMessage-ID: {message_id}\n\nHello\n"
    administrator.host.sendmail("alice@contoso.test", recipients, text.encode())
    return message_id


def delivery(administrator: Administrator, recipient: str) -> Delivery:
    """Send a message, and wait for the first attempt."""
    message_id = send(administrator, recipient)
    return administrator.host.log.wait_for_delivery(recipient, message_id=message_id)


def try_again(administrator: Administrator, other: str) -> None:
    """Have all that waits delivered.

    For 30 seconds qmgr(8) remembers what it was told last, unless it asks for another recipient.
    """
    assert delivery(administrator, other).status == "sent"
    administrator.host.flush()
    wait_until(lambda: not administrator.host.queue() or None, "an empty queue")


def ask(administrator: Administrator, table: str, key: str) -> str:
    """Ask as an administrator does by hand."""
    config, queue = administrator.host.config_directory, administrator.host.queue_directory
    command = ["postmap", "-c", str(config), "-q", key, table]
    result = subprocess.run(command, cwd=queue, capture_output=True, text=True, check=False)
    assert result.stderr == ""
    return result.stdout.strip()


def arrived(peers: Sequence[Peer]) -> list[int]:
    return [len(peer.received()) for peer in peers]


def wait_arrived(peers: Sequence[Peer], messages: int) -> None:
    wait_until(lambda: sum(arrived(peers)) == messages or None, f"{messages} messages")


def test_smart_hosts_take_turns(new_host: HostMaker, three: list[Peer]) -> None:
    administrator = new_host()
    administrator.publish(connector("Fabrikam", ["*.fabrikam.test"], three))
    for number in range(30):
        recipient = f"r{number}@{DOMAINS[number % 2]}"
        with administrator.smtp() as session:
            session.sendmail("alice@contoso.test", [recipient], b"Subject: turns\r\n\r\nHello\r\n")
    for number in range(30):
        send(administrator, f"s{number}@fabrikam.test")
    wait_arrived(three, 60)
    assert min(arrived(three)) >= 3, arrived(three)
    assert administrator.host.queue() == []


def test_the_recipients_of_a_message_leave_together(new_host: HostMaker, three: list[Peer]) -> None:
    administrator = new_host()
    administrator.publish(connector("Fabrikam", ["fabrikam.test"], three))
    recipients = [f"r{number}@fabrikam.test" for number in range(40)]
    for _ in range(5):
        send(administrator, *recipients)
    log = administrator.host.log
    wait_until(lambda: len(list(log.deliveries())) == 200 or None, "all recipients")
    relays: dict[str, set[str]] = {}
    for attempt in log.deliveries():
        relays.setdefault(attempt.queue_id, set()).add(attempt.relay)
    # A turn may end in the middle of a message on a slow machine: not in that of every one.
    assert Counter(len(each) for each in relays.values())[1] >= 1


def test_a_dead_smart_host_is_passed_over(new_host: HostMaker, three: list[Peer]) -> None:
    administrator = new_host()
    administrator.publish(connector("Fabrikam", ["fabrikam.test"], three))
    three[1].stop()
    for number in range(20):
        assert delivery(administrator, f"r{number}@fabrikam.test").status == "sent"
    wait_arrived(three, 20)


def test_every_smart_host_gets_the_login(
    new_host: HostMaker, root: Path, enter: ExitStack, authority: CertificateAuthority
) -> None:
    """Postfix looks credentials and TLS policies up by single next hops, in whatever order."""
    port = free_port()
    certificate = authority.issue("relay", common_name="relay.test", dns_names=["relay.test"])
    peers = [
        enter.enter_context(
            auth_smart_host(
                root,
                f"relay{n}",
                DOMAINS,
                user="contoso",
                password="secret",
                certificate=certificate,
                auth_only_with_tls=True,
                address=free_address(port),
                port=port,
            )
        )
        for n in range(2)
    ]
    administrator = new_host()
    administrator.store_password("relay", "secret")
    login = (
        'require_tls = true\nsmart_host_auth_mechanism = "BasicAuth"\n'
        'authentication_credential = { user_name = "contoso", password_file = "secrets/relay" }\n'
    )
    administrator.publish(connector("Fabrikam", ["fabrikam.test"], peers, login))
    for number in range(16):
        assert delivery(administrator, f"r{number}@fabrikam.test").status == "sent"
    wait_arrived(peers, 16)
    assert min(arrived(peers)) >= 1
    for received in (message for peer in peers for message in peer.received()):
        assert (received.authenticated_sender or "").startswith("contoso@relay")
        assert received.tls is not None


def test_shared_services_spread_too(new_host: HostMaker, three: list[Peer]) -> None:
    """With many connectors: next hops are told apart by TLS policies in a table."""
    many = "".join(
        connector(f"Other {n}", [f"other{n}.test"], three[:1], "ignore_starttls = true")
        for n in range(31)
    )
    administrator = new_host()
    administrator.publish(connector("Fabrikam", ["fabrikam.test"], three) + many)
    for number in range(20):
        assert delivery(administrator, f"r{number}@fabrikam.test").status == "sent"
    wait_arrived(three, 20)
    assert min(arrived(three)) >= 1


def test_only_mail_of_such_connectors_asks(
    new_host: HostMaker, enter: ExitStack, three: list[Peer]
) -> None:
    administrator = new_host({"virtual_mailbox_domains": "contoso.test"})
    service = enter.enter_context(LookupService(administrator))
    administrator.publish(
        elsewhere(
            connector("Fabrikam", ["fabrikam.test"], three),
            connector("Single", ["single.test"], three[:1]),
            connector("All", ["*"], three[:1]),
        )
    )
    service.asked.clear()
    for recipient in ("a@single.test", "b@other.test", "c@sub.fabrikam.test", "d@contoso.test"):
        assert delivery(administrator, recipient).status == "sent"
    assert service.asked == []
    assert delivery(administrator, "a@fabrikam.test").status == "sent"
    assert {question.map for question in service.asked} == {"transport"}


def test_while_nobody_answers_only_such_mail_waits(
    new_host: HostMaker, enter: ExitStack, three: list[Peer], authority: CertificateAuthority
) -> None:
    administrator = new_host()
    administrator.store_certificate(
        "smtp", authority.issue("smtp", common_name="smtp.contoso.test")
    )
    service = enter.enter_context(LookupService(administrator))
    administrator.publish(
        elsewhere(
            connector("Fabrikam", ["fabrikam.test"], three),
            connector("Single", ["single.test"], three[:1]),
            connector("All", ["*"], three[:1], f"{CERTIFICATE}\n{UPGRADED}"),
            '[organization]\nupgraded_failures = ["4.3.*", "4.7.*"]\n',
        )
    )
    service.stop()
    with administrator.smtp() as session:
        session.mail("alice@contoso.test")
        code, text = session.rcpt("a@fabrikam.test")
        assert (code, text[:5]) == (451, b"4.3.0")
        for recipient in ("b@single.test", "c@contoso.test", "d@other.test"):
            assert session.rcpt(recipient)[0] == 250
        assert session.data(b"Subject: dead\r\n\r\nHello\r\n")[0] == 250
    log = administrator.host.log
    for recipient in ("b@single.test", "c@contoso.test"):
        assert log.wait_for_delivery(recipient).status == "sent"
    waits = log.wait_for_delivery("d@other.test")
    assert waits.status == "deferred", waits
    waits = delivery(administrator, "a@fabrikam.test")
    assert (waits.status, waits.dsn) == ("deferred", "4.3.0")
    assert len(administrator.host.queue()) == 2
    service.start()
    try_again(administrator, "e@single.test")
    wait_arrived(three, 4)


def test_the_policy_service_dies_and_comes_back(new_host: HostMaker, three: list[Peer]) -> None:
    administrator = new_host(policy_service=False)
    several = connector("Fabrikam", ["fabrikam.test"], three)
    single = connector("Single", ["single.test"], three[:1])
    with administrator.policy_service() as daemon:
        administrator.publish(several + single)
        assert delivery(administrator, "a@fabrikam.test").status == "sent"
        daemon.kill()
        daemon.wait(10)
    assert delivery(administrator, "b@single.test").status == "sent"
    assert delivery(administrator, "b@fabrikam.test").status == "deferred"
    with administrator.policy_service():
        try_again(administrator, "c@single.test")
    wait_arrived(three, 4)


def test_a_hung_service_holds_up_all_until_it_is_killed(
    new_host: HostMaker, three: list[Peer]
) -> None:
    """Which systemd does (docs/operations.md): dead is better than hung."""
    administrator = new_host(policy_service=False)
    several = connector("Fabrikam", ["fabrikam.test"], three)
    single = connector("Single", ["single.test"], three[:1])
    with administrator.policy_service() as daemon:
        administrator.publish(several + single)
        daemon.send_signal(signal.SIGSTOP)
        waiting = send(administrator, "a@fabrikam.test")
        other = send(administrator, "b@single.test")
        daemon.kill()
        daemon.wait(10)
    log = administrator.host.log
    assert log.wait_for_delivery("a@fabrikam.test", message_id=waiting).status == "deferred"
    assert log.wait_for_delivery("b@single.test", message_id=other).status == "sent"
    with administrator.policy_service():
        try_again(administrator, "c@single.test")
    wait_arrived(three, 3)


def test_mail_waits_while_the_certificate_cannot_be_shown(
    new_host: HostMaker, root: Path, enter: ExitStack, authority: CertificateAuthority
) -> None:
    port = free_port()
    server = authority.issue("relay", common_name="relay.test", dns_names=["relay.test"])
    peers = [
        enter.enter_context(
            tls_partner(
                root,
                f"partner{n}",
                DOMAINS,
                server,
                authority.ca_file,
                address=free_address(port),
                port=port,
            )
        )
        for n in range(2)
    ]
    administrator = new_host()
    administrator.store_certificate(
        "smtp", authority.issue("smtp", common_name="smtp.contoso.test")
    )
    service = enter.enter_context(LookupService(administrator))
    administrator.publish(
        elsewhere(
            connector("Fabrikam, partner", ["fabrikam.test"], peers, CERTIFICATE),
            connector("Single", ["single.test"], peers[:1]),
            connector("All", ["*"], peers[:1], f"{CERTIFICATE}\nrequire_tls = true\n{UPGRADED}"),
            '[organization]\nupgraded_failures = ["4.7.5"]\n',
        )
    )
    for recipient in ("a@fabrikam.test", "a@other.test"):
        assert delivery(administrator, recipient).status == "sent"
    service.unusable = {"Fabrikam, partner": f"{REASON} (expired)", "All": f"{REASON} (no key)"}
    for recipient, why in (("b@fabrikam.test", "(expired)"), ("b@other.test", "(no key)")):
        with administrator.smtp() as session:  # as in Exchange, the client hears nothing of it
            session.sendmail("alice@contoso.test", [recipient], b"Subject: x\r\n\r\nHello\r\n")
        waits = administrator.host.log.wait_for_delivery(recipient)
        assert (waits.status, waits.dsn, waits.relay) == ("deferred", "4.7.5", "none")
        assert waits.text == f"{REASON} {why}"
    assert {
        recipient["delay_reason"]
        for message in administrator.host.queue()
        for recipient in message["recipients"]
    } == {f"{REASON} (expired)", f"{REASON} (no key)"}
    assert delivery(administrator, "b@single.test").status == "sent"
    wait_arrived(peers, 3)
    service.unusable = {}
    administrator.host.flush()
    wait_arrived(peers, 5)
    shown = [m for p in peers for m in p.received() if m.recipient != "b@single.test"]
    assert {message.client_certificate for message in shown} == {"smtp.contoso.test"}


def test_a_certificate_expires_and_is_renewed(
    new_host: HostMaker, root: Path, enter: ExitStack, authority: CertificateAuthority
) -> None:
    """The policy service itself, by what was published of the certificate."""
    port = free_port()
    server = authority.issue("relay", common_name="relay.test", dns_names=["relay.test"])
    peer = enter.enter_context(
        tls_partner(
            root,
            "partner",
            DOMAINS,
            server,
            authority.ca_file,
            address=free_address(port),
            port=port,
        )
    )
    administrator = new_host()
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=12)
    administrator.store_certificate(
        "smtp", authority.issue("smtp", common_name="smtp.contoso.test", not_after=soon)
    )
    administrator.publish(connector("Fabrikam", ["fabrikam.test"], [peer], CERTIFICATE))
    numbers = count()

    def waiting() -> Delivery | None:
        attempt = delivery(administrator, f"r{next(numbers)}@fabrikam.test")
        return attempt if attempt.status != "sent" else None

    waits = wait_until(waiting, "the end of the certificate")
    assert (waits.status, waits.dsn) == ("deferred", "4.7.5")
    assert waits.text.startswith(f"{REASON} (it expired on ")
    administrator.store_certificate(
        "smtp", authority.issue("renewed", common_name="smtp.contoso.test")
    )
    assert administrator.run("apply").returncode == 0
    administrator.host.flush()
    wait_arrived([peer], next(numbers))
    assert {m.client_certificate for m in peer.received()} == {"smtp.contoso.test"}


def test_the_hosts_own_tls_policies_still_count(
    new_host: HostMaker, enter: ExitStack, three: list[Peer], authority: CertificateAuthority
) -> None:
    """For a connector that demands nothing: the question about the certificate comes before."""
    hop = f"[{three[0].address}]:{three[0].port}"
    administrator = new_host(
        {
            "smtp_tls_policy_maps": f"inline:{{ {{ {hop} = encrypt }} }}",
            "smtp_delivery_status_filter": "inline:{ { 4.7.4 = 4.7.4 } }",
        }
    )
    administrator.store_certificate(
        "smtp", authority.issue("smtp", common_name="smtp.contoso.test")
    )
    service = enter.enter_context(LookupService(administrator))
    administrator.publish(
        elsewhere(connector("Fabrikam", ["fabrikam.test"], three[:1], CERTIFICATE))
    )
    waits = delivery(administrator, "a@fabrikam.test")
    assert (waits.status, waits.dsn) == ("deferred", "4.7.4")
    service.unusable = {"Fabrikam": REASON}
    assert delivery(administrator, "b@fabrikam.test").text == REASON


def test_apply_and_status_want_an_answer_only_where_somebody_asks(
    new_host: HostMaker, enter: ExitStack, three: list[Peer]
) -> None:
    administrator = new_host()
    single = connector("Single", ["single.test"], three[:1])
    everything = connector("All", ["*"], three)
    administrator.publish(elsewhere(single, everything))
    administrator.write_connectors(
        elsewhere(single, everything, connector("Fabrikam", ["fabrikam.test"], three))
    )
    result = administrator.run("apply")
    assert result.returncode == 69
    assert "the lookup service does not answer" in result.stderr
    assert '"Fabrikam" needs it' in result.stderr
    service = enter.enter_context(LookupService(administrator))
    assert administrator.run("apply").returncode == 0
    assert "lookup service" not in administrator.run("status").stdout
    service.stop()
    result = administrator.run("status")
    assert result.returncode == 1
    assert "the lookup service does not answer" in result.stdout


def test_the_default_route_is_not_spread_and_plan_says_so(
    new_host: HostMaker, three: list[Peer]
) -> None:
    administrator = new_host()
    administrator.publish(connector("All", ["*", "fabrikam.test"], three))
    for number in range(12):
        assert delivery(administrator, f"r{number}@other.test").status == "sent"
    wait_arrived(three, 12)
    assert arrived(three) == [12, 0, 0]
    plan = administrator.run("plan")
    assert 'connector "All" has several smart hosts' in plan.stderr
    for number in range(16):
        assert delivery(administrator, f"r{number}@fabrikam.test").status == "sent"
    wait_arrived(three, 28)
    assert arrived(three)[1:] != [0, 0]


def test_smart_hosts_come_and_go(new_host: HostMaker, three: list[Peer]) -> None:
    """From a fixed route to a live one and back; mail goes where it was last told to."""
    administrator = new_host()
    for hosts in (three[:1], three[:2], three[2:], three[1:]):
        before = arrived(three)
        administrator.publish(connector("Fabrikam", ["fabrikam.test"], hosts))
        for number in range(8):
            assert delivery(administrator, f"r{number}@fabrikam.test").status == "sent"
        wait_arrived(three, sum(before) + 8)
        grown = [now > then for now, then in zip(arrived(three), before, strict=True)]
        allowed = [peer in hosts for peer in three]
        assert all(a for g, a in zip(grown, allowed, strict=True) if g), (grown, allowed)


def test_postmap_shows_what_postfix_is_told(new_host: HostMaker, three: list[Peer]) -> None:
    """docs/operations.md: in the queue directory, as the socket's path begins there."""
    administrator = new_host()
    administrator.publish(connector("Fabrikam", ["fabrikam.test"], three))
    maps = administrator.host.postconf("-hx", "transport_maps").strip()
    live = maps[maps.index("pipemap:") :]
    found = ask(administrator, live, "fabrikam.test")
    service, _, hops = found.partition(":")
    assert service == "pc-fabrikam"
    assert sorted(hops.split(", ")) == sorted(f"[{p.address}]:{p.port}" for p in three)
    assert ask(administrator, live, "other.test") == ""
