"""The same fixtures as for the tests on real Postfix, and the world of enforcement."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab.enforcement_world import EnforcementWorld
from tests.postfix.conftest import (
    _compiled_once,
    _real_parts,
    authority,
    enter,
    new_host,
    root,
)

__all__ = ["_compiled_once", "_real_parts", "authority", "enter", "new_host", "root"]


@pytest.fixture(scope="session")
def enforcement(_compiled_once: None, _real_parts: None) -> Iterator[EnforcementWorld]:
    """A world that the tests of enforcement share: each message has a Message-ID of its own."""
    with tempfile.TemporaryDirectory(prefix="pct-", dir="/tmp") as name, ExitStack() as stack:
        Path(name).chmod(0o755)
        world = EnforcementWorld(Path(name), stack)
        yield world
        world.nothing_came_twice()
