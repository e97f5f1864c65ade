"""The milter in front of a real Postfix: mail by sendmail(1), and by SMTP where that is wanted."""

import os
import re
import signal
import smtplib
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.demo.journey import SENDER, compose
from tests.lab.administrator import Administrator
from tests.lab.header_milter import header_milter
from tests.lab.loopback import free_address, free_port, wait_until
from tests.lab.milter_client import MilterClient
from tests.lab.peers import Peer, plain_receiver
from tests.postfix.conftest import HostMaker

KB = 1024
MARKER = "X-Postconnector-Path"
FITS, MOVES, TOO_BIG = 50 * KB, 150 * KB, 300 * KB


@pytest.fixture
def peer(root: Path, enter: ExitStack) -> Peer:
    port = free_port()
    domains = ["small.test", "other.test", "unlimited.test"]
    return enter.enter_context(
        plain_receiver(root, "peer", domains, address=free_address(port), port=port)
    )


def connectors(peer: Peer, milter: str = "sendmail", everything: str = "200 KB") -> str:
    """small.test takes 100 KB, and what the connector for * takes above that."""
    hop = f'dns_routing_enabled = false\nsmart_hosts = ["{peer.address}"]\nport = {peer.port}\n'
    limits = (
        ("Small", "small.test", "100 KB"),
        ("Unlimited", "unlimited.test", "unlimited"),
        ("All", "*", everything),
    )
    return f'[host]\nmilter = "{milter}"\n' + "".join(
        f'[[send_connector]]\nname = "{name}"\naddress_spaces = ["{space}"]\n'
        f'max_message_size = "{size}"\n{hop}'
        for name, space, size in limits
    )


@pytest.fixture
def host(new_host: HostMaker, enter: ExitStack, peer: Peer) -> Administrator:
    """A host whose mail by sendmail(1) is judged."""
    return published(new_host, enter, peer, "sendmail")


@pytest.fixture
def smtp_host(new_host: HostMaker, enter: ExitStack, peer: Peer) -> Administrator:
    """A host all of whose mail is judged."""
    return published(new_host, enter, peer, "smtp")


def published(
    new_host: HostMaker, enter: ExitStack, peer: Peer, milter: str, **main_cf: str
) -> Administrator:
    administrator = new_host(main_cf)
    enter.enter_context(administrator.delivery_agent())
    enter.enter_context(administrator.milter())
    administrator.publish(connectors(peer, milter))
    return administrator


def submit(
    host: Administrator, *recipients: str, size: int, line_end: bytes = b"\n", header: bytes = b""
) -> None:
    """By sendmail(1)."""
    message = header + compose(recipients[0], size, "<milter@contoso.test>")
    host.host.sendmail(SENDER, recipients, message.replace(b"\r\n", line_end))


def by_smtp(
    host: Administrator, recipients: Sequence[str], size: int, header: bytes = b""
) -> tuple[int, str]:
    """The reply at the end of the data; no size is declared."""
    with host.smtp() as session:
        session.mail(SENDER)
        for recipient in recipients:
            code, text = session.rcpt(recipient)
            if code != 250:
                return code, text.decode()
        return end_of_data(session, header + compose(recipients[0], size, "<milter@contoso.test>"))


def end_of_data(session: smtplib.SMTP, message: bytes) -> tuple[int, str]:
    code, text = session.data(message)
    return code, text.decode()


def arrived(peer: Peer, count: int = 1) -> list[str]:
    """Wait for so many messages; whole, as they came."""
    mail = wait_until(lambda: found if len(found := peer.mail()) >= count else None, "the mail")
    assert len(mail) == count
    return [message.decode() for message in mail]


def report(host: Administrator) -> str:
    """Wait for the one non-delivery report that the sender gets; unfolded."""
    [text] = [m.decode() for m in wait_until(lambda: host.host.mail() or None, "the report")]
    return re.sub(r"\n\s+", " ", text)


def services(host: Administrator) -> set[str]:
    host.host.wait_idle()
    return {delivery.service for delivery in host.host.log.deliveries()}


LINE_ENDS = pytest.mark.parametrize("line_end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])


@LINE_ENDS
def test_what_fits_goes_its_way(host: Administrator, peer: Peer, line_end: bytes) -> None:
    submit(host, "a@small.test", size=FITS, line_end=line_end)
    [message] = arrived(peer)
    assert MARKER not in message
    assert services(host) == {"pc-small/smtp"}


@LINE_ENDS
def test_what_no_connector_takes_comes_back(
    host: Administrator, peer: Peer, line_end: bytes
) -> None:
    submit(host, "a@small.test", "b@other.test", size=TOO_BIG, line_end=line_end)
    text = report(host)
    for part in (
        "a@small.test",
        "b@other.test",
        "Status: 5.3.4",
        "200 KB (204,800 bytes)",
        '"All"',
    ):
        assert part in text
    assert peer.mail() == []


def test_only_who_can_have_it_gets_it(host: Administrator, peer: Peer) -> None:
    submit(host, "a@unlimited.test", "b@other.test", "c@contoso.test", size=TOO_BIG)
    [message] = arrived(peer)
    assert MARKER not in message
    assert "X-Original-To: a@unlimited.test" in message
    kept, failed = wait_until(
        lambda: found if len(found := sorted(host.host.mail(), key=len)) == 2 else None,
        "the report and the local copy",
    )
    text = re.sub(r"\n\s+", " ", failed.decode() + kept.decode())
    assert "Final-Recipient: rfc822; b@other.test" in text
    assert "Final-Recipient: rfc822; a@unlimited.test" not in text
    assert "X-Original-To: c@contoso.test" in text
    assert "MaxMessageSize 200 KB" in text


def test_what_its_size_moves_takes_the_other_connector(host: Administrator, peer: Peer) -> None:
    submit(host, "a@small.test", size=MOVES)
    [message] = arrived(peer)
    assert MARKER not in message
    assert "pc-all/smtp" in services(host)
    assert "pc-small/smtp" not in services(host)


def test_postfix_own_domains_have_no_limit(host: Administrator) -> None:
    submit(host, "a@contoso.test", size=TOO_BIG)
    [message] = wait_until(lambda: host.host.mail() or None, "the message")
    assert b"X-Original-To: a@contoso.test" in message
    assert services(host) == {"virtual"}


def test_mail_by_smtp_is_not_asked_twice(host: Administrator) -> None:
    """It is the policy service that judges it; the milter sees only what comes by sendmail(1)."""
    code, text = by_smtp(host, ["b@other.test"], TOO_BIG)
    assert (code, "larger than MaxMessageSize" in text) == (552, True)
    assert "MaxMessageSize" not in host.milter_log.read_text()


# --- by SMTP


def test_by_smtp_the_milter_judges(smtp_host: Administrator, peer: Peer) -> None:
    code, text = by_smtp(smtp_host, ["a@small.test", "b@other.test"], TOO_BIG)
    assert code == 552
    for part in ("5.3.4", "200 KB (204,800 bytes)", "1 more recipient"):
        assert part in text
    assert by_smtp(smtp_host, ["a@small.test"], FITS)[0] == 250
    arrived(peer)
    assert by_smtp(smtp_host, ["a@small.test"], MOVES)[0] == 250
    arrived(peer, 2)
    restrictions = smtp_host.host.postconf("-h", "smtpd_end_of_data_restrictions")
    assert "check_policy_service" not in restrictions


def test_by_smtp_only_who_can_have_it_gets_it(smtp_host: Administrator, peer: Peer) -> None:
    assert by_smtp(smtp_host, ["a@unlimited.test", "b@other.test"], TOO_BIG)[0] == 250
    [message] = arrived(peer)
    assert "X-Original-To: a@unlimited.test" in message
    assert "Final-Recipient: rfc822; b@other.test" in report(smtp_host)


def test_the_policy_service_counts_the_same(host: Administrator) -> None:
    """Whole messages, that is: Postfix completes what comes by sendmail(1)."""
    header = b"Date: Tue, 24 Nov 2026 15:33:22 +0000\r\n"
    _, refusal = by_smtp(host, ["b@other.test"], TOO_BIG, header)
    submit(host, "b@other.test", size=TOO_BIG, header=header)
    [size] = re.findall(r"message of [\d,]+ bytes", refusal)
    assert size in report(host)


def test_percent_signs_survive(smtp_host: Administrator) -> None:
    _, text = by_smtp(smtp_host, ["100%s@other.test"], TOO_BIG)
    assert "100%s@other.test" in text


def test_a_session_goes_on_after_a_refusal(smtp_host: Administrator, peer: Peer) -> None:
    with smtp_host.smtp() as session:
        for size, expected in ((TOO_BIG, 552), (FITS, 250), (TOO_BIG, 552), (FITS, 250)):
            session.mail(SENDER)
            session.rcpt("b@other.test")
            assert end_of_data(session, compose("b@other.test", size, "<s@x>"))[0] == expected
    arrived(peer, 2)


# --- the marker

FORGED = b"".join(
    name + b" agent\r\n"
    for name in (
        b"X-Postconnector-Path:",
        b"x-postconnector-path:",
        b"X-POSTCONNECTOR-PATH:\r\n",
        b"X-Postconnector-Path :",
        b"X-Postconnector-Path:",
    )
)


def test_a_forged_marker_goes(smtp_host: Administrator, peer: Peer) -> None:
    submit(smtp_host, "a@small.test", size=FITS, header=FORGED)
    assert by_smtp(smtp_host, ["a@small.test"], FITS, FORGED)[0] == 250
    for message in arrived(peer, 2):
        assert MARKER.lower() not in message.lower()
    assert services(smtp_host) == {"pc-small/smtp"}


def test_a_forged_marker_beside_ours_goes(host: Administrator, peer: Peer) -> None:
    submit(host, "a@unlimited.test", "b@other.test", size=TOO_BIG, header=FORGED)
    [message] = arrived(peer)
    assert MARKER.lower() not in message.lower()
    assert "Final-Recipient: rfc822; b@other.test" in report(host)


def test_a_forged_marker_that_the_milter_does_not_see_does_nothing(
    host: Administrator, peer: Peer
) -> None:
    assert by_smtp(host, ["a@small.test"], FITS, FORGED)[0] == 250
    arrived(peer)
    assert services(host) == {"pc-small/smtp"}


# --- without the milter


def test_mail_by_sendmail_waits_for_the_milter(new_host: HostMaker, peer: Peer) -> None:
    """A forged marker does not help it on."""
    administrator = new_host()
    with administrator.milter() as daemon:
        administrator.publish(connectors(peer))
        daemon.kill()
        daemon.wait(10)
        submit(administrator, "a@small.test", size=FITS, header=FORGED)
        submit(administrator, "b@other.test", size=TOO_BIG)
        wait_until(lambda: "milter-reject: CONNECT" in maillog(administrator) or None, "a deferral")
        assert by_smtp(administrator, ["a@small.test"], FITS)[0] == 250
        arrived(peer)
        assert len(list((administrator.host.queue_directory / "maildrop").iterdir())) == 2
    with administrator.milter():
        arrived(peer, 2)
        assert "Status: 5.3.4" in report(administrator)


def test_mail_by_smtp_is_deferred_without_the_milter(new_host: HostMaker, peer: Peer) -> None:
    administrator = new_host()
    with administrator.milter():
        administrator.publish(connectors(peer, "smtp"))
    with administrator.smtp() as session:
        assert session.mail(SENDER)[0] == 451
    with administrator.milter():
        assert by_smtp(administrator, ["a@small.test"], FITS)[0] == 250


def test_nothing_is_published_without_it(new_host: HostMaker, peer: Peer) -> None:
    administrator = new_host()
    administrator.write_connectors(connectors(peer))
    refused = administrator.run("apply")
    assert refused.returncode == os.EX_UNAVAILABLE
    assert "the milter does not answer at unix:" in refused.stderr
    assert not (administrator.host.config_directory / "postconnector/live").exists()
    with administrator.milter():
        assert administrator.run("apply").returncode == 0
        status = administrator.run("status")
        assert "milter" not in status.stdout + status.stderr
    down = administrator.run("status")
    assert down.returncode != 0
    assert "the milter does not answer" in down.stdout + down.stderr


def maillog(administrator: Administrator) -> str:
    return "\n".join(line.text for line in administrator.host.log.lines())


# --- beside other milters


def test_milters_before_and_after_go_on(new_host: HostMaker, enter: ExitStack, peer: Peer) -> None:
    names = ("smtpd_milters", "non_smtpd_milters")
    administrator = new_host(dict.fromkeys(names, "unix:before"))
    for name in ("before", "after"):
        path = administrator.host.queue_directory / name
        enter.enter_context(header_milter(path, f"X-{name}"))
    enter.enter_context(administrator.delivery_agent())
    enter.enter_context(administrator.milter())
    administrator.publish(connectors(peer, "smtp"))
    for name in names:
        value = administrator.host.postconf("-h", name).strip()
        assert value.startswith("unix:before, { unix:postconnector/milter, ")
        administrator.host.postconf("-e", f"{name} = {value}, unix:after")
    administrator.host.postfix("reload")
    submit(administrator, "a@small.test", size=FITS, header=FORGED)
    assert by_smtp(administrator, ["a@small.test"], FITS, FORGED)[0] == 250
    assert by_smtp(administrator, ["a@small.test"], TOO_BIG)[0] == 552
    submit(administrator, "a@small.test", size=MOVES)
    for message in arrived(peer, 3):
        assert "\nX-before: seen\n" in message
        assert "\nX-after: seen\n" in message
        assert MARKER.lower() not in message.lower()


# --- following what is published


def published_file(administrator: Administrator) -> Path:
    return administrator.host.config_directory / "postconnector" / "live" / "connectors.toml"


def test_new_limits_hold_without_a_restart(smtp_host: Administrator, peer: Peer) -> None:
    assert by_smtp(smtp_host, ["b@other.test"], TOO_BIG)[0] == 552
    smtp_host.publish(connectors(peer, "smtp", everything="1 MB"))
    assert by_smtp(smtp_host, ["b@other.test"], TOO_BIG)[0] == 250


def test_a_bad_published_file_leaves_the_last_good_one(smtp_host: Administrator) -> None:
    assert by_smtp(smtp_host, ["b@other.test"], FITS)[0] == 250
    published_file(smtp_host).write_text("[[send_connector\n")
    assert by_smtp(smtp_host, ["b@other.test"], TOO_BIG)[0] == 552
    assert by_smtp(smtp_host, ["b@other.test"], FITS)[0] == 250
    assert smtp_host.milter_log.read_text().count("the connectors in force stay") == 1


def test_a_milter_that_never_had_a_good_file_defers(new_host: HostMaker, peer: Peer) -> None:
    administrator = new_host()
    with administrator.milter():
        administrator.publish(connectors(peer, "smtp"))
    good = published_file(administrator).read_text()
    published_file(administrator).write_text("[[send_connector\n")
    with administrator.milter():
        code, text = by_smtp(administrator, ["b@unlimited.test"], FITS)
        assert (code, text.startswith("4.3.0")) == (451, True)
        published_file(administrator).write_text(good)
        assert by_smtp(administrator, ["b@unlimited.test"], FITS)[0] == 250


# --- the program


def test_it_is_not_root(new_host: HostMaker) -> None:
    administrator = new_host(policy_service=False)
    with administrator.milter() as daemon:
        status = Path(f"/proc/{daemon.pid}/status").read_text()
        [uids] = [line.split()[1:] for line in status.splitlines() if line.startswith("Uid:")]
        assert "0" not in uids


def test_it_ends_on_sigterm_and_starts_again_over_its_socket(new_host: HostMaker) -> None:
    administrator = new_host(policy_service=False)
    with administrator.milter() as daemon:
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(10) == os.EX_OK
    with administrator.milter() as daemon:
        daemon.kill()  # leaves its socket behind
        daemon.wait(10)
        assert socket_of(administrator).exists()
    with administrator.milter() as daemon:
        second = administrator.run("milter")
        assert second.returncode == os.EX_UNAVAILABLE
        assert "another program listens" in second.stderr
        assert daemon.poll() is None


def socket_of(administrator: Administrator) -> Path:
    return administrator.host.queue_directory / "postconnector" / "milter"


def test_it_finishes_the_message_that_is_coming(new_host: HostMaker, peer: Peer) -> None:
    """As Postfix hands it over; what has only been announced is not waited for."""
    administrator = new_host()
    with administrator.milter() as daemon:
        administrator.publish(connectors(peer))
        path = socket_of(administrator)
        with MilterClient(path) as announced, MilterClient(path) as coming:
            announced.send(b"M", f"<{SENDER}>\0".encode())
            coming.begin(SENDER, "b@other.test")
            submit(administrator, "a@small.test", size=FITS)
            arrived(peer)  # so the milter has read that as well
            daemon.send_signal(signal.SIGTERM)
            log = administrator.milter_log
            wait_until(lambda: "have ended: 1\n" in log.read_text() or None, "its stop")
            assert b"552 5.3.4" in coming.finish(TOO_BIG)
            assert daemon.wait(10) == os.EX_OK


def test_our_own_fault_defers(smtp_host: Administrator) -> None:
    """Here: Postfix can't be asked for its domains."""
    main_cf = smtp_host.host.config_directory / "main.cf"
    with MilterClient(socket_of(smtp_host)) as client:
        hidden = main_cf.rename(main_cf.with_suffix(".hidden"))
        client.begin(SENDER, "b@other.test")
        assert client.finish(TOO_BIG).startswith(b"y451 4.3.0 ")
        hidden.rename(main_cf)
        client.begin(SENDER, "b@other.test")
        assert client.finish(TOO_BIG).startswith(b"y552 5.3.4 ")
    assert "our own fault" in smtp_host.milter_log.read_text()
