"""Asking the rules what they say of a message that the delivery agent has."""

from collections.abc import Mapping, Sequence

from postconnector.daemon.postfix_answers import RememberedAnswers
from postconnector.delivery.content import Content
from postconnector.delivery.envelope import Envelope
from postconnector.delivery.header import HeaderTooLargeError, headers
from postconnector.delivery.in_force import InForce
from postconnector.delivery.received import Received
from postconnector.enforcement.judgement import Judgement, judge
from postconnector.enforcement.message import Headers, Message, Stage
from postconnector.enforcement.postfix_view import (
    NotKnownYetError,
    PostfixView,
    ask_ahead_for,
    with_aliases_kept,
    with_kept,
)
from postconnector.enforcement.recipient_route import RecipientRoute, route_recipient
from postconnector.enforcement.rule import NamedRule, Refuse, asks_strangers


async def routes_of(
    in_force: InForce,
    envelope: Envelope,
    size: int,
    answers: RememberedAnswers | None,
    *,
    maps_late: bool,
) -> tuple[RecipientRoute, ...]:
    """What selection says of each recipient; without `answers` none is Postfix' own.

    `maps_late`: aliases are followed after it is handed back, so that nothing is said of them.
    Raises PostfixError where Postfix can't be asked.
    """
    table = in_force.local.table
    routes = [route_recipient(table, each.address, size) for each in envelope.recipients]
    if answers is None:
        return tuple(routes)
    while True:
        try:
            return _as_postfix_has_them(routes, answers, maps_late=maps_late)
        except NotKnownYetError as unknown:
            await answers.find_out(unknown)


def _as_postfix_has_them(
    routes: Sequence[RecipientRoute], postfix: PostfixView, *, maps_late: bool
) -> tuple[RecipientRoute, ...]:
    if maps_late:
        routes = with_aliases_kept(routes, postfix)
    ask_ahead_for((route for route in routes if not route.kept), postfix)
    return tuple(route if route.kept else with_kept(route, postfix) for route in routes)


def judgement_of(
    rules: Sequence[NamedRule],
    envelope: Envelope,
    content: Content,
    routes: tuple[RecipientRoute, ...],
    received: Received | None,
    unusable: Mapping[str, str],
) -> Judgement:
    """What the rules say; the headers are only read where a rule of a stranger may ask for them.

    Where they can't be, nobody gets the message: no rule is got around.
    """
    seen: Headers | None = None
    if asks_strangers(rules):
        try:
            seen = headers(content)
        except HeaderTooLargeError as error:
            refusal = Refuse(552, "5.3.4", error.reply.text)
            return Judgement(dict.fromkeys(range(len(routes)), refusal))
    message = Message(
        Stage.DELIVERY,
        envelope.sender,
        routes,
        content.size if received is None else received.size,
        queue_id=None if received is None else received.queue_id,
        headers=seen,
        unusable=unusable,
    )
    return judge(rules, message)
