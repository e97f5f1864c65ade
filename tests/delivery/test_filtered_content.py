"""The headers that Postfix finds in a message, and what its tables say of each (postmap -h)."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from postconnector.enforcement.header_firewall import HeaderFirewall
from postconnector.postfix.header_checks import header_patterns
from postconnector.postfix.quoting import table_entry
from tests.unit.test_filtered_content import FIREWALLS, MESSAGES, action_for, header_of, shown

pytestmark = pytest.mark.skipif(shutil.which("postmap") is None, reason="needs postmap")

AS_POSTFIX_HAS_THEM = {
    name: data.replace(b"\r\n", b"\n")
    for name, data in MESSAGES.items()
    if not data.startswith((b"From ", b">From "))
}
"""Its server makes other lines of those of mailboxes."""


@pytest.fixture
def main_cf(tmp_path: Path) -> Path:
    """Postfix waits two seconds for one that has just been written."""
    path = tmp_path / "main.cf"
    path.write_text("compatibility_level = 3.6\nmyhostname = host.contoso.test\n")
    os.utime(path, (0, 0))
    return path


def postfix_says(main_cf: Path, checks: Path, message: bytes) -> bytes:
    command = ["postmap", "-c", str(main_cf.parent), "-h", "-q", "-", f"regexp:{checks}"]
    result = subprocess.run(command, input=message, capture_output=True, check=False, timeout=20)
    assert b"fatal" not in result.stderr, result.stderr
    return result.stdout


@pytest.mark.parametrize("firewall", FIREWALLS, ids=str)
def test_postfix_says_what_the_tests_of_the_delivery_agent_take_for_granted(
    main_cf: Path, firewall: HeaderFirewall
) -> None:
    patterns = header_patterns(firewall)
    checks = main_cf.with_name("checks")
    checks.write_text("".join(table_entry(*each) for each in patterns))
    for name, message in AS_POSTFIX_HAS_THEM.items():
        fields, _ = header_of(message)
        wanted = b""
        for each in fields:
            field = each.removesuffix(b"\n")
            if (action := action_for(field, patterns)) is not None:
                wanted += shown(field) + b"\t" + action + b"\n"
        assert postfix_says(main_cf, checks, message) == wanted, name
