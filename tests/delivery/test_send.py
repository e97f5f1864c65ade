"""postconnector send: one message by the connectors, to real receivers, without Postfix."""

import json
import os
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postconnector.cli.send import with_smtp_line_ends
from tests.lab.certificates import CertificateAuthority
from tests.lab.command import Result, run_command
from tests.lab.exim import Exim
from tests.lab.loopback import free_port, wait_until
from tests.lab.peers import Peer, auth_smart_host, plain_receiver

MESSAGE = b"Subject: one\nX-MS-Exchange-Organization-SCL: -1\n\nfirst\n.\n..second\nlast"


def send(folder: Path, connectors: str, *arguments: str, message: bytes = MESSAGE) -> Result:
    file = folder / "connectors.toml"
    file.write_text(connectors)
    options = ["-c", str(file), "--config-directory", str(folder / "no-postfix")]
    return run_command([*options, "send", *arguments], os.environ, standard_input=message.decode())


def answers(result: Result) -> dict[str, dict[str, Any]]:
    return {answer["recipient"]: answer for answer in json.loads(result.stdout)}


def connector(name: str, space: str, port: int, properties: str = "") -> str:
    return (
        f'[[send_connector]]\nname = "{name}"\naddress_spaces = ["{space}"]\n'
        f'dns_routing_enabled = false\nsmart_hosts = ["127.0.0.1"]\nport = {port}\n{properties}\n'
    )


@pytest.fixture
def receiver(root: Path, enter: ExitStack) -> Peer:
    port = free_port()
    domains = ["a.test", "b.test"]
    return enter.enter_context(plain_receiver(root, "mx", domains, address="127.0.0.1", port=port))


def test_the_message_arrives_as_it_is_but_for_the_header_firewall(
    root: Path, receiver: Peer
) -> None:
    file = connector("A", "a.test", receiver.port, 'fqdn = "out.contoso.test"')
    result = send(root, file, "-f", "ann@contoso.test", "bob@a.test")
    assert (result.returncode, result.stderr) == (0, "")
    [received] = wait_until(lambda: receiver.received() or None, "the message")
    assert received.helo == "out.contoso.test"
    assert received.message["Subject"] == "one"
    assert "X-MS-Exchange-Organization-SCL" not in received.message
    assert received.message.get_payload() == "first\n.\n..second\nlast\n"


def test_each_recipient_has_an_answer_of_its_own(root: Path, receiver: Peer) -> None:
    file = (
        connector("A", "a.test", receiver.port)
        + connector("Dead", "dead.test", free_port())
        + connector("Small", "small.test", receiver.port, 'max_message_size = "1 KB"')
    )
    recipients = ("bob@a.test", "eve@dead.test", "sam@small.test", "who@nowhere.test")
    result = send(root, file, "-f", "", "--json", *recipients, message=MESSAGE + b"\nmore" * 300)
    assert result.returncode == os.EX_TEMPFAIL
    found = answers(result)
    assert {name: (a["status"], a["enhanced_code"]) for name, a in found.items()} == {
        "bob@a.test": ("sent", "2.0.0"),
        "eve@dead.test": ("deferred", "4.4.1"),
        "sam@small.test": ("bounced", "5.3.4"),
        "who@nowhere.test": ("deferred", "4.4.4"),
    }
    assert "MaxMessageSize 1 KB" in found["sam@small.test"]["text"]
    assert found["bob@a.test"]["connector"] == "A"


def test_it_logs_in_with_the_password_of_the_file(
    root: Path, enter: ExitStack, authority: CertificateAuthority
) -> None:
    port = free_port()
    certificate = authority.issue("relay", common_name=None, dns_names=["relay.test"])
    host = enter.enter_context(
        auth_smart_host(
            root,
            "relay",
            ["a.test"],
            user="contoso",
            password="s3cret",
            certificate=certificate,
            auth_only_with_tls=True,
            address="127.0.0.1",
            port=port,
        )
    )
    (root / "secret").touch(mode=0o600)
    (root / "secret").write_text("s3cret\n")
    file = f'[host]\ntrusted_certificates = "{authority.ca_file}"\n' + connector(
        "A",
        "a.test",
        port,
        'require_tls = true\ntls_auth_level = "DomainValidation"\ntls_domain = "relay.test"\n'
        'smart_host_auth_mechanism = "BasicAuthRequireTLS"\n'
        'authentication_credential = { user_name = "contoso", password_file = "secret" }\n',
    )
    result = send(root, file, "-f", "ann@contoso.test", "bob@a.test")
    assert result.returncode == 0, result.stdout + result.stderr
    [received] = wait_until(lambda: host.received() or None, "the message")
    assert (received.tls, received.authenticated_sender) == ("TLSv1.3", "contoso@relay")

    (root / "secret").write_text("wrong\n")
    refused = send(root, file, "-f", "ann@contoso.test", "--json", "bob@a.test")
    assert refused.returncode == os.EX_TEMPFAIL
    assert answers(refused)["bob@a.test"]["enhanced_code"] == "4.7.8"
    assert "wrong" not in refused.stdout + refused.stderr


def test_what_is_not_ascii_leaves_as_such(root: Path, enter: ExitStack) -> None:
    port = free_port()
    exim = enter.enter_context(Exim(root, "exim", ["a.test"], address="127.0.0.1", port=port))
    result = send(
        root,
        connector("A", "a.test", port),
        *("-f", "ann@contoso.test", "zoë@a.test"),
        message="Subject: größe\n\nüber\n".encode(),
    )
    assert result.returncode == 0, result.stdout + result.stderr
    [received] = exim.wait_received(1)
    assert received.recipient == "zoë@a.test"
    assert "Subject: größe".encode() in received.content
    mail = next(command for command in received.commands if command.upper().startswith("MAIL"))
    assert "SMTPUTF8" in mail
    assert "BODY=8BITMIME" in mail


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["-f", "ann@contoso.test", "bob"], os.EX_USAGE, "bad recipient address syntax"),
        (["-f", "a b@c", "bob@a.test"], os.EX_USAGE, "bad sender address syntax"),
        (["bob@a.test"], os.EX_USAGE, "-f"),
    ],
)
def test_what_is_no_address_is_not_sent(
    root: Path, arguments: list[str], status: int, said: str
) -> None:
    result = send(root, connector("A", "a.test", 25), *arguments)
    assert result.returncode == status
    assert said in result.stderr


@given(st.lists(st.binary(max_size=4) | st.sampled_from([b"\r\n", b"\n", b"\r", b"\r\n.\r\n"])))
def test_lines_end_with_crlf_however_they_come(pieces: Iterable[bytes]) -> None:
    pieces = list(pieces)
    result = b"".join(with_smtp_line_ends(pieces))
    assert result.replace(b"\r\n", b"").translate(None, b"\r\n\0") == result.replace(b"\r\n", b"")
    expected = b"".join(pieces).replace(b"\r\n", b"\n").replace(b"\r", b" ").replace(b"\0", b" ")
    assert result == expected.replace(b"\n", b"\r\n")
