"""main.cf and master.cf as people leave them behind: see drop_in for what is claimed."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from postconnector.postfix.host import write_text
from tests.lab.administrator import Administrator
from tests.lab.host_configurations import Mail
from tests.lab.loopback import free_port
from tests.postfix.drop_in import (
    Neighbours,
    Workshop,
    apply,
    place_of,
    remove,
    running_neighbours,
    to,
)

NO_UTF8 = b"Gr\xfc\xdfe".decode("utf-8", "surrogateescape")
"""As an editor writes it that knows only Latin-1."""


@pytest.fixture(scope="module")
def neighbours() -> Iterator[Neighbours]:
    with running_neighbours() as running:
        yield running


@pytest.fixture
def workshop(root: Path, enter: ExitStack, neighbours: Neighbours) -> Workshop:
    return Workshop(root, enter, neighbours)


@pytest.mark.parametrize("internet", ["", "gateway", "DNS"], ids=["no *", "* smart host", "* DNS"])
def test_continuation_lines_comments_and_duplicates(workshop: Workshop, internet: str) -> None:
    etc, hop = workshop.etc(), workshop.neighbours.hop
    submission = free_port()
    host = workshop.host(
        f"""\

# {NO_UTF8}, postmaster

compatibility_level=3.6
myhostname=mail.contoso.test
mydestination\t=\t$myhostname,
# the domain itself as well

   \t
\tcontoso.test
alias_maps =
local_recipient_maps =
   # relayhost = [127.0.0.1]:9, as it was
relayhost
# {NO_UTF8}
    =
  # our provider

\t{hop("isp")}
transport_maps=lmdb:{etc}/old_transport
default_transport = error:5.3.5 not this one
mytransports =
    inline:{{
  # {NO_UTF8}
\tdirect.test=smtp:
    {{ user@branch.test = smtp:{hop("branch")} }}
# even here
    }},
    lmdb:{etc}/transport
relay_domains=relayed.test branch.test
transport_maps=$mytransports
transport_maps  =  $mytransports
smtpd_recipient_restrictions=
  permit_mynetworks,

     # {NO_UTF8}
  reject_unauth_destination
default_transport   =
     $outgoing
outgoing = smtp
smtp_tls_security_level=may
smtpd_end_of_data_restrictions=
   permit
# the end\
""",
        services=f"""\
# {NO_UTF8}
#127.0.0.1:submission inet n - y - - smtpd
127.0.0.1:{submission}
    inet
\tn\t-
  # chroot, as Debian has it
\ty\t-\t-
    smtpd
\t-o syslog_name=postfix/submission

    -o {{ smtpd_banner = $myhostname ESMTP {NO_UTF8} }}
# comment
  #   -o smtpd_client_restrictions=reject
  -o {{smtpd_client_restrictions = permit_mynetworks, reject}}
inbound   unix  -       -       y       -       -       smtp -o smtp_helo_name=in.contoso.test
   -o {{ smtp_header_checks = }}


   \t


""",
        log_file=False,
        tables={
            "old_transport": "internet.test error:no longer\n",
            "transport": f"relayed.test inbound:{hop('branch')}\n",
        },
    )
    ways = to(
        {
            "user@branch.test": "branch",
            "other@branch.test": "isp",
            "a@relayed.test": "branch",
            "a@direct.test": "internet",
            "a@internet.test": "isp",
            "eve@fabrikam.test": "isp",
        }
    )
    ways[Mail("a@relayed.test", port=submission)] = "branch"
    connectors = workshop.connector("Fabrikam", ["fabrikam.test"], "partner")
    claimed = to({"eve@fabrikam.test": "partner"})
    if internet:
        connectors += workshop.connector("Internet", ["*"], internet)
        claimed |= to({"a@internet.test": place_of(internet)})
    before = workshop.drop_in(host, connectors, ways, claimed)
    assert before[Mail("a@relayed.test")].helo == "in.contoso.test"


@pytest.mark.parametrize(
    ("internet", "relay_transport"),
    [
        ("gateway", "$default_transport"),
        ("DNS", "$default_transport"),
        ("DNS", "smtp:${relayhost}"),
    ],
)
def test_parameters_in_terms_of_others(
    workshop: Workshop, internet: str, relay_transport: str
) -> None:
    """What connectors need replaced keeps its value for whatever else names it."""
    hop = workshop.neighbours.hop
    host = workshop.host(
        f"""\
compatibility_level = 3.6
myhostname = mail.contoso.test
our_provider = {hop("isp")}
relayhost = $our_provider
default_transport = smtp
relay_domains = relayed.test
relay_transport = {relay_transport}
mydestination = hub.contoso.test, contoso.test
local_transport=$default_transport
local_recipient_maps =
alias_maps =
virtual_mailbox_domains = hosted.test
virtual_mailbox_maps = static:all
virtual_transport =
  # not local
  $our_way
our_way = ${{default_transport}}
transport_maps = inline:{{ {{ contoso.test = local: }}, {{ carol = smtp:{hop("branch")} }} }}
fallback_transport_maps = $transport_maps
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_relay_restrictions = $smtpd_recipient_restrictions


""",
        services="unused unix - - y - - smtp\n  -o { smtp_helo_name = $relayhost }\n  # the end",
    )
    ways = to(
        {
            "a@relayed.test": "isp",
            "anybody@hub.contoso.test": "internet",
            "anna@hosted.test": "internet",
            "carol@contoso.test": "branch",
            "a@internet.test": "isp",
            "eve@fabrikam.test": "isp",
        }
    )
    connectors = workshop.connector("Fabrikam", ["fabrikam.test"], "partner")
    connectors += workshop.connector("Internet", ["*"], internet)
    claimed = {"eve@fabrikam.test": "partner"}
    claimed["a@internet.test"] = place_of(internet)
    workshop.drop_in(host, connectors, ways, to(claimed))


def test_no_open_relay_where_relay_domains_follow_transport_maps(workshop: Workshop) -> None:
    """A domain is not relayed for everybody because a connector claims it."""
    host = workshop.host(
        f"""\
compatibility_level = 3.6
myhostname = mail.contoso.test
mydestination =
mynetworks = 192.0.2.0/24
transport_maps = inline:{{ {{ branch.test = relay:{workshop.neighbours.hop("branch")} }} }}
relay_domains = $transport_maps
"""
    )
    from_here = Mail("eve@fabrikam.test", by_sendmail=True)
    ways = {
        Mail("a@branch.test"): "branch",
        Mail("eve@fabrikam.test"): "refused",
        from_here: "internet",
    }
    connectors = workshop.connector("Fabrikam", ["fabrikam.test"], "partner")
    workshop.drop_in(host, connectors, ways, {from_here: "partner"})


def test_edits_while_connectors_are_in_force(workshop: Workshop) -> None:
    """What is appended to the files stays, also where it says a thing twice."""
    host = workshop.host(
        f"""\
compatibility_level = 3.6
myhostname = mail.contoso.test
mydestination =
relayhost = {workshop.neighbours.hop("isp")}
biff = no
""",
        log_file=False,
    )
    connectors = workshop.connector("Internet", ["*"], "DNS")
    files = [host.config_directory / name for name in ("main.cf", "master.cf")]
    before = [file.read_text() for file in files]
    added = ["# mine\nbiff = yes\nmailbox_size_limit = 0\n", "mine unix - - y - - smtp\n"]
    administrator = Administrator(host.directory, host)
    with administrator.policy_service():
        administrator.publish(connectors)
        for file, text in zip(files, added, strict=True):
            write_text(file, file.read_text() + text)
        apply(administrator, connectors)
        assert administrator.run("status").returncode == 0
        remove(administrator)
    assert [file.read_text() for file in files] == [
        b + a for b, a in zip(before, added, strict=True)
    ]
