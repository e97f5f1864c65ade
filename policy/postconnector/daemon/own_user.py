"""Giving root up: a daemon listens as root if it must, and works as a user of its own."""

import codecs
import grp
import os
import pwd
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import import_module

from postconnector.postfix.facts import OWN_USER

_FALLBACK = "nobody"
_CODECS_LOADED_WHEN_USED = ("unicode_escape", "idna", "punycode")
_MODULES_LOADED_WHEN_USED = ("idna.uts46data",)
"""Both may be out of reach for the user that a daemon becomes."""


class NoSuchUserError(Exception):
    """There is no user to run as."""


def give_up_root(wanted: str | None, groups: Sequence[str] = ()) -> None:
    """Become this user for good, or ours where none is wanted, or nobody where there is none.

    `groups`: those to be in besides the user's own, as far as there are any of these names.
    Does nothing for somebody who is not root. Raises NoSuchUserError.
    """
    if os.geteuid() != 0:
        return
    for codec in _CODECS_LOADED_WHEN_USED:
        codecs.lookup(codec)
    for module in _MODULES_LOADED_WHEN_USED:
        import_module(module)
    for name in (wanted,) if wanted is not None else (OWN_USER, _FALLBACK):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        os.initgroups(name, user.pw_gid)
        os.setgroups([*os.getgroups(), *_group_ids(groups)])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        return
    raise NoSuchUserError(f"there is no user {wanted or OWN_USER} to run as")


def _group_ids(names: Sequence[str]) -> Iterator[int]:
    for name in names:
        with suppress(KeyError):
            yield grp.getgrnam(name).gr_gid
