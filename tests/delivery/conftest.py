"""The same fixtures as for the tests on real Postfix."""

from tests.postfix.conftest import (
    _compiled_once,
    _real_parts,
    authority,
    enter,
    new_host,
    root,
)

__all__ = ["_compiled_once", "_real_parts", "authority", "enter", "new_host", "root"]
