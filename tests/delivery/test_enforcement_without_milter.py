"""Mail by sendmail(1) where no milter is asked: what is judged then, and what is not.

docs/operations.md says so; `[host] milter = "sendmail"` is what to do about it.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.lab.enforcement_world import KB, EnforcementWorld, assert_names, compose

FITS, MOVES, TOO_BIG = 40 * KB, 150 * KB, 300 * KB


@pytest.fixture(scope="module")
def world() -> Iterator[EnforcementWorld]:
    with TemporaryDirectory(prefix="pct-", dir="/tmp") as name, ExitStack() as stack:
        Path(name).chmod(0o755)
        world = EnforcementWorld(Path(name), stack, milter="none")
        yield world
        world.nothing_came_twice()


def submitted(
    world: EnforcementWorld, name: str, size: int, *recipients: str, line_end: bytes = b"\n"
) -> dict[str, set[str]]:
    """By which services each recipient got it in the end."""
    message = compose(f"{name}@contoso.test", size, f"{name}@contoso.test")
    world.host.sendmail(f"{name}@contoso.test", recipients, message.replace(b"\r\n", line_end))
    world.wait_settled(f"{name}@contoso.test")
    found: dict[str, set[str]] = {recipient: set() for recipient in recipients}
    for delivery in world.deliveries(f"{name}@contoso.test"):
        if delivery.status == "sent":
            found[delivery.recipient].add(delivery.service)
    arrived = world.arrived(f"{name}@contoso.test", sum(1 for each in found.values() if each))
    assert {each.recipient for each in arrived} == {r for r, each in found.items() if each}
    assert all(each.content == message.replace(b"\r\n", b"\n") for each in arrived)
    return found


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize(
    ("size", "recipients"),
    [
        pytest.param(FITS, ["small", "tight"], id="fits"),
        pytest.param(MOVES, ["small"], id="moves"),
        pytest.param(TOO_BIG, ["small", "tight"], id="exceeds-all"),
        pytest.param(TOO_BIG, ["small", "free"], id="exceeds-some"),
    ],
)
def test_by_the_domain_alone(
    world: EnforcementWorld,
    size: int,
    recipients: list[str],
    line_end: bytes,
    request: pytest.FixtureRequest,
) -> None:
    """Nobody asks about the size: Postfix goes by its tables."""
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)
    everybody = [f"a@{each}.test" for each in recipients]
    found = submitted(world, name, size, *everybody, "b@contoso.test", line_end=line_end)
    assert found == {f"a@{each}.test": {f"pc-{each}/smtp"} for each in recipients} | {
        "b@contoso.test": {"virtual"}
    }
    assert world.reports(f"{name}@contoso.test") == []


def test_what_comes_to_the_agent_is_judged(world: EnforcementWorld) -> None:
    agent = {"pc-delivery-agent/lmtp"}
    assert submitted(world, "fits-agent", FITS, "a@agent.test") == {"a@agent.test": agent}
    assert submitted(world, "moves-agent", MOVES, "a@agent.test") == {
        "a@agent.test": agent | {"pc-large/smtp"}
    }
    found = submitted(world, "big-agent", TOO_BIG, "a@agent.test", "b@free.test")
    assert found == {"a@agent.test": set(), "b@free.test": {"pc-free/smtp"}}
    [report] = world.wait_reports("big-agent@contoso.test")
    assert report.recipients == {"a@agent.test": "failed"}
    assert_names(report.text, "a@agent.test", TOO_BIG)


def test_at_the_limit(world: EnforcementWorld) -> None:
    agent = {"pc-delivery-agent/lmtp"}
    assert submitted(world, "at", 50 * KB, "a@agent.test") == {"a@agent.test": agent}
    assert submitted(world, "above", 50 * KB + 1, "a@agent.test") == {
        "a@agent.test": agent | {"pc-large/smtp"}
    }
