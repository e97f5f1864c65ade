"""Domains beyond ASCII: Postfix looks them up as they are written, connectors compare A-labels."""

import smtplib

import pytest

from tests.demo.journey import compose
from tests.lab.administrator import Administrator
from tests.lab.loopback import free_address, free_port
from tests.postfix.conftest import HostMaker

KB = 1024
SENDER = "alice@contoso.test"


@pytest.fixture
def host(new_host: HostMaker) -> Administrator:
    """Its next hops are not there: by which service mail waits is what counts."""
    port = free_port()
    hop = f'dns_routing_enabled = false\nsmart_hosts = ["{free_address(port)}"]\nport = {port}\n'
    made: Administrator = new_host(
        {"virtual_mailbox_domains": "größe.test", "virtual_mailbox_maps": "static:all"}
    )
    made.publish(
        "".join(
            f'[[send_connector]]\nname = "{name}"\naddress_spaces = ["{space}"]\n'
            f'max_message_size = "{limit} KB"\n{hop}'
            for name, space, limit in (
                ("Books", "xn--bcher-kva.test", 200),
                ("Shops", "*.läden.test", 200),
                ("Others", "*", 50),
            )
        )
    )
    return made


def submit(host: Administrator, recipient: str, size: int) -> tuple[int, str]:
    message = compose("bob@contoso.test", size, "<idn@contoso.test>")
    with host.smtp() as session:
        session.mail(SENDER, ["SMTPUTF8"])
        session.command_encoding = "utf-8"
        assert session.rcpt(recipient)[0] == 250
        code, text = session.data(message)
    return code, text.decode()


@pytest.mark.parametrize(
    ("domain", "service"),
    [
        ("bücher.test", "pc-books/smtp"),
        ("BÜCHER.test", "pc-books/smtp"),
        ("xn--bcher-kva.test", "pc-books/smtp"),
        ("läden.test", "pc-shops/smtp"),
        ("alle.läden.test", "pc-shops/smtp"),
        ("andere.test", "pc-others/smtp"),
    ],
)
def test_mail_takes_the_connector_however_its_domain_is_written(
    host: Administrator, domain: str, service: str
) -> None:
    assert submit(host, f"bob@{domain}", 10 * KB)[0] == 250
    assert host.host.log.wait_for_delivery(f"bob@{domain}").service == service


@pytest.mark.parametrize("domain", ["bücher.test", "alle.läden.test"])
def test_the_limit_is_that_of_the_connector(host: Administrator, domain: str) -> None:
    assert submit(host, f"bob@{domain}", 100 * KB)[0] == 250
    code, text = submit(host, f"bob@{domain}", 300 * KB)
    assert (code, "MaxMessageSize 200 KB" in text) == (552, True)


def test_a_domain_of_the_hosts_own_is_no_connectors(host: Administrator) -> None:
    assert submit(host, "bob@größe.test", 300 * KB)[0] == 250


def test_at_rcpt_to_the_declared_size_counts(host: Administrator) -> None:
    with smtplib.SMTP(host.host.smtp_address, host.host.smtp_port or 0, timeout=30) as session:
        session.ehlo("client.contoso.test")
        session.command_encoding = "utf-8"
        session.mail(SENDER, ["SMTPUTF8", f"SIZE={300 * KB}"])
        assert session.rcpt("bob@bücher.test")[0] == 552
