"""postconnector test, by real next hops: what it sees, what it makes of it, what it advises."""

import json
import os
import shlex
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab.certificates import CertificateAuthority
from tests.lab.chains import CertificateKind, Chains
from tests.lab.command import run_command
from tests.lab.dns_server import NsdServer, zone
from tests.lab.exim import Exim
from tests.lab.loopback import free_address, free_port
from tests.lab.opensmtpd import OpenSmtpd
from tests.lab.peers import Peer, auth_smart_host, plain_receiver, tls_partner
from tests.lab.postfix_instance import PostfixInstance
from tests.lab.scripted_peer import ScriptedPeer
from tests.lab.tls_peer import Offer, TlsPeer

DOMAIN = "fabrikam.test"
VALIDATED = 'require_tls = true\ntls_auth_level = "DomainValidation"\ntls_domain = "{}"\n'
ANY_NAME = 'require_tls = true\ntls_auth_level = "CertificateValidation"\n'


@dataclass(frozen=True)
class Tried:
    status: int
    output: str
    errors: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.output)
        return found

    @property
    def hops(self) -> list[dict[str, Any]]:
        hops: list[dict[str, Any]] = self.json["next_hops"]
        return hops

    @property
    def hop(self) -> dict[str, Any]:
        [hop] = self.hops
        return hop


def run(root: Path, connectors: str, *arguments: str) -> Tried:
    file = root / "connectors.toml"
    file.write_text(connectors)
    options = ["-c", str(file), "--config-directory", str(root / "no-postfix")]
    result = run_command([*options, "test", *arguments], os.environ)
    return Tried(result.returncode, result.stdout, result.stderr)


def connector(port: int, *hosts: str, properties: str = "", name: str = "F") -> str:
    return (
        f'[[send_connector]]\nname = "{name}"\naddress_spaces = ["{DOMAIN}"]\n'
        f"dns_routing_enabled = false\nsmart_hosts = {json.dumps(hosts or ['127.0.0.1'])}\n"
        f"port = {port}\n{properties}\n"
    )


def trusting(ca_file: Path, more: str = "") -> str:
    return f'[host]\ntrusted_certificates = "{ca_file}"\n{more}'


@pytest.fixture
def partner(root: Path, enter: ExitStack, authority: CertificateAuthority) -> Peer:
    """A Postfix that demands TLS, and asks for our certificate."""
    certificate = authority.issue("mx", common_name="mx.test", dns_names=["mx.fabrikam.test"])
    ca_file, port = authority.ca_file, free_port()
    peer = tls_partner(root, "mx", [DOMAIN], certificate, ca_file, address="127.0.0.1", port=port)
    return enter.enter_context(peer)


@pytest.fixture
def trust(authority: CertificateAuthority) -> str:
    return trusting(authority.ca_file)


def test_a_next_hop_that_meets_every_demand(root: Path, partner: Peer, trust: str) -> None:
    file = trust + connector(partner.port, properties=VALIDATED.format("mx.fabrikam.test"))
    tried = run(root, file, "F", "--to", "bob@fabrikam.test", "--json")
    assert (tried.status, tried.errors) == (0, "")
    assert tried.json["outcome"] == "delivered"
    assert tried.json["demand"]["names"] == ["mx.fabrikam.test"]
    hop = tried.hop
    assert tried.json["by"] == hop["target"] == f"127.0.0.1[127.0.0.1]:{partner.port}"
    assert hop["found_by"] == "address as it is written"
    assert hop["local_endpoint"].startswith("127.0.0.1:")
    assert hop["remote_endpoint"] == f"127.0.0.1:{partner.port}"
    assert hop["banner"].endswith("ESMTP Postfix")
    assert "STARTTLS" in hop["ehlo_in_clear"]
    assert "STARTTLS" not in hop["ehlo"]
    assert hop["offers"]["SMTPUTF8"]
    tls = hop["tls"]
    assert (tls["version"], tls["chain_met"], tls["name_met"]) == ("TLSv1.3", True, True)
    assert (tls["asks_for_own_certificate"], tls["own_certificate_shown"]) == (True, False)
    leaf, root_certificate = tls["chain"]
    assert (leaf["subject"], leaf["issuer"]) == (
        "CN=mx.test,O=Contoso",
        root_certificate["subject"],
    )
    assert leaf["names"] == ["mx.fabrikam.test", "mx.test"]
    assert leaf["days_left"] == 29
    assert root_certificate["self_signed"]
    assert (hop["sender"]["code"], hop["recipient"]["code"]) == (250, 250)
    commands = [line[2:].split()[0] for line in hop["dialogue"] if line.startswith(">")]
    assert commands == ["EHLO", "STARTTLS", "EHLO", "MAIL", "RCPT", "RSET", "QUIT"]
    assert partner.received() == []


def test_what_people_see(root: Path, partner: Peer, trust: str) -> None:
    file = trust + connector(partner.port, properties=VALIDATED.format("mx.fabrikam.test"))
    lines = run(root, file, "F").output.splitlines()
    assert lines[-1] == f"+ Mail would be delivered, to 127.0.0.1[127.0.0.1]:{partner.port}."
    text = "\n".join(lines)
    for row in (
        "Demands     : TLS, with a trusted certificate for mx.fabrikam.test",
        "Chain           : leads to a trusted authority",
        "Own certificate : asked for, not shown; the connector has none (TlsCertificateName)",
        "any size (MaxMessageSize 25 MB (26,214,400 bytes)), 8BITMIME yes",
    ):
        assert row in text
    assert "\x1b" not in text


def by_hand(root: Path, enter: ExitStack, tried: Tried) -> str:
    """What the line for posttls-finger prints, run in a shell as it stands."""
    host = enter.enter_context(PostfixInstance(root, "host"))
    environment = {**os.environ, "MAIL_CONFIG": str(host.config_directory)}
    lines = []
    for hop in tried.hops:
        command = shlex.split(hop["posttls_finger"])
        result = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=60, env=environment
        )
        assert result.returncode == 0, result
        assert "usage" not in result.stderr
        assert "fatal" not in result.stderr
        lines.append(result.stdout + result.stderr)
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        (VALIDATED.format("mx.fabrikam.test"), "Verified TLS connection established"),
        (VALIDATED.format("*.fabrikam.test"), "Verified TLS connection established"),
        (VALIDATED.format("other.test"), "hostname mismatch"),
        (ANY_NAME, "Trusted TLS connection established"),
        ("require_tls = true", "TLS connection established"),
        ("", "TLS connection established"),
        ("ignore_starttls = true", "250-STARTTLS"),
    ],
)
def test_the_line_to_look_by_hand_runs_and_agrees(
    root: Path, enter: ExitStack, partner: Peer, trust: str, properties: str, said: str
) -> None:
    tried = run(root, trust + connector(partner.port, properties=properties), "F", "--json")
    assert said in by_hand(root, enter, tried)


def test_our_certificate_is_shown_and_by_hand_too(
    root: Path, enter: ExitStack, authority: CertificateAuthority
) -> None:
    peer_chain = authority.issue("peer", common_name="peer.test").chain_file
    own = authority.issue("own", common_name="out.contoso.test")
    (root / "certificates").mkdir()
    for source, name in ((own.certificate_file, "own.crt"), (own.key_file, "own.key")):
        (root / "certificates" / name).touch(mode=0o600)
        (root / "certificates" / name).write_bytes(source.read_bytes())
    peer = enter.enter_context(
        TlsPeer(
            "127.0.0.1",
            free_port(),
            peer_chain,
            clients=authority.ca_file,
            demands_certificate=True,
        )
    )
    file = trusting(authority.ca_file)
    without = run(root, file + connector(peer.port, properties=ANY_NAME), "F", "--json")
    assert without.status == os.EX_UNAVAILABLE
    assert without.hop["tls"]["asks_for_own_certificate"] is True
    name = (
        'tls_certificate_name = "<I>CN=Contoso Test CA, O=Contoso<S>CN=out.contoso.test, O=Contoso"'
    )
    file += connector(peer.port, properties=ANY_NAME + name)
    tried = run(root, file, "F", "--json")
    assert tried.status == 0, tried
    assert tried.hop["tls"]["own_certificate_shown"] is True
    assert tried.json["demand"]["own_certificate"]["subject"] == "CN=out.contoso.test,O=Contoso"
    peer.sessions.clear()
    assert "Trusted TLS connection established" in by_hand(root, enter, tried)
    assert peer.sessions[-1].client_certificate == "out.contoso.test"
    (root / "certificates" / "own.key").unlink()
    missing = run(root, file, "F")
    assert missing.status == os.EX_CONFIG
    assert "The certificate specified in TlsCertificateName" in missing.errors


CERTIFICATES: dict[str, tuple[CertificateKind, str, bool | None, bool | None, str, str]] = {
    # name: certificate, connector, chain met, name met, the agent's words, what to do
    "another name": (
        CertificateKind(names=("a.test", "b.test")),
        VALIDATED.format("mx.fabrikam.test"),
        *(True, False),
        "the server's certificate has another name; expected: mx.fabrikam.test; seen: a.test,"
        " b.test",
        "its certificate is for a.test, b.test",
    ),
    "expired": (
        CertificateKind(names=("mx.fabrikam.test",), valid="expired"),
        VALIDATED.format("mx.fabrikam.test"),
        *(False, True),
        "a certificate of its chain has expired",
        "has to renew the certificate",
    ),
    "a stranger's": (
        CertificateKind(names=("mx.fabrikam.test",), signed_by="stranger"),
        ANY_NAME,
        *(False, None),
        "its chain leads to no authority that is trusted here",
        "trusted_certificates in [host]",
    ),
    "without its intermediate": (
        CertificateKind(names=("mx.fabrikam.test",), signed_by="intermediate", sent="leaf"),
        ANY_NAME,
        *(False, None),
        "does not send its intermediate certificates",
        "has to show a whole chain",
    ),
}


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("name", CERTIFICATES)
def test_certificates_that_are_not_good_enough(
    root: Path, enter: ExitStack, name: str, version: str
) -> None:
    kind, properties, chain_met, name_met, why, advice = CERTIFICATES[name]
    chains = Chains(root / "chains")
    chain = chains.issue("peer", kind)
    peer = enter.enter_context(TlsPeer("127.0.0.1", free_port(), chain, version=version))
    file = trusting(chains.ca_file) + connector(peer.port, properties=properties)
    tried = run(root, file, "F", "--json")
    assert (tried.status, tried.json["outcome"]) == (os.EX_UNAVAILABLE, "waits")
    hop = tried.hop
    assert hop["failure"]["stage"] == "STARTTLS command"
    assert hop["failure"]["said_by"] == "us"
    assert why in hop["failure"]["answer"]["text"]
    assert advice in hop["next_step"]
    tls = hop["tls"]
    assert (tls["chain_met"], tls["name_met"]) == (chain_met, name_met)
    assert tls["chain"][0]["names"] == list(kind.names)
    # A second session has shown what is behind, and nothing was said there.
    assert (tls["second_session_without_verification"], tls["version"]) == (True, f"TLSv{version}")
    assert tls["asks_for_own_certificate"] is False
    assert hop["ehlo"] == {"8BITMIME": []}
    assert [session.tls for session in peer.sessions].count(f"TLSv{version}") >= 1


OFFERS: dict[Offer, tuple[str, int, str]] = {
    Offer.NONE: ("TLS is required, but was not offered", 69, "switch STARTTLS on"),
    Offer.REFUSED: ("STARTTLS was answered: 454", 69, "log says more"),
    Offer.GARBAGE: ("the TLS handshake failed", 69, "log says more"),
    Offer.CLOSED: ("the server closed the connection", 69, "log says more"),
    Offer.INJECTED: ("it spoke on in clear", 69, "log says more"),
}


@pytest.mark.parametrize("offer", OFFERS)
def test_starttls_that_does_not_come_about(
    root: Path, enter: ExitStack, authority: CertificateAuthority, trust: str, offer: Offer
) -> None:
    why, status, advice = OFFERS[offer]
    chain = authority.issue("peer", common_name="peer.test").chain_file
    peer = enter.enter_context(TlsPeer("127.0.0.1", free_port(), chain, offer))
    tried = run(root, trust + connector(peer.port, properties=ANY_NAME), "F", "--json")
    assert tried.status == status
    assert why in tried.hop["failure"]["answer"]["text"]
    assert advice in tried.hop["next_step"]
    # Where nothing is demanded, mail goes out in clear, and that is said.
    free = run(root, trust + connector(peer.port), "F", "--json")
    if offer is not Offer.INJECTED:
        assert (free.status, free.hop["tls"]["version"]) == (0, None)
        assert any("mail goes out in clear" in warning for warning in free.hop["warnings"])


def test_a_login_is_tried_and_never_shown(
    root: Path, enter: ExitStack, authority: CertificateAuthority, trust: str
) -> None:
    certificate = authority.issue("r", common_name=None, dns_names=["relay.test"])
    relay = enter.enter_context(
        auth_smart_host(
            *(root, "relay", [DOMAIN]),
            user="contoso",
            password="s3cret",
            certificate=certificate,
            auth_only_with_tls=True,
            address="127.0.0.1",
            port=free_port(),
        )
    )
    secret = root / "secret"
    secret.touch(mode=0o600)
    login = (
        'smart_host_auth_mechanism = "BasicAuthRequireTLS"\n'
        'authentication_credential = { user_name = "contoso", password_file = "secret" }\n'
    )
    file = trust + connector(relay.port, properties=VALIDATED.format("relay.test") + login)
    for password, status, accepted in (("s3cret", 0, True), ("wr0ng", os.EX_UNAVAILABLE, False)):
        secret.write_text(f"{password}\n")
        tried = run(root, file, "F", "--json")
        assert tried.status == status
        assert tried.hop["login"] == {"mechanism": "PLAIN", "accepted": accepted}
        shown = run(root, file, "F")
        assert f"PLAIN, {'accepted' if accepted else 'NOT accepted'}" in shown.output
        for text in (tried.output, tried.errors, shown.output, shown.errors):
            assert password not in text
            assert "AGNvbnRvc28A" not in text  # the beginning of PLAIN's secret
    assert "see that user name contoso and its password" in tried.hop["next_step"]
    # The password is for relay.test alone.
    secret.write_text("s3cret\n")
    file = trust + connector(relay.port, properties=VALIDATED.format("else.test") + login)
    elsewhere = run(root, file, "F", "--json")
    assert elsewhere.status == os.EX_UNAVAILABLE
    assert not any("AUTH" in line.split()[:2] for line in elsewhere.hop["dialogue"])
    assert elsewhere.hop["ehlo"]["AUTH"]
    secret.unlink()
    missing = run(root, file, "F")
    assert missing.status == os.EX_CONFIG
    assert "its password can't be read" in missing.errors


def test_exim_its_limit_and_its_answers(root: Path, enter: ExitStack) -> None:
    exim = Exim(
        *(root, "exim", [DOMAIN]),
        address="127.0.0.1",
        port=free_port(),
        message_size_limit=1_000_000,
        settings={"accept_8bitmime": "false"},
    )
    enter.enter_context(exim)
    file = connector(exim.port, properties='max_message_size = "10 MB"')
    tried = run(root, file, "F", "--to", "bob@fabrikam.test", "--json")
    assert tried.status == 0, tried
    assert tried.hop["size"] == 1_000_000
    warned = "\n".join(tried.hop["warnings"])
    assert "less than MaxMessageSize (10 MB" in warned
    assert "8BITMIME is not offered" in warned
    beyond_ascii = run(root, file, "F", "--to", "zoë@fabrikam.test", "--json")
    assert (
        beyond_ascii.hop["failure"]["answer"]["text"] == "SMTPUTF8 is needed, but was not offered"
    )
    refused = run(root, file, "F", "--to", "bob@elsewhere.test", "--json")
    assert (refused.status, refused.json["outcome"]) == (os.EX_UNAVAILABLE, "refused")
    assert (refused.hop["sender"]["code"], refused.hop["recipient"]["code"]) == (250, 550)
    assert any("takes no connector, not" in note for note in refused.json["notes"])


def test_addresses_are_said_as_in_mail(root: Path, partner: Peer, trust: str) -> None:
    file = trust + connector(partner.port)
    addresses = ("--to", "zoë@fabrikam.test", "-f", "<ann@contoso.test>")
    tried = run(root, file, "F", *addresses, "--json")
    assert tried.status == 0, tried
    said = [line for line in tried.hop["dialogue"] if line.startswith("> MAIL")]
    assert said == ["> MAIL FROM:<ann@contoso.test> SIZE=1000 SMTPUTF8"]


def test_opensmtpd(root: Path, enter: ExitStack, authority: CertificateAuthority) -> None:
    certificate = authority.issue("o", common_name=None, dns_names=["o.test"])
    smtpd = OpenSmtpd(
        *(root, "smtpd", [DOMAIN]),
        address="127.0.0.1",
        port=free_port(),
        certificate=certificate,
        tls_required=True,
    )
    enter.enter_context(smtpd)
    file = trusting(authority.ca_file)
    file += connector(smtpd.port, properties=VALIDATED.format("o.test"))
    tried = run(root, file, "F", "--to", "bob@fabrikam.test", "--json")
    assert tried.status == 0, tried
    assert tried.hop["tls"]["asks_for_own_certificate"] is False
    assert not tried.hop["offers"]["PIPELINING"]


def test_every_next_hop_is_tried(root: Path, partner: Peer, trust: str) -> None:
    dead = free_address(partner.port)
    hosts = (dead, "127.0.0.1", "no.such.name.invalid")
    file = trust + connector(partner.port, *hosts, properties=ANY_NAME)
    tried = run(root, file, "F", "--json", "--timeout", "5")
    assert tried.status == 0
    assert [(hop["address"], hop["takes_mail"]) for hop in tried.hops] == [
        (dead, False),
        ("127.0.0.1", True),
    ]
    failed = tried.hops[0]
    assert (failed["failure"]["stage"], failed["failure"]["answer"]["code"]) == ("connect", 451)
    assert f"nc -vz {dead} {partner.port}" in failed["next_step"]
    [nowhere] = tried.json["not_found"]
    assert nowhere["hop"] == "no.such.name.invalid"
    shown = run(root, file, "F", "--timeout", "5").output
    assert "~ Not every next hop takes it, though" in shown


def test_mail_bounces_at_the_first_that_refuses(
    root: Path, enter: ExitStack, partner: Peer, trust: str
) -> None:
    """As the agent does, which does not ask the second then."""
    strict = free_address(partner.port)
    restrictions = {"smtpd_recipient_restrictions": "reject"}
    peer = Peer(root, "strict", [DOMAIN], address=strict, port=partner.port, main_cf=restrictions)
    enter.enter_context(peer)
    file = trust + connector(partner.port, strict, "127.0.0.1")
    tried = run(root, file, "F", "--to", "bob@fabrikam.test", "--json")
    assert [hop["takes_mail"] for hop in tried.hops] == [False, True]
    assert (tried.status, tried.json["outcome"]) == (os.EX_UNAVAILABLE, "refused")
    assert tried.json["by"] == tried.hops[0]["target"]
    shown = run(root, file, "F", "--to", "bob@fabrikam.test").output
    assert "- Mail would be refused, and bounce." in shown
    assert "~ What to do: see its answer" in shown


def test_nothing_listens(root: Path) -> None:
    tried = run(root, connector(free_port()), "F")
    assert tried.status == os.EX_UNAVAILABLE
    assert "- Mail would wait." in tried.output
    assert "~ What to do: see that an SMTP server listens at port" in tried.output


HOSTILE = r"""
< 220 \x1b[2Jhello \xc2\x9b1m
> EHLO {}
< 250-me
< 250-\x1b]0;gotcha\x07 \xc2\x9bA
< 250 SIZE 99999999999999999999999999
> MAIL FROM:<> SIZE=1000
< 550 5.7.1 \x1b[31mno\x1b[0m
> QUIT
"""


@pytest.mark.parametrize("how", [[], ["--json"]])
def test_nothing_a_peer_says_steers_the_terminal(root: Path, how: Sequence[str]) -> None:
    script = HOSTILE.format("out.contoso.test")
    with ScriptedPeer(script) as peer:
        file = connector(peer.port, properties='fqdn = "out.contoso.test"')
        tried = run(root, file, "F", "--to", "bob@fabrikam.test", *how)
    peer.assert_played()
    assert tried.status == os.EX_UNAVAILABLE
    assert tried.output.replace("\n", "").isprintable()
    assert "hello" in tried.output
    assert "[31mno" in tried.output


@pytest.mark.parametrize(
    ("script", "stage", "advice"),
    [
        ("< 554 5.7.1 not you", "greeting", "does not want to talk to this host"),
        ("stall", "greeting", "does not greet as an SMTP server does"),
        ("close", "greeting", "does not greet as an SMTP server does"),
        ("< 220 hi\n> EHLO o.test\n< 421 4.3.2 later\nclose", "EHLO command", "Fqdn"),
        ("< 220 hi\n> EHLO o.test\nclose", "EHLO command", "Fqdn"),
    ],
)
def test_sessions_that_do_not_come_about(root: Path, script: str, stage: str, advice: str) -> None:
    with ScriptedPeer(script) as peer:
        file = connector(peer.port, properties='fqdn = "o.test"')
        tried = run(root, file, "F", "--json", "--timeout", "0.5")
    assert tried.status == os.EX_UNAVAILABLE
    assert tried.hop["failure"]["stage"] == stage
    assert advice in tried.hop["next_step"]


def test_a_server_that_knows_helo_alone(root: Path) -> None:
    script = "< 220 hi\n> EHLO o.test\n< 502 what?\n> HELO o.test\n< 250 hi\n> QUIT"
    with ScriptedPeer(script) as peer:
        file = connector(peer.port, properties='fqdn = "o.test"')
        tried = run(root, file, "F", "--json")
    peer.assert_played()
    assert tried.status == 0
    assert any("greeted by HELO" in warning for warning in tried.hop["warnings"])


def test_how_dns_leads_there(root: Path, enter: ExitStack, trust: str) -> None:
    port = free_port()
    receiver = plain_receiver(root, "mx", [DOMAIN], address="127.0.0.1", port=port)
    enter.enter_context(receiver)
    records = ["@ MX 20 backup", "@ MX 10 mx", "mx A 127.0.0.1", "backup A 127.0.0.2"]
    bare = ["@ A 127.0.0.1"]
    zones = {DOMAIN: zone(DOMAIN, records), "bare.test": zone("bare.test", bare)}
    dns = enter.enter_context(NsdServer(root, zones))
    head = trust + (
        '[organization]\nexchange_version = "2019"\n[[organization.server]]\nname = "HERE"\n'
        f'server_role = "Edge"\nexternal_dns_servers = ["{dns.address}"]\n'
    )
    by_dns = 'name = "F"\nuse_external_dns_servers_enabled = true\nport = {}\naddress_spaces = {}\n'
    routed = head + "[[send_connector]]\n" + by_dns.format(port, f'["*.x.test", "{DOMAIN}"]')
    tried = run(root, routed, "F", "--json")
    assert (tried.status, tried.json["domain"]) == (0, DOMAIN)
    assert [(hop["host"], hop["found_by"], hop["takes_mail"]) for hop in tried.hops] == [
        ("mx.fabrikam.test", "MX 10 of fabrikam.test", True),
        ("backup.fabrikam.test", "MX 20 of fabrikam.test", False),
    ]
    everywhere = head + "[[send_connector]]\n" + by_dns.format(port, '["*"]')
    unclear = run(root, everywhere, "F")
    assert unclear.status == os.EX_USAGE
    assert "write --to ADDRESS" in unclear.errors
    without_mx = run(root, everywhere, "F", "--to", "bob@bare.test", "--json")
    assert without_mx.hop["found_by"] == "address of bare.test (no MX)"
    nowhere = run(root, everywhere, "F", "--to", "bob@no.fabrikam.test")
    assert nowhere.status == os.EX_UNAVAILABLE
    assert "- Mail would be refused, and bounce." in nowhere.output
    assert "nonexistent domain" in nowhere.output


def test_before_it_is_enabled(root: Path, partner: Peer, trust: str) -> None:
    file = trust + connector(partner.port, properties="enabled = false")
    tried = run(root, file, "f", "--json")
    assert tried.status == 0
    assert "the connector is not enabled: no mail takes it" in tried.json["notes"]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["Fra"], os.EX_CONFIG, 'there is no connector "Fra"; did you mean "Far"?'),
        (["F", "--to", "bob"], os.EX_USAGE, "bad recipient address syntax"),
        (["F", "-f", "a b", "--to", "bob@fabrikam.test"], os.EX_USAGE, "bad sender"),
        (["F", "--timeout", "0"], os.EX_USAGE, "write seconds"),
        (["F", "--timeout", "nan"], os.EX_USAGE, "write seconds"),
        (["Far"], os.EX_CONFIG, "test it there"),
    ],
)
def test_what_can_not_be_tried(
    root: Path, arguments: Sequence[str], status: int, said: str
) -> None:
    servers = (
        '[host]\nserver = "HERE"\n[organization]\n[[organization.server]]\nname = "HERE"\n'
        '[[organization.server]]\nname = "THERE"\nfqdn = "there.test"\n'
    )
    far = connector(25, name="Far", properties='source_transport_servers = ["THERE"]')
    tried = run(root, servers + connector(25) + far, *arguments)
    assert tried.status == status, tried
    assert said in tried.errors
