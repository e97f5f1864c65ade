"""Packages with rules: built and installed beside the daemons as an administrator would."""

import re
import subprocess
import sys
from pathlib import Path

_GUIDE = Path(__file__).parents[2] / "docs" / "plugins.md"


def documented(kind: str) -> str:
    """The first block of docs/plugins.md of this kind: toml, python or sh."""
    found = re.search(rf"^```{kind}\n(.*?)^```$", _GUIDE.read_text(), re.M | re.S)
    assert found is not None, f"no {kind} in {_GUIDE}"
    return found[1]


def install(folder: Path, module: str, pyproject: str = "") -> Path:
    """Build and install the package of docs/plugins.md; where it can be imported from.

    `module`: the text of fax_rule.py. `pyproject`: of another pyproject.toml.
    """
    source, target = folder / "fax-rule", folder / "installed"
    source.mkdir()
    (source / "pyproject.toml").write_text(pyproject or documented("toml"))
    (source / "fax_rule.py").write_text(module)
    options = ("--no-index", "--no-build-isolation", "--no-deps", "--quiet", "--no-cache-dir")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(source)],
        check=True,
        capture_output=True,
        timeout=120,
    )
    return target
