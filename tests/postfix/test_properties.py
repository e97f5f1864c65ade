"""What each property does to real mail: one connector, one receiver, one message."""

import datetime
import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.demo.journey import compose
from tests.lab.administrator import Administrator
from tests.lab.certificates import CertificateAuthority, IssuedCertificate
from tests.lab.dns_server import NsdServer, zone
from tests.lab.loopback import free_address, free_port, wait_until
from tests.lab.maillog import Delivery
from tests.lab.peers import Peer, ReceivedMessage, auth_smart_host, plain_receiver, tls_partner
from tests.postfix.conftest import HostMaker

RECIPIENT = "bob@fabrikam.test"
NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


def connector(properties: str, spaces: str = '"fabrikam.test"') -> str:
    return f'[[send_connector]]\nname = "Test"\naddress_spaces = [{spaces}]\n{properties}\n'


def smart_host(peer: Peer, properties: str = "") -> str:
    return connector(
        f'dns_routing_enabled = false\nsmart_hosts = ["{peer.address}"]\nport = {peer.port}\n'
        + properties
    )


def send(administrator: Administrator, recipient: str = RECIPIENT) -> Delivery:
    message = compose(recipient, 1000, "<property@contoso.test>")
    with administrator.smtp() as session:
        session.sendmail("alice@contoso.test", [recipient], message)
    return administrator.host.log.wait_for_delivery(recipient)


def sent(administrator: Administrator, peer: Peer, recipient: str = RECIPIENT) -> ReceivedMessage:
    """Send, and return what the receiver got."""
    delivery = send(administrator, recipient)
    assert delivery.status == "sent", delivery
    return wait_until(lambda: next(iter(peer.received()), None), "the message")


@pytest.fixture
def plain(root: Path, enter: ExitStack) -> Peer:
    port = free_port()
    return enter.enter_context(
        plain_receiver(root, "plain", ["fabrikam.test"], address=free_address(port), port=port)
    )


class Partner:
    """Starts a receiver with TLS and a certificate to choose."""

    def __init__(self, root: Path, enter: ExitStack, authority: CertificateAuthority) -> None:
        self._root, self._enter, self.authority = root, enter, authority

    def __call__(
        self,
        certificate: IssuedCertificate,
        domains: tuple[str, ...] = ("fabrikam.test",),
        *,
        require: bool = True,
    ) -> Peer:
        port = free_port()
        return self._enter.enter_context(
            tls_partner(
                self._root,
                "partner",
                list(domains),
                certificate,
                self.authority.ca_file,
                address=free_address(port),
                port=port,
                require=require,
            )
        )

    def named(self, *names: str, common_name: str | None = None) -> Peer:
        return self(
            self.authority.issue("peer", common_name=common_name or names[0], dns_names=names)
        )


@pytest.fixture
def partner(root: Path, enter: ExitStack, authority: CertificateAuthority) -> Partner:
    return Partner(root, enter, authority)


IspMaker = Callable[..., Peer]


@pytest.fixture
def isp(root: Path, enter: ExitStack) -> IspMaker:
    """Start a smart host where contoso has to log in; with a certificate, only after STARTTLS."""

    def make(password: str, certificate: IssuedCertificate | None = None) -> Peer:
        port = free_port()
        return enter.enter_context(
            auth_smart_host(
                root,
                "isp",
                ["fabrikam.test"],
                user="contoso",
                password=password,
                certificate=certificate,
                auth_only_with_tls=certificate is not None,
                address=free_address(port),
                port=port,
            )
        )

    return make


# --- greeting, source, next hop


def test_fqdn_is_the_name_we_greet_with(new_host: HostMaker, plain: Peer) -> None:
    administrator = new_host()
    administrator.publish(smart_host(plain, 'fqdn = "out.contoso.test"'))
    assert sent(administrator, plain).helo == "out.contoso.test"


def test_without_fqdn_the_hosts_name(new_host: HostMaker, plain: Peer) -> None:
    administrator = new_host()
    administrator.publish(smart_host(plain))
    received = sent(administrator, plain)
    assert (received.helo, received.protocol) == ("host.contoso.test", "ESMTP")


def test_force_helo_says_helo(new_host: HostMaker, plain: Peer) -> None:
    administrator = new_host()
    administrator.publish(smart_host(plain, "force_helo = true"))
    assert sent(administrator, plain).protocol == "SMTP"


def test_source_ip_address(new_host: HostMaker, plain: Peer) -> None:
    administrator = new_host()
    administrator.publish(smart_host(plain, 'source_ip_address = "127.0.0.77"'))
    assert sent(administrator, plain).client_address == "127.0.0.77"


def test_source_ip_address_that_is_not_ours_waits(new_host: HostMaker, plain: Peer) -> None:
    administrator = new_host()
    administrator.publish(smart_host(plain, 'source_ip_address = "192.0.2.77"'))
    assert send(administrator).status == "deferred"
    assert plain.received() == []


def test_second_smart_host_when_the_first_is_down(new_host: HostMaker, plain: Peer) -> None:
    administrator = new_host()
    dead = free_address(plain.port)
    administrator.publish(
        connector(
            f'dns_routing_enabled = false\nsmart_hosts = ["{dead}", "{plain.address}"]\n'
            f"port = {plain.port}"
        )
    )
    assert sent(administrator, plain).recipient == RECIPIENT


def test_smart_host_name_is_looked_up_as_mx_first(
    new_host: HostMaker, root: Path, enter: ExitStack, plain: Peer
) -> None:
    records = [
        "relay MX 10 real",
        f"real A {plain.address}",
        f"relay A {free_address(plain.port)}",
    ]
    dns = enter.enter_context(NsdServer(root, {"isp.test": zone("isp.test", records)}))
    administrator = new_host(resolver=dns.address)
    administrator.publish(
        connector(
            f'dns_routing_enabled = false\nsmart_hosts = ["relay.isp.test"]\nport = {plain.port}'
        )
    )
    assert sent(administrator, plain).recipient == RECIPIENT


# --- connections and failures


def test_domain_that_dns_does_not_know_bounces_or_waits(
    new_host: HostMaker, root: Path, enter: ExitStack
) -> None:
    dns = enter.enter_context(NsdServer(root, {"fabrikam.test": zone("fabrikam.test", [])}))
    administrator = new_host(resolver=dns.address)
    administrator.publish(
        connector("", '"x.fabrikam.test"')
        + connector('error_policies = ["DowngradeDnsFailures"]', '"y.fabrikam.test"').replace(
            "Test", "Patient"
        )
    )
    bounced = send(administrator, "bob@x.fabrikam.test")
    assert (bounced.status, bounced.dsn) == ("bounced", "5.4.4")
    waiting = send(administrator, "bob@y.fabrikam.test")
    assert (waiting.status, waiting.dsn) == ("deferred", "4.4.4")
    assert "Host or domain name not found" in waiting.text


def mails_per_connection(peer: Peer, skip: int, total: int) -> list[int] | None:
    """How many messages each connection brought, once all have been counted."""
    lines = [line.text for line in peer.log.lines()][skip:]
    counts = [
        int(match[1])
        for text in lines
        if text.startswith("disconnect from") and (match := re.search(r" mail=(\d+)", text))
    ]
    return counts if sum(counts) == total else None


@pytest.mark.parametrize(
    ("properties", "unlimited"), [("", True), ("smtp_max_messages_per_connection = 2", False)]
)
def test_messages_per_connection(
    new_host: HostMaker, plain: Peer, properties: str, unlimited: bool
) -> None:
    administrator = new_host({"default_destination_concurrency_limit": "1"})
    administrator.publish(smart_host(plain, properties))
    plain.stop()
    for number in range(6):
        recipient = f"bob{number}@fabrikam.test"
        administrator.host.sendmail(
            "alice@contoso.test", [recipient], compose(recipient, 1000, "<m@contoso.test>")
        )
        administrator.host.log.wait_for_delivery(recipient)
    plain.start()
    before = [line.text for line in plain.log.lines()]
    administrator.host.flush()
    wait_until(lambda: len(plain.received()) == 6 or None, "all messages")
    counts = wait_until(lambda: mails_per_connection(plain, len(before), 6), "the peer's log")
    assert (max(counts) > 2) is unlimited


def test_connection_inactivity_time_out(new_host: HostMaker, plain: Peer) -> None:
    administrator = new_host()
    administrator.publish(smart_host(plain, 'connection_inactivity_time_out = "00:00:01"'))
    shown = administrator.host.postconf("-P", "pc-test/unix/smtp_connection_cache_time_limit")
    assert shown.strip().endswith("= 1s")
    assert sent(administrator, plain).recipient == RECIPIENT


# --- TLS: what is demanded


def test_tls_is_used_when_offered(new_host: HostMaker, partner: Partner) -> None:
    """A host without any TLS setting; Exchange uses STARTTLS when it is offered."""
    peer = partner.named("anything.test")
    administrator = new_host()
    administrator.publish(smart_host(peer))
    assert sent(administrator, peer).tls is not None


def test_ignore_starttls(new_host: HostMaker, partner: Partner) -> None:
    certificate = partner.authority.issue("peer", common_name="x.test", dns_names=["x.test"])
    peer = partner(certificate, require=False)
    administrator = new_host({"smtp_tls_security_level": "may"})
    administrator.publish(smart_host(peer, "ignore_starttls = true"))
    assert sent(administrator, peer).tls is None


def test_require_tls_waits_where_none_is_offered(new_host: HostMaker, plain: Peer) -> None:
    administrator = new_host()
    administrator.publish(smart_host(plain, "require_tls = true"))
    delivery = send(administrator)
    assert delivery.status == "deferred"
    assert "TLS is required, but was not offered" in delivery.text
    assert plain.received() == []


def test_encryption_only_takes_any_certificate(new_host: HostMaker, partner: Partner) -> None:
    """Self-signed, expired, for another name: no authentication is asked for."""
    certificate = partner.authority.issue(
        "peer",
        common_name="other.test",
        self_signed=True,
        not_before=NOW - 9 * DAY,
        not_after=NOW - DAY,
    )
    peer = partner(certificate)
    administrator = new_host()
    administrator.publish(smart_host(peer, 'require_tls = true\ntls_auth_level = "EncryptionOnly"'))
    assert sent(administrator, peer).tls is not None


VALIDATION = 'require_tls = true\ntls_auth_level = "DomainValidation"\n'


@pytest.mark.parametrize(
    ("tls_domain", "names", "status"),
    [
        ("mail.fabrikam.test", ["mail.fabrikam.test"], "sent"),
        ("mail.fabrikam.test", ["other.test", "mail.fabrikam.test"], "sent"),
        ("mail.fabrikam.test", ["*.fabrikam.test"], "sent"),
        ("mail.fabrikam.test", ["fabrikam.test"], "deferred"),
        ("fabrikam.test", ["*.fabrikam.test"], "deferred"),
        ("*.fabrikam.test", ["mail.fabrikam.test"], "sent"),
        ("*.fabrikam.test", ["mx.eu.fabrikam.test"], "sent"),
        ("*.fabrikam.test", ["*.fabrikam.test"], "sent"),
        ("*.fabrikam.test", ["*.eu.fabrikam.test"], "sent"),
        ("*.fabrikam.test", ["fabrikam.test"], "deferred"),
        ("*.fabrikam.test", ["notfabrikam.test"], "deferred"),
    ],
)
def test_tls_domain(
    new_host: HostMaker, partner: Partner, tls_domain: str, names: list[str], status: str
) -> None:
    peer = partner.named(*names, common_name="unrelated.test")
    administrator = new_host()
    administrator.publish(smart_host(peer, f'{VALIDATION}tls_domain = "{tls_domain}"'))
    if status == "sent":
        assert sent(administrator, peer).tls is not None
    else:
        assert send(administrator).status == status
        assert peer.received() == []


@pytest.mark.parametrize(
    ("certificate_name", "status"), [("fabrikam.test", "sent"), ("mail.fabrikam.test", "deferred")]
)
def test_without_tls_domain_the_recipients_domain_counts(
    new_host: HostMaker,
    partner: Partner,
    root: Path,
    enter: ExitStack,
    certificate_name: str,
    status: str,
) -> None:
    """Not the MX host's name: the classic trap."""
    peer = partner.named(certificate_name)
    records = ["@ MX 10 mail", f"mail A {peer.address}"]
    dns = enter.enter_context(NsdServer(root, {"fabrikam.test": zone("fabrikam.test", records)}))
    administrator = new_host(resolver=dns.address)
    administrator.publish(connector(f"{VALIDATION}port = {peer.port}"))
    assert send(administrator).status == status


def test_untrusted_chain_waits(new_host: HostMaker, partner: Partner) -> None:
    certificate = partner.authority.issue(
        "peer", common_name="mail.fabrikam.test", dns_names=["mail.fabrikam.test"], self_signed=True
    )
    peer = partner(certificate)
    administrator = new_host()
    administrator.publish(smart_host(peer, f'{VALIDATION}tls_domain = "mail.fabrikam.test"'))
    assert send(administrator).status == "deferred"
    assert peer.received() == []


def test_the_hosts_policy_map_cannot_weaken_a_connector(
    new_host: HostMaker, partner: Partner
) -> None:
    peer = partner.named("wrong.test")
    hop = f"[{peer.address}]:{peer.port}"
    administrator = new_host(
        {
            "smtp_tls_security_level": "may",
            "smtp_tls_policy_maps": f"inline:{{ {{ {hop} = none }}, {{ fabrikam.test = may }} }}",
        }
    )
    administrator.publish(smart_host(peer, f'{VALIDATION}tls_domain = "mail.fabrikam.test"'))
    assert send(administrator).status == "deferred"
    assert peer.received() == []


def test_own_certificate_is_shown_and_renewal_is_picked(
    new_host: HostMaker, partner: Partner
) -> None:
    peer = partner.named("mail.fabrikam.test")
    administrator = new_host()
    issue = partner.authority.issue
    old = issue(
        "old", common_name="smtp.contoso.test", not_before=NOW - 9 * DAY, not_after=NOW - DAY
    )
    administrator.store_certificate("old", old)
    administrator.store_certificate("new", issue("new", common_name="smtp.contoso.test"))
    administrator.publish(
        smart_host(
            peer,
            'tls_certificate_name = "<I>CN=Contoso Test CA,O=Contoso'
            '<S>cn=SMTP.contoso.test, O=Contoso"',
        )
    )
    received = sent(administrator, peer)
    assert received.client_certificate == "smtp.contoso.test"
    assert received.client_certificate_verified


# --- logins


@pytest.mark.parametrize("password", ["simple", "with: colon, $dollar {brace} %s #hash ünïcode"])
def test_basic_auth(new_host: HostMaker, isp: IspMaker, password: str) -> None:
    peer = isp(password)
    administrator = new_host()
    administrator.store_password("isp", password)
    administrator.publish(
        smart_host(
            peer,
            'smart_host_auth_mechanism = "BasicAuth"\n'
            'authentication_credential = { user_name = "contoso", password_file = "secrets/isp" }',
        )
    )
    assert sent(administrator, peer).authenticated_sender == "contoso@isp"


def test_login_over_tls_waits_when_the_name_is_wrong(
    new_host: HostMaker,
    isp: IspMaker,
    root: Path,
    enter: ExitStack,
    authority: CertificateAuthority,
) -> None:
    """BasicAuthRequireTLS asks for the smart host's own name; no password is spoken."""
    certificate = authority.issue("isp", common_name="other.test", dns_names=["other.test"])
    peer = isp("secret", certificate)
    records = [f"smtp A {peer.address}"]
    dns = enter.enter_context(NsdServer(root, {"isp.test": zone("isp.test", records)}))
    administrator = new_host(resolver=dns.address)
    administrator.store_password("isp", "secret")
    administrator.publish(
        connector(
            f'dns_routing_enabled = false\nsmart_hosts = ["smtp.isp.test"]\nport = {peer.port}\n'
            'smart_host_auth_mechanism = "BasicAuthRequireTLS"\n'
            'authentication_credential = { user_name = "contoso", password_file = "secrets/isp" }'
        )
    )
    delivery = send(administrator)
    assert (delivery.status, delivery.dsn) == ("deferred", "4.7.5")
    assert not any("sasl_username" in line.text for line in peer.log.lines())


def test_the_hosts_login_is_not_for_connectors(new_host: HostMaker, isp: IspMaker) -> None:
    """A host with a login for a smart host does not speak it where the connector has none."""
    peer = isp("secret")
    hop = f"[{peer.address}]:{peer.port}"
    administrator = new_host(
        {
            "smtp_sasl_auth_enable": "yes",
            "smtp_sasl_security_options": "noanonymous",
            "smtp_sasl_password_maps": f"inline:{{ {{ {hop} = contoso:secret }} }}",
        }
    )
    administrator.publish(smart_host(peer))
    assert send(administrator).status == "bounced"  # 554 without a login
    assert peer.received() == []


def test_login_at_the_second_smart_host(new_host: HostMaker, isp: IspMaker) -> None:
    """Each smart host of a list finds the connector's login."""
    peer = isp("secret")
    administrator = new_host()
    administrator.store_password("isp", "secret")
    administrator.publish(
        connector(
            f'dns_routing_enabled = false\nsmart_hosts = ["{free_address(peer.port)}",'
            f' "{peer.address}"]\nport = {peer.port}\nsmart_host_auth_mechanism = "BasicAuth"\n'
            'authentication_credential = { user_name = "contoso", password_file = "secrets/isp" }'
        )
    )
    assert sent(administrator, peer).authenticated_sender == "contoso@isp"


def test_smart_host_with_an_ipv6_address(new_host: HostMaker) -> None:
    administrator = new_host({"inet_protocols": "all"})
    port = free_port()
    administrator.publish(
        connector(f'dns_routing_enabled = false\nsmart_hosts = ["::1"]\nport = {port}')
    )
    delivery = send(administrator)
    assert delivery.status == "deferred"
    assert f"connect to ::1[::1]:{port}: Connection refused" in delivery.text
