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
from tests.lab.mixed_load import REFUSED, arrivals, failures
from tests.lab.supervised import Enforced

NewWorld = Callable[[str], Enforced]
_EACH = 80
"""Messages between two things that happen."""


@pytest.fixture
def new_world(root: Path, enter: ExitStack, authority: CertificateAuthority) -> NewWorld:
    return lambda milter: Enforced(root, enter, authority, milter)


def assert_accounted(world: Enforced) -> None:
    """Everybody has got what is his, and nobody anything else."""
    found = arrivals(world.host, world.peer)
    wanted = {key: fate for key, fate in world.load.expected.items() if fate != REFUSED}
    refused = [key for key, fate in world.load.expected.items() if fate == REFUSED]
    assert found.by.keys() == wanted.keys()
    assert {key: set(by) for key, by in found.by.items()} == {k: {f} for k, f in wanted.items()}
    assert found.reported == dict.fromkeys(refused, 1)
    failed = failures(world.host.log)
    for key, times in found.duplicates().items():
        cuts = [each for each in failed.get(key, ()) if was_cut(each.text)]
        reasons = [each.text for each in failed.get(key, ())]
        assert len(cuts) >= times, f"{key} {times} times too often, but {reasons}"
    bounced = {k for k, attempts in failed.items() for a in attempts if a.status == "bounced"}
    assert bounced <= set(refused)


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
    world.be_impatient()
    torment(world, plan_of(names, seed=5))
    world.wait_drained()
    assert_accounted(world)
