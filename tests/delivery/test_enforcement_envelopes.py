"""What a message says besides its recipients survives every outcome, and so does what is in it."""

import re
import smtplib
from collections.abc import Mapping, Sequence

import pytest

from tests.lab.enforcement_world import (
    INSIDE,
    KB,
    OUTSIDE,
    PREPENDED_FOR,
    EnforcementWorld,
    assert_names,
    compose,
    data_reply,
    raw_data_reply,
)

FITS, MOVES, TOO_BIG = 40 * KB, 150 * KB, 300 * KB


def send(
    enforcement: EnforcementWorld,
    sender: str,
    recipients: Mapping[str, Sequence[str]],
    message: bytes,
    *,
    parameters: Sequence[str] = (),
) -> tuple[int, str]:
    """Send it by SMTP with these parameters of MAIL and of each RCPT; the reply to the message."""
    with enforcement.administrator.smtp() as session:
        if "SMTPUTF8" in parameters:
            session.command_encoding = "utf-8"
        assert session.mail(sender, parameters)[0] == 250
        for recipient, own in recipients.items():
            assert session.rcpt(recipient, own)[0] == 250
        return data_reply(session, message)


def recipients_of(enforcement: EnforcementWorld, message_id: str, count: int) -> list[str]:
    enforcement.wait_settled(message_id)
    return [each.recipient for each in enforcement.arrived(message_id, count)]


def took_agent_path(enforcement: EnforcementWorld, message_id: str) -> bool:
    return any(d.service == "pc-agent-path/lmtp" for d in enforcement.deliveries(message_id))


# --- DSN (RFC 3461)

OUTCOMES = pytest.mark.parametrize(
    ("name", "size", "recipient", "others"),
    [
        ("fits", FITS, "a@small.test", []),
        ("fits-agent", FITS, "a@agent.test", []),
        ("moves", MOVES, "a@small.test", []),
        ("moves-agent", MOVES, "a@tiny.test", []),
        ("mixed", MOVES, "a@small.test", ["b@tight.test", "c@contoso.test"]),
        ("mixed-agent", MOVES, "a@tiny.test", ["b@tight.test", "c@contoso.test"]),
        ("exceeds-some", TOO_BIG, "a@free.test", ["b@tight.test", "c@contoso.test"]),
    ],
    ids=lambda value: value if isinstance(value, str) and "@" not in value else "",
)


@OUTCOMES
def test_dsn_parameters_survive(
    enforcement: EnforcementWorld, name: str, size: int, recipient: str, others: list[str]
) -> None:
    message_id, sender = f"dsn-{name}@contoso.test", f"dsn-{name}@contoso.test"
    recipients = {recipient: ["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;first+2Bchoice@there.test"]}
    recipients |= {other: ["NOTIFY=NEVER"] for other in others}
    message = compose(message_id, size, sender)
    reply = send(enforcement, sender, recipients, message, parameters=["RET=HDRS", "ENVID=id+2B1"])
    assert reply[0] == 250, reply
    enforcement.wait_settled(message_id)
    enforcement.arrived(message_id, 1 + ("c@contoso.test" in others))
    [arrived] = enforcement.at_partner(message_id)
    assert arrived.sender == sender
    mail, rcpt = (command.split() for command in arrived.commands)
    assert mail[:2] == ["MAIL", f"FROM:<{sender}>"]
    assert {"RET=HDRS", "ENVID=id+2B1"} <= set(mail)
    assert rcpt[:2] == ["RCPT", f"TO:<{recipient}>"]
    assert set(rcpt[2:]) == {"NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;first+2Bchoice@there.test"}
    assert enforcement.reports(sender) == []
    assert took_agent_path(enforcement, message_id) == bool(others)


@OUTCOMES
def test_without_dsn_parameters_next_hops_hear_of_none(
    enforcement: EnforcementWorld, name: str, size: int, recipient: str, others: list[str]
) -> None:
    """But for ORCPT, which Postfix adds of its own, as it does on its way without us."""
    message_id, sender = f"no-dsn-{name}@contoso.test", f"no-dsn-{name}@contoso.test"
    reply = send(
        enforcement,
        sender,
        dict.fromkeys([recipient, *others], ()),
        compose(message_id, size, sender),
    )
    assert reply[0] == 250, reply
    enforcement.wait_settled(message_id)
    enforcement.arrived(message_id, 1 + ("c@contoso.test" in others))
    [arrived] = enforcement.at_partner(message_id)
    mail, rcpt = (command.split() for command in arrived.commands)
    assert [word for word in mail[2:] if not word.startswith(("SIZE=", "BODY="))] == []
    assert rcpt[2:] == [f"ORCPT=rfc822;{recipient}"]


def test_each_recipient_is_notified_as_it_was_wished(enforcement: EnforcementWorld) -> None:
    message_id, sender = "notify@contoso.test", "notify@contoso.test"
    recipients = {
        "never@tight.test": ["NOTIFY=NEVER"],
        "success@tight.test": ["NOTIFY=SUCCESS"],
        "failure@tight.test": ["NOTIFY=FAILURE", "ORCPT=rfc822;orig@there.test"],
        "by-default@tight.test": [],
        "success@contoso.test": ["NOTIFY=SUCCESS", "ORCPT=rfc822;local@there.test"],
        "never@contoso.test": ["NOTIFY=NEVER"],
        "by-default@contoso.test": [],
        "success@old.test": ["NOTIFY=SUCCESS"],
        "success@relayed.test": ["NOTIFY=SUCCESS"],
        "success@free.test": ["NOTIFY=SUCCESS"],
    }
    message = compose(message_id, TOO_BIG, sender)
    reply = send(enforcement, sender, recipients, message, parameters=["RET=HDRS", "ENVID=n1"])
    assert reply[0] == 250, reply
    assert len(recipients_of(enforcement, message_id, 6)) == 6
    reports = enforcement.reports(sender)
    said = {r: action for report in reports for r, action in report.recipients.items()}
    assert said == {
        "failure@tight.test": "failed",
        "by-default@tight.test": "failed",
        "success@contoso.test": "delivered",
        "success@old.test": "relayed",
        "success@relayed.test": "relayed",
    }
    for report in reports:
        assert "\nOriginal-Envelope-Id: n1\n" in report.text
        assert "Undelivered Message Headers" in report.text or "failed" not in report.text
        assert "yyyyyyyyyy" not in report.text
    texts = "".join(report.text for report in reports)
    assert "Original-Recipient: rfc822;orig@there.test" in texts
    assert "Original-Recipient: rfc822;local@there.test" in texts
    [at_partner] = enforcement.at_partner(message_id)
    assert "NOTIFY=SUCCESS" in at_partner.commands[1]


# --- the null sender

NULL = [
    ("fits", FITS, {"a@small.test": True, "b@contoso.test": True}),
    ("moves", MOVES, {"a@small.test": True, "b@contoso.test": True}),
    ("exceeds-all", TOO_BIG, {"a@small.test": False, "b@tight.test": False}),
    ("exceeds-some", TOO_BIG, {"a@small.test": False, "b@free.test": True, "c@contoso.test": True}),
]


@pytest.mark.parametrize(("name", "size", "fates"), NULL, ids=[name for name, _, _ in NULL])
def test_nobody_is_told_where_there_is_no_sender(
    enforcement: EnforcementWorld, name: str, size: int, fates: dict[str, bool]
) -> None:
    message_id = f"null-{name}@contoso.test"
    delivered = sorted(recipient for recipient, gets_it in fates.items() if gets_it)
    before = len(enforcement.host.mail())
    message = compose(message_id, size, "daemon@contoso.test")
    code, _ = send(enforcement, "", dict.fromkeys(fates, ()), message)
    if not delivered:
        assert code == 552
        return
    assert code == 250
    assert recipients_of(enforcement, message_id, len(delivered)) == delivered
    assert all(m.sender == "" for m in enforcement.at_partner(message_id))
    assert len(enforcement.host.mail()) - before == 1  # contoso.test's copy
    statuses = {d.recipient: d.status for d in enforcement.deliveries(message_id)}
    assert {r for r, status in statuses.items() if status == "bounced"} == set(fates) - set(
        delivered
    )
    assert not any("notification" in line.text for line in lines_of(enforcement, message_id))


def lines_of(enforcement: EnforcementWorld, message_id: str) -> list:  # type: ignore[type-arg]
    ids = enforcement.host.log.queue_ids(f"<{message_id}>")
    return [line for line in enforcement.host.log.lines() if line.text.partition(":")[0] in ids]


# --- SMTPUTF8 and 8BITMIME

UTF8 = [
    ("fits", FITS, {"jürgen@small.test": "ok", "zoë@contoso.test": "ok"}),
    ("moves", MOVES, {"jürgen@small.test": "ok"}),
    ("mixed", MOVES, {"jürgen@small.test": "ok", "zoë@contoso.test": "ok", "an@tiny.test": "ok"}),
    ("exceeds-all", TOO_BIG, {"jürgen@small.test": "no", "rené@tight.test": "no"}),
    (
        "exceeds-some",
        TOO_BIG,
        {"jürgen@free.test": "ok", "zoë@contoso.test": "ok", "rené@tight.test": "no"},
    ),
]


@pytest.mark.parametrize(("name", "size", "fates"), UTF8, ids=[name for name, _, _ in UTF8])
def test_addresses_in_utf8_stay_whole(
    enforcement: EnforcementWorld, name: str, size: int, fates: dict[str, str]
) -> None:
    message_id, sender = f"utf8-{name}@contoso.test", f"größe-{name}@contoso.test"
    delivered = sorted(recipient for recipient, fate in fates.items() if fate == "ok")
    refused = [recipient for recipient, fate in fates.items() if fate == "no"]
    message = compose(message_id, size, sender, "X-Umlaut: ü\r\n".encode(), "grüße\r\n".encode())
    code, text = send(
        enforcement,
        sender,
        dict.fromkeys(fates, ()),
        message,
        parameters=["SMTPUTF8", "BODY=8BITMIME"],
    )
    if not delivered:
        assert code == 552
        return
    assert code == 250, text
    assert recipients_of(enforcement, message_id, len(delivered)) == delivered
    for each in enforcement.arrived(message_id, len(delivered)):
        assert each.content == message.replace(b"\r\n", b"\n")
    for arrived in enforcement.at_partner(message_id):
        assert arrived.sender == sender
        assert {"SMTPUTF8", "BODY=8BITMIME"} <= set(arrived.commands[0].split())
    if refused:
        [report] = enforcement.wait_reports(sender)
        assert report.recipients == dict.fromkeys(refused, "failed")


def test_a_body_of_8_bits_stays_one(enforcement: EnforcementWorld) -> None:
    message_id, sender = "8bit@contoso.test", "8bit@contoso.test"
    header = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    header += b"Content-Transfer-Encoding: 8bit\r\n"
    message = compose(message_id, MOVES, sender, header, "grüße\r\n".encode())
    recipients = dict.fromkeys(("a@small.test", "b@tiny.test", "c@contoso.test"), ())
    assert send(enforcement, sender, recipients, message, parameters=["BODY=8BITMIME"])[0] == 250
    assert len(recipients_of(enforcement, message_id, 3)) == 3
    for each in enforcement.arrived(message_id, 3):
        assert each.content == message.replace(b"\r\n", b"\n")
    for arrived in enforcement.at_partner(message_id):
        assert "BODY=8BITMIME" in arrived.commands[0]
        assert "SMTPUTF8" not in arrived.commands[0]


# --- odd contents

ODD = {
    "bare-cr": b"one\rtwo\r\nthree\r\r\n\r\n",
    "long-lines": b"x" * 3000 + b"\r\n" + b".y" * 2000 + b"\r\n",
    "dots": b".\r\n..\r\n. \r\n.x\r\n",
    "from": b"From here\r\n>From there\r\n",
    "empty-lines": b"\r\n\r\n\r\n",
}


@pytest.mark.parametrize("name", ODD)
def test_odd_contents_come_as_they_would_without_the_agent(
    enforcement: EnforcementWorld, name: str
) -> None:
    """Postfix itself replaces bare CRs, and folds long lines on their way out."""
    native = odd(enforcement, name, 1, ["a@contoso.test", "c@old.test"])
    by_agent = odd(enforcement, name, 2, ["a@contoso.test", "c@old.test", "b@tight.test"])
    assert native == by_agent


def odd(
    enforcement: EnforcementWorld, name: str, number: int, recipients: Sequence[str]
) -> list[bytes]:
    """Send it just so; what has come to the first two recipients."""
    message_id, sender = f"odd-{name}-{number}@contoso.test", f"odd-{name}@contoso.test"
    message = compose(message_id, TOO_BIG, sender, line=ODD[name])
    with enforcement.administrator.smtp() as session:
        session.mail(sender)
        for recipient in recipients:
            assert session.rcpt(recipient)[0] == 250
        stuffed = re.sub(rb"(?:(?<=\r\n)|\A)\.", b"..", message)
        assert raw_data_reply(session, stuffed + b".\r\n")[0] == 250
    enforcement.wait_settled(message_id)
    arrived = enforcement.arrived(message_id, 2)
    assert took_agent_path(enforcement, message_id) == (len(recipients) == 3)
    return [each.content.replace(message_id.encode(), b"") for each in arrived]


def test_what_the_host_prepends_is_not_counted(enforcement: EnforcementWorld) -> None:
    message_id = "prepended@contoso.test"
    message = compose(message_id, 50 * KB, PREPENDED_FOR)
    recipients = dict.fromkeys(("a@tight.test", "b@agent.test", "c@mini.test"), ())
    assert send(enforcement, PREPENDED_FOR, recipients, message)[0] == 250
    assert recipients_of(enforcement, message_id, 2) == ["a@tight.test", "b@agent.test"]
    [report] = enforcement.wait_reports(PREPENDED_FOR)
    assert_names(report.text, "c@mini.test", 50 * KB)


def test_partners_see_the_outside_of_an_address(enforcement: EnforcementWorld) -> None:
    """By smtp_generic_maps of the host, whoever delivers; on the host it is as it was."""
    message_id = "generic@contoso.test"
    recipients = dict.fromkeys(
        ("a@small.test", "b@tiny.test", "c@tight.test", "d@contoso.test"), ()
    )
    message = compose(message_id, MOVES, INSIDE)
    assert send(enforcement, INSIDE, recipients, message)[0] == 250
    assert len(recipients_of(enforcement, message_id, 3)) == 3
    at_partner = enforcement.at_partner(message_id)
    assert {(m.recipient, m.sender) for m in at_partner} == {
        ("a@small.test", OUTSIDE),
        ("b@tiny.test", OUTSIDE),
    }
    assert all(f"\nFrom: {OUTSIDE}\n".encode() in m.content for m in at_partner)
    local = enforcement.arrived(message_id, 3)[-1]
    assert local.content == message.replace(b"\r\n", b"\n")
    enforcement.wait_reports(INSIDE)


# --- many and the same recipients, aliases


def test_more_recipients_than_one_delivery_takes(enforcement: EnforcementWorld) -> None:
    """Postfix hands 50 at a time to the agent; it hands each of these back."""
    message_id, sender = "many@contoso.test", "many@contoso.test"
    delivered = [f"r{n}@{d}.test" for d in ("contoso", "free", "small") for n in range(50)]
    refused = [f"r{n}@tight.test" for n in range(60)]
    everybody = dict.fromkeys((*delivered, *refused), ())
    assert send(enforcement, sender, everybody, compose(message_id, MOVES, sender))[0] == 250
    assert recipients_of(enforcement, message_id, len(delivered)) == sorted(delivered)
    [report] = enforcement.wait_reports(sender)
    assert report.recipients == dict.fromkeys(refused, "failed")


def test_a_recipient_named_twice_gets_it_once(enforcement: EnforcementWorld) -> None:
    message_id, sender = "twice@contoso.test", "twice@contoso.test"
    with enforcement.administrator.smtp() as session:
        session.mail(sender)
        for recipient in ("a@free.test", "b@tight.test") * 2:
            assert session.rcpt(recipient)[0] == 250
        assert data_reply(session, compose(message_id, TOO_BIG, sender))[0] == 250
    assert recipients_of(enforcement, message_id, 1) == ["a@free.test"]
    [report] = enforcement.wait_reports(sender)
    assert report.recipients == {"b@tight.test": "failed"}


def test_an_alias_is_judged_by_where_it_leads(enforcement: EnforcementWorld) -> None:
    """Once the message is on the agent path, whatever led it there."""
    message_id, sender = "alias@contoso.test", "alias@contoso.test"
    recipients: dict[str, Sequence[str]] = {"all@alias.test": (), "x@mini.test": ()}
    assert send(enforcement, sender, recipients, compose(message_id, TOO_BIG, sender))[0] == 250
    assert recipients_of(enforcement, message_id, 2) == ["a@free.test", "c@contoso.test"]
    [report] = enforcement.wait_reports(sender)
    assert report.recipients == {"b@tight.test": "failed", "x@mini.test": "failed"}


@pytest.mark.parametrize("by", ["SMTP", "sendmail"])
def test_an_alias_alone_is_judged_as_well(enforcement: EnforcementWorld, by: str) -> None:
    message_id = sender = f"alias-alone-{by.lower()}@contoso.test"
    message = compose(message_id, TOO_BIG, sender)
    if by == "SMTP":
        assert send(enforcement, sender, {"all@alias.test": ()}, message)[0] == 250
    else:
        enforcement.host.sendmail(sender, ["all@alias.test"], message)
    assert recipients_of(enforcement, message_id, 2) == ["a@free.test", "c@contoso.test"]
    [report] = enforcement.wait_reports(sender)
    assert report.recipients == {"b@tight.test": "failed"}


def test_an_alias_of_what_no_connector_would_take(enforcement: EnforcementWorld) -> None:
    """What counts is the connector of the one it stands for."""
    message_id = sender = "alias-of-small@contoso.test"
    message = compose(message_id, TOO_BIG, sender)
    assert send(enforcement, sender, {"moved@small.test": ()}, message)[0] == 250
    assert recipients_of(enforcement, message_id, 1) == ["a@free.test"]


def test_an_alias_that_stands_for_itself_as_well(enforcement: EnforcementWorld) -> None:
    """What is handed back is not looked up again, or who was refused would come back too."""
    message_id = sender = "alias-of-itself@contoso.test"
    message = compose(message_id, TOO_BIG, sender)
    assert send(enforcement, sender, {"self@contoso.test": ()}, message)[0] == 250
    assert recipients_of(enforcement, message_id, 1) == ["self@contoso.test"]
    [report] = enforcement.wait_reports(sender)
    assert report.recipients == {"b@tight.test": "failed"}
    enforcement.nothing_came_twice()


def test_a_session_goes_on_after_every_outcome(enforcement: EnforcementWorld) -> None:
    """State of one message never counts for the next."""
    cases = [
        (TOO_BIG, ["a@small.test"], 552),
        (FITS, ["a@small.test"], 250),
        (TOO_BIG, ["a@small.test", "b@free.test"], 250),
        (MOVES, ["a@small.test"], 250),
        (TOO_BIG, ["a@small.test"], 552),
        (FITS, ["a@tight.test"], 250),
    ]
    with enforcement.administrator.smtp() as session:
        for number, (size, recipients, expected) in enumerate(cases):
            message_id, sender = f"session{number}@contoso.test", "session@contoso.test"
            session.mail(sender)
            for recipient in recipients:
                assert session.rcpt(recipient)[0] == 250
            code, text = data_reply(session, compose(message_id, size, sender))
            assert code == expected, (number, text)
            if code == 552:  # Postfix has not ended the transaction by itself
                session.rset()
            if number == 1:  # begun and given up
                session.mail(sender)
                session.rcpt("b@tight.test")
                session.rset()
    for number, (_, _, expected) in enumerate(cases):
        if expected == 250:
            assert len(recipients_of(enforcement, f"session{number}@contoso.test", 1)) == 1


def test_a_connection_that_breaks_leaves_nothing(enforcement: EnforcementWorld) -> None:
    message_id = "broken@contoso.test"
    session: smtplib.SMTP = enforcement.administrator.smtp()
    session.mail("broken@contoso.test")
    for recipient in ("a@tight.test", "b@free.test"):
        session.rcpt(recipient)
    assert session.docmd("DATA")[0] == 354
    session.send(compose(message_id, TOO_BIG, "broken@contoso.test"))
    session.close()
    assert (
        send(
            enforcement, "after@contoso.test", {"a@tight.test": ()}, compose("after@c", FITS, "a@c")
        )[0]
        == 250
    )
    assert recipients_of(enforcement, "after@c", 1) == ["a@tight.test"]
    assert enforcement.deliveries(message_id) == []
