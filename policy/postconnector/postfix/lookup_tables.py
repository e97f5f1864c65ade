"""Lists of lookup tables and names in main.cf, as Postfix reads them. Pure.

match_list(3) and DATABASE_README: elements stand between commas or blanks; one of `type:name` is a
table, one that begins with `/` a file of further elements, `!` is for not.
"""

import re

_BRACES = r"\{[^{}]*\}"
for _ in range(3):  # pipemap:{inline:{{key = value}}} is as deep as they go
    _BRACES = rf"\{{(?:[^{{}}]|{_BRACES})*\}}"
_ELEMENT = re.compile(rf"(?:[^\s,{{]|{_BRACES})+")
_TABLE = re.compile(r"[a-z][a-z0-9_]*:.+", re.IGNORECASE)
_LISTABLE = ("hash:", "btree:", "lmdb:", "cdb:", "dbm:", "sdbm:", "texthash:", "inline:")


def elements(value: str) -> list[str]:
    """Split a list of main.cf at commas and blanks, but not inside braces."""
    return _ELEMENT.findall(value)


def joined(*lists: str) -> str:
    """One list of several, of which some may be empty."""
    return ", ".join(each for each in lists if each)


def is_table(element: str) -> bool:
    """Whether an element is a table, not a name or a file."""
    return _TABLE.fullmatch(element) is not None


def is_listable(table: str) -> bool:
    """Whether all keys of a table can be listed (postmap -s); others can only be asked."""
    return table.startswith(_LISTABLE)


def asked_directly(table: str) -> str:
    """The table behind proxymap(8): only Postfix' own processes may ask that one."""
    return table.removeprefix("proxy:")
