"""Rules of other packages, built and installed as docs/plugins.md says, on real Postfix."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.lab.administrator import Administrator
from tests.lab.enforcement_world import KB, compose, data_reply
from tests.lab.loopback import free_address, free_port, wait_until
from tests.lab.maillog import Delivery
from tests.lab.peers import plain_receiver
from tests.lab.postfix_instance import PostfixInstance
from tests.lab.rule_package import documented, install

FAX, OTHER, LOCAL = "1@fax.example", "b@other.test", "c@contoso.test"
SENSITIVE = b"Sensitivity: company-confidential\r\n"

ONE_OF_TWO = """
from postconnector.enforcement.message import Stage
from postconnector.enforcement.rule import {verdict}

def fax(message):
    if message.stage is not Stage.RCPT:
        faxes = tuple(r.recipient for r in message.recipients if "@fax." in r.recipient)
        if faxes:
            yield {verdict}({code}, "{enhanced}", "said by the rule\\n\\u20ac", faxes)
"""
BY_HEADER = """
from postconnector.enforcement.rule import Refuse, TakeAgentPath

def fax(message):
    if message.headers is None:
        yield TakeAgentPath("to see the headers")
    elif "Sensitivity" in dict(message.headers):
        yield Refuse(550, "5.7.1", "not for everybody", ("c@contoso.test",))
"""
FAILING = """
from postconnector.enforcement.rule import TakeAgentPath

def fax(message):
    if any(r.recipient.startswith(message.stage.name) for r in message.recipients):
        raise KeyError("nobody has thought of that")
    yield TakeAgentPath("to see it fail")
"""


class World:
    """A host with this rule. Each of its messages has a name, which its sender has too."""

    def __init__(self, root: Path, stack: ExitStack, module: str, milter: str = "none") -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", str(install(root, module)))
            self._start(root, stack, milter)

    def _start(self, root: Path, stack: ExitStack, milter: str) -> None:
        port = free_port()
        domains = ["fax.example", "other.test"]
        peer = plain_receiver(root, "peer", domains, address=free_address(port), port=port)
        self.peer = stack.enter_context(peer)
        host = PostfixInstance(
            root,
            "host",
            main_cf={"virtual_mailbox_domains": "contoso.test", "message_size_limit": "0"},
            smtp_port=free_port(),
        )
        self.host = stack.enter_context(host)
        self.administrator = Administrator(root, self.host)
        stack.enter_context(self.administrator.policy_service())
        stack.enter_context(self.administrator.delivery_agent())
        if milter != "none":
            stack.enter_context(self.administrator.milter())
        self.administrator.publish(
            f'[host]\nmilter = "{milter}"\n[[send_connector]]\nname = "All"\n'
            'address_spaces = ["fax.example", "other.test"]\ndns_routing_enabled = false\n'
            f'smart_hosts = ["{peer.address}"]\nport = {port}\n'
        )

    def send(
        self, name: str, *recipients: str, size: int = 5 * KB, header: bytes = b""
    ) -> tuple[int, str]:
        """The first reply that is no agreement, or that to the message."""
        with self.administrator.smtp() as session:
            session.mail(sender_of(name))
            for recipient in recipients:
                code, text = session.rcpt(recipient)
                if code != 250:
                    return code, text.decode()
            return data_reply(session, message(name, size, header))

    def wait_arrived(self, name: str, *recipients: str) -> None:
        """Wait until just these have got it."""
        here = wait_until(
            lambda: found if len(found := self._arrived(name)) >= len(recipients) else None,
            f"{name} to arrive",
        )
        assert sorted(here) == sorted(recipients)

    def wait_report(self, name: str) -> str:
        """Wait for the one report that the sender gets; unfolded."""
        text = f"\nX-Original-To: {sender_of(name)}\n"
        [report] = wait_until(
            lambda: [m for each in self.host.mail() if text in (m := each.decode())] or None,
            "the report",
        )
        return re.sub(r"\n[ \t]+", " ", report)

    def wait_deferred(self, name: str, recipient: str) -> str:
        """Wait until a recipient waits in the queue; why."""

        def deferred() -> str | None:
            for delivery in self._deliveries(name):
                if (delivery.recipient, delivery.status) == (recipient, "deferred"):
                    return delivery.text
            return None

        return wait_until(deferred, f"{recipient} to wait")

    def took_agent_path(self, name: str) -> bool:
        return any(each.service == "pc-agent-path/lmtp" for each in self._deliveries(name))

    def _deliveries(self, name: str) -> list[Delivery]:
        ids = self.host.log.queue_ids(f"<{sender_of(name)}>")
        return [each for each in self.host.log.deliveries() if each.queue_id in ids]

    def _arrived(self, name: str) -> list[str]:
        found = [
            m.recipient for m in self.peer.received() if m.message_id == f"<{sender_of(name)}>"
        ]
        head = f"\nMessage-ID: <{sender_of(name)}>\n"
        for data in self.host.mail():
            text = data.decode()
            if f"\nX-Original-To: {LOCAL}\n" in text and head in text:
                found.append(LOCAL)
        return found


def sender_of(name: str) -> str:
    return f"{name}@contoso.test"


def message(name: str, size: int = 5 * KB, header: bytes = b"") -> bytes:
    return compose(sender_of(name), size + len(header), sender_of(name), header)


@pytest.fixture
def with_rule(root: Path, enter: ExitStack) -> Callable[[str], World]:
    return lambda module: World(root, enter, module)


WithRule = Callable[[str], World]


@pytest.fixture(scope="module")
def guide() -> Iterator[World]:
    """With the example of the guide; also asked by the milter."""
    with TemporaryDirectory(prefix="pct-", dir="/tmp") as name, ExitStack() as stack:
        Path(name).chmod(0o755)
        yield World(Path(name), stack, documented("python"), "sendmail")


# --- the example of the guide


def test_the_daemons_name_the_rules_of_others(guide: World) -> None:
    administrator = guide.administrator
    for log in (administrator.policy_log, administrator.agent_log, administrator.milter_log):
        assert "rule fax: fax_rule:fax" in log.read_text()


def test_the_example_is_as_short_as_it_says() -> None:
    lines = (documented("toml") + documented("python")).splitlines()
    assert len([line for line in lines if line.strip()]) <= 20


def test_what_the_rule_does_not_mean_goes_its_way(guide: World) -> None:
    assert guide.send("other", OTHER, LOCAL, size=300 * KB, header=SENSITIVE)[0] == 250
    guide.wait_arrived("other", OTHER, LOCAL)
    assert not guide.took_agent_path("other")


def test_a_recipient_is_refused_beside_another(guide: World) -> None:
    assert guide.send("one", FAX, OTHER, LOCAL, size=300 * KB)[0] == 250
    guide.wait_arrived("one", OTHER, LOCAL)
    report = guide.wait_report("one")
    assert f"Final-Recipient: rfc822; {FAX}" in report
    assert "Status: 5.3.4" in report
    assert "a fax has at most 100 KB" in report
    assert OTHER not in report


def test_all_recipients_are_refused(guide: World) -> None:
    code, text = guide.send("all", FAX, "2@fax.example", size=300 * KB)
    assert code == 552
    assert "a fax has at most 100 KB (and 1 more recipient likewise)" in text


def test_a_fax_takes_the_agent_path(guide: World) -> None:
    """The rule says so at RCPT TO already; the agent sees its headers, and lets it go."""
    assert guide.send("fax", FAX, OTHER)[0] == 250
    guide.wait_arrived("fax", FAX, OTHER)
    assert guide.took_agent_path("fax")
    said = guide.administrator.policy_log.read_text()
    assert "to the agent: the headers of faxes are looked at" in said


def test_headers_are_judged_by_the_agent(guide: World) -> None:
    assert guide.send("headers", FAX, OTHER, header=SENSITIVE)[0] == 250
    guide.wait_arrived("headers", OTHER)
    report = guide.wait_report("headers")
    assert "Status: 5.7.1" in report
    assert "what is confidential is not faxed" in report


def test_the_milter_asks_it_too(guide: World) -> None:
    data = message("milter", header=SENSITIVE).replace(b"\r\n", b"\n")
    guide.host.sendmail(sender_of("milter"), [FAX, OTHER], data)
    guide.wait_arrived("milter", OTHER)
    assert "what is confidential is not faxed" in guide.wait_report("milter")


# --- other answers, and failures


def test_a_text_goes_out_cleaned(with_rule: WithRule) -> None:
    world = with_rule(ONE_OF_TWO.format(verdict="Refuse", code=550, enhanced="5.7.1"))
    code, text = world.send("alone", FAX)
    assert code == 550
    assert r"said by the rule\n\u20ac" in text
    assert world.send("beside", FAX, OTHER)[0] == 250
    world.wait_arrived("beside", OTHER)
    assert r"said by the rule\n\u20ac" in world.wait_report("beside")


def test_a_recipient_is_deferred_beside_another(with_rule: WithRule) -> None:
    world = with_rule(ONE_OF_TWO.format(verdict="Defer", code=451, enhanced="4.7.1"))
    code, text = world.send("alone", FAX)
    assert (code, "said by the rule" in text) == (451, True)
    assert world.send("beside", FAX, OTHER, LOCAL)[0] == 250
    world.wait_arrived("beside", OTHER, LOCAL)
    assert "said by the rule" in world.wait_deferred("beside", FAX)
    [queued] = world.host.queue()
    assert [each["address"] for each in queued["recipients"]] == [FAX]


def test_a_header_that_cannot_be_looked_at_is_no_way_around(with_rule: WithRule) -> None:
    world = with_rule(BY_HEADER)
    assert world.send("small", OTHER, LOCAL, header=SENSITIVE)[0] == 250
    world.wait_arrived("small", OTHER)
    assert "not for everybody" in world.wait_report("small")
    padding = b"".join(b"X-%d: %s\r\n" % (n, b"x" * 900) for n in range(1300))
    assert world.send("large", OTHER, LOCAL, header=padding + SENSITIVE)[0] == 250
    report = world.wait_report("large")
    assert report.count("the message header is larger than") >= 2
    world.wait_arrived("large")


def test_where_it_fails_mail_is_deferred(with_rule: WithRule) -> None:
    """At any stage; the log says which rule, and what it met with."""
    world = with_rule(FAILING)
    for stage in ("RCPT", "END_OF_MESSAGE"):
        code, text = world.send(stage, f"{stage}@other.test")
        assert (code, "4.3.0" in text, "rule fax failed" in text) == (451, True, True)
    assert world.host.queue() == []
    log = world.administrator.policy_log.read_text()
    assert log.count("rule fax failed, mail is deferred") == 2
    assert "KeyError: 'nobody has thought of that'" in log
    assert world.send("DELIVERY", "DELIVERY@other.test", LOCAL)[0] == 250
    assert "rule fax failed" in world.wait_deferred("DELIVERY", "DELIVERY@other.test")
    assert "rule fax failed" in world.wait_deferred("DELIVERY", LOCAL)
    assert "KeyError" in world.administrator.agent_log.read_text()


def test_an_answer_that_is_none_defers(with_rule: WithRule) -> None:
    assert with_rule("def fax(message): return 7\n").send("none", OTHER)[0] == 451


@pytest.mark.parametrize(
    ("module", "said"),
    [("import nothing_that_is_there\n", "can't be loaded"), ("fax = 7\n", "is no function")],
)
def test_without_the_rule_nothing_starts(root: Path, module: str, said: str) -> None:
    for result in started_with(install(root, module)):
        assert result.returncode == os.EX_CONFIG
        assert "rule fax (fax_rule:fax)" in result.stderr
        assert said in result.stderr


def test_without_the_rules_of_ours_nothing_starts(root: Path) -> None:
    metadata = root / "halves/postconnector-0.dist-info/METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: postconnector\nVersion: 0\n")
    for result in started_with(root / "halves"):
        assert result.returncode == os.EX_CONFIG
        assert "rules of ours are not installed: certificate, size" in result.stderr


def started_with(packages: Path) -> Iterator[subprocess.CompletedProcess[str]]:
    """What becomes of each daemon where these packages are installed before all others."""
    for daemon in ("policy", "deliver", "milter"):
        yield subprocess.run(
            [sys.executable, "-m", "postconnector", daemon],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, "PYTHONPATH": str(packages)},
        )
