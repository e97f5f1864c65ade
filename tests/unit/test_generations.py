"""What is kept of earlier publications, as it is read."""

from pathlib import Path

import pytest

from postconnector.postfix.generations import About, is_generation, read_generations


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("000001", True), ("999999", True), ("²", False), ("20261124", False), ("١٢٣٤٥٦", False)],
)
def test_only_our_own_folders_are_generations(tmp_path: Path, name: str, is_one: bool) -> None:
    assert is_generation(name) == is_one
    (tmp_path / "generations" / name).mkdir(parents=True)
    assert len(read_generations(tmp_path)) == is_one


def test_who_published_can_not_steer_a_terminal() -> None:
    about = About.of({"by": "eve\x1b[2J\nroot", "time": None, "command": "apply"})
    assert (about.by, about.command) == ("eve?[2J?root", "apply")
