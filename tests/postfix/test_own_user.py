"""A daemon that has given up root may be out of reach of the program's files."""

import subprocess
import sys

_SCRIPT = """
import sys
from postconnector.daemon.own_user import give_up_root
from postconnector.model.domain import recipient_domain
give_up_root("nobody")
sys.meta_path.clear()
print(recipient_domain("bob@b\\u00fccher.test"))
"""


def test_what_is_loaded_when_it_is_used_is_there() -> None:
    result = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("xn--bcher-kva.test\n", "")
