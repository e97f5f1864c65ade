"""The policy service under garbage: it stays, answers who asks well, and holds on to nothing."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from postconnector.policyd.socketmap import netstring
from postconnector.postfix.live_routes import CERTIFICATE_MAP, REASON_MAP, TRANSPORT_MAP
from tests.lab.administrator import Administrator
from tests.lab.child import Child
from tests.lab.garbage import garbage, leave, memory, open_files, said_to
from tests.lab.loopback import wait_until
from tests.postfix.conftest import HostMaker

SESSIONS = 500
MOST_GROWTH = 2 * 1024**2
"""Bytes: less than all that is said in these sessions."""

CONNECTORS = """
[[send_connector]]
name = "All"
address_spaces = ["*"]
max_message_size = "100 KB"
dns_routing_enabled = false
smart_hosts = ["192.0.2.1", "192.0.2.2"]
"""


def request(state: str, size: int, instance: str = "1.2.3") -> bytes:
    return (
        f"request=smtpd_access_policy\nprotocol_state={state}\nprotocol_name=ESMTP\n"
        f"client_address=192.0.2.9\nsender=alice@contoso.test\nrecipient=bob@fabrikam.test\n"
        f"recipient_count=1\nqueue_id=4Q7\ninstance={instance}\nsize={size}\n\n"
    ).encode()


REQUESTS = [request("RCPT", 1000), request("RCPT", 200_000), request("END-OF-MESSAGE", 200_000)]
QUESTIONS = [
    netstring(f"{TRANSPORT_MAP} pc-all:[192.0.2.1]:25, [192.0.2.2]:25"),
    netstring(f"{CERTIFICATE_MAP}/All [192.0.2.1]:25"),
    netstring(f"{REASON_MAP}/All bob@fabrikam.test"),
    netstring("virtual bob@fabrikam.test"),
    netstring(f"{TRANSPORT_MAP} s:{'a ' * 40_000}"),
]


@dataclass
class Service:
    """The running service."""

    administrator: Administrator
    child: Child

    def socket(self, name: str) -> Path:
        return self.administrator.host.queue_directory / "postconnector" / name

    def log(self) -> str:
        return self.administrator.policy_log.read_text()

    def decides_well(self) -> None:
        heard = said_to(self.socket("policy"), REQUESTS[1] + REQUESTS[0])
        refused, passed, _ = heard.split(b"\n\n")
        assert refused.startswith(b"action=552 5.3.4 ")
        assert passed == b"action=DUNNO"

    def looks_up_well(self) -> None:
        route = "pc-all:[192.0.2.1]:25, [192.0.2.2]:25"
        turned = "pc-all:[192.0.2.2]:25, [192.0.2.1]:25"
        heard = said_to(self.socket("lookup"), netstring(f"{TRANSPORT_MAP} {route}"))
        assert heard in (netstring(f"OK {route}"), netstring(f"OK {turned}"))


@pytest.fixture
def service(new_host: HostMaker, enter: ExitStack) -> Service:
    administrator = new_host(policy_service=False)
    child = enter.enter_context(administrator.policy_service())
    administrator.publish(CONNECTORS)
    return Service(administrator, child)


def is_of_answers(heard: bytes) -> bool:
    return all(line.startswith(b"action=") or not line for line in heard.split(b"\n"))


def is_of_netstrings(heard: bytes) -> bool:
    while heard:
        digits, _, rest = heard.partition(b":")
        answer = rest[: int(digits)].decode()
        if answer.split(" ")[0] not in ("OK", "NOTFOUND", "TEMP") or rest[int(digits)] != ord(","):
            return False
        heard = rest[int(digits) + 1 :]
    return True


@pytest.mark.parametrize(
    ("name", "good", "is_well_formed"),
    [("policy", REQUESTS, is_of_answers), ("lookup", QUESTIONS, is_of_netstrings)],
)
def test_garbage(
    service: Service, name: str, good: list[bytes], is_well_formed: Callable[[bytes], bool]
) -> None:
    path, pid = service.socket(name), service.child.pid
    asks = service.decides_well if name == "policy" else service.looks_up_well
    for data in garbage(1, 50, good):  # all that is loaded and remembered at first is there now
        said_to(path, data)
    asks()
    files, bytes_before = open_files(pid), memory(pid)
    for number, data in enumerate(garbage(2, SESSIONS, good)):
        if number % 4:
            assert is_well_formed(said_to(path, data)), data
        else:
            leave(path, data)
    asks()
    assert service.child.poll() is None
    wait_until(lambda: open_files(pid) <= files or None, "all connections to be closed")
    assert memory(pid) - bytes_before < MOST_GROWTH
    assert all(line.isprintable() for line in service.log().split("\n"))
    assert "our own fault" not in service.log()
    assert "Traceback" not in service.log()
