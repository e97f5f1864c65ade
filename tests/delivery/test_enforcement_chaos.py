"""Under load everything that judges mail dies, hangs and comes back: no rule is got around.

And nothing is lost, bounced without need, or delivered twice without a reason. Messages of all
fates go through one host (see tests/lab/mixed_load.py), 2,000 in all.
"""

import random
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab.certificates import CertificateAuthority
from tests.lab.load import was_cut
from tests.lab.loopback import wait_until
from tests.lab.mixed_load import REFUSED, Arrivals, arrivals, connectors, failures
from tests.lab.supervised import Enforced

NewWorld = Callable[[str], Enforced]
_EACH = 84
"""Messages between two things that happen."""

_MARK = "-b"


@pytest.fixture
def new_world(root: Path, enter: ExitStack, authority: CertificateAuthority) -> NewWorld:
    return lambda milter: Enforced(root, enter, authority, milter)


def assert_accounted(world: Enforced) -> Arrivals:
    """Everybody has got what is his, and nobody anything else."""
    found = arrivals(world.host, world.peers)
    wanted = {key: fate for key, fate in world.load.expected.items() if fate != REFUSED}
    refused = [key for key, fate in world.load.expected.items() if fate == REFUSED]
    assert found.by.keys() == wanted.keys()
    by = {key: {name.removesuffix(_MARK) for name in names} for key, names in found.by.items()}
    assert by == {key: {fate} for key, fate in wanted.items()}
    assert found.reported == dict.fromkeys(refused, 1)
    failed = failures(world.host.log)
    for key, times in found.duplicates().items():
        cuts = [each for each in failed.get(key, ()) if was_cut(each.text)]
        reasons = [each.text for each in failed.get(key, ())]
        assert len(cuts) >= times, f"{key} {times} times too often, but {reasons}"
    bounced = {k for k, attempts in failed.items() for a in attempts if a.status == "bounced"}
    assert bounced <= set(refused)
    return found


def torment(world: Enforced, plan: list[tuple[str, str]]) -> None:
    """Hurt a daemon, each time under load, until it is missed; then heal it."""
    for name, how in plan:
        daemon = world.daemons[name]
        world.load.begin(_EACH)
        world.wait_arriving(20)
        since = world.log_size()
        if how == "kill":
            daemon.kill()
            world.wait_missed(daemon, since)
            daemon.start()
        else:
            daemon.hold()
            world.wait_missed(daemon, since)
            daemon.let_go()
    world.load.end()
    world.wait_drained()


def plan_of(names: list[str], seed: int) -> list[tuple[str, str]]:
    """Each daemon is killed and held, in some order."""
    plan = [(name, how) for name in names for how in ("kill", "hold")]
    random.Random(seed).shuffle(plan)
    return plan


@pytest.mark.parametrize(
    ("names", "milter"),
    [
        (["policy"] * 3, "none"),
        (["agent"] * 3, "none"),
        (["milter"] * 3, "sendmail"),
        (["policy", "agent", "milter"], "smtp"),
    ],
    ids=["policy", "agent", "milter", "all"],
)
def test_daemons_are_killed_and_held(new_world: NewWorld, names: list[str], milter: str) -> None:
    world = new_world(milter)
    world.be_impatient(with_agent="agent" in names)
    torment(world, plan_of(names, seed=5))
    found = assert_accounted(world)
    assert "agent" in names or not found.duplicates()


def test_connectors_change_under_load(
    new_world: NewWorld, enter: ExitStack, authority: CertificateAuthority
) -> None:
    """Names and next hops change together; what was moved keeps the next hop it was moved to."""
    world = new_world("none")
    other = world.add_receiver(enter, authority)
    first, second = connectors(world.peer), connectors(other, mark=_MARK)
    for published in (second, first, "[[send_connector]]\nname = 5\n", second):
        world.load.begin(_EACH)
        world.wait_arriving(20)
        if published in (first, second):
            world.administrator.publish(published)
        else:
            publish_by_hand(world, published)
    world.load.begin(_EACH)
    world.load.end()
    world.wait_drained()
    assert not assert_accounted(world).duplicates()
    for peer, mark in ((world.peer, ""), (other, _MARK)):
        names = {name for by in arrivals(world.host, [peer]).by.values() for name in by}
        assert names >= {f"{name}{mark}" for name in ("small", "tight", "free", "agent")}
        assert {each for each in names if not each.startswith(("large", "local"))} == {
            f"{name}{mark}" for name in ("small", "tight", "free", "agent")
        }


def publish_by_hand(world: Enforced, text: str) -> None:
    """Nothing of the kind passes `apply`. All daemons stay with what they have."""
    live = world.host.config_directory / "postconnector/live/connectors.toml"
    draft = live.with_name("draft")
    draft.write_text(text)
    draft.chmod(live.stat().st_mode)
    draft.replace(live)
    for log in (world.administrator.policy_log, world.administrator.agent_log):
        wait_until(
            lambda log=log: "the connectors in force stay: " in log.read_text() or None,  # type: ignore[misc]
            "the bad file to be noticed",
        )
