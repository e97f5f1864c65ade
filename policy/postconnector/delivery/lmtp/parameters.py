"""Parameters of MAIL and RCPT: SIZE, BODY, SMTPUTF8, DSN's (RFC 3461), REQUIRETLS. No I/O."""

import re
from collections.abc import Callable, Mapping

from postconnector.delivery.lmtp.command_error import CommandError

Parameters = dict[str, str | None]
"""By upper-case keyword; None where there is no value."""

_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_SIZE = re.compile(r"[0-9]{1,20}")
_XTEXT = r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})"
_ENVID = re.compile(rf"{_XTEXT}+")
_ORCPT = re.compile(rf"[A-Za-z0-9-]+;{_XTEXT}+")
_ORCPT_UTF8 = re.compile(rf"(?i:utf-8);(?:{_XTEXT}|[^\x00-\x7f])+")
_NOTIFY = frozenset(("SUCCESS", "FAILURE", "DELAY"))


def mail_parameters(text: str) -> Parameters:
    """Those of MAIL, each found to be well-formed. Raises CommandError."""
    return _checked(_split(text), _OF_MAIL)


def rcpt_parameters(text: str, *, smtputf8: bool) -> Parameters:
    """Those of RCPT, each found to be well-formed. Raises CommandError.

    With SMTPUTF8 an original recipient may stand in UTF-8 (RFC 6533, 3).
    """
    checks = {**_OF_RCPT, "ORCPT": _is_orcpt_utf8} if smtputf8 else _OF_RCPT
    return _checked(_split(text), checks)


def _split(text: str) -> Parameters:
    parameters: Parameters = {}
    for word in filter(None, text.split(" ")):
        keyword, equals, value = word.partition("=")
        if not _KEYWORD.fullmatch(keyword):
            raise CommandError(501, "5.5.4", "bad parameter syntax")
        keyword = keyword.upper()
        if keyword in parameters:
            raise CommandError(501, "5.5.4", "a parameter stands twice")
        parameters[keyword] = value if equals else None
    return parameters


def _checked(
    parameters: Parameters, checks: Mapping[str, Callable[[str | None], bool]]
) -> Parameters:
    for keyword, value in parameters.items():
        check = checks.get(keyword)
        if check is None:
            raise CommandError(555, "5.5.4", "unknown parameter")
        if not check(value):
            # The keyword is one of our own words here, not the client's.
            raise CommandError(501, "5.5.4", f"bad value of {keyword}")
    return parameters


def _has_none(value: str | None) -> bool:
    return value is None


def _is_size(value: str | None) -> bool:
    return value is not None and _SIZE.fullmatch(value) is not None


def _is_body(value: str | None) -> bool:
    return value is not None and value.upper() in ("7BIT", "8BITMIME")


def _is_ret(value: str | None) -> bool:
    return value is not None and value.upper() in ("FULL", "HDRS")


def _is_envid(value: str | None) -> bool:
    return value is not None and _ENVID.fullmatch(value) is not None


def _is_notify(value: str | None) -> bool:
    words = (value or "").upper().split(",")
    return words == ["NEVER"] or (_NOTIFY.issuperset(words) and len(set(words)) == len(words))


def _is_orcpt(value: str | None) -> bool:
    return value is not None and _ORCPT.fullmatch(value) is not None


def _is_orcpt_utf8(value: str | None) -> bool:
    return _is_orcpt(value) or (value is not None and _ORCPT_UTF8.fullmatch(value) is not None)


_OF_MAIL = {
    "SIZE": _is_size,
    "BODY": _is_body,
    "SMTPUTF8": _has_none,
    "RET": _is_ret,
    "ENVID": _is_envid,
    "REQUIRETLS": _has_none,
}
_OF_RCPT = {"NOTIFY": _is_notify, "ORCPT": _is_orcpt}
