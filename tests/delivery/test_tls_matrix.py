"""The situations of tls_situations.toml: what the agent does, and what Postfix does by itself.

Every situation has a domain of its own in place of fabrikam.test, a connector for it, and a next
hop at an address of its own. For Postfix, all connectors are published to one host at once.
"""

import asyncio
import datetime
import json
import os
import shutil
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from postconnector.certificates.choice import choose_certificate
from postconnector.certificates.pem import read_store
from postconnector.delivery.dialogue_log import NoDialogueLog
from postconnector.delivery.envelope import Envelope, EnvelopeRecipient
from postconnector.delivery.hosts.target import Target
from postconnector.delivery.reply import Reply
from postconnector.delivery.smtp.connection import Connection
from postconnector.delivery.smtp.settings import SessionSettings
from postconnector.delivery.smtp.steps import SessionFailedError
from postconnector.delivery.tls.contexts import TlsContexts, Trust
from postconnector.delivery.tls.policies import certificate_to_show, tls_policy
from postconnector.model.organization import OrganizationSettings
from postconnector.model.send_connector import SendConnector
from tests.lab.administrator import Administrator
from tests.lab.certificates import CertificateAuthority, IssuedCertificate
from tests.lab.chains import CertificateKind, Chains
from tests.lab.dns_server import NsdServer, zone
from tests.lab.loopback import free_address, free_port
from tests.lab.maillog import Delivery
from tests.lab.postfix_instance import PostfixInstance
from tests.lab.tls_peer import Offer, SeenSession, TlsPeer

_TABLE = Path(__file__).with_name("tls_situations.toml")
_SENDER = "alice@contoso.test"
_MESSAGE = b"From: alice@contoso.test\r\nSubject: TLS\r\n\r\nHello\r\n"
_OWN_NAME = "smtp.contoso.test"
_LISTS = ("current", "expired", "incomplete")


@dataclass(frozen=True)
class Situation:
    """One entry of the table, about a domain of its own."""

    domain: str
    name: str
    connector: Mapping[str, Any]
    certificate: Mapping[str, Any]
    agent: str
    postfix: str | None = None
    says: str = ""
    why: str = ""
    route: str = "address"
    peer: str = "offered"
    version: str | None = None
    clients: str | None = None
    shown: str | None = None
    domain_secure: bool = False
    lists: str | None = None

    @property
    def recipient(self) -> str:
        return f"bob@{self.domain}"

    @property
    def kind(self) -> CertificateKind:
        """What the next hop's certificate is like."""
        said: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in self.certificate.items()
        }
        return CertificateKind(**said)

    def properties(self, peer: TlsPeer) -> dict[str, object]:
        """The whole connector, in TOML's spelling."""
        found = {"name": self.domain, "address_spaces": [self.domain], "port": peer.port}
        if self.route != "dns":
            host = f"smtp.{self.domain}" if self.route == "name" else peer.address
            found |= {"dns_routing_enabled": False, "smart_hosts": [host]}
        if "smart_host_auth_mechanism" in self.connector:
            found["authentication_credential"] = {
                "user_name": "contoso",
                "password_file": "secrets/isp",
            }
        return {**found, **self.connector}


def _situations() -> list[Situation]:
    entries = tomllib.loads(_TABLE.read_text())["situation"]
    return [
        Situation(f"fabrikam{number}.test", **_renamed(entry, f"fabrikam{number}"))
        for number, entry in enumerate(entries)
    ]


def _renamed(entry: dict[str, Any], name: str) -> dict[str, Any]:
    text = json.dumps(entry).replace("fabrikam", name).replace("Fabrikam", name.title())
    text = text.replace("FABRIKAM", name.upper())
    renamed: dict[str, Any] = json.loads(text)
    return {**renamed, "name": entry["name"]}


SITUATIONS = _situations()
_BY_NAME = pytest.mark.parametrize("situation", SITUATIONS, ids=lambda s: s.name)


def test_the_table_is_sound() -> None:
    assert len(SITUATIONS) >= 40
    assert len({situation.name for situation in SITUATIONS}) == len(SITUATIONS)
    for situation in SITUATIONS:
        differs = situation.postfix not in (None, situation.agent)
        assert bool(situation.why) is differs, situation.name


class Lab:
    """The next hops of all situations, by domain, and what both sides trust."""

    def __init__(self, root: Path, enter: ExitStack) -> None:
        self.root = root
        self.chains = Chains(root / "chains")
        authority = CertificateAuthority(root / "ca")
        self.own: IssuedCertificate = authority.issue("own", common_name=_OWN_NAME)
        port = free_port()
        chains = {s.domain: self.chains.issue(s.domain, s.kind) for s in SITUATIONS}
        self.peers = {
            situation.domain: enter.enter_context(
                TlsPeer(
                    free_address(port),
                    port,
                    chains[situation.domain],
                    Offer(situation.peer),
                    version=situation.version,
                    clients=authority.ca_file if situation.clients else None,
                    demands_certificate=situation.clients == "demands",
                )
            )
            for situation in SITUATIONS
        }
        lists = {which: self.chains.revocation_lists(which) for which in _LISTS}
        self.contexts = {
            which: TlsContexts(Trust(self.chains.ca_file, crl_directory=lists.get(which or "")))
            for which in (None, *_LISTS)
        }
        self.settings = OrganizationSettings.model_validate(
            {"tls_send_domain_secure_list": [s.domain for s in SITUATIONS if s.domain_secure]}
        )

    def seen(self, situation: Situation) -> SeenSession:
        """The session that brought the last message."""
        found = self.peers[situation.domain].delivered
        assert found is not None
        return found


@pytest.fixture(scope="module")
def enter() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="module")
def lab(enter: ExitStack) -> Lab:
    folder = Path(enter.enter_context(tempfile.TemporaryDirectory(prefix="pct-", dir="/tmp")))
    folder.chmod(0o755)
    return Lab(folder, enter)


# --- the agent


@dataclass(frozen=True)
class _Content:
    size: int = len(_MESSAGE)
    is_8bit: bool = False
    has_8bit_header: bool = False

    def chunks(self) -> Iterator[bytes]:
        yield _MESSAGE


def _own_certificate(lab: Lab, connector: SendConnector) -> bytes | None:
    """As `apply` would pick it."""
    now = datetime.datetime.now(datetime.UTC)
    published = None
    if connector.tls_certificate_name is not None:
        folder = lab.root / "store"
        folder.mkdir(exist_ok=True)
        shutil.copy(lab.own.chain_file, folder / "own.pem")
        published = choose_certificate(connector.tls_certificate_name, read_store(folder), now).pem
    return certificate_to_show(connector, published, now)


async def _deliver(situation: Situation, lab: Lab) -> tuple[str, str]:
    """What becomes of a message, and the reason why it waits."""
    peer = lab.peers[situation.domain]
    connector = SendConnector.model_validate(situation.properties(peer))
    shown = _own_certificate(lab, connector)
    contexts = lab.contexts[situation.lists]
    policy = tls_policy(situation.domain, connector, lab.settings, contexts, shown)
    target = Target(f"mx.{situation.domain}", peer.address, peer.port)
    settings = SessionSettings("host.contoso.test", policy)
    try:
        connection = await Connection.open(target, settings, NoDialogueLog())
    except SessionFailedError as error:
        return _waits(error.reply)
    envelope = Envelope(_SENDER, (EnvelopeRecipient(situation.recipient),))
    delivered = await connection.deliver(envelope, _Content())
    connection.quit()
    reply = delivered.replies[0].reply
    if not reply.is_positive:
        return _waits(reply)
    tls = connection.opened.tls
    if tls is None:
        return "plain", ""
    return "verified" if tls.verified else "encrypted", ""


def _waits(reply: Reply) -> tuple[str, str]:
    return f"{'waits' if reply.is_temporary else 'bounced'} {reply.status}", reply.text


@_BY_NAME
def test_agent(situation: Situation, lab: Lab) -> None:
    outcome, reason = asyncio.run(_deliver(situation, lab))
    assert outcome == situation.agent, reason
    assert situation.says in reason
    _assert_seen(situation, outcome, lab)


def _assert_seen(situation: Situation, outcome: str, lab: Lab) -> None:
    """What the next hop has to say of it."""
    if outcome not in ("plain", "encrypted", "verified"):
        assert lab.peers[situation.domain].delivered is None
        return
    seen = lab.seen(situation)
    assert (seen.tls is None) is (outcome == "plain")
    assert seen.client_certificate == situation.shown


# --- Postfix


class Native:
    """A host with the connectors of all situations, and what became of a message by each."""

    def __init__(self, lab: Lab, enter: ExitStack) -> None:
        self._lab = lab
        dns = enter.enter_context(NsdServer(lab.root, dict(_zone(s, lab) for s in SITUATIONS)))
        host = PostfixInstance(
            lab.root,
            "host",
            main_cf={
                "myhostname": "host.contoso.test",
                "virtual_mailbox_domains": "contoso.test",
                "smtp_tls_CAfile": str(lab.chains.ca_file),
                "smtp_tls_loglevel": "1",
            },
            smtp_port=free_port(),
            resolver=dns.address,
        )
        administrator = Administrator(lab.root, enter.enter_context(host))
        administrator.store_password("isp", "secret")
        administrator.store_certificate("own", lab.own)
        self.log = host.log
        with administrator.policy_service():
            administrator.publish(_connectors_file(lab))
            with administrator.smtp() as session:
                for situation in _native():
                    session.sendmail(_SENDER, [situation.recipient], _MESSAGE)
            self._deliveries = {
                s.domain: self.log.wait_for_delivery(s.recipient) for s in _native()
            }

    def outcome(self, situation: Situation) -> tuple[str, Delivery]:
        delivery = self._deliveries[situation.domain]
        if delivery.status != "sent":
            word = "waits" if delivery.status == "deferred" else delivery.status
            return f"{word} {delivery.dsn}", delivery
        if self._lab.seen(situation).tls is None:
            return "plain", delivery
        line = self.log.tls_line(delivery) or ""
        return "verified" if line.startswith("Verified") else "encrypted", delivery


def _native() -> list[Situation]:
    return [situation for situation in SITUATIONS if situation.postfix is not None]


def _connectors_file(lab: Lab) -> str:
    secure = json.dumps(list(lab.settings.tls_send_domain_secure_list))
    lines = ["[organization]", f"tls_send_domain_secure_list = {secure}"]
    for situation in _native():
        lines.append("[[send_connector]]")
        for name, value in situation.properties(lab.peers[situation.domain]).items():
            lines.append(f"{name} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {json.dumps(v)}" for k, v in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


def _zone(situation: Situation, lab: Lab) -> tuple[str, str]:
    address = lab.peers[situation.domain].address
    records = ["@ MX 10 mx", f"mx A {address}", f"smtp A {address}"]
    return situation.domain, zone(situation.domain, records)


@pytest.fixture(scope="module")
def native(enter: ExitStack) -> Native:
    missing = [name for name in ("postfix", "nsd") if shutil.which(name) is None]
    if os.geteuid() != 0:
        missing.append("root")
    if missing:
        reason = f"needs {', '.join(missing)}; run make test as root"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    folder = Path(enter.enter_context(tempfile.TemporaryDirectory(prefix="pct-", dir="/tmp")))
    folder.chmod(0o755)
    return Native(Lab(folder, enter), enter)


@pytest.mark.parametrize("situation", _native(), ids=lambda s: s.name)
def test_postfix(situation: Situation, native: Native) -> None:
    outcome, delivery = native.outcome(situation)
    assert outcome == situation.postfix, delivery.text
    _assert_seen(situation, outcome, native._lab)
