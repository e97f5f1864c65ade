"""Connectors that the delivery agent carries out, and a host whose mail takes that path."""

from collections.abc import Sequence

from tests.lab.administrator import Administrator
from tests.lab.maillog import Delivery

SENDER = "alice@contoso.test"
SERVICE = "pc-delivery-agent/lmtp"


def server(dns: str, *, organization: str = "", host: str = "") -> str:
    """The tables of a server with an ExternalDNSServer, which by_dns needs.

    `organization`, `host`: more of these two tables.
    """
    return (
        f"[host]\n{host}\n[organization]\n{organization}\n"
        '[[organization.server]]\nname = "HOST"\nfqdn = "host.contoso.test"\n'
        f'server_role = "Edge"\nexternal_dns_servers = ["{dns}"]\n'
    )


def by_dns(name: str, port: int, *spaces: str, more: str = "") -> str:
    """A connector that asks the server's ExternalDNSServers, which Postfix by itself can't."""
    return (
        _head(name, spaces or (f"{name.lower()}.test",))
        + f"port = {port}\nuse_external_dns_servers_enabled = true\n{more}\n"
    )


def by_smart_hosts(
    name: str, port: int, smart_hosts: Sequence[str], *spaces: str, more: str = ""
) -> str:
    """A connector that demands a certificate of any name, which Postfix by itself can't."""
    hosts = ", ".join(f'"{host}"' for host in smart_hosts)
    return (
        _head(name, spaces or (f"{name.lower()}.test",))
        + f"dns_routing_enabled = false\nsmart_hosts = [{hosts}]\nport = {port}\n"
        + f'require_tls = true\ntls_auth_level = "CertificateValidation"\n{more}\n'
    )


def _head(name: str, spaces: Sequence[str]) -> str:
    shown = ", ".join(f'"{space}"' for space in spaces)
    return f'[[send_connector]]\nname = "{name}"\naddress_spaces = [{shown}]\n'


def message(message_id: str, body: str = "hello\r\n", headers: str = "") -> bytes:
    """A message with this Message-ID."""
    head = f"From: {SENDER}\r\nMessage-ID: <{message_id}>\r\nSubject: agent\r\n{headers}"
    return f"{head}\r\n{body}".encode()


def submit(
    administrator: Administrator,
    message_id: str,
    *recipients: str,
    data: bytes | None = None,
    sender: str = SENDER,
) -> None:
    """Give the host a message."""
    with administrator.smtp() as session:
        refused = session.sendmail(sender, recipients, data or message(message_id))
    assert not refused, refused


def attempts(administrator: Administrator, message_id: str, *recipients: str) -> list[Delivery]:
    """The first attempt to deliver a message to each of these."""
    log = administrator.host.log
    return [log.wait_for_delivery(r, message_id=f"<{message_id}>") for r in recipients]


def deliver(administrator: Administrator, message_id: str, *recipients: str) -> list[Delivery]:
    """Give the host a message, and return the first attempt to deliver to each recipient."""
    submit(administrator, message_id, *recipients)
    return attempts(administrator, message_id, *recipients)
