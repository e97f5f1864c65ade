"""The world in which the demo and the end-to-end tests send mail: real servers on loopback.

Contoso's Postfix is the host that postconnector publishes to. Around it: an authoritative DNS
server, partners with certificates of a test CA, a smart host that wants a login, and plain
receivers. Everything lives in one temporary folder and ends with it.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template

from tests.lab.administrator import Administrator
from tests.lab.certificates import CertificateAuthority, IssuedCertificate
from tests.lab.dns_server import NsdServer, zone
from tests.lab.loopback import free_address, free_port
from tests.lab.peers import Peer, auth_smart_host, plain_receiver, tls_partner
from tests.lab.postfix_instance import PostfixInstance

CONNECTORS = Path(__file__).with_name("connectors.toml")
HOST_NAME = "mail.contoso.test"
LOCAL_DOMAIN = "contoso.test"
PASSWORD = "correct horse, battery: staple"
MESSAGE_SIZE_LIMIT = 50 * 1024**2


@dataclass(frozen=True)
class World:
    """The running servers, and the administrator of contoso's host."""

    host: PostfixInstance
    peers: Mapping[str, Peer]
    administrator: Administrator


@contextmanager
def contoso_world() -> Iterator[World]:
    """Start everything but the policy service, and stop it whatever happens."""
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pcw-", dir="/tmp")))
        root.chmod(0o755)
        authority = CertificateAuthority(root / "ca")
        peers = {
            peer.name: stack.enter_context(peer) for peer in _peers(root, authority, free_port())
        }
        resolver = stack.enter_context(NsdServer(root, _zones(peers)))
        host = stack.enter_context(
            PostfixInstance(
                root,
                "contoso",
                main_cf={
                    "myhostname": HOST_NAME,
                    "mydestination": "",
                    "virtual_mailbox_domains": LOCAL_DOMAIN,
                    "message_size_limit": str(MESSAGE_SIZE_LIMIT),
                    "smtp_tls_CAfile": str(authority.ca_file),
                    "smtp_tls_security_level": "may",
                },
                smtp_port=free_port(),
                resolver=resolver.address,
            )
        )
        administrator = Administrator(root, host)
        _equip(administrator, authority, peers)
        yield World(host, peers, administrator)


def _peers(root: Path, authority: CertificateAuthority, port: int) -> Iterator[Peer]:
    """The servers of others, each with an address of its own and all with the same port."""

    def certificate(name: str) -> IssuedCertificate:
        return authority.issue(name, common_name=name, dns_names=[name])

    def partner(name: str, certificate_name: str) -> Peer:
        return tls_partner(
            root,
            name,
            [f"{name}.test"],
            certificate(certificate_name),
            authority.ca_file,
            address=free_address(port),
            port=port,
        )

    yield plain_receiver(
        root,
        "internet",
        ["example.test", "adatum.test", "fabrikam.test"],
        address=free_address(port),
        port=port,
    )
    yield plain_receiver(
        root,
        "subsidiaries",
        ["sales.contoso.test", "lab.sales.contoso.test"],
        address=free_address(port),
        port=port,
    )
    yield partner("fabrikam", "mail.fabrikam.test")
    yield partner("woodgrove", "mail.somebody-else.test")
    yield partner("proseware", "mx1.proseware.test")
    yield auth_smart_host(
        root,
        "tailspin",
        ["tailspin.test"],
        user="contoso",
        password=PASSWORD,
        certificate=certificate("smtp.tailspin.test"),
        auth_only_with_tls=True,
        address=free_address(port),
        port=port,
    )


def _zones(peers: Mapping[str, Peer]) -> dict[str, str]:
    """MX records as the owners of the domains would publish them."""

    def mail_zone(domain: str, host: str, peer: str) -> str:
        return zone(domain, [f"@ MX 10 {host}.{domain}.", f"{host} A {peers[peer].address}"])

    return {
        "fabrikam.test": mail_zone("fabrikam.test", "mail", "fabrikam"),
        "woodgrove.test": mail_zone("woodgrove.test", "mail", "woodgrove"),
        "proseware.test": mail_zone("proseware.test", "mx1", "proseware"),
        "example.test": mail_zone("example.test", "mx", "internet"),
        "adatum.test": mail_zone("adatum.test", "mx", "internet"),
        "tailspin.test": zone("tailspin.test", [f"smtp A {peers['tailspin'].address}"]),
    }


def _equip(
    administrator: Administrator, authority: CertificateAuthority, peers: Mapping[str, Peer]
) -> None:
    """What the administrator has: connectors.toml, a password, a certificate."""
    administrator.store_password("tailspin", PASSWORD)
    name = "smtp.contoso.test"
    administrator.store_certificate(
        "smtp", authority.issue(name, common_name=name, dns_names=[name])
    )
    administrator.write_connectors(
        Template(CONNECTORS.read_text()).substitute(
            smtp_port=peers["internet"].port,
            subsidiaries_address=peers["subsidiaries"].address,
        )
    )
