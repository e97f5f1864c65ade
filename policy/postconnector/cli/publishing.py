"""What apply and rollback share: publishing what was prepared, and how that may fail."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from postconnector.cli.failure import CommandFailedError, configuration_error
from postconnector.cli.output import print_error, tell
from postconnector.cli.own_certificates import changed_certificates
from postconnector.daemon.endpoint import Endpoint
from postconnector.delivery.probe import delivery_agent_failure
from postconnector.model.organization import AskMilter
from postconnector.model.problem import quoted
from postconnector.policyd.lookup_probe import lookup_service_failure
from postconnector.policyd.probe import policy_service_failure, postfix_failure
from postconnector.postfix.configuration_files import folder_in_force
from postconnector.postfix.generation_folder import require_names
from postconnector.postfix.generations import LIVE, About, read_generations
from postconnector.postfix.host import PostfixError
from postconnector.postfix.live_routes import needing_lookups
from postconnector.postfix.lock import TryAgainError
from postconnector.postfix.plan import is_published
from postconnector.postfix.progress import Progress
from postconnector.postfix.publish import Publication, publish
from postconnector.postfix.staged_check import CheckFailedError
from postconnector.postfix.unfinished import read_unfinished
from postconnector.postfix.verification import verify
from postconnector_milter.probe import milter_failure


def require_root(command: str) -> None:
    """Raise CommandFailedError for anybody else."""
    if os.geteuid() != 0:
        raise CommandFailedError(
            os.EX_NOPERM, f"{command} writes to Postfix' configuration: be root"
        )


def carry_out(
    publication: Publication, policy_service: Endpoint, about: About, progress: Progress
) -> None:
    """Publish, if there is anything to change, and say what is done."""
    for warning in publication.compiled.warnings:
        print_error(f"warning: {warning}")
    _require_publishable(publication)
    require_names(publication.facts.own_directory)
    unfinished = unfinished_sentence(publication)
    if unfinished is not None:
        tell(unfinished)
    if unfinished is None and _is_in_force(publication):
        tell("nothing to change: Postfix has these connectors")
        for silence in _not_answering(publication, policy_service):
            print_error(f"warning: {silence}")
        return
    _require(_failing_policy_service(policy_service))
    _require_delivery_agent(publication)
    _require(failing_lookup_service(publication))
    _require(failing_milter(publication))
    if (failure := failing_questions(publication)) is not None:
        print_error(f"warning: {failure}")
    with nothing_half_done("the result"):
        generation = publish(publication, about, progress)
    tell(f"published generation {generation}")
    for line in changed_certificates(publication, datetime.now(UTC)):
        tell(line)


def unfinished_sentence(publication: Publication) -> str | None:
    """What an apply that was killed has left, and what to do about it; None if there is none."""
    own = publication.facts.own_directory
    unfinished = read_unfinished(own)
    if unfinished is None:
        return None
    folder = folder_in_force(publication.before.configuration.main_cf, own)
    live = next((g.number for g in read_generations(own) if g.is_live), None)
    in_force = {None: None, LIVE: live}.get(folder, unfinished.generation)
    return unfinished.sentence(in_force)


@contextmanager
def nothing_half_done(what: str) -> Iterator[None]:
    """How a change of the host may fail: Postfix refuses `what`, somebody is at work, the disk."""
    try:
        yield
    except CheckFailedError as error:
        raise configuration_error(f"Postfix refuses {what}, nothing changed:\n{error}") from None
    except TryAgainError as error:
        raise CommandFailedError(os.EX_TEMPFAIL, str(error)) from None
    except OSError as error:
        raise CommandFailedError(os.EX_IOERR, f"nothing changed: {error}") from None


def _is_in_force(publication: Publication) -> bool:
    """Whether all files are as wanted, and what is built of them answers."""
    if not is_published(publication.before, publication.rendered):
        return False
    try:
        verify(publication.host, publication.facts, publication.compiled)
    except PostfixError as error:
        print_error(f"warning: {error}")
        return False
    return True


def _require_publishable(publication: Publication) -> None:
    """Never publish what would go out by other rules than the administrator's."""
    for reason in publication.compiled.refusals:
        raise configuration_error(reason)


def failing_delivery_agent(publication: Publication) -> str | None:
    """Why the delivery agent, if one may be needed, does not answer, and what to do about it."""
    why = _needs_delivery_agent(publication)
    if why is None:
        return None
    text = publication.local.organization.host.delivery_agent
    endpoint = Endpoint.parse(text, publication.facts.queue_directory)
    failure = delivery_agent_failure(endpoint)
    if failure is None:
        return None
    return (
        f"the delivery agent does not answer at {endpoint} ({failure}), and {why}; start it:"
        " systemctl start postconnector-deliver"
    )


def _needs_delivery_agent(publication: Publication) -> str | None:
    needing = publication.compiled.agent_only
    if needing:
        return f"connector {quoted(needing[0].connector.name)} needs it: {needing[0].reason}"
    if publication.has_limits:
        return (
            "messages above a MaxMessageSize wait for it where they are to aliases, or to several"
            " recipients of whom some may not have them"
        )
    return None


def _require_delivery_agent(publication: Publication) -> None:
    """Connectors of its own do; without it the other messages are few, and wait."""
    failure = failing_delivery_agent(publication)
    if publication.compiled.agent_only:
        _require(failure)
    elif failure is not None:
        print_error(f"warning: {failure}")


def failing_lookup_service(publication: Publication) -> str | None:
    """Why the lookup service, if one is needed, does not answer, and what to do about it."""
    needing = next(needing_lookups(publication.local, publication.facts), None)
    if needing is None:
        return None
    text = publication.local.organization.host.lookup_service
    endpoint = Endpoint.parse(text, publication.facts.queue_directory)
    failure = lookup_service_failure(endpoint)
    if failure is None:
        return None
    connector, reason = needing
    return (
        f"the lookup service does not answer at {endpoint} ({failure}), and connector"
        f" {quoted(connector)} needs it: {reason}; it is part of the policy service: systemctl"
        " restart postconnector-policy"
    )


def failing_milter(publication: Publication) -> str | None:
    """Why the milter, if Postfix is to ask it, does not answer, and what to do about it."""
    settings = publication.local.organization.host
    if settings.milter is AskMilter.NONE:
        return None
    endpoint = Endpoint.parse(settings.milter_service, publication.facts.queue_directory)
    failure = milter_failure(endpoint)
    if failure is None:
        return None
    which = "mail by sendmail(1)" if settings.milter is AskMilter.SENDMAIL else "all mail"
    return (
        f"the milter does not answer at {endpoint} ({failure}), and Postfix defers {which}"
        " without it; start it: systemctl start postconnector-milter"
    )


def failing_questions(publication: Publication) -> str | None:
    """Why the policy service can't find out what is Postfix' own, and what to do about it."""
    if not publication.has_limits:
        return None
    text = publication.local.organization.host.policy_service
    failure = postfix_failure(Endpoint.parse(text, publication.facts.queue_directory))
    if failure is None:
        return None
    return (
        f"the policy service can't ask Postfix for its domains ({failure}), so mail whose size"
        " matters is deferred; let the user that it runs as read that table"
    )


def _require(failure: str | None) -> None:
    if failure is not None:
        raise CommandFailedError(os.EX_UNAVAILABLE, failure)


def _failing_policy_service(endpoint: Endpoint) -> str | None:
    """Why the policy service does not answer, and what to do about it."""
    failure = policy_service_failure(endpoint)
    if failure is None:
        return None
    return (
        f"the policy service does not answer at {endpoint} ({failure}), and Postfix would"
        " defer all mail without it; start it first: systemctl start postconnector-policy (or,"
        f" where policy_service is another now: postconnector policy --listen {endpoint})"
    )


def _not_answering(publication: Publication, policy_service: Endpoint) -> Iterator[str]:
    """What Postfix asks, or hands mail to, and is not there."""
    if (failure := _failing_policy_service(policy_service)) is not None:
        yield failure
    for look in (failing_delivery_agent, failing_lookup_service, failing_milter):
        if (failure := look(publication)) is not None:
            yield failure
