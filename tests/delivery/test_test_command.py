"""postconnector test: what it sees of real next hops, and what it makes of it."""

import json
import os
import shlex
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab.certificates import CertificateAuthority
from tests.lab.dns_server import NsdServer, zone
from tests.lab.exim import Exim
from tests.lab.loopback import free_address, free_port
from tests.lab.peers import Peer, auth_smart_host, tls_partner
from tests.lab.postfix_instance import PostfixInstance


@dataclass(frozen=True)
class Found:
    status: int
    output: str
    errors: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.output)
        return found


def run(root: Path, connectors: str, *arguments: str) -> Found:
    file = root / "connectors.toml"
    file.write_text(connectors)
    result = subprocess.run(
        [
            *(sys.executable, "-m", "postconnector", "-c", str(file)),
            *("--config-directory", str(root / "no-postfix"), "test", *arguments),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return Found(result.returncode, result.stdout, result.stderr)


def connector(name: str, port: int, *hosts: str, properties: str = "") -> str:
    return (
        f'[[send_connector]]\nname = "{name}"\naddress_spaces = ["fabrikam.test"]\n'
        f"dns_routing_enabled = false\nsmart_hosts = {json.dumps(hosts or ['127.0.0.1'])}\n"
        f"port = {port}\n{properties}\n"
    )


VALIDATED = 'require_tls = true\ntls_auth_level = "DomainValidation"\ntls_domain = "{}"\n'


@pytest.fixture
def partner(root: Path, enter: ExitStack, authority: CertificateAuthority) -> Peer:
    certificate = authority.issue("mx", common_name="mx.test", dns_names=["mx.fabrikam.test"])
    return enter.enter_context(
        tls_partner(
            root,
            "mx",
            ["fabrikam.test"],
            certificate,
            authority.ca_file,
            address="127.0.0.1",
            port=free_port(),
        )
    )


@pytest.fixture
def trust(authority: CertificateAuthority) -> str:
    return f'[host]\ntrusted_certificates = "{authority.ca_file}"\n'


def test_a_next_hop_that_meets_every_demand(root: Path, partner: Peer, trust: str) -> None:
    file = trust + connector("F", partner.port, properties=VALIDATED.format("mx.fabrikam.test"))
    found = run(root, file, "F", "--to", "bob@fabrikam.test", "--json")
    assert (found.status, found.errors) == (0, "")
    assert found.json["demand"] == "TLS, trusted certificate for mx.fabrikam.test"
    [hop] = found.json["next_hops"]
    assert hop["takes_mail"]
    assert (hop["tls"]["version"], hop["tls"]["verified"]) == ("TLSv1.3", True)
    assert hop["certificate"]["names"] == ["mx.fabrikam.test", "mx.test"]
    assert hop["certificate"]["days_left"] == 29
    assert "STARTTLS" in hop["ehlo_in_clear"]
    assert "STARTTLS" not in hop["ehlo"]
    assert hop["recipient"]["code"] == 250
    assert partner.received() == []
    shown = run(root, file, "F")
    assert "Mail would be delivered, to 127.0.0.1[127.0.0.1]" in shown.output


def test_by_hand_is_a_line_that_does_the_same(
    root: Path, enter: ExitStack, partner: Peer, trust: str
) -> None:
    host = enter.enter_context(PostfixInstance(root, "host"))
    for name, verified in (("mx.fabrikam.test", True), ("other.fabrikam.test", False)):
        file = trust + connector("F", partner.port, properties=VALIDATED.format(name))
        [hop] = run(root, file, "F", "--json").json["next_hops"]
        finger = subprocess.run(
            shlex.split(hop["posttls_finger"]),
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "MAIL_CONFIG": str(host.config_directory)},
        )
        assert ("Verified TLS connection established" in finger.stdout) is verified, finger
        assert hop["takes_mail"] is verified


def test_a_certificate_that_is_not_good_enough_is_shown_all_the_same(
    root: Path, partner: Peer, trust: str
) -> None:
    file = trust + connector("F", partner.port, properties=VALIDATED.format("other.test"))
    found = run(root, file, "F")
    assert found.status == os.EX_UNAVAILABLE
    assert "expected: other.test; seen: mx.fabrikam.test, mx.test" in found.output
    assert "in a second session, which verified nothing" in found.output
    assert "! Mail would wait" in found.output


def test_smart_hosts_one_by_one(root: Path, partner: Peer, trust: str) -> None:
    dead = free_address(partner.port)
    file = trust + connector("F", partner.port, dead, "127.0.0.1")
    found = run(root, file, "F", "--json")
    assert found.status == 0
    assert [(hop["hop"], hop["takes_mail"]) for hop in found.json["next_hops"]] == [
        (f"[{dead}]", False),
        ("[127.0.0.1]", True),
    ]
    shown = run(root, file, "F").output
    assert f"! {dead}[{dead}]:{partner.port} would not take it: 451 4.4.1" in shown


def test_a_login_is_tried_and_never_shown(
    root: Path, enter: ExitStack, authority: CertificateAuthority, trust: str
) -> None:
    relay = enter.enter_context(
        auth_smart_host(
            root,
            "relay",
            ["fabrikam.test"],
            user="contoso",
            password="s3cret",
            certificate=authority.issue("r", common_name=None, dns_names=["relay.test"]),
            auth_only_with_tls=True,
            address="127.0.0.1",
            port=free_port(),
        )
    )
    secret = root / "secret"
    secret.touch(mode=0o600)
    properties = VALIDATED.format("relay.test") + (
        'smart_host_auth_mechanism = "BasicAuthRequireTLS"\n'
        'authentication_credential = { user_name = "contoso", password_file = "secret" }\n'
    )
    file = trust + connector("F", relay.port, properties=properties)
    for password, status, said in (
        ("s3cret", 0, "Login          : accepted"),
        ("wr0ng", os.EX_UNAVAILABLE, "451 4.7.8"),
    ):
        secret.write_text(f"{password}\n")
        found = run(root, file, "F")
        assert found.status == status, found
        assert said in found.output
        assert password not in found.output + found.errors
    secret.unlink()
    missing = run(root, file, "F")
    assert missing.status == os.EX_CONFIG
    assert "its password can't be read" in missing.errors


def test_a_limit_below_max_message_size_is_said(root: Path, enter: ExitStack) -> None:
    exim = Exim(
        root,
        "exim",
        ["fabrikam.test"],
        address="127.0.0.1",
        port=free_port(),
        message_size_limit=1_000_000,
    )
    enter.enter_context(exim)
    file = connector("F", exim.port, properties='max_message_size = "10 MB"')
    found = run(root, file, "F")
    assert found.status == 0
    assert "1,000,000 bytes; MaxMessageSize allows more: 10 MB" in found.output
    refused = run(root, file, "F", "--to", "bob@elsewhere.test", "--json")
    assert refused.status == os.EX_UNAVAILABLE
    [hop] = refused.json["next_hops"]
    assert hop["recipient"]["code"] == 550
    assert "warning: bob@elsewhere.test takes no connector" in refused.errors


def test_dns_routing_by_the_servers_of_the_connector(
    root: Path, enter: ExitStack, partner: Peer, trust: str
) -> None:
    records = ["@ MX 10 mx", "@ MX 20 backup", "mx A 127.0.0.1", "backup A 127.0.0.2"]
    dns = enter.enter_context(NsdServer(root, {"fabrikam.test": zone("fabrikam.test", records)}))
    organization = (
        '[organization]\nexchange_version = "2019"\n[[organization.server]]\nname = "HERE"\n'
        f'server_role = "Edge"\nexternal_dns_servers = ["{dns.address}"]\n'
    )
    routed = (
        '[[send_connector]]\nname = "F"\naddress_spaces = ["*"]\n'
        f"use_external_dns_servers_enabled = true\nport = {partner.port}\n"
    )
    without = run(root, trust + organization + routed, "F")
    assert without.status == os.EX_USAGE
    assert "say --to ADDRESS" in without.errors
    found = run(root, trust + organization + routed, "F", "--to", "bob@fabrikam.test", "--json")
    assert [(hop["target"]["host"], hop["takes_mail"]) for hop in found.json["next_hops"]] == [
        ("mx.fabrikam.test", True),
        ("backup.fabrikam.test", False),
    ]
    unknown = run(root, trust + organization + routed, "F", "--to", "bob@no.fabrikam.test")
    assert unknown.status == os.EX_UNAVAILABLE
    assert "5.4.4" in unknown.output
    assert "! Mail would be refused" in unknown.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["Nobody"], 'there is no connector "Nobody"'),
        (["F", "--to", "bob"], "bad recipient address syntax"),
        (["Off"], 'this host does not carry out "Off": it is not enabled'),
    ],
)
def test_what_can_t_be_tested(root: Path, arguments: list[str], said: str) -> None:
    file = connector("F", 25) + connector("Off", 25, properties="enabled = false")
    found = run(root, file, *arguments)
    assert found.status == os.EX_USAGE
    assert said in found.errors
