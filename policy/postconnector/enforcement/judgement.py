"""What all rules together say of a message: an answer for each recipient, or one for all. Pure.

A refusal counts more than a deferral, and of two of a kind the first counts. A rule that fails
defers: our own fault, or a stranger's, loses no mail and lets none around a rule.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from postconnector.enforcement.message import Message
from postconnector.enforcement.rule import Defer, NamedRule, Refuse, TakeAgentPath, Verdict
from postconnector.model.plain_text import clean, cut

_LONGEST = 400

log = logging.getLogger(__name__)

Answer = Refuse | Defer


@dataclass(frozen=True, slots=True)
class Judgement:
    """`answers`: by the recipient's position in the message; the others may have it.

    `agent_path`: why the message is to go to the delivery agent, if a rule wants that.
    """

    answers: Mapping[int, Answer]
    agent_path: str | None = None

    def of_whole(self, message: Message) -> Verdict | None:
        """What is said where there is one answer for all recipients; None: nothing.

        Where they differ, each gets its own by the delivery agent.
        """
        if not self.answers:
            return TakeAgentPath(self.agent_path) if self.agent_path is not None else None
        kinds = {type(answer) for answer in self.answers.values()}
        if len(self.answers) < len(message.recipients) or len(kinds) > 1:
            return TakeAgentPath("not all recipients may have it")
        first, more = self.answers[0], len(self.answers) - 1
        if not more:
            return first
        noun = "recipient" if more == 1 else "recipients"
        return replace(first, text=f"{first.text} (and {more} more {noun} likewise)")


NOTHING = Judgement({})


def judge(rules: Sequence[NamedRule], message: Message) -> Judgement:
    """Ask every rule."""
    answers: dict[int, Answer] = {}
    agent_path: str | None = None
    for rule in rules:
        for verdict in _verdicts(rule, message):
            if isinstance(verdict, TakeAgentPath):
                agent_path = agent_path or verdict.why
                continue
            for position in _positions(verdict, message):
                known = answers.get(position)
                if known is None or (isinstance(known, Defer) and isinstance(verdict, Refuse)):
                    answers[position] = verdict
    if not answers and agent_path is None:
        return NOTHING
    return Judgement(answers, agent_path)


def _verdicts(rule: NamedRule, message: Message) -> Sequence[Verdict]:
    try:
        return [_checked(verdict) for verdict in rule.rule(message)]
    except Exception:
        queue_id = message.queue_id or "NOQUEUE"
        log.exception("%s: rule %s failed, mail is deferred", queue_id, rule.name)
        return [Defer(451, "4.3.0", f"rule {rule.name} failed; the log says why")]


def _checked(verdict: Verdict) -> Verdict:
    match verdict:
        case Refuse(code, enhanced) if code // 100 == 5 and enhanced.startswith("5."):
            return replace(verdict, text=cut(clean(verdict.text), _LONGEST))
        case Defer(code, enhanced) if code // 100 == 4 and enhanced.startswith("4."):
            return replace(verdict, text=cut(clean(verdict.text), _LONGEST))
        case TakeAgentPath():
            return verdict
    raise ValueError(f"no verdict: {verdict!r}")


def _positions(verdict: Answer, message: Message) -> Iterator[int]:
    for position, route in enumerate(message.recipients):
        if verdict.recipients is None or route.recipient in verdict.recipients:
            yield position
