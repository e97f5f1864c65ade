"""What drop-in means: after apply, what no connector claims goes on as before, and remove leaves
no trace.

A host sends the same mail three times: before apply, after it, and after remove. Receivers around
it take mail for every domain, so that what goes astray is seen where it came.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.lab.administrator import Administrator
from tests.lab.certificates import CertificateAuthority
from tests.lab.dns_server import NsdServer, zone
from tests.lab.host_configurations import Arrival, ConfiguredHost, Mail, MailFlow, lab_settings
from tests.lab.loopback import free_address, free_port
from tests.lab.peers import Peer, plain_receiver, tls_partner

HELO = "connector.contoso.test"
_EVERY_DOMAIN = ["static:all"]
_NOTHING_TO_CHANGE = "nothing to change: Postfix has these connectors\n"


@dataclass(frozen=True)
class Neighbours:
    """Receivers around the hosts, all on one port, and the DNS server.

    `isp` and `branch` are relay hosts, `gateway` stands in transport tables, `partner` is the
    connectors' smart host and speaks TLS; DNS leads to `internet`, which speaks TLS, and for
    legacy.test to `legacy`, which does not.
    """

    receivers: Mapping[str, Peer]
    resolver: str
    port: int
    ca_file: Path

    def hop(self, name: str) -> str:
        """A receiver as a next hop."""
        return f"[{self.receivers[name].address}]:{self.port}"


@contextmanager
def running_neighbours() -> Iterator[Neighbours]:
    """The neighbours, up inside a with statement."""
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pcn-", dir="/tmp")))
        root.chmod(0o755)
        authority, port = CertificateAuthority(root / "ca"), free_port()
        receivers = {
            name: plain_receiver(root, name, _EVERY_DOMAIN, address=free_address(port), port=port)
            for name in ("isp", "branch", "gateway", "legacy")
        } | {
            name: tls_partner(
                root,
                name,
                _EVERY_DOMAIN,
                authority.issue(name, common_name=host, dns_names=[host]),
                authority.ca_file,
                address=free_address(port),
                port=port,
                require=False,
            )
            for name, host in (("internet", "mx.internet.test"), ("partner", "mail.fabrikam.test"))
        }
        for receiver in receivers.values():
            stack.enter_context(receiver)
        records = [
            "* MX 10 mx.internet",
            "internet MX 10 mx.internet",  # which no wildcard covers: there are names below it
            "legacy MX 10 mx.legacy",
            *(f"mx.{name} A {receivers[name].address}" for name in ("internet", "legacy")),
        ]
        resolver = stack.enter_context(NsdServer(root, {"test": zone("test", records)}))
        yield Neighbours(receivers, resolver.address, port, authority.ca_file)


@dataclass
class Workshop:
    """Makes hosts in a folder; they run until the test ends."""

    root: Path
    enter: ExitStack
    neighbours: Neighbours

    def etc(self, name: str = "host") -> Path:
        """The configuration directory that a host of this name has."""
        return self.root / name / "etc"

    def host(
        self,
        main_cf: str,
        *,
        name: str = "host",
        services: str = "",
        tables: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
        log_file: bool = True,
    ) -> ConfiguredHost:
        """Start a host with this configuration."""
        head = (
            lab_settings(self.root / name, log_file=log_file)
            + f"smtp_tcp_port = {self.neighbours.port}\n"
            + f"smtp_tls_CAfile = {self.neighbours.ca_file}\n"
        )
        host = ConfiguredHost(
            self.root,
            name,
            main_cf=head + main_cf,
            services=services,
            tables=tables,
            files=files,
            smtp_port=free_port(),
            resolver=self.neighbours.resolver,
        )
        return self.enter.enter_context(host)

    def flow(self, host: ConfiguredHost) -> MailFlow:
        """Mail from a host to the neighbours."""
        return MailFlow(host, list(self.neighbours.receivers.values()))

    def connector(self, name: str, spaces: Sequence[str], way: str, more: str = "") -> str:
        """A connector with a receiver as its smart host, or by DNS."""
        hop = (
            ""
            if way == "DNS"
            else "dns_routing_enabled = false\n"
            f"smart_hosts = ['{self.neighbours.receivers[way].address}']\n"
        )
        return (
            f"[[send_connector]]\nname = '{name}'\naddress_spaces = {list(spaces)}\n{hop}"
            f"port = {self.neighbours.port}\nfqdn = '{HELO}'\n"
            f"max_message_size = 'unlimited'\n{more}"
        )

    def drop_in(
        self,
        host: ConfiguredHost,
        connectors: str,
        ways: Mapping[Mail, str],
        claimed: Mapping[Mail, str],
    ) -> dict[Mail, Arrival]:
        """Send mail before apply, after it and after remove; return what arrived at first.

        `ways`: where each message comes by the host's own configuration; `claimed`: where those
        that the connectors claim come instead.
        """
        flow, original = self.flow(host), configuration(host)
        mails = list(ways)
        administrator = Administrator(host.directory, host)
        with administrator.policy_service():
            before = flow.send(mails)
            expect_places(before, ways)
            apply(administrator, connectors)
            expect_claimed(flow.send(mails), before, claimed)
            remove(administrator)
        assert configuration(host) == original
        expect(flow.send(mails), before)
        assert flow.repeated() == []
        return before


def place_of(way: str) -> str:
    """Where mail comes for which a connector takes this way: DNS, or a receiver's name."""
    return "internet" if way == "DNS" else way


def apply(administrator: Administrator, connectors: str) -> None:
    """Apply connectors; a second time there is nothing to do, and no table was misunderstood."""
    administrator.publish(connectors)
    again = administrator.run("apply")
    assert (again.returncode, again.stdout) == (0, _NOTHING_TO_CHANGE), again.stderr
    assert "can't be asked" not in again.stderr


def remove(administrator: Administrator) -> None:
    """Remove what was applied."""
    removed = administrator.run("remove")
    assert removed.returncode == 0, removed.stderr


def configuration(host: ConfiguredHost) -> dict[str, bytes]:
    """Every file of the host's configuration directory."""
    folder = host.config_directory
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def expect_places(arrivals: Mapping[Mail, Arrival], ways: Mapping[Mail, str]) -> None:
    """Each message came where it should."""
    astray = [
        f"{mail}: not at {where}, but {arrivals[mail]}"
        for mail, where in ways.items()
        if arrivals[mail].where != where
    ]
    assert not astray, "\n".join(astray)


def expect(arrivals: Mapping[Mail, Arrival], before: Mapping[Mail, Arrival]) -> None:
    """Everything came as before."""
    expect_claimed(arrivals, before, {})


def expect_claimed(
    arrivals: Mapping[Mail, Arrival], before: Mapping[Mail, Arrival], claimed: Mapping[Mail, str]
) -> None:
    """What connectors claim came to their places under their name, and all else as before."""
    expect_places(arrivals, claimed)
    assert {arrivals[mail].helo for mail in claimed} <= {HELO, None}
    different = [
        f"{mail}: now {now}, before {then}"
        for mail in before
        if mail not in claimed
        for now, then in [_differing(arrivals[mail], before[mail])]
        if now != then
    ]
    assert not different, "\n".join(different)


def _differing(one: Arrival, other: Arrival) -> tuple[dict[str, object], dict[str, object]]:
    """The attributes in which two arrivals differ, of each."""
    left, right = asdict(one), asdict(other)
    names = [name for name in left if left[name] != right[name]]
    return {name: left[name] for name in names}, {name: right[name] for name in names}


def to(recipients: Mapping[str, str]) -> dict[Mail, str]:
    """Mail by SMTP from alice to each recipient."""
    return {Mail(recipient): where for recipient, where in recipients.items()}
