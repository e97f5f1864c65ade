"""All sorts of clients at the real policy service, beside a real Postfix that needs its answers."""

import os
import signal
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab.administrator import Administrator
from tests.lab.loopback import wait_until
from tests.postfix.conftest import HostMaker

KB = 1024
TIMEOUT = 30.0
SAMPLES = sorted((Path(__file__).parents[1] / "unit" / "policy_requests").glob("*.txt"))


def connectors(limit: str = "200 KB") -> str:
    return (
        '[[send_connector]]\nname = "All"\naddress_spaces = ["*"]\n'
        f'max_message_size = "{limit}"\ndns_routing_enabled = false\nsmart_hosts = ["192.0.2.1"]\n'
    )


def rcpt(instance: str = "1.2.3", size: int = 1000, recipient: str = "b@other.test") -> bytes:
    return (
        f"request=smtpd_access_policy\nprotocol_state=RCPT\nrecipient={recipient}\nsize={size}\n"
        f"instance={instance}\n\n"
    ).encode()


def connect(administrator: Administrator, stack: ExitStack) -> socket.socket:
    client = stack.enter_context(socket.socket(socket.AF_UNIX))
    client.settimeout(TIMEOUT)
    client.connect(str(administrator.host.queue_directory / "postconnector" / "policy"))
    return client


def hear(client: socket.socket, count: int = 1) -> list[str]:
    """As many answers; fewer where the service closes."""
    heard = b""
    while heard.count(b"\n\n") < count and (data := received(client)):
        heard += data
    return [each.decode().removeprefix("action=") for each in heard.split(b"\n\n")[:-1]]


def received(client: socket.socket) -> bytes:
    try:
        return client.recv(65536)
    except ConnectionResetError:
        return b""


def ask(client: socket.socket, request: bytes) -> str:
    client.sendall(request)
    [answer] = hear(client)
    return answer


def accepts_mail(administrator: Administrator) -> bool:
    """Whether a message gets through smtpd(8), which asks the service twice."""
    with administrator.smtp() as session:
        session.mail("alice@contoso.test")
        return (
            session.rcpt("b@other.test")[0] == 250
            and session.data(b"Subject: hello\r\n\r\nhello\r\n")[0] == 250
        )


def test_requests_of_all_versions(new_host: HostMaker, enter: ExitStack) -> None:
    administrator = new_host()
    administrator.publish(connectors())
    client = connect(administrator, enter)
    for path in SAMPLES:
        assert ask(client, path.read_bytes()) == "DUNNO", path.stem
    large = SAMPLES[0].read_text().replace("size=21\n", f"size={300 * KB}\n")
    assert ask(client, large.encode()).startswith("552 5.3.4 ")


def test_what_was_applied_is_in_force_when_apply_ends(
    new_host: HostMaker, enter: ExitStack
) -> None:
    """For connections that were there before, however busy they are."""
    administrator = new_host()
    administrator.publish(connectors())
    clients = [connect(administrator, enter) for _ in range(3)]
    for limit, action in (("1 MB", "DUNNO"), ("100 KB", "552"), ("2 MB", "DUNNO")):
        administrator.publish(connectors(limit))
        for number, client in enumerate(clients):
            answer = ask(client, rcpt(f"{limit}.{number}", 300 * KB))
            assert answer.partition(" ")[0] == action


def test_garbage_of_many_clients_is_logged_once(new_host: HostMaker, enter: ExitStack) -> None:
    administrator = new_host()
    administrator.publish(connectors())
    garbage = (
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n\n\n", "name=value"),
        (b"\n", "an empty request"),
        (b"x" * 70_000, "more than 65536 bytes"),
        (b"a=b\n" * 300 + b"\n", "more than 200 attributes"),
    )
    for text, _ in garbage:
        for _ in range(30):
            client = connect(administrator, enter)
            try:
                client.sendall(text)
            except (BrokenPipeError, ConnectionResetError):
                continue  # it had heard enough
            assert received(client) == b""
    assert accepts_mail(administrator)
    log = administrator.policy_log.read_text()
    for _, complaint in garbage:
        assert log.count(complaint) == 1
    assert "HTTP" not in log
    assert "Traceback" not in log


def test_nothing_strange_in_values_gets_out(new_host: HostMaker, enter: ExitStack) -> None:
    administrator = new_host()
    administrator.publish(connectors())
    client = connect(administrator, enter)
    for strange in ("b\x7fc", "b\u202ec", "bücher", "b" * 60_000):
        answer = ask(client, rcpt("1.1.1", 300 * KB, f"{strange}@other.test"))
        assert answer.startswith("552 5.3.4 ")
        assert answer.isascii()
        assert answer.isprintable()
        assert len(answer) < 1000
    for odd in ("b\x00\x1b[2Jc", "b\rX-Evil: yes", "b\u2028c"):  # Postfix would change these
        assert ask(client, rcpt("1.1.1", 300 * KB, f"{odd}@other.test")) == "DUNNO"
    invalid = rcpt(size=300 * KB).replace(b"b@other", b"\xff\xfe@other")
    assert ask(client, invalid).startswith("552 5.3.4 ")
    assert ask(client, rcpt()) == "DUNNO"


def test_pipelined_requests_are_answered_in_order(new_host: HostMaker, enter: ExitStack) -> None:
    """Those too for which Postfix is asked first whose domain it is."""
    administrator = new_host()
    administrator.publish(connectors())
    client = connect(administrator, enter)
    sizes = [300 * KB + n if n % 3 else 1000 for n in range(300)]
    client.sendall(
        b"".join(rcpt(f"1.{n}", size, f"b@d{n % 50}.test") for n, size in enumerate(sizes))
    )
    answers = hear(client, len(sizes))
    assert len(answers) == len(sizes)
    for size, answer in zip(sizes, answers, strict=True):
        assert answer == "DUNNO" if size == 1000 else f"{size:,} bytes" in answer


def test_stuck_clients_hurt_no_mail(new_host: HostMaker, enter: ExitStack) -> None:
    """Those that ask and never read, those that stop in the middle, and those that do nothing."""
    administrator = new_host()
    administrator.publish(connectors())
    for number in range(300):
        client = connect(administrator, enter)
        client.setblocking(False)
        try:
            while number % 30 == 0:
                client.send(rcpt(size=300 * KB) * 10)
        except BlockingIOError:
            pass
        if number % 3 == 1:
            client.send(rcpt()[:-7])
    source = ["smtp-source", "-s", "20", "-m", "200", "-f", "alice@contoso.test", "-t", "b@x.test"]
    to = f"{administrator.host.smtp_address}:{administrator.host.smtp_port}"
    result = subprocess.run([*source, to], capture_output=True, text=True, check=False, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")
    assert accepts_mail(administrator)


def test_it_ends_on_sigterm_whatever_its_clients_do(new_host: HostMaker, enter: ExitStack) -> None:
    """Mail whose RCPT was answered before is taken or to be sent again after a restart."""
    administrator = new_host(policy_service=False)
    with administrator.policy_service() as daemon:
        administrator.publish(connectors())
        idle, half, deaf = (connect(administrator, enter) for _ in range(3))
        assert ask(idle, rcpt()) == "DUNNO"
        half.sendall(rcpt()[:-7])
        deaf.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                deaf.send(rcpt(size=300 * KB) * 10)
        session = enter.enter_context(administrator.smtp())
        session.mail("alice@contoso.test")
        assert session.rcpt("b@other.test")[0] == 250
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(10) == os.EX_OK
        assert received(idle) == b""
        assert received(half) == b""
    with administrator.policy_service():
        assert session.data(b"Subject: hello\r\n\r\nhello\r\n")[0] == 250
        assert accepts_mail(administrator)
    assert "Traceback" not in administrator.policy_log.read_text()


def test_without_file_descriptors_clients_wait(new_host: HostMaker, enter: ExitStack) -> None:
    """Some are left for what else the service does: asking Postfix, reading connectors."""
    administrator = new_host(policy_service=False)
    enter.enter_context(administrator.policy_service(open_files=64 + 5))
    administrator.publish(connectors())
    clients = [connect(administrator, enter) for _ in range(12)]
    for client in clients:
        client.sendall(rcpt())
    wait_until(lambda: "have to wait" in administrator.policy_log.read_text() or None, "complaint")
    for client in clients:  # in their order: one leaves, the next comes
        client.sendall(rcpt(size=300 * KB))
        small, large = hear(client, 2)
        assert small == "DUNNO"
        assert large.startswith("552 5.3.4 ")
        client.close()
    assert accepts_mail(administrator)
    assert administrator.policy_log.read_text().count("5 clients: others have to wait") == 1
