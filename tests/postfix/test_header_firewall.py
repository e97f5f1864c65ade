"""The header firewall on real mail: what a receiver sees of each header, byte for byte."""

import re
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab.administrator import Administrator
from tests.lab.certificates import CertificateAuthority
from tests.lab.loopback import free_address, free_port, wait_until
from tests.lab.peers import Peer, tls_partner
from tests.postfix.conftest import HostMaker

ORGANIZATION, ROUTING, CROSS_PREMISES, OTHER = "organization", "routing", "cross-premises", "other"
Field = tuple[str, str]

FIELDS: tuple[Field, ...] = (
    (ROUTING, "Received: from ex1.contoso.test by ex2.contoso.test\n\twith mapi;\n  24 Nov 2026"),
    (OTHER, "DKIM-Signature: v=1; a=rsa-sha256; d=contoso.test;\n\th=from:received;\n b=x;  bh=y"),
    (ROUTING, "rECEIVED:by odd letters"),
    (ORGANIZATION, "X-MS-Exchange-Organization-AuthDomain: contoso.test"),
    (ORGANIZATION, "x-ms-exchange-ORGANIZATION-scl: -1"),
    (OTHER, "From: alice@contoso.test"),
    (OTHER, "To: bob@fabrikam.test"),
    (OTHER, "Message-ID: <headers@contoso.test>"),
    (OTHER, "Date: Tue, 24 Nov 2026 01:02:03 +0000"),
    (OTHER, "Subject: X-MS-Exchange-Organization-SCL: -1"),
    (ORGANIZATION, "X-MS-Exchange-Organization-Antispam-Report:\n\tDV:3.3;\n   Received: by me"),
    (OTHER, "Comments: no header follows\n X-MS-Exchange-Organization-SCL: 9\n\tReceived: by me"),
    (ORGANIZATION, "X-MS-Exchange-Forest-RulesExecuted: ex1"),
    (ORGANIZATION, "X-MS-EXCHANGE-FOREST-Own:"),
    (CROSS_PREMISES, "X-MS-Exchange-CrossPremises-SCL: 9"),
    (ROUTING, "Resent-Date: Tue, 24 Nov 2026 01:02:03 +0000"),
    (ROUTING, "Resent-From: alice@contoso.test"),
    (ROUTING, "Resent-Sender: alice@contoso.test"),
    (ROUTING, "resent-to: bob@fabrikam.test"),
    (ROUTING, "Resent-Cc: carol@fabrikam.test"),
    (ROUTING, "Resent-Message-ID: <again@contoso.test>"),
    (OTHER, "X-MS-Has-Attach: yes"),
    (OTHER, "X-MS-Exchange-Inbox-Rules-Loop: bob@contoso.test"),
    (OTHER, "X-MS-Exchange-Organizational-Unit: sales"),
    (OTHER, "X-Received: by nobody"),
    (OTHER, "Received-SPF: pass"),
    (OTHER, "X-Odd:  two  blanks \t and a tab "),
    (OTHER, "MIME-Version: 1.0"),
    (OTHER, 'Content-Type: multipart/mixed;\n\tboundary="part"'),
)

BODY = """\
--part
Content-Type: text/plain
X-MS-Exchange-Organization-SCL: 1

X-MS-Exchange-Organization-SCL: 1
Received: in the text

--part
Content-Type: message/rfc822

X-MS-Exchange-Organization-AuthAs: Internal
X-MS-Exchange-CrossPremises-SCL: 9
Received: from inside by inside
Resent-From: dave@contoso.test
Subject: attached

Received: in the attached text
--part--
"""
_FIELD = r"[^\n]*\n(?:[ \t][^\n]*\n)*"
_PUT_BY_RECEIVER = re.compile(
    rf"Return-Path: {_FIELD}X-Original-To: {_FIELD}Delivered-To: {_FIELD}"
    rf"Received: from host\.contoso\.test {_FIELD}"
)
_PUT_BY_HOST = re.compile(rf"Received: .*\n?.*\bby host\.contoso\.test \(Postfix{_FIELD}")


def text_of(*headers: str) -> str:
    return "".join(f"{header}\n" for header in headers) + "\n" + BODY


def message(fields: Collection[Field]) -> str:
    return text_of(*(text for _, text in fields))


def with_kinds(*kinds: str) -> str:
    """The message when of the headers of Exchange only these kinds leave."""
    return message([field for field in FIELDS if field[0] in (OTHER, *kinds)])


def submit(administrator: Administrator, text: str, *recipients: str) -> None:
    """By SMTP: lines end with CRLF, or smtplib would put one more at the end."""
    with administrator.smtp() as session:
        session.sendmail("alice@contoso.test", recipients, text.replace("\n", "\r\n").encode())


def arrived(peer: Peer, recipient: str) -> str:
    """A message as the host sent it, without the headers that the receiver put before it."""

    def found() -> str | None:
        texts = (data.decode() for data in peer.mail())
        return next((t for t in texts if f"\nX-Original-To: {recipient}\n" in t), None)

    text = wait_until(found, f"the message to {recipient}")
    return removed(_PUT_BY_RECEIVER, text)


def removed(beginning: re.Pattern[str], text: str) -> str:
    """A text without its beginning, which has to be there."""
    match = beginning.match(text)
    assert match is not None, text
    return text[match.end() :]


def connector(domain: str, peer: Peer, properties: str = "") -> str:
    return (
        f'[[send_connector]]\nname = "{domain}"\naddress_spaces = ["{domain}"]\n'
        f'dns_routing_enabled = false\nsmart_hosts = ["{peer.address}"]\nport = {peer.port}\n'
        f"{properties}\n"
    )


CONNECTORS = {
    "custom.test": "",
    "internet.test": 'usage = "Internet"',
    "partner.test": 'usage = "Partner"',
    "verified.test": 'usage = "Partner"\nrequire_tls = true\ntls_auth_level = "DomainValidation"\n'
    'tls_domain = "mx.test"',
    "internal.test": 'usage = "Internal"',
    "secured.test": 'usage = "Internal"\nsmart_host_auth_mechanism = "ExternalAuthoritative"',
}
BY_USAGE = {
    "custom.test": [ROUTING],
    "internet.test": [ROUTING],
    "partner.test": [],
    "verified.test": [ROUTING],
    "internal.test": [],
    "secured.test": [ROUTING, ORGANIZATION],
}
ALIKE = {domain: [ROUTING] for domain in CONNECTORS}
"""Since 2016 the usage is a label."""


@pytest.fixture
def mx(root: Path, enter: ExitStack, authority: CertificateAuthority) -> Peer:
    port = free_port()
    domains = [*CONNECTORS, "cloud.test", "unclaimed.test"]
    certificate = authority.issue("mx", common_name="mx.test", dns_names=["mx.test"])
    return enter.enter_context(
        tls_partner(
            root,
            "mx",
            domains,
            certificate,
            authority.ca_file,
            address=free_address(port),
            port=port,
            require=False,
        )
    )


@pytest.mark.parametrize(
    ("version", "leaving", "always"),
    [
        ("2010", BY_USAGE, [CROSS_PREMISES]),
        ("2013", BY_USAGE, []),
        ("2016", ALIKE, []),
        ("SE", ALIKE, []),
    ],
)
def test_what_leaves_by_version_and_usage(
    new_host: HostMaker, mx: Peer, version: str, leaving: dict[str, list[str]], always: list[str]
) -> None:
    host = new_host()
    host.publish(
        f'[organization]\nexchange_version = "{version}"\n'
        + "".join(connector(domain, mx, said) for domain, said in CONNECTORS.items())
    )
    submit(host, message(FIELDS), *(f"bob@{domain}" for domain in CONNECTORS))
    for domain, kinds in leaving.items():
        found = arrived(mx, f"bob@{domain}")
        if ROUTING in kinds:
            found = removed(_PUT_BY_HOST, found)
        assert found == with_kinds(*kinds, *always), domain


CROSSING = (
    "AuthAs: Internal",
    "AUTHMECHANISM: 04",
    "AuthSource:\n ex1.contoso.test\n\t(folded)",
    "TransportTrafficType: Email",
    "TransportTrafficSubType: Other",
    "SCL: -1",
    "MessageSource: StoreDriver",
    "BCC: carol@contoso.test",
    "OriginalClientIPAddress: 192.0.2.1",
    "Antispam-ScanContext: DIR:Originating;",
    "Processed-By-Journaling: Journal Agent",
    "Mapi-Admin-Submission:",
)
HELD_BACK = (
    "X-MS-Exchange-Organization-AuthDomain: contoso.test",
    "X-MS-Exchange-Organization-SCL-Other: 1",
    "X-MS-Exchange-Forest-SCL: 1",
)
EXISTING = "X-MS-Exchange-CrossPremises-SCL: 9"


@pytest.mark.parametrize("version", ["2013", "2019"])
def test_cloud_services_mail_enabled(new_host: HostMaker, mx: Peer, version: str) -> None:
    host = new_host()
    host.publish(
        f'[organization]\nexchange_version = "{version}"\n'
        + connector("cloud.test", mx, "cloud_services_mail_enabled = true")
        + connector("custom.test", mx, "cloud_services_mail_enabled = false")
    )
    ours = [f"X-MS-Exchange-Organization-{header}" for header in CROSSING]
    cross = [f"X-MS-Exchange-CrossPremises-{header}" for header in CROSSING]
    others = [text for kind, text in FIELDS if kind == OTHER]
    submit(host, text_of(*ours, *HELD_BACK, EXISTING, *others), "a@cloud.test", "b@custom.test")
    to_cloud, elsewhere = arrived(mx, "a@cloud.test"), arrived(mx, "b@custom.test")
    assert removed(_PUT_BY_HOST, to_cloud) == text_of(*cross, EXISTING, *others)
    assert removed(_PUT_BY_HOST, elsewhere) == text_of(*others)


def test_forwarded_mail_and_mail_by_sendmail(new_host: HostMaker, mx: Peer) -> None:
    """A usage that keeps Received back: the receiver sees its own alone."""
    host = new_host(
        {"virtual_alias_maps": "inline:{ { forward@contoso.test = forwarded@internal.test } }"}
    )
    host.publish(connector("internal.test", mx, 'usage = "Internal"'))
    submit(host, message(FIELDS), "forward@contoso.test")
    host.host.sendmail("alice@contoso.test", ["local@internal.test"], message(FIELDS).encode())
    assert arrived(mx, "forwarded@internal.test") == with_kinds()
    assert arrived(mx, "local@internal.test") == with_kinds()
    assert [received.helo for received in mx.received()] == ["host.contoso.test"] * 2


def test_the_hosts_own_checks_are_asked_after_ours(
    new_host: HostMaker, root: Path, mx: Peer
) -> None:
    """Of mail that no connector claims nothing is removed."""
    checks = root / "checks"
    checks.write_text(
        "/^X-MS-Has-Attach: .*/ REPLACE X-Host: attachments\n"
        "/^X-MS-Exchange-Organization-SCL: .*/ REPLACE X-Host: a level\n"
    )
    host = new_host(
        {
            "smtp_header_checks": f"regexp:{checks}",
            "transport_maps": f"inline:{{ {{ unclaimed.test = smtp:[{mx.address}]:{mx.port} }} }}",
        }
    )
    host.publish(connector("custom.test", mx))
    submit(host, message(FIELDS), "a@custom.test", "b@unclaimed.test")
    claimed, unclaimed = arrived(mx, "a@custom.test"), arrived(mx, "b@unclaimed.test")
    attachments = ("X-MS-Has-Attach: yes", "X-Host: attachments")
    assert removed(_PUT_BY_HOST, claimed) == with_kinds(ROUTING).replace(*attachments)
    assert removed(_PUT_BY_HOST, unclaimed) == message(FIELDS).replace(*attachments).replace(
        "x-ms-exchange-ORGANIZATION-scl: -1", "X-Host: a level"
    )


SUBJECT = ("Subject: attached", "Subject: checked by the host")
RESENT = ("Resent-From: dave@contoso.test", "X-Also: checked")


@pytest.mark.parametrize(
    ("own", "of_parts", "seen"),
    [
        ("regexp:{root}/own", "$smtp_header_checks", [SUBJECT]),
        ("regexp:{root}/own", "regexp:{root}/parts, ${{smtp_header_checks}}", [RESENT, SUBJECT]),
        ("$header_checks", "$(smtp_header_checks) regexp:{root}/parts", [RESENT]),
        ("", "$smtp_header_checks", []),
    ],
)
def test_attached_messages_are_not_ours_to_change(
    new_host: HostMaker, root: Path, mx: Peer, own: str, of_parts: str, seen: list[tuple[str, str]]
) -> None:
    """Not even where the host checks them by what it has for the headers of messages."""
    (root / "own").write_text("/^{}$/ REPLACE {}\n".format(*SUBJECT))
    (root / "parts").write_text("/^{}$/ REPLACE {}\n".format(*RESENT))
    host = new_host(
        {
            "smtp_header_checks": own.format(root=root),
            "smtp_nested_header_checks": of_parts.format(root=root),
            "smtp_mime_header_checks": of_parts.format(root=root),
        }
    )
    host.publish(connector("custom.test", mx))
    submit(host, message(FIELDS), "a@custom.test")
    wanted = with_kinds(ROUTING)
    for before, after in seen:
        wanted = wanted.replace(before, after)
    assert removed(_PUT_BY_HOST, arrived(mx, "a@custom.test")) == wanted
    assert host.run("plan").returncode == 0
