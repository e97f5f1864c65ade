"""The agent path as Postfix sees it: FILTER leads to the delivery agent, which hands back. Pure.

FILTER takes a message whole, local recipients too. What the agent does not deliver itself it
hands back to an smtpd(8) that listens on a UNIX socket in the queue directory's folder `public`,
which only root and the group of postdrop(1) reach. Nothing is asked there a second time but
which connector a recipient moves to because of the size. There is such a path for each kind of
listener, as what comes back goes on as it would have from there.
"""

from collections.abc import Iterator

from postconnector.model.organization import HostSettings
from postconnector.postfix.compiled import Parameter, Service
from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.host_listeners import content_filters
from postconnector.postfix.listener import Listener, is_way
from postconnector.postfix.service_names import (
    AGENT_PATH_SERVICE,
    RETURN_CLEANUP_SERVICE,
    RETURN_SERVICE,
    on_way,
)
from postconnector.postfix.settings import Setting

AGENT_PATH_LHLO = "postconnector-agent-path"
"""As which Postfix greets the agent where FILTER led to it, not the transport table."""

RETURN_CONTEXT = "postconnector-return"
"""By which the policy service knows (policy_context) that it is asked for what comes back."""

MOST_RECIPIENTS = 1000
"""Of one message that is handed back: as many as the agent takes."""

_RETURN_RESTRICTIONS = "postconnector_return_restrictions"
_AS_IT_CAME = "it has been through all this already"
_ONLY_US = "only the delivery agent reaches it"
_AS_IT_IS = "what is handed back is the message as it was"
_NO_LIMIT = Setting("message_size_limit", "0", _AS_IT_CAME)
_MOST_HOPS = Setting("hopcount_limit", "1000", "Postfix took the message with the hops that it has")
_LMTP_CHANGES = (
    "lmtp_generic_maps",
    "lmtp_header_checks",
    "lmtp_mime_header_checks",
    "lmtp_nested_header_checks",
    "lmtp_body_checks",
    "lmtp_discard_lhlo_keywords",
    "lmtp_discard_lhlo_keyword_address_maps",
    "lmtp_reply_filter",
)
"""By which the host may change mail to an LMTP server of its own."""

_SINCE = {
    "smtpd_policy_service_policy_context": (3, 1),
    "smtpd_forbid_unauth_pipelining": (3, 9),
}
"""Parameters that older versions do not know."""


def agent_path(host: HostSettings, way: str) -> str:
    """Where FILTER leads a message whose recipients need answers of their own; `way`: by which it
    comes back.
    """
    return f"{on_way(AGENT_PATH_SERVICE, way)}:{host.delivery_agent}"


def way_of_lhlo(name: str) -> str | None:
    """By which way a message comes back whose client greeted so; None: it is on no agent path."""
    base, _, way = name.partition(f"{AGENT_PATH_LHLO}-")
    if name == AGENT_PATH_LHLO:
        return ""
    return way if not base and is_way(way) else None


def return_socket(way: str) -> str:
    """Where what comes back by a way is taken, within the queue directory."""
    return f"public/{on_way(RETURN_SERVICE, way)}"


def agent_path_settings(way: str) -> Iterator[Setting]:
    """Of the lmtp(8) service of that path: what is handed back must have come as it was."""
    lhlo_name = on_way(AGENT_PATH_LHLO, way)
    yield Setting("lmtp_lhlo_name", lhlo_name, "the agent knows why it comes")
    yield Setting("lmtp_line_length_limit", "0", _AS_IT_IS)
    for name in _LMTP_CHANGES:
        yield Setting(name, "", _AS_IT_IS)


def return_parameter(policy_service: str) -> Parameter:
    """Who is asked there; `policy_service`: the restriction that asks ours."""
    return Parameter(
        _RETURN_RESTRICTIONS,
        f"{policy_service}, permit_mynetworks, reject",
        "what the delivery agent hands back (MaxMessageSize)",
    )


def return_service(facts: PostfixFacts, way: str, listener: Listener) -> Service:
    """The smtpd(8) service that takes back what is Postfix' to deliver, as `listener` would."""
    name = on_way(RETURN_SERVICE, way)
    settings = (
        Setting("syslog_name", f"{facts.syslog_name}/{name}", "delivery agent"),
        *_asks_nothing(),
        *_goes_on_as_from(listener, facts),
        _asks_whom_to_filter(listener),
        Setting("cleanup_service_name", RETURN_CLEANUP_SERVICE, _AS_IT_CAME),
        *_is_ours_alone(),
        *_changes_nothing(),
    )
    known = tuple(s for s in settings if facts.version >= _SINCE.get(s.name, (3, 0)))
    return Service(name, (), known, program="smtpd")


def return_cleanup_service(facts: PostfixFacts) -> Service:
    """Its cleanup(8), which would else refuse what has grown beyond the host's limit by the line
    that names this host.
    """
    settings = (
        Setting("syslog_name", f"{facts.syslog_name}/{RETURN_CLEANUP_SERVICE}", "delivery agent"),
        _NO_LIMIT,
        _MOST_HOPS,
    )
    return Service(RETURN_CLEANUP_SERVICE, (), settings, program="cleanup")


def _asks_whom_to_filter(listener: Listener) -> Setting:
    """FILTER would pass a content filter by; where there is need to, it comes later."""
    name = "smtpd_recipient_restrictions"
    if listener.asked_behind:
        return Setting(name, "permit_mynetworks, reject", "asked behind the content filter")
    return Setting(name, "", "MaxMessageSize", _RETURN_RESTRICTIONS)


def _goes_on_as_from(listener: Listener, facts: PostfixFacts) -> Iterator[Setting]:
    why = "as if it had not been to the agent"
    yield Setting("content_filter", listener.content_filter, why)
    overridden = "no_unknown_recipient_checks, no_header_body_checks, no_milters"
    # Without a content filter there is a FILTER of the host's own, in place of which is ours.
    if not listener.maps_late or content_filters(facts):
        overridden += ", no_address_mappings"
    yield Setting("receive_override_options", overridden, why)


def _asks_nothing() -> Iterator[Setting]:
    for name in ("client", "helo", "sender", "data", "end_of_data"):
        yield Setting(f"smtpd_{name}_restrictions", "", _AS_IT_CAME)
    yield Setting("smtpd_relay_restrictions", "permit_mynetworks, reject", _ONLY_US)
    for name in ("smtpd_proxy_filter", "smtpd_milters", "smtpd_milter_maps"):
        yield Setting(name, "", _AS_IT_CAME)
    for name in ("smtpd_reject_unlisted_recipient", "smtpd_reject_unlisted_sender"):
        yield Setting(name, "no", _AS_IT_CAME)
    yield Setting("strict_rfc821_envelopes", "no", _AS_IT_CAME)
    yield _NO_LIMIT


def _is_ours_alone() -> Iterator[Setting]:
    yield Setting("mynetworks", "127.0.0.0/8", _ONLY_US)
    yield Setting("smtpd_policy_service_policy_context", RETURN_CONTEXT, "nothing is judged again")
    for name in ("smtpd_authorized_xclient_hosts", "smtpd_upstream_proxy_protocol"):
        yield Setting(name, "", _ONLY_US)
    yield Setting("smtpd_authorized_xforward_hosts", "127.0.0.0/8", _ONLY_US)
    yield Setting("smtpd_tls_security_level", "none", _ONLY_US)
    yield Setting("smtpd_sasl_auth_enable", "no", _ONLY_US)
    yield Setting("smtpd_client_connection_count_limit", "0", _ONLY_US)
    for counted in ("connection", "message", "recipient"):
        yield Setting(f"smtpd_client_{counted}_rate_limit", "0", _ONLY_US)
    yield Setting("smtpd_recipient_limit", str(MOST_RECIPIENTS), _ONLY_US)
    yield Setting("smtpd_hard_error_limit", str(MOST_RECIPIENTS + 1), _ONLY_US)
    yield Setting("smtpd_error_sleep_time", "0", _ONLY_US)
    yield Setting("smtpd_forbid_unauth_pipelining", "no", _ONLY_US)


def _changes_nothing() -> Iterator[Setting]:
    """Every keyword is offered, and no header is rewritten or added but Received."""
    for name in ("smtpd_discard_ehlo_keywords", "smtpd_discard_ehlo_keyword_address_maps"):
        yield Setting(name, "", "NOTIFY, ORCPT, RET and ENVID survive")
    yield Setting("local_header_rewrite_clients", "", _AS_IT_CAME)
    yield Setting("smtpd_command_filter", "", _AS_IT_CAME)
