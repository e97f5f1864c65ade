"""Somebody who does something just while a command of ours asks Postfix."""

import os
import shlex
import shutil
from pathlib import Path

from tests.lab.administrator import Administrator
from tests.lab.command import POSTCONNECTOR


def instead_of(administrator: Administrator, command: str, script: str) -> str:
    """A PATH in which this script runs before a command of Postfix; `exit` keeps that from it."""
    path = administrator.folder / command
    real = shutil.which(command, path=f"{os.environ['PATH']}:/usr/sbin")
    path.write_text(f'#!/bin/sh\n{script}\nexec {real} "$@"\n')
    path.chmod(0o755)
    return f"{administrator.folder}:{os.environ['PATH']}"


def at_reload(administrator: Administrator, number: int, script: str) -> str:
    """A script for `instead_of` that runs at the how-manieth reload."""
    count = administrator.folder / "reloads"
    count.write_text("")
    return (
        f'case "$*" in *reload*) echo >> {count};'
        f' if [ "$(wc -l < {count})" = {number} ]; then {script}; fi;; esac'
    )


def applied_meanwhile(administrator: Administrator, connectors: str) -> str:
    """A PATH in which other connectors are applied when Postfix is first asked what is there."""
    newer, once = (administrator.folder / name for name in ("newer.toml", "once"))
    newer.write_text(connectors)
    once.touch()
    return instead_of(
        administrator,
        "postconf",
        f"if rm {once} 2>/dev/null; then {_apply(administrator, newer)}; fi",
    )


def _apply(administrator: Administrator, connectors_file: Path) -> str:
    return (
        f"PATH={os.environ['PATH']} {shlex.join(POSTCONNECTOR)} -c {connectors_file}"
        f" --config-directory {administrator.host.config_directory} apply >&2"
    )
